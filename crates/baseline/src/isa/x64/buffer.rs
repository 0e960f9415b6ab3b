//! The code buffer: bytes, labels, and the fields that are patched when the function is finished.
//!
//! Reused from function to function. Every list is walked once at the end, so the cost is linear in the code.

use crate::isa::{ConstId, Label};
use dynasmrt::{AssemblyOffset, DynasmApi};

/// Bytes of machine code under construction.
#[derive(Debug, Default)]
pub(crate) struct CodeBuffer {
    pub(super) bytes: Vec<u8>,
}

impl Extend<u8> for CodeBuffer {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, iter: T) {
        self.bytes.extend(iter);
    }
}

impl<'a> Extend<&'a u8> for CodeBuffer {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, iter: T) {
        self.bytes.extend(iter);
    }
}

impl DynasmApi for CodeBuffer {
    #[inline]
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.bytes.len())
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    #[inline]
    fn push_i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn push_i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn align(&mut self, alignment: usize, with: u8) {
        let len = self.bytes.len().next_multiple_of(alignment);
        self.bytes.resize(len, with);
    }
}

/// What a field refers to.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// rel32 at the end of a jump.
    Jump(Label),
    /// rel8 at the end of a short jump.
    Short(Label),
    /// rip-relative reference to a pool constant.
    Const(ConstId),
    /// rip-relative reference to a jump table.
    Table(u32),
}

#[derive(Clone, Copy, Debug)]
struct Fixup {
    /// Offset of the byte after the field.
    end: u32,
    target: Target,
}

const UNBOUND: u32 = u32::MAX;
/// How many pool constants are searched before a new one is added without looking.
const POOL_SEARCH: usize = 32;

/// Labels, pool constants and jump tables of one function.
#[derive(Debug, Default)]
pub(crate) struct Fixups {
    labels: Vec<u32>,
    fixups: Vec<Fixup>,
    consts: Vec<u128>,
    table_entries: Vec<Label>,
    /// First entry of each table.
    tables: Vec<u32>,
}

impl Fixups {
    pub(super) fn reset(&mut self) {
        self.labels.clear();
        self.fixups.clear();
        self.consts.clear();
        self.table_entries.clear();
        self.tables.clear();
    }

    pub(super) fn new_label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(u32::try_from(self.labels.len() - 1).unwrap_or(UNBOUND))
    }

    pub(super) fn bind(&mut self, label: Label, offset: u32) {
        let place = &mut self.labels[label.0 as usize];
        debug_assert_eq!(*place, UNBOUND, "a label is bound once");
        *place = offset;
    }

    /// Offset of a label that is bound already.
    pub(super) fn bound(&self, label: Label) -> Option<u32> {
        Some(self.labels[label.0 as usize]).filter(|&offset| offset != UNBOUND)
    }

    pub(super) fn jump(&mut self, end: u32, label: Label) {
        let target = Target::Jump(label);
        self.fixups.push(Fixup { end, target });
    }

    pub(super) fn short(&mut self, end: u32, label: Label) {
        let target = Target::Short(label);
        self.fixups.push(Fixup { end, target });
    }

    pub(super) fn const_ref(&mut self, end: u32, id: ConstId) {
        let target = Target::Const(id);
        self.fixups.push(Fixup { end, target });
    }

    /// Begins a jump table that the field ending at `end` refers to.
    pub(super) fn table_ref(&mut self, end: u32) {
        let table = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
        self.tables
            .push(u32::try_from(self.table_entries.len()).unwrap_or(u32::MAX));
        let target = Target::Table(table);
        self.fixups.push(Fixup { end, target });
    }

    /// Appends an entry to the last table.
    pub(super) fn table_entry(&mut self, label: Label) {
        self.table_entries.push(label);
    }

    /// A 16-byte constant; the first bytes are the narrower ones.
    pub(super) fn constant(&mut self, bits: u128) -> ConstId {
        let known = self
            .consts
            .iter()
            .take(POOL_SEARCH)
            .position(|&c| c == bits);
        let at = known.unwrap_or_else(|| {
            self.consts.push(bits);
            self.consts.len() - 1
        });
        ConstId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// Appends data behind the code and patches every field. Returns the size of the code proper, or none if a
    /// field is out of reach, which would be a bug.
    pub(super) fn finish(&mut self, buffer: &mut CodeBuffer) -> Option<u32> {
        let bytes = &mut buffer.bytes;
        let text = u32::try_from(bytes.len()).ok()?;
        if !self.consts.is_empty() || !self.tables.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(16), 0xcc);
        }
        let pool = i64::try_from(bytes.len()).ok()?;
        for constant in &self.consts {
            bytes.extend_from_slice(&constant.to_le_bytes());
        }
        let tables = i64::try_from(bytes.len()).ok()?;
        self.write_tables(bytes, tables)?;
        for fixup in &self.fixups {
            let label = |label: Label| self.bound(label).map(i64::from);
            let target = match fixup.target {
                Target::Jump(to) | Target::Short(to) => label(to)?,
                Target::Const(id) => pool + i64::from(id.0) * 16,
                Target::Table(table) => tables + i64::from(self.tables[table as usize]) * 4,
            };
            let distance = target - i64::from(fixup.end);
            let end = fixup.end as usize;
            if let Target::Short(_) = fixup.target {
                bytes[end - 1..end].copy_from_slice(&i8::try_from(distance).ok()?.to_le_bytes());
            } else {
                bytes[end - 4..end].copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
            }
        }
        Some(text)
    }

    /// Entries are the distance from the start of their table.
    fn write_tables(&self, bytes: &mut Vec<u8>, tables: i64) -> Option<()> {
        let mut next_table = 0;
        let mut base = tables;
        for (at, &label) in self.table_entries.iter().enumerate() {
            while self
                .tables
                .get(next_table)
                .is_some_and(|&t| t as usize <= at)
            {
                base = tables + i64::from(self.tables[next_table]) * 4;
                next_table += 1;
            }
            let distance = i64::from(self.bound(label)?) - base;
            bytes.extend_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
        }
        Some(())
    }
}
