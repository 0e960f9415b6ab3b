//! Tables: elements in one block, found by code through a [`TableDef`].
//!
//! Elements of `funcref` tables are [`TableEntry`], copies of function records. An entry of id
//! [`TypeId::UNINITIALIZED`] stands for a function whose record nobody needed yet: `vmctx` is the
//! context of the instance whose function it is and `record` holds the function's index as a plain
//! number. So such entries keep their meaning wherever `table.copy` takes them. They are resolved by
//! the first `table.get`, or by the cold path of `call_indirect`.
//!
//! The block moves when a table grows beyond its capacity; code loads `TableDef::base` each time.

use crate::block::{Pinned, ZeroedBlock};
use crate::error::{RuntimeError, RuntimeErrorKind};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use upshift_abi::layout::TABLE_ENTRY_BYTES;
use upshift_abi::{FuncRecord, TableDef, TableEntry, TypeId};
use upshift_module::{FuncIndex, HeapType, TableType};

/// Greatest number of elements of a table (the web's limit).
pub const TABLE_ELEMENTS_MAX: u64 = 10_000_000;

const NULL_ENTRY: TableEntry = TableEntry {
    type_id: TypeId::NULL,
    vmctx: ptr::null_mut(),
    slot: ptr::null(),
    record: ptr::null(),
};

/// A table of a store.
pub(crate) struct Table {
    ty: TableType,
    def: NonNull<TableDef>,
    // Where `def` is, unless it is inside the vmctx of the instance that defines the table.
    _home: Option<Pinned<TableDef>>,
    block: ZeroedBlock,
    capacity: u64,
    elements_max: u64,
}

/// One element on its way into a table.
#[derive(Clone, Copy)]
pub(crate) enum Element {
    /// Null of either type.
    Null,
    /// A function by its record.
    Func(NonNull<FuncRecord>),
    /// A function of the instance with this context, its record not needed yet.
    LazyFunc(*mut c_void, FuncIndex),
    /// A host value by its handle's bits.
    Extern(u64),
}

/// What is in an entry of a `funcref` table.
pub(crate) enum FuncElement {
    Null,
    Record(NonNull<FuncRecord>),
    Lazy(*mut c_void, FuncIndex),
}

impl Table {
    /// Makes a table of nulls. `place` is where its definition goes, in a vmctx that lives as long as
    /// the table; none makes a place of its own.
    pub(crate) fn new(
        ty: TableType,
        place: Option<NonNull<TableDef>>,
        elements_max: u64,
    ) -> Result<Self, RuntimeError> {
        let elements_max = elements_max.min(TABLE_ELEMENTS_MAX);
        if ty.minimum > elements_max {
            return Err(RuntimeError::new(
                RuntimeErrorKind::Limit,
                format!(
                    "expected a table of at most {elements_max} elements, found {}",
                    ty.minimum
                ),
            ));
        }
        let block = block_of(&ty, ty.minimum).ok_or_else(|| {
            RuntimeError::new(
                RuntimeErrorKind::Resource,
                format!("no memory for a table of {} elements", ty.minimum),
            )
        })?;
        let home = place.is_none().then(|| {
            Pinned::new(TableDef {
                base: ptr::null_mut(),
                length: 0,
            })
        });
        let def = place
            .or(home.as_ref().map(Pinned::ptr))
            .expect("one of both is there");
        let mut table = Self {
            ty,
            def,
            _home: home,
            block,
            capacity: ty.minimum,
            elements_max,
        };
        table.publish(ty.minimum);
        Ok(table)
    }

    /// Writes the definition that generated code reads.
    fn publish(&mut self, length: u64) {
        let def = TableDef {
            base: self.block.base().as_ptr(),
            length,
        };
        // SAFETY: rule DEF: the definition lives as long as the table, and no reference to it exists.
        unsafe { self.def.write(def) };
    }

    /// The definition.
    pub(crate) fn def(&self) -> NonNull<TableDef> {
        self.def
    }

    /// The declared type.
    pub(crate) fn declared_type(&self) -> &TableType {
        &self.ty
    }

    /// The type with the current size as its minimum.
    pub(crate) fn current_type(&self) -> TableType {
        TableType {
            minimum: self.size(),
            ..self.ty
        }
    }

