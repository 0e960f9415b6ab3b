//! Functions of a store: records, made when first needed, and host functions.
//!
//! A function reference is the address of a [`FuncRecord`], immutable and one per instance and
//! function, so identity is pointer equality. The store keeps records in a list, whose positions
//! are the handles, and finds handles by address: that is how references from the host are checked.
//!
//! A host function runs with a [`HostContext`] in rdi. Its record has one that knows no caller;
//! every instance that imports it has one of its own, which names the instance, so that a host
//! function knows who called it without a look at the stack.

use crate::block::Pinned;
use crate::code_space::HostStub;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::raw::RawVal;
use crate::store::StoreInner;
use crate::store::failure::Payload;
use crate::store::handles::{FuncHandle, InstanceHandle};
use crate::types::{TypeInfo, is_funcref};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use upshift_abi::{FuncImport, FuncRecord, HostContext};
use upshift_module::{FuncIndex, FuncType, ValType};

/// What a host function is called with.
pub struct HostCall<'a> {
    /// The store of the caller, free to be used in any way, calls into wasm included.
    pub store: &'a mut StoreInner,
    /// The instance whose code made the call, when it is known.
    pub caller_instance: Option<InstanceHandle>,
    /// The arguments in order; results are put in their place, from the first value on.
    pub values: &'a mut [RawVal],
}

