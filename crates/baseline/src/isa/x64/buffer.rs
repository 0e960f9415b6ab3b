//! The code buffer: bytes, labels, and the fields that are patched when the function is finished.
//!
//! Reused from function to function. Every list is walked once at the end, so the cost is linear in the code.

use crate::isa::{ConstId, Label};
use dynasmrt::{AssemblyOffset, DynasmApi};

/// Bytes of machine code under construction.
///
/// The bytes behind the end are zeros or rests of other functions: they let [`Self::put`] write eight bytes at once.
#[derive(Debug, Default)]
pub(crate) struct CodeBuffer {
    bytes: Vec<u8>,
    /// Bytes of code, below [`BYTES_MAX`] and some more.
    len: u32,
    /// The code is not to be used: some was left out because there was too much, or something did not fit.
    full: bool,
}

/// Least number of bytes that the buffer grows by.
const GROWTH: usize = 4096;
/// From this size on, memory is handed over instead of copied, and grows by a quarter only: one huge body should not need
/// the memory of several.
const LARGE: usize = 1 << 18;
/// A buffer of so many bytes does not grow. The walk over a body stops at less, but looks only between operators.
const BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 1 << 30 };

impl CodeBuffer {
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.full = false;
    }

    /// Makes `finish` fail.
    #[cold]
    pub(super) fn refuse(&mut self) {
        self.full = true;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Offset of the end.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        self.len
    }

    /// Bytes that it holds without growing.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// The code so far.
    #[cfg(test)]
    pub(super) fn code(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Hands the code out, and with it the memory if there is much. The buffer is as new.
    pub(super) fn take_code(&mut self) -> Vec<u8> {
        let len = self.len();
        self.clear();
        if len < LARGE {
            return self.bytes[..len].to_vec();
        }
        self.bytes.truncate(len);
        take_exact(&mut self.bytes)
    }

    /// Appends the first `count` bytes of a number, at most eight.
    #[inline]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        debug_assert!(count <= 8);
        let at = self.len as usize;
        if let Some(place) = window::<8>(&mut self.bytes, at) {
            *place = bits.to_le_bytes();
            self.len += count;
        } else {
            self.grow_and_put(bits, count, (0, 0));
        }
    }

    /// Appends the first bytes of two numbers: at most seven and at most eight.
    #[inline]
    pub(super) fn put_both(&mut self, first: u64, count: u32, second: (u64, u32)) {
        debug_assert!(count <= 7 && second.1 <= 8);
        let at = self.len as usize;
        if let Some(place) = window::<16>(&mut self.bytes, at) {
            if let Some(start) = place.first_chunk_mut() {
                *start = first.to_le_bytes();
            }
            if let Some(rest) = window::<8>(place, count as usize & 7) {
                *rest = second.0.to_le_bytes();
            }
            self.len += count + second.1;
        } else {
            self.grow_and_put(first, count, second);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow_and_put(&mut self, first: u64, count: u32, second: (u64, u32)) {
        if self.bytes.len() >= BYTES_MAX {
            self.full = true;
            return;
        }
        let len = self.bytes.len();
        let more = if len < LARGE { len } else { len / 4 };
        let more = more.max(GROWTH);
        self.bytes.reserve_exact(more);
        self.bytes.resize(len + more, 0);
        self.put(first, count);
        self.put(second.0, second.1);
    }

    /// Overwrites a field that ends at `end`.
    #[inline]
    pub(super) fn patch<const N: usize>(&mut self, end: u32, field: [u8; N]) {
        debug_assert!(end <= self.len);
        let place = window(&mut self.bytes, end as usize - N);
        if let Some(place) = place {
            *place = field;
        }
    }

    fn align_to(&mut self, alignment: usize, with: u8) {
        let missing = self.len().next_multiple_of(alignment) - self.len();
        self.extend(std::iter::repeat_n(with, missing));
    }
}

/// Pushes; what seldom happens is called last, so that the rest needs no registers of its own.
#[inline]
pub(super) fn append<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        grow_and_append(list, item);
    } else {
        list.push(item);
    }
}

#[cold]
#[inline(never)]
fn grow_and_append<T>(list: &mut Vec<T>, item: T) {
    list.push(item);
}

/// Empties a list into one of exactly its size: a copy, or its own memory if there is much of it.
pub(super) fn take_exact<T: Copy>(list: &mut Vec<T>) -> Vec<T> {
    if list.len() < LARGE / size_of::<T>() {
        let copy = list.as_slice().to_vec();
        list.clear();
        return copy;
    }
    let mut taken = std::mem::take(list);
    taken.shrink_to_fit();
    taken
}

/// So many bytes at a place, if there are as many.
#[inline(always)]
fn window<const N: usize>(bytes: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    bytes.get_mut(at..at + N)?.first_chunk_mut()
}