    /// Number of elements.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: rule DEF: the definition lives as long as the table.
        unsafe { self.def.read() }.length
    }

    fn is_func(&self) -> bool {
        is_func(&self.ty)
    }

    /// The elements of a `funcref` table.
    fn funcs(&mut self) -> &mut [TableEntry] {
        assert!(self.is_func(), "a table of functions");
        let len = usize::try_from(self.size()).expect("at most the capacity");
        let base = self.block.base().cast();
        // SAFETY: rule TABLE: the block holds at least `size` initialised entries (zero is a null entry)
        // and is reached through the exclusively borrowed table only, code being outside.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), len) }
    }

    /// The elements of an `externref` table.
    fn externs(&mut self) -> &mut [u64] {
        assert!(!self.is_func(), "a table of host values");
        let len = usize::try_from(self.size()).expect("at most the capacity");
        let base = self.block.base().cast();
        // SAFETY: rule TABLE: as in `funcs`; an element is 8 bytes.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), len) }
    }

    /// Grows by `delta` elements of `value`; the old size, or none if it must not or cannot.
    pub(crate) fn grow(&mut self, delta: u64, value: Element) -> Option<u64> {
        let old = self.size();
        let new = old.checked_add(delta)?;
        if new > self.ty.maximum.unwrap_or(u64::MAX).min(self.elements_max) {
            return None;
        }
        if new > self.capacity {
            self.reserve(new)?;
        }
        self.publish(new);
        self.fill(old, value, delta)
            .expect("the new elements are in bounds");
        Some(old)
    }

    fn reserve(&mut self, needed: u64) -> Option<()> {
        let bound = self.ty.maximum.unwrap_or(u64::MAX).min(self.elements_max);
        // Doubling makes growth by single elements linear.
        let wished = self
            .capacity
            .saturating_mul(2)
            .clamp(needed, bound.max(needed));
        let (block, capacity) = match block_of(&self.ty, wished) {
            Some(block) => (block, wished),
            None => (block_of(&self.ty, needed)?, needed),
        };
        let used = usize::try_from(self.size() * stride(&self.ty)).ok()?;
        // SAFETY: rule TABLE: both blocks hold `used` bytes, and the new one is fresh.
        unsafe {
            ptr::copy_nonoverlapping(self.block.base().as_ptr(), block.base().as_ptr(), used);
        }
        self.block = block;
        self.capacity = capacity;
        Some(())
    }

    /// Puts `value` into `count` elements; none if out of bounds, with nothing changed.
    pub(crate) fn fill(&mut self, start: u64, value: Element, count: u64) -> Option<()> {
        let range = range(start, count, self.size())?;
        if self.is_func() {
            self.funcs()[range].fill(func_entry(value));
        } else {
            self.externs()[range].fill(extern_bits(value));
        }
        Some(())
    }

    /// One element.
    pub(crate) fn set(&mut self, index: u64, value: Element) -> Option<()> {
        self.fill(index, value, 1)
    }

    /// Writes consecutive elements, which the caller found to be in bounds.
    pub(crate) fn set_all(&mut self, start: u64, values: impl Iterator<Item = Element>) {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        if self.is_func() {
            let target = self.funcs().iter_mut().skip(start);
            target.zip(values).for_each(|(t, v)| *t = func_entry(v));
        } else {
            let target = self.externs().iter_mut().skip(start);
            target.zip(values).for_each(|(t, v)| *t = extern_bits(v));
        }
    }

    /// The bits of an `externref` element.
    pub(crate) fn extern_element(&mut self, index: u64) -> Option<u64> {
        let index = usize::try_from(index).ok()?;
        self.externs().get(index).copied()
    }

    /// What is in an element of a `funcref` table.
    pub(crate) fn func_element(&mut self, index: u64) -> Option<FuncElement> {
        let index = usize::try_from(index).ok()?;
        let entry = self.funcs().get(index)?;
        Some(match entry.type_id {
            TypeId::NULL => FuncElement::Null,
            TypeId::UNINITIALIZED => {
                let func = u32::try_from(entry.record.addr()).unwrap_or(u32::MAX);
                FuncElement::Lazy(entry.vmctx, FuncIndex(func))
            }
            _ => {
                NonNull::new(entry.record.cast_mut()).map_or(FuncElement::Null, FuncElement::Record)
            }
        })
    }

    /// Address of an entry of a `funcref` table.
    pub(crate) fn entry(&mut self, index: u64) -> Option<NonNull<TableEntry>> {
        let index = usize::try_from(index).ok()?;
        self.funcs().get_mut(index).map(NonNull::from)
    }

    /// Whether a table holds functions.
    pub(crate) fn holds_funcs(&self) -> bool {
        self.is_func()
    }

    /// Address of `count` elements from `start` on, and their size in bytes.
    fn span(&self, start: u64, count: u64) -> Option<(NonNull<u8>, usize)> {
        let range = range(start, count, self.size())?;
        let stride = usize::try_from(stride(&self.ty)).ok()?;
        // SAFETY: rule TABLE: the range is inside the block.
        let first = unsafe { self.block.base().add(range.start * stride) };
        Some((first, range.len() * stride))
    }

    /// `table.copy` inside one table (spec 4.4.6); none if out of bounds.
    pub(crate) fn copy_within(&mut self, to: u64, from: u64, count: u64) -> Option<()> {
        let (source, bytes) = self.span(from, count)?;
        let (target, _) = self.span(to, count)?;
        // SAFETY: rule TABLE: both spans are inside the block; they may overlap.
        unsafe { ptr::copy(source.as_ptr(), target.as_ptr(), bytes) };
        Some(())
    }

    /// `table.copy` from another table of the same element type; none if out of bounds.
    pub(crate) fn copy_from(
        &mut self,
        to: u64,
        source: &Self,
        from: u64,
        count: u64,
    ) -> Option<()> {
        assert_eq!(
            self.is_func(),
            source.is_func(),
            "validation compared the types"
        );
        let (source, bytes) = source.span(from, count)?;
        let (target, _) = self.span(to, count)?;
        // SAFETY: rule TABLE: the spans are inside two different blocks.
        unsafe { ptr::copy_nonoverlapping(source.as_ptr(), target.as_ptr(), bytes) };
        Some(())
    }
}

