//! What the host does with memories, tables and globals. Everything gives none for a handle of
//! another store.

use super::StoreInner;
use super::handles::{GlobalHandle, MemoryHandle, TableHandle};
use super::memory::Memory;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::func::record_bits;
use crate::global::Global;
use crate::raw::RawVal;
use crate::table::{Element, FuncElement, Table};
use crate::types::is_funcref;
use std::ffi::c_void;
use upshift_abi::{MemoryStyle, VmContext};
use upshift_module::{FuncIndex, GlobalType, MemoryType, TableType, ValType};

/// The next index of a list that handles name.
fn next_index(len: usize) -> Result<u32, RuntimeError> {
    u32::try_from(len).map_err(|_| RuntimeError::new(RuntimeErrorKind::Limit, "the store is full"))
}

// Memories.
impl StoreInner {
    /// Makes a memory.
    ///
    /// # Errors
    /// When the system has no room, or it is beyond a limit.
    pub fn new_memory(&mut self, ty: MemoryType) -> Result<MemoryHandle, RuntimeError> {
        let index = next_index(self.memories.len())?;
        let style = self.style_of(&ty);
        let memory = Memory::new(ty, style, None, self.checked_bytes_max(&ty)?)?;
        self.memories.push(memory);
        Ok(MemoryHandle {
            store: self.id,
            index,
        })
    }

    /// How a memory is checked: 64-bit ones always explicitly.
    pub(crate) fn style_of(&self, ty: &MemoryType) -> MemoryStyle {
        if ty.memory64 {
            MemoryStyle::Checked
        } else {
            self.memory_style
        }
    }

    /// The store's limit, if a new memory is within it.
    pub(crate) fn checked_bytes_max(&self, ty: &MemoryType) -> Result<u64, RuntimeError> {
        let max = self.options.memory_bytes_max;
        let bytes = ty
            .minimum
            .saturating_mul(crate::memory::WASM_PAGE_BYTES as u64);
        if bytes > max {
            return Err(RuntimeError::new(
                RuntimeErrorKind::Limit,
                format!("expected a memory of at most {max} bytes, found {bytes}"),
            ));
        }
        Ok(max)
    }

    fn memory(&self, handle: MemoryHandle) -> Option<&Memory> {
        let index = self.index_of(handle.store, handle.index)?;
        self.memories.get(index)
    }

    fn memory_mut(&mut self, handle: MemoryHandle) -> Option<&mut Memory> {
        let index = self.index_of(handle.store, handle.index)?;
        self.memories.get_mut(index)
    }

    /// Its type, with the current size as the minimum.
    #[must_use]
    pub fn memory_type(&self, handle: MemoryHandle) -> Option<MemoryType> {
        self.memory(handle).map(Memory::current_type)
    }

    /// Its content.
    #[must_use]
    pub fn memory_data(&self, handle: MemoryHandle) -> Option<&[u8]> {
        self.memory(handle).map(Memory::data)
    }

    /// Its content.
    pub fn memory_data_mut(&mut self, handle: MemoryHandle) -> Option<&mut [u8]> {
        self.memory_mut(handle).map(Memory::data_mut)
    }

    /// Grows it; the old size in pages, or none also when it must not or cannot grow.
    pub fn memory_grow(&mut self, handle: MemoryHandle, delta_pages: u64) -> Option<u64> {
        self.memory_mut(handle)?.grow(delta_pages)
    }
}

// Globals.
impl StoreInner {
    /// Makes a global.
    ///
    /// # Errors
    /// When the value is a function reference that is not this store's.
    pub fn new_global(
        &mut self,
        ty: GlobalType,
        value: RawVal,
    ) -> Result<GlobalHandle, RuntimeError> {
        let index = next_index(self.globals.len())?;
        self.check_funcrefs(&[ty.content], &[value])?;
        self.globals.push(Global::new(ty, value));
        Ok(GlobalHandle {
            store: self.id,
            index,
        })
    }

    fn global(&self, handle: GlobalHandle) -> Option<&Global> {
        let index = self.index_of(handle.store, handle.index)?;
        self.globals.get(index)
    }

    /// Its type.
    #[must_use]
    pub fn global_type(&self, handle: GlobalHandle) -> Option<GlobalType> {
        self.global(handle).map(|global| *global.ty())
    }

    /// Its value.
    #[must_use]
    pub fn global_get(&self, handle: GlobalHandle) -> Option<RawVal> {
        self.global(handle).map(Global::get)
    }

