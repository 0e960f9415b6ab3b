//! Element and data segments: `table.init`, `memory.init`, and their droppings (spec 4.4.6, 4.4.7).
//! Active segments are the same operations at instantiation.

use crate::raw::RawVal;
use crate::store::StoreInner;
use crate::store::failure::Failure;
use crate::table::{Element, range};
use crate::types::is_funcref;
use std::ptr::NonNull;
use std::sync::Arc;
use upshift_abi::{FuncRecord, TrapCode};
use upshift_module::{ConstInst, DataIndex, ElemIndex, ElementItems, FuncIndex, ValType};

/// Where a bulk operation reads and writes, in elements or bytes.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) to: u64,
    pub(crate) from: u64,
    pub(crate) count: u64,
}

impl StoreInner {
    /// `memory.init`; `memory` is an index of the instance's module.
    pub(crate) fn memory_init(
        &mut self,
        instance: usize,
        memory: u32,
        segment: DataIndex,
        span: Span,
    ) -> Result<(), Failure> {
        let owner = &self.instances[instance];
        let bytes = if owner.dropped_data[segment.0 as usize] {
            &[]
        } else {
            owner.loaded.module().data(segment)
        };
        let source = range(span.from, span.count, bytes.len() as u64);
        let memory = &self.memories[owner.memories[memory as usize] as usize];
        let target = memory.span(span.to, span.count);
        let (Some(source), Some(target)) = (source, target) else {
            return Err(TrapCode::MemoryOutOfBounds.into());
        };
        let source = &bytes[source];
        // SAFETY: rule MEMORY: `target` has room for `count` bytes; the module's bytes are elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), target, source.len()) };
        Ok(())
    }

    /// `table.init`; `table` is an index of the instance's module.
    pub(crate) fn table_init(
        &mut self,
        instance: usize,
        table: u32,
        segment: ElemIndex,
        span: Span,
    ) -> Result<(), Failure> {
        let owner = &self.instances[instance];
        let loaded = Arc::clone(&owner.loaded);
        let table = owner.tables[table as usize] as usize;
        let dropped = owner.dropped_elements[segment.0 as usize];
        let vmctx = owner.vmctx_ptr();
        let segment = &loaded.module().env().elements[segment.0 as usize];
        let len = if dropped { 0 } else { segment.items.len() };
        let source = range(span.from, span.count, len as u64);
        let target = range(span.to, span.count, self.tables[table].size());
        let (Some(source), Some(_)) = (source, target) else {
            return Err(TrapCode::TableOutOfBounds.into());
        };
        let lazy = |func: FuncIndex| Element::LazyFunc(vmctx.as_ptr().cast(), func);
        match &segment.items {
            ElementItems::Funcs(items) => {
                let values = items[source].iter().map(|func| lazy(*func));
                self.tables[table].set_all(span.to, values);
            }
            ElementItems::Exprs(items) => {
                let is_func = is_funcref(ValType::Ref(segment.element));
                for (expr, at) in items[source].iter().zip(span.to..) {
                    let value = match expr.as_slice() {
                        [ConstInst::RefFunc(func)] => lazy(*func),
                        expr => element(self.eval_const(instance, expr)?, is_func),
                    };
                    self.tables[table].set(at, value);
                }
            }
        }
        Ok(())
    }

    /// `data.drop`
    pub(crate) fn data_drop(&mut self, instance: usize, segment: DataIndex) {
        self.instances[instance].dropped_data[segment.0 as usize] = true;
    }

    /// `elem.drop`
    pub(crate) fn elem_drop(&mut self, instance: usize, segment: ElemIndex) {
        self.instances[instance].dropped_elements[segment.0 as usize] = true;
    }
}

/// An element from bits that come from wasm or from an expression, so that they are right.
pub(crate) fn element(value: RawVal, is_func: bool) -> Element {
    let bits = value.ref_bits();
    if !is_func {
        return Element::Extern(bits);
    }
    let address = usize::try_from(bits).unwrap_or(0);
    let record = std::ptr::with_exposed_provenance_mut::<FuncRecord>(address);
    NonNull::new(record).map_or(Element::Null, Element::Func)
}