/// A host function. Its error, or what it panics with, is handed to the caller of wasm.
pub type HostFn = Arc<dyn Fn(HostCall<'_>) -> Result<(), Payload> + Send + Sync>;

/// A host function in a store.
pub(crate) struct HostFunc {
    pub(crate) info: Arc<TypeInfo>,
    pub(crate) callback: HostFn,
    pub(crate) stub: HostStub,
}

/// The context that generated code passes to a host function's stub.
#[repr(C)]
pub(crate) struct HostThunk {
    // First, so that a pointer to it is a pointer to the thunk.
    context: HostContext,
    /// The importing instance, if the function was reached through an import.
    pub(crate) caller: Option<u32>,
}

impl HostThunk {
    /// The host function that the thunk belongs to.
    pub(crate) fn func(&self) -> *const HostFunc {
        self.context.func.cast()
    }

    /// The store's context.
    pub(crate) fn store(&self) -> *mut upshift_abi::StoreContext {
        self.context.store
    }
}

/// A function of a store.
pub(crate) struct Func {
    pub(crate) record: Pinned<FuncRecord>,
    pub(crate) info: Arc<TypeInfo>,
    pub(crate) host: Option<Arc<HostFunc>>,
}

/// A record as the bits of a reference. They go through registers and wasm's own memory, so the
/// pointer is exposed.
pub(crate) fn record_bits(record: NonNull<FuncRecord>) -> u64 {
    record.as_ptr().expose_provenance() as u64
}

impl StoreInner {
    /// Makes a host function. `values` of a call are as many as there are parameters or results,
    /// whichever are more.
    ///
    /// # Errors
    /// When the code space has no room for its stub.
    pub fn new_host_func(
        &mut self,
        ty: &FuncType,
        callback: HostFn,
    ) -> Result<FuncHandle, RuntimeError> {
        let info = self.types.intern(ty);
        let stub = self.code_space.host_stub(ty)?;
        let host = Arc::new(HostFunc {
            info: Arc::clone(&info),
            callback,
            stub,
        });
        let thunk = self.host_thunk(&host, None);
        let number = u32::try_from(self.funcs.len()).unwrap_or(u32::MAX);
        let record = FuncRecord {
            type_id: info.id,
            func: number,
            vmctx: thunk,
            slot: stub.slot(),
        };
        self.add_func(Func {
            record: Pinned::new(record),
            info,
            host: Some(host),
        })
    }

    /// Makes a context for calls of a host function from `caller`.
    fn host_thunk(&mut self, host: &Arc<HostFunc>, caller: Option<u32>) -> *mut c_void {
        let context = HostContext {
            store: self.context_ptr(),
            func: Arc::as_ptr(host).cast(),
        };
        let thunk = Pinned::new(HostThunk { context, caller });
        let ptr = thunk.ptr();
        self.thunks.push(thunk);
        ptr.as_ptr().cast()
    }

    fn add_func(&mut self, func: Func) -> Result<FuncHandle, RuntimeError> {
        let index = u32::try_from(self.funcs.len())
            .ok()
            .filter(|index| *index < u32::MAX)
            .ok_or_else(|| {
                RuntimeError::new(RuntimeErrorKind::Limit, "too many functions in a store")
            })?;
        self.func_by_record
            .insert(record_bits(func.record.ptr()), index);
        self.funcs.push(func);
        Ok(FuncHandle {
            store: self.id,
            index,
        })
    }

    /// The handle of an instance's function; its record is made if it is the first use.
    pub(crate) fn instance_func(
        &mut self,
        instance: usize,
        func: FuncIndex,
    ) -> Result<FuncHandle, RuntimeError> {
        let owner = &self.instances[instance];
        if let Some(index) = owner.func_numbers[func.0 as usize].checked_sub(1) {
            return Ok(FuncHandle {
                store: self.id,
                index,
            });
        }
        let loaded = &owner.loaded;
        let defined = loaded.module().env().defined_func(func);
        let defined = defined.expect("imports have their records from the start");
        let info = Arc::clone(loaded.func_type_info(func));
        let record = FuncRecord {
            type_id: info.id,
            func: func.0,
            vmctx: owner.vmctx_ptr().as_ptr().cast(),
            slot: loaded.entries().slot(defined),
        };
        let handle = self.add_func(Func {
            record: Pinned::new(record),
            info,
            host: None,
        })?;
        self.instances[instance].func_numbers[func.0 as usize] = handle.index + 1;
        Ok(handle)
    }

    /// The record of an instance's function, made if it is the first use.
    pub(crate) fn instance_func_record(
        &mut self,
        instance: usize,
        func: FuncIndex,
    ) -> Result<NonNull<FuncRecord>, RuntimeError> {
        let handle = self.instance_func(instance, func)?;
        Ok(self.funcs[handle.index as usize].record.ptr())
    }

    /// What calls of `func` from `instance` load.
    pub(crate) fn func_import(&mut self, func: u32, instance: u32) -> FuncImport {
        let func = &self.funcs[func as usize];
        if let Some(host) = func.host.clone() {
            return FuncImport {
                vmctx: self.host_thunk(&host, Some(instance)),
                slot: host.stub.slot(),
            };
        }
        // SAFETY: rule RECORD: records are immutable and live as long as the store.
        let record = unsafe { func.record.ptr().as_ref() };
        FuncImport {
            vmctx: record.vmctx,
            slot: record.slot,
        }
    }

    pub(crate) fn func(&self, handle: FuncHandle) -> Option<&Func> {
        let index = self.index_of(handle.store, handle.index)?;
        self.funcs.get(index)
    }

    /// The type of a function, or none if the handle is another store's.
    #[must_use]
    pub fn func_type(&self, handle: FuncHandle) -> Option<&FuncType> {
        Some(&self.func(handle)?.info.ty)
    }

    /// The canonical type of a function, or none if the handle is another store's.
    #[must_use]
    pub fn func_type_info(&self, handle: FuncHandle) -> Option<&Arc<TypeInfo>> {
        Some(&self.func(handle)?.info)
    }

    /// The bits that stand for it in wasm, or none if the handle is another store's.
    #[must_use]
    pub fn func_bits(&self, handle: FuncHandle) -> Option<u64> {
        Some(record_bits(self.func(handle)?.record.ptr()))
    }

    /// The handle of a function reference's bits; none for null and for what is no function of this store.
    #[must_use]
    pub fn func_of_bits(&self, bits: u64) -> Option<FuncHandle> {
        let index = *self.func_by_record.get(&bits)?;
        Some(FuncHandle {
            store: self.id,
            index,
        })
    }

    /// The record of a function reference that came from the host; none in it is null.
    pub(crate) fn checked_record(
        &self,
        bits: u64,
    ) -> Result<Option<NonNull<FuncRecord>>, RuntimeError> {
        if bits == 0 {
            return Ok(None);
        }
        let handle = self.func_of_bits(bits).ok_or_else(|| {
            RuntimeError::misuse("expected a function reference of this store, found another value")
        })?;
        Ok(Some(self.funcs[handle.index as usize].record.ptr()))
    }

    /// Checks the function references among values that come from the host.
    pub(crate) fn check_funcrefs(
        &self,
        types: &[ValType],
        values: &[RawVal],
    ) -> Result<(), RuntimeError> {
        for (ty, value) in types.iter().zip(values) {
            if is_funcref(*ty) {
                self.checked_record(value.ref_bits())?;
            }
        }
        Ok(())
    }
}
