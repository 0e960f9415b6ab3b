//! Instances: a vmctx with its arrays, and what the runtime knows about it.
//!
//! A vmctx is one zeroed block, so the counters of functions that never run are never committed.
//! `VmContext::instance` holds the position of the instance in its store, as a plain number.

mod const_expr;
pub(crate) mod counters;
mod error;
mod imports;
pub(crate) mod initial;
mod instantiate;
pub(crate) mod segments;

pub use error::InstantiateError;
pub use imports::entity_text;

use crate::block::ZeroedBlock;
use crate::error::RuntimeError;
use crate::loaded::LoadedModule;
use crate::store::StoreInner;
use crate::store::handles::{
    ExternHandle, FuncHandle, GlobalHandle, InstanceHandle, MemoryHandle, TableHandle,
};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use upshift_abi::VmContext;
use upshift_module::{ExportItem, FuncIndex};

/// An instance of a store.
pub(crate) struct Instance {
    pub(crate) loaded: Arc<LoadedModule>,
    vmctx: ZeroedBlock,
    /// Positions in the store's lists, by the module's index spaces.
    pub(crate) memories: Box<[u32]>,
    pub(crate) tables: Box<[u32]>,
    pub(crate) globals: Box<[u32]>,
    /// 1 + the position in the store's list, or 0 for a function whose record nobody needed yet.
    pub(crate) func_numbers: Vec<u32>,
    /// In the module's order.
    exports: Box<[ExternHandle]>,
    /// Segments that `elem.drop`, `data.drop` or instantiation did away with.
    pub(crate) dropped_elements: Vec<bool>,
    pub(crate) dropped_data: Vec<bool>,
}

impl Instance {
    /// The context that generated code gets.
    pub(crate) fn vmctx_ptr(&self) -> NonNull<VmContext> {
        self.vmctx.base().cast()
    }

    /// Where a `T` is in the context.
    pub(crate) fn place<T>(&self, offset: u32) -> NonNull<T> {
        self.vmctx.place(offset)
    }

    /// The counter of a defined function. Other threads may read it.
    pub(crate) fn counter(&self, defined: u32) -> &AtomicI32 {
        let place = self.place(self.loaded.layout().counter(defined));
        // SAFETY: rule VMCTX: counters are only accessed as atomics and by generated code, and live as long as the instance.
        unsafe { place.as_ref() }
    }

    /// Whom the first `sites` `call_indirect`s of a defined function called last, by their place in its body, as far as they called
    /// anybody since they were asked: a function of the same module, or none for another one. Forgets it.
    pub(crate) fn take_targets(
        &self,
        defined: u32,
        sites: u32,
    ) -> impl Iterator<Item = (u32, Option<FuncIndex>)> {
        let layout = self.loaded.layout();
        let words = (0..sites).map_while(move |site| Some((site, layout.feedback(defined, site)?)));
        words.filter_map(|(site, word)| {
            let place = self.place::<AtomicU32>(word);
            // SAFETY: rule VMCTX: feedback words are only accessed as atomics and by generated code.
            let word = unsafe { place.as_ref() };
            let slot = word.load(Ordering::Relaxed);
            word.store(0, Ordering::Relaxed);
            (slot != 0).then(|| (site, self.loaded.entries().func_of_low_half(slot)))
        })
    }

    /// The first counter, and those behind it; none if the module defines no function.
    fn first_counter(&self) -> Option<NonNull<AtomicI32>> {
        let defined = self.loaded.module().env().defined_func_count();
        let first = self.loaded.layout().counter(0);
        (defined > 0).then(|| self.place(first))
    }

    /// Lets other threads read the counters, as long as the instance lives.
    fn list_counters(&self) {
        if let Some(first) = self.first_counter() {
            // SAFETY: rule VMCTX: the layout has one for each defined function, and the instance takes them out when it goes.
            unsafe { self.loaded.counters().add(first) };
        }
    }

    /// Hands the counts over to whoever schedules compilation, and before them whom functions that counted have called.
    pub(crate) fn fold_counters(&self) {
        let module = self.loaded.module();
        let defined = module.env().defined_func_count();
        for (body, counter) in module.funcs().zip(0..) {
            let sites = body.outline().indirect_calls();
            if sites > 0 && self.counter(counter).load(Ordering::Relaxed) != 0 {
                let targets = &mut self.take_targets(counter, sites);
                let sink = self.loaded.sink();
                sink.indirect_calls(&self.loaded, body.index(), targets);
            }
        }
        let mut counters = (0..defined).map(|func| self.counter(func).load(Ordering::Relaxed));
        self.loaded
            .sink()
            .instance_dropped(&self.loaded, &mut counters);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(first) = self.first_counter() {
            self.loaded.counters().remove(first);
        }
    }
}

impl StoreInner {
    pub(crate) fn instance(&self, handle: InstanceHandle) -> Option<&Instance> {
        self.instances
            .get(self.index_of(handle.store, handle.index)?)
    }

    /// The module of an instance, or none if the handle is another store's.
    #[must_use]
    pub fn instance_module(&self, handle: InstanceHandle) -> Option<&Arc<LoadedModule>> {
        Some(&self.instance(handle)?.loaded)
    }

    /// An item of an instance, exported or not; none if the handle is another store's.
    ///
    /// # Errors
    /// When the store has no room for another function.
    ///
    /// # Panics
    /// If the index is out of bounds in the module.
    pub fn export(
        &mut self,
        handle: InstanceHandle,
        item: ExportItem,
    ) -> Result<Option<ExternHandle>, RuntimeError> {
        let Some(index) = self.index_of(handle.store, handle.index) else {
            return Ok(None);
        };
        self.instance_item(index, item).map(Some)
    }

    fn instance_item(
        &mut self,
        instance: usize,
        item: ExportItem,
    ) -> Result<ExternHandle, RuntimeError> {
        let store = self.id;
        let owner = &self.instances[instance];
        Ok(match item {
            ExportItem::Func(func) => ExternHandle::Func(self.instance_func(instance, func)?),
            ExportItem::Table(table) => ExternHandle::Table(TableHandle {
                store,
                index: owner.tables[table.0 as usize],
            }),
            ExportItem::Memory(memory) => ExternHandle::Memory(MemoryHandle {
                store,
                index: owner.memories[memory.0 as usize],
            }),
            ExportItem::Global(global) => ExternHandle::Global(GlobalHandle {
                store,
                index: owner.globals[global.0 as usize],
            }),
        })
    }

    /// An export by name; none also if the handle is another store's.
    #[must_use]
    pub fn export_by_name(&self, handle: InstanceHandle, name: &str) -> Option<ExternHandle> {
        let instance = self.instance(handle)?;
        let position = instance.loaded.export_position(name)?;
        instance.exports.get(position).copied()
    }

    /// All exports in the module's order; none if the handle is another store's.
    #[must_use]
    pub fn exports(
        &self,
        handle: InstanceHandle,
    ) -> Option<impl ExactSizeIterator<Item = (&str, ExternHandle)>> {
        let instance = self.instance(handle)?;
        let names = instance.loaded.module().env().exports.iter();
        Some(
            names
                .zip(&instance.exports)
                .map(|(export, handle)| (export.name.as_ref(), *handle)),
        )
    }

    /// A function of an instance by index, exported or not; none also if there is no such function.
    pub fn func_by_index(&mut self, handle: InstanceHandle, func: FuncIndex) -> Option<FuncHandle> {
        let index = self.index_of(handle.store, handle.index)?;
        let count = self.instances.get(index)?.func_numbers.len();
        if func.0 as usize >= count {
            return None;
        }
        self.instance_func(index, func).ok()
    }
}
