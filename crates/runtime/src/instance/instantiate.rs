//! Instantiation (spec 4.5.4), in this order: check the imports; allocate the context, memories and
//! tables; fill the import arrays; initialise globals, then tables; copy active element segments,
//! then data segments, each in order, unless an image of the module holds them (`initial.rs`). The start function is
//! the caller's to run.
//!
//! A failure before the segments leaves no trace that code could reach. One in a segment leaves the
//! instance in the store, since its functions may already be in a table that others see.

use super::segments::{Span, element};
use super::{Instance, InstantiateError, imports};
use crate::block::ZeroedBlock;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::global::Global;
use crate::loaded::LoadedModule;
use crate::store::StoreInner;
use crate::store::failure::Failure;
use crate::store::handles::{ExternHandle, FuncHandle, InstanceHandle};
use crate::store::memory::Memory;
use crate::table::{Element, Table};
use crate::types::is_funcref;
use std::ptr;
use std::sync::Arc;
use upshift_abi::layout::Place;
use upshift_abi::{FuncImport, GlobalCell, MemoryDef, TableDef, TrapCode, VmContext};
use upshift_module::{
    DataIndex, DataMode, ElemIndex, ElementMode, FuncIndex, GlobalIndex, MemoryIndex, SegmentIndex,
    TableIndex, ValType,
};

/// Given items by kind, as positions in the store's lists.
#[derive(Default)]
struct Imported {
    funcs: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
}

impl Imported {
    fn sort(items: &[ExternHandle]) -> Self {
        let mut sorted = Self::default();
        for item in items {
            match item {
                ExternHandle::Func(handle) => sorted.funcs.push(handle.index),
                ExternHandle::Table(handle) => sorted.tables.push(handle.index),
                ExternHandle::Memory(handle) => sorted.memories.push(handle.index),
                ExternHandle::Global(handle) => sorted.globals.push(handle.index),
            }
        }
        sorted
    }
}

impl StoreInner {
    /// Instantiates a module with its imports in order. Gives the instance and its start function,
    /// which the caller must call next.
    ///
    /// # Errors
    /// Imports that do not match, all of them in one text; an active segment that does not fit; no room.
    pub fn instantiate(
        &mut self,
        loaded: &Arc<LoadedModule>,
        items: &[ExternHandle],
    ) -> Result<(InstanceHandle, Option<FuncHandle>), InstantiateError> {
        if !Arc::ptr_eq(loaded.code_space(), &self.code_space) {
            return Err(RuntimeError::misuse("the module is of another engine").into());
        }
        imports::check(self, loaded, items)?;
        let number = u32::try_from(self.instances.len())
            .ok()
            .filter(|number| (*number as usize) < self.options.instances_max)
            .ok_or_else(|| {
                let max = self.options.instances_max;
                let text = format!("expected at most {max} instances in a store");
                RuntimeError::new(RuntimeErrorKind::Limit, text)
            })?;
        let instance = self.allocate(loaded, Imported::sort(items), number)?;
        let index = number as usize;
        let known = self.modules.insert(loaded.owner().0, Arc::clone(loaded));
        if known.is_none() {
            loaded.code().reclaimer().join(self.id, &self.shared);
        }
        instance.list_counters();
        self.instances.push(instance);
        self.write_context(index);
        self.init_globals(index)?;
        self.init_tables(index)?;
        self.init_exports(index)?;
        self.copy_elements(index)?;
        self.copy_data(index)?;
        let start = loaded.module().env().start;
        let start = start
            .map(|func| self.instance_func(index, func))
            .transpose()?;
        let handle = InstanceHandle {
            store: self.id,
            index: number,
        };
        Ok((handle, start))
    }