    /// Assigns; none also when it is immutable or the value is a function reference that is not
    /// this store's.
    pub fn global_set(&mut self, handle: GlobalHandle, value: RawVal) -> Option<()> {
        let ty = *self.global(handle)?.ty();
        if !ty.mutable {
            return None;
        }
        self.check_funcrefs(&[ty.content], &[value]).ok()?;
        self.globals[handle.index as usize].set(value);
        Some(())
    }
}

// Tables.
impl StoreInner {
    /// Makes a table whose elements are all `value`.
    ///
    /// # Errors
    /// When the system has no room, it is beyond a limit, or the value is a function reference that
    /// is not this store's.
    pub fn new_table(&mut self, ty: TableType, value: RawVal) -> Result<TableHandle, RuntimeError> {
        let index = next_index(self.tables.len())?;
        let value = self.checked_element(&ty, value.ref_bits())?;
        let mut table = Table::new(ty, None, self.options.table_elements_max)?;
        if !matches!(value, Element::Null) {
            table.fill(0, value, ty.minimum).expect("all of the table");
        }
        self.tables.push(table);
        Ok(TableHandle {
            store: self.id,
            index,
        })
    }

    fn table_index(&self, handle: TableHandle) -> Option<usize> {
        let index = self.index_of(handle.store, handle.index)?;
        (index < self.tables.len()).then_some(index)
    }

    /// An element from bits that come from the host.
    fn checked_element(&self, ty: &TableType, bits: u64) -> Result<Element, RuntimeError> {
        if is_funcref(ValType::Ref(ty.element)) {
            let record = self.checked_record(bits)?;
            return Ok(record.map_or(Element::Null, Element::Func));
        }
        Ok(Element::Extern(bits))
    }

    /// The type of a table, with the current size as the minimum.
    #[must_use]
    pub fn table_type(&self, handle: TableHandle) -> Option<TableType> {
        Some(self.tables[self.table_index(handle)?].current_type())
    }

    /// An element as a reference's bits; none also when out of bounds.
    pub fn table_get(&mut self, handle: TableHandle, index: u64) -> Option<RawVal> {
        let table = self.table_index(handle)?;
        let bits = self.table_element(table, index).ok()??;
        Some(RawVal::from_ref(bits))
    }

    /// Assigns an element; none also when out of bounds, or for a function that is not this store's.
    pub fn table_set(&mut self, handle: TableHandle, index: u64, value: RawVal) -> Option<()> {
        self.table_fill(handle, index, value, 1)
    }

    /// Assigns consecutive elements; none as [`Self::table_set`], with nothing changed.
    pub fn table_fill(
        &mut self,
        handle: TableHandle,
        start: u64,
        value: RawVal,
        count: u64,
    ) -> Option<()> {
        let table = self.table_index(handle)?;
        let ty = *self.tables[table].declared_type();
        let value = self.checked_element(&ty, value.ref_bits()).ok()?;
        self.tables[table].fill(start, value, count)
    }

    /// Grows a table by elements of `value`; the old size, or none also when it must not or cannot
    /// grow.
    pub fn table_grow(&mut self, handle: TableHandle, delta: u64, value: RawVal) -> Option<u64> {
        let table = self.table_index(handle)?;
        let ty = *self.tables[table].declared_type();
        let value = self.checked_element(&ty, value.ref_bits()).ok()?;
        self.tables[table].grow(delta, value)
    }

    /// An element's bits, or none when out of bounds; a function's record is made if it is the first
    /// use.
    pub(crate) fn table_element(
        &mut self,
        table: usize,
        index: u64,
    ) -> Result<Option<u64>, RuntimeError> {
        if !self.tables[table].holds_funcs() {
            return Ok(self.tables[table].extern_element(index));
        }
        let record = match self.tables[table].func_element(index) {
            None => return Ok(None),
            Some(FuncElement::Null) => return Ok(Some(0)),
            Some(FuncElement::Record(record)) => record,
            Some(FuncElement::Lazy(vmctx, func)) => {
                self.resolve_element(table, index, vmctx, func)?
            }
        };
        Ok(Some(record_bits(record)))
    }

    /// Replaces an entry that was not initialised by the function's record.
    pub(crate) fn resolve_element(
        &mut self,
        table: usize,
        index: u64,
        vmctx: *mut c_void,
        func: FuncIndex,
    ) -> Result<std::ptr::NonNull<upshift_abi::FuncRecord>, RuntimeError> {
        // SAFETY: rule TABLE: such an entry holds the context of an instance of this store, which lives
        // as long as the store.
        let instance = unsafe { (*vmctx.cast::<VmContext>()).instance }.addr();
        let record = self.instance_func_record(instance, func)?;
        self.tables[table].set(index, Element::Func(record));
        Ok(record)
    }
}
