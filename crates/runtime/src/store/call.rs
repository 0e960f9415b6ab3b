//! Calls from the host into wasm.

use super::StoreInner;
use super::failure::{CallError, Failure};
use super::handles::FuncHandle;
use crate::code_space::CodePtr;
use crate::enter::{RawFrame, Stop, TrapRecord, clear_interrupt, enter_by};
use crate::error::RuntimeError;
use crate::func::{HostCall, HostFunc};
use crate::raw::RawVal;
use crate::signals;
use crate::types::TypeInfo;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_abi::callconv::x64::{INT_ARGS, INT_RESULTS};
use upshift_abi::{ArgLoc, FuncRecord, ResultLoc, SignatureLayout, TrapCode};
use upshift_module::ValType;

impl StoreInner {
    /// Calls a function with as many arguments as it has parameters, which have the right types.
    ///
    /// # Errors
    /// The guest stopped, or the call is not possible: a handle or function reference of another
    /// store, a wrong number of arguments or results.
    ///
    /// # Panics
    /// Lets a panic through when `func` itself is a host function; one further in is
    /// [`CallError::Panic`].
    pub fn call(
        &mut self,
        func: FuncHandle,
        args: &[RawVal],
        results: &mut [RawVal],
    ) -> Result<(), CallError> {
        let Some(target) = self.func(func) else {
            return Err(RuntimeError::misuse("the function is of another store").into());
        };
        let (info, record) = (Arc::clone(&target.info), target.record.ptr());
        let counts = (info.ty.params().len(), info.ty.results().len());
        if counts != (args.len(), results.len()) {
            return Err(RuntimeError::misuse(format!(
                "expected {} arguments and {} results for {}, found {} and {}",
                counts.0,
                counts.1,
                info.ty,
                args.len(),
                results.len()
            ))
            .into());
        }
        if info.funcref_params {
            self.check_funcrefs(info.ty.params(), args)?;
        }
        if let Some(host) = target_host(self, func) {
            return self.call_host(&host, args, results);
        }
        // SAFETY: rule RECORD: records are immutable and live as long as the store.
        let record = unsafe { record.as_ref() };
        self.call_wasm(record, &info, args, results)
    }

    /// Calls a host function without a detour through wasm.
    fn call_host(
        &mut self,
        host: &HostFunc,
        args: &[RawVal],
        results: &mut [RawVal],
    ) -> Result<(), CallError> {
        let mut values: SmallVec<[RawVal; 8]> = SmallVec::from_slice(args);
        values.resize(args.len().max(results.len()), RawVal::ZERO);
        let outcome = (host.callback)(HostCall {
            store: self,
            caller_instance: None,
            values: &mut values,
        });
        outcome.map_err(|payload| Failure::Host(payload).into_error(Vec::new()))?;
        results.copy_from_slice(&values[..results.len()]);
        if host.info.funcref_results {
            self.check_funcrefs(host.info.ty.results(), results)?;
        }
        Ok(())
    }

    fn call_wasm(
        &mut self,
        record: &FuncRecord,
        info: &TypeInfo,
        args: &[RawVal],
        results: &mut [RawVal],
    ) -> Result<(), CallError> {
        let context = self.shared.context();
        // Leaf functions without a frame have no check of their own, so a request that waits is seen here.
        if context.interrupt.load(Ordering::Relaxed) != 0 {
            let frames = signals::outer_frames(context);
            let code = TrapCode::Interrupt;
            return Err(self.stopped(Stop::Trap(TrapRecord { code, frames })));
        }
        let mut frame = RawFrame::default();
        let area_values = info.layout.result_area_bytes as usize / 16;
        let mut area: SmallVec<[u128; 0]> = SmallVec::from_elem(0, area_values);
        if area_values != 0 {
            frame.ints[0] = area.as_mut_ptr().expose_provenance() as u64;
        }
        place_args(&mut frame, info, args);
        // SAFETY: rule ENTER: the code in a record's slot follows the convention of the record's type, by
        // which the frame was filled; the context is of this store.
        let outcome = unsafe { self.enter(record, &mut frame) };
        if let Err(stop) = outcome {
            return Err(self.stopped(stop));
        }
        take_results(&frame, &area, &info.layout, info.ty.results(), results);
        Ok(())
    }