    /// Makes the context, memories and tables; nothing refers to the instance yet.
    fn allocate(
        &mut self,
        loaded: &Arc<LoadedModule>,
        imported: Imported,
        number: u32,
    ) -> Result<Instance, RuntimeError> {
        let env = Arc::clone(loaded.module().env());
        let layout = loaded.layout();
        let vmctx = ZeroedBlock::new(layout.bytes() as usize).ok_or_else(|| {
            RuntimeError::new(RuntimeErrorKind::Resource, "no memory for an instance")
        })?;
        // Everything that can fail comes first.
        let mut new_memories = Vec::new();
        for (ty, index) in env.memories.iter().zip(0..).skip(imported.memories.len()) {
            let place = inline::<MemoryDef>(&vmctx, layout.memory(MemoryIndex(index)));
            let max = self.checked_bytes_max(ty)?;
            new_memories.push(Memory::new(*ty, self.style_of(ty), Some(place), max)?);
        }
        let mut new_tables = Vec::new();
        for (ty, index) in env.tables.iter().zip(0..).skip(imported.tables.len()) {
            let place = inline::<TableDef>(&vmctx, layout.table(TableIndex(index)));
            let max = self.options.table_elements_max;
            new_tables.push(Table::new(*ty, Some(place), max)?);
        }
        let globals = env.globals.iter().zip(0..).skip(imported.globals.len());
        let new_globals = globals.map(|(ty, index)| {
            let place = inline::<GlobalCell>(&vmctx, layout.global(GlobalIndex(index)));
            Global::inside(*ty, place)
        });
        let mut func_numbers = vec![0; env.funcs.len()];
        for (index, func) in imported.funcs.iter().enumerate() {
            func_numbers[index] = func + 1;
            let place = vmctx.place::<FuncImport>(
                layout.func_import(FuncIndex(u32::try_from(index).unwrap_or(u32::MAX))),
            );
            // SAFETY: rule VMCTX: inside the block, which nobody else knows yet.
            unsafe { place.write(self.func_import(*func, number)) };
        }
        Ok(Instance {
            memories: append(&mut self.memories, imported.memories, new_memories),
            tables: append(&mut self.tables, imported.tables, new_tables),
            globals: append(&mut self.globals, imported.globals, new_globals),
            loaded: Arc::clone(loaded),
            func_numbers,
            exports: Box::default(),
            dropped_elements: vec![false; env.elements.len()],
            dropped_data: vec![false; loaded.module().data_segments().len()],
            vmctx,
        })
    }

    /// Writes the fixed part of the context and the pointers to imports.
    fn write_context(&mut self, index: usize) {
        let instance = &self.instances[index];
        let layout = instance.loaded.layout();
        let memory0 = instance.memories.first();
        let fixed = VmContext {
            store: self.context_ptr(),
            memory0_base: memory0.map_or(ptr::null_mut(), |m| self.memories[*m as usize].base()),
            entry_table: instance.loaded.entries().base(),
            instance: ptr::without_provenance_mut(index),
            module: Arc::as_ptr(&instance.loaded).cast(),
        };
        // SAFETY: rule VMCTX: the block begins with room for the fixed part; no code runs in it yet.
        unsafe { instance.vmctx_ptr().write(fixed) };
        let pointer = |place: Place, to: *const u8| {
            if let Place::Pointer(offset) = place {
                // SAFETY: rule VMCTX: a pointer-sized place inside the block; no code runs in it yet.
                unsafe { instance.place::<*const u8>(offset).write(to) };
            }
        };
        for (table, i) in instance.tables.iter().zip(0..) {
            let def = self.tables[*table as usize].def();
            pointer(layout.table(TableIndex(i)), def.as_ptr().cast());
        }
        for (memory, i) in instance.memories.iter().zip(0..) {
            let def = self.memories[*memory as usize].def();
            pointer(layout.memory(MemoryIndex(i)), def.as_ptr().cast());
        }
        for (global, i) in instance.globals.iter().zip(0..) {
            let cell = self.globals[*global as usize].cell();
            pointer(layout.global(GlobalIndex(i)), cell.as_ptr().cast());
        }
    }

    fn init_globals(&mut self, index: usize) -> Result<(), RuntimeError> {
        let env = Arc::clone(self.instances[index].loaded.module().env());
        for (expr, i) in env.global_inits.iter().zip(env.imported_globals as usize..) {
            let value = self.eval_const(index, expr)?;
            let global = self.instances[index].globals[i];
            self.globals[global as usize].set(value);
        }
        Ok(())
    }