fn is_func(ty: &TableType) -> bool {
    matches!(ty.element.heap, HeapType::Func)
}

/// Bytes per element.
fn stride(ty: &TableType) -> u64 {
    if is_func(ty) {
        u64::from(TABLE_ENTRY_BYTES)
    } else {
        8
    }
}

fn block_of(ty: &TableType, elements: u64) -> Option<ZeroedBlock> {
    ZeroedBlock::new(usize::try_from(elements.checked_mul(stride(ty))?).ok()?)
}

/// The range `start..start + count` if it is within `size`.
pub(crate) fn range(start: u64, count: u64, size: u64) -> Option<std::ops::Range<usize>> {
    let end = start.checked_add(count).filter(|end| *end <= size)?;
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn func_entry(value: Element) -> TableEntry {
    match value {
        Element::Null | Element::Extern(_) => NULL_ENTRY,
        Element::Func(record) => {
            // SAFETY: rule RECORD: records are immutable and live as long as the store.
            let FuncRecord {
                type_id,
                vmctx,
                slot,
                ..
            } = *unsafe { record.as_ref() };
            TableEntry {
                type_id,
                vmctx,
                slot,
                record: record.as_ptr(),
            }
        }
        Element::LazyFunc(vmctx, func) => TableEntry {
            type_id: TypeId::UNINITIALIZED,
            vmctx,
            slot: ptr::null(),
            record: ptr::without_provenance(func.0 as usize),
        },
    }
}

fn extern_bits(value: Element) -> u64 {
    match value {
        Element::Extern(bits) => bits,
        Element::Null | Element::Func(_) | Element::LazyFunc(..) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Element, FuncElement, Table};
    use std::ptr;
    use upshift_module::{FuncIndex, RefType, TableType};

    fn table(element: RefType, minimum: u64, maximum: Option<u64>) -> Table {
        let ty = TableType {
            element,
            minimum,
            maximum,
        };
        Table::new(ty, None, u64::MAX).expect("a small table")
    }

    #[test]
    fn growth_keeps_elements_and_limits() {
        let mut t = table(RefType::EXTERNREF, 1, Some(100));
        assert_eq!(t.set(0, Element::Extern(7)), Some(()));
        assert_eq!(t.grow(3, Element::Extern(9)), Some(1));
        assert_eq!(t.extern_element(0), Some(7));
        assert_eq!(t.extern_element(3), Some(9));
        assert_eq!(t.extern_element(4), None);
        assert_eq!(t.grow(97, Element::Null), None, "over the maximum");
        assert_eq!(t.grow(u64::MAX, Element::Null), None, "overflow");
        assert_eq!(t.grow(96, Element::Null), Some(4));
        assert_eq!(t.size(), 100);
    }

    #[test]
    fn lazy_entries_keep_their_meaning_when_copied() {
        let mut t = table(RefType::FUNCREF, 4, None);
        let vmctx = ptr::without_provenance_mut(0x1230);
        t.set_all(
            0,
            [Element::LazyFunc(vmctx, FuncIndex(5)), Element::Null].into_iter(),
        );
        assert_eq!(t.copy_within(2, 0, 2), Some(()));
        assert_eq!(t.copy_within(3, 0, 2), None, "out of bounds");
        let mut other = table(RefType::FUNCREF, 1, None);
        assert_eq!(other.copy_from(0, &t, 2, 1), Some(()));
        for table in [&mut t, &mut other] {
            let found = table.func_element(0).expect("in bounds");
            assert!(matches!(found, FuncElement::Lazy(v, FuncIndex(5)) if v == vmctx));
        }
        assert!(matches!(t.func_element(3), Some(FuncElement::Null)));
        assert!(t.func_element(4).is_none());
    }
}