impl Extend<u8> for CodeBuffer {
    #[inline]
    fn extend<T: IntoIterator<Item = u8>>(&mut self, iter: T) {
        let (mut bits, mut count) = (0, 0);
        for byte in iter {
            bits |= u64::from(byte) << (count * 8);
            count += 1;
            if count == 8 {
                self.put(bits, count);
                (bits, count) = (0, 0);
            }
        }
        self.put(bits, count);
    }
}

impl<'a> Extend<&'a u8> for CodeBuffer {
    #[inline]
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, iter: T) {
        self.extend(iter.into_iter().copied());
    }
}

impl DynasmApi for CodeBuffer {
    #[inline]
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.len())
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.put(u64::from(byte), 1);
    }

    #[inline]
    fn push_i32(&mut self, value: i32) {
        self.put(u64::from(value.cast_unsigned()), 4);
    }

    #[inline]
    fn push_i64(&mut self, value: i64) {
        self.put(value.cast_unsigned(), 8);
    }

    fn align(&mut self, alignment: usize, with: u8) {
        self.align_to(alignment, with);
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

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a label takes code or a byte of the body, and both are far below 4 GiB"
    )]
    pub(super) fn new_label(&mut self) -> Label {
        let label = Label(self.labels.len() as u32);
        append(&mut self.labels, UNBOUND);
        label
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

    #[inline]
    pub(super) fn jump(&mut self, end: u32, label: Label) {
        let target = Target::Jump(label);
        append(&mut self.fixups, Fixup { end, target });
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
        let text = buffer.end();
        if !self.consts.is_empty() || !self.tables.is_empty() {
            buffer.align_to(16, 0xcc);
        }
        let pool = buffer.end();
        for constant in &self.consts {
            buffer.extend(constant.to_le_bytes());
        }
        let tables = buffer.end();
        self.write_tables(buffer, tables)?;
        // Every distance between two places fits if the code does.
        i32::try_from(buffer.len()).ok().filter(|_| !buffer.full)?;
        for fixup in &self.fixups {
            let target = match fixup.target {
                Target::Jump(to) => self.bound(to)?,
                Target::Short(to) => {
                    let distance = self.bound(to)?.wrapping_sub(fixup.end).cast_signed();
                    buffer.patch(fixup.end, i8::try_from(distance).ok()?.to_le_bytes());
                    continue;
                }
                Target::Const(id) => pool + id.0 * 16,
                Target::Table(table) => tables + self.tables[table as usize] * 4,
            };
            let distance = target.wrapping_sub(fixup.end);
            buffer.patch(fixup.end, distance.to_le_bytes());
        }
        Some(text)
    }

    /// Entries are the distance from the start of their table.
    fn write_tables(&self, buffer: &mut CodeBuffer, tables: u32) -> Option<()> {
        let mut next_table = 0;
        let mut base = tables;
        for (at, &label) in self.table_entries.iter().enumerate() {
            while self
                .tables
                .get(next_table)
                .is_some_and(|&t| t as usize <= at)
            {
                base = tables + self.tables[next_table] * 4;
                next_table += 1;
            }
            let distance = self.bound(label)?.wrapping_sub(base);
            buffer.put(u64::from(distance), 4);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, CodeBuffer, Fixups, LARGE, take_exact};

    #[test]
    fn much_is_handed_over_and_little_is_copied() {
        let mut buffer = CodeBuffer::default();
        let mut list = Vec::new();
        for count in [1, LARGE / 8 - 1, LARGE / 8, LARGE / 8 + 5, 0, 3] {
            for number in (7..).take(count) {
                buffer.put(number, 8);
                list.push(number);
            }
            let (code, taken) = (buffer.take_code(), take_exact(&mut list));
            let numbers: Vec<u64> = (7..).take(count).collect();
            let bytes: Vec<u8> = numbers.iter().copied().flat_map(u64::to_le_bytes).collect();
            assert!(code == bytes && taken == numbers, "{count}");
            assert_eq!((code.capacity(), taken.capacity()), (count * 8, count));
            assert_eq!((buffer.len(), list.len()), (0, 0));
        }
    }

    #[test]
    fn too_much_code_is_refused() {
        for (count, fits) in [(BYTES_MAX / 8 - 8, true), (BYTES_MAX / 2, false)] {
            let mut buffer = CodeBuffer::default();
            for number in (0..).take(count) {
                buffer.put_both(number, 5, (number, 3));
            }
            assert!(buffer.len() <= 2 * BYTES_MAX);
            let mut fixups = Fixups::default();
            assert_eq!(fixups.finish(&mut buffer).is_some(), fits, "{count}");
            buffer.clear();
            assert_eq!(fixups.finish(&mut buffer), Some(0));
        }
    }
}