    fn init_tables(&mut self, index: usize) -> Result<(), RuntimeError> {
        let env = Arc::clone(self.instances[index].loaded.module().env());
        for (expr, i) in env.table_inits.iter().zip(env.imported_tables as usize..) {
            let value = self.eval_const(index, expr)?;
            let ty = env.tables[i];
            let value = element(value, is_funcref(ValType::Ref(ty.element)));
            if matches!(value, Element::Func(_) | Element::Extern(1..)) {
                let table = self.instances[index].tables[i] as usize;
                self.tables[table]
                    .fill(0, value, ty.minimum)
                    .expect("all of the table");
            }
        }
        Ok(())
    }

    fn init_exports(&mut self, index: usize) -> Result<(), RuntimeError> {
        let env = Arc::clone(self.instances[index].loaded.module().env());
        let exports = env.exports.iter();
        let exports = exports.map(|export| self.instance_item(index, export.item));
        self.instances[index].exports = exports.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn copy_elements(&mut self, index: usize) -> Result<(), InstantiateError> {
        let env = Arc::clone(self.instances[index].loaded.module().env());
        for (segment, i) in env.elements.iter().zip(0..) {
            let this = ElemIndex(i);
            match &segment.mode {
                ElementMode::Passive => {}
                ElementMode::Declared => self.elem_drop(index, this),
                ElementMode::Active { table, offset } => {
                    let span = Span {
                        to: u64::from(self.eval_const(index, offset)?.u32()),
                        from: 0,
                        count: segment.items.len() as u64,
                    };
                    self.table_init(index, table.0, this, span)
                        .map_err(|failure| segment_error(failure, SegmentIndex::Elem(this)))?;
                    self.elem_drop(index, this);
                }
            }
        }
        Ok(())
    }

    fn copy_data(&mut self, index: usize) -> Result<(), InstantiateError> {
        let loaded = Arc::clone(&self.instances[index].loaded);
        let mapped = self.map_initial_memories(index, &loaded);
        for (segment, i) in loaded.module().data_segments().iter().zip(0..) {
            let DataMode::Active { memory, offset } = &segment.mode else {
                continue;
            };
            let this = DataIndex(i);
            if !mapped.holds(this) {
                let value = self.eval_const(index, offset)?;
                let wide = loaded.module().env().memories[memory.0 as usize].memory64;
                let span = Span {
                    to: if wide {
                        value.u64()
                    } else {
                        u64::from(value.u32())
                    },
                    from: 0,
                    count: segment.bytes.len() as u64,
                };
                self.memory_init(index, memory.0, this, span)
                    .map_err(|failure| segment_error(failure, SegmentIndex::Data(this)))?;
            }
            self.data_drop(index, this);
        }
        Ok(())
    }
}

/// The place of something that the module defines.
fn inline<T>(vmctx: &ZeroedBlock, place: Place) -> ptr::NonNull<T> {
    match place {
        Place::Inline(offset) => vmctx.place(offset),
        Place::Pointer(_) => unreachable!("imports come first in every index space"),
    }
}

/// Adds new things to a list of the store; gives all positions, imports first.
fn append<T>(
    list: &mut Vec<T>,
    mut imported: Vec<u32>,
    new: impl IntoIterator<Item = T>,
) -> Box<[u32]> {
    for thing in new {
        imported.push(u32::try_from(list.len()).unwrap_or(u32::MAX));
        list.push(thing);
    }
    imported.into()
}

fn segment_error(failure: Failure, segment: SegmentIndex) -> InstantiateError {
    match failure {
        Failure::Trap(code) => InstantiateError::Trap { code, segment },
        Failure::Runtime(error) => InstantiateError::Runtime(error),
        Failure::Host(_) | Failure::Panic(_) | Failure::Compile(_) => {
            // Copying a segment calls nobody.
            let code = TrapCode::Unreachable;
            InstantiateError::Trap { code, segment }
        }
    }
}