    /// Enters wasm, with the store reachable for helpers.
    ///
    /// # Safety
    /// As for [`enter_by`], with the record's code and context.
    unsafe fn enter(&mut self, record: &FuncRecord, frame: &mut RawFrame) -> Result<(), Stop> {
        let max_wasm_stack = self.options.max_wasm_stack;
        let context = self.context_ptr();
        let this: *mut Self = self;
        let (slot, vmctx) = (record.slot, record.vmctx);
        let code = move || {
            // SAFETY: rule ENTER: the slot of a record lives as long as the module, which the store holds.
            let code = unsafe { (*slot).0.load(Ordering::Acquire) };
            CodePtr::new(code).expect("an entry slot is never empty")
        };
        // SAFETY: rule STORE-ALIAS: the context lives in an allocation of its own that the store holds.
        // From here to the return, `self` is not used: helpers use `this`.
        unsafe {
            let outer = (*context).store.replace(this.cast());
            let outcome = enter_by(&*context, code, vmctx, frame, max_wasm_stack);
            (*context).store.set(outer);
            outcome
        }
    }

    /// Turns the end of a guest into an error.
    #[cold]
    fn stopped(&mut self, stop: Stop) -> CallError {
        let (failure, frames) = match stop {
            Stop::Trap(record) => {
                let frames = self.resolve_frames(&record.frames);
                (Failure::Trap(record.code), frames)
            }
            Stop::Failed => self.failure.take().unwrap_or_else(|| {
                let error = RuntimeError::misuse("a helper failed without saying why");
                (Failure::Runtime(error), Vec::new())
            }),
        };
        if matches!(failure, Failure::Trap(TrapCode::Interrupt)) {
            clear_interrupt(self.shared.context());
        }
        failure.into_error(frames)
    }
}

fn target_host(store: &StoreInner, func: FuncHandle) -> Option<Arc<HostFunc>> {
    store.func(func)?.host.clone()
}

/// Positions of argument and result registers in a [`RawFrame`], by register number.
const INT_ARG_POSITION: [u8; 16] = positions(&INT_ARGS);
const INT_RESULT_POSITION: [u8; 16] = positions(&INT_RESULTS);

const fn positions(registers: &[u8]) -> [u8; 16] {
    let mut table = [0; 16];
    let mut i: u8 = 0;
    while (i as usize) < registers.len() {
        table[registers[i as usize] as usize] = i;
        i += 1;
    }
    table
}

fn low_word(value: RawVal) -> u64 {
    value.u64()
}

fn high_word(value: RawVal) -> u64 {
    let b = value.0;
    u64::from_le_bytes([b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]])
}

fn place_args(frame: &mut RawFrame, info: &TypeInfo, args: &[RawVal]) {
    frame.stack.resize(info.layout.stack_bytes as usize / 8, 0);
    for ((place, ty), value) in info.layout.params.iter().zip(info.ty.params()).zip(args) {
        match *place {
            ArgLoc::Int(reg) => {
                let position = usize::from(INT_ARG_POSITION[usize::from(reg)]);
                frame.ints[position] = low_word(*value);
            }
            ArgLoc::Float(reg) => frame.floats[usize::from(reg)] = value.0,
            ArgLoc::Stack(offset) => {
                let word = offset as usize / 8;
                frame.stack[word] = low_word(*value);
                if matches!(ty, ValType::V128) {
                    frame.stack[word + 1] = high_word(*value);
                }
            }
        }
    }
}

fn take_results(
    frame: &RawFrame,
    area: &[u128],
    layout: &SignatureLayout,
    types: &[ValType],
    results: &mut [RawVal],
) {
    for ((place, ty), result) in layout.results.iter().zip(types).zip(results) {
        let value = match *place {
            ResultLoc::Int(reg) => {
                let position = usize::from(INT_RESULT_POSITION[usize::from(reg)]);
                RawVal::from_u64(frame.int_results[position])
            }
            ResultLoc::Float(reg) => RawVal(frame.float_results[usize::from(reg)]),
            ResultLoc::Memory(offset) => RawVal::from_v128(area[offset as usize / 16]),
        };
        // Bits beyond the type's size are whatever the register held.
        *result = match ty {
            ValType::I32 | ValType::F32 => RawVal::from_u32(value.u32()),
            ValType::I64 | ValType::F64 | ValType::Ref(_) => RawVal::from_u64(value.u64()),
            ValType::V128 => value,
        };
    }
}
