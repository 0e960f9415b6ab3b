//! Stubs that call host functions: from registers and stack to an array of 16-byte values and back.
//!
//! A stub depends on the shape of the type only: which class and width each value has.
//!
//! ```text
//!   rbp+16+off   stack arguments; the stub pops them
//!   rbp-8        the activation
//!   rbp-16       result pointer, if the type has one
//!   rsp+16i      value i: argument i before the call, result i after it
//! ```

use super::exit::{call_rust, publish_exit, return_or_land};
use super::{Assembler, finish};
use crate::arch::HostCall;
use dynasmrt::{DynasmApi, dynasm};
use upshift_abi::callconv::x64::{INCOMING_ARGS_OFFSET, VMCTX_ARG};
use upshift_abi::{ArgLoc, ResultLoc, SignatureLayout};
use upshift_module::{FuncType, ValType};

/// What a stub knows of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum ValueShape {
    Int32,
    Int64,
    Float32,
    Float64,
    Vector,
}

impl ValueShape {
    fn new(ty: ValType) -> Self {
        match ty {
            ValType::I32 => Self::Int32,
            ValType::I64 | ValType::Ref(_) => Self::Int64,
            ValType::F32 => Self::Float32,
            ValType::F64 => Self::Float64,
            ValType::V128 => Self::Vector,
        }
    }
}

/// What a stub knows of a function type: types of one shape share a stub.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct HostShape {
    params: Box<[ValueShape]>,
    results: Box<[ValueShape]>,
}

impl HostShape {
    /// The shape of a type.
    pub(crate) fn new(ty: &FuncType) -> Self {
        let shapes = |types: &[ValType]| types.iter().copied().map(ValueShape::new).collect();
        Self {
            params: shapes(ty.params()),
            results: shapes(ty.results()),
        }
    }
}

/// Offset of value `i` from rsp.
fn value(i: usize) -> i32 {
    16 * i32::try_from(i).unwrap_or(0)
}

fn offset(bytes: u32) -> i32 {
    i32::try_from(bytes).unwrap_or(0)
}

/// The stub of a shape, whose values go where `layout` says.
pub(crate) fn host_stub(shape: &HostShape, layout: &SignatureLayout, call: HostCall) -> Vec<u8> {
    let mut asm = Assembler::new(0);
    let values = shape.params.len().max(shape.results.len());
    dynasm!(asm
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; sub rsp, 16 + value(values)
    );
    for (i, (&shape, &place)) in shape.params.iter().zip(&layout.params).enumerate() {
        store_argument(&mut asm, shape, place, value(i));
    }
    if let Some(pointer) = layout.result_pointer() {
        dynasm!(asm ; .arch x64 ; mov [rbp - 16], Rq(pointer));
    }
    publish_exit(&mut asm, VMCTX_ARG);
    dynasm!(asm ; .arch x64 ; mov rsi, rsp);
    call_rust(&mut asm, call as *const _);
    return_or_land(&mut asm);
    load_results(&mut asm, layout);
    dynasm!(asm ; .arch x64 ; leave);
    match i16::try_from(layout.stack_bytes) {
        Ok(0) => dynasm!(asm ; .arch x64 ; ret),
        // Over 32 KiB would come out negative, which the processor reads as unsigned again; a type
        // within the engine's limits (1,000 parameters) has at most 16,000.
        Ok(bytes) => dynasm!(asm ; .arch x64 ; ret bytes),
        Err(_) => dynasm!(asm ; .arch x64 ; ud2),
    }
    finish(asm)
}

/// Uses rax and xmm15.
fn store_argument(asm: &mut Assembler, shape: ValueShape, place: ArgLoc, to: i32) {
    let incoming = offset(INCOMING_ARGS_OFFSET);
    match (place, shape) {
        // The upper half of a 32-bit value is undefined: it is cleared here.
        (ArgLoc::Int(reg), ValueShape::Int32) => {
            dynasm!(asm ; .arch x64 ; mov eax, Rd(reg) ; mov [rsp + to], rax);
        }
        (ArgLoc::Int(reg), _) => dynasm!(asm ; .arch x64 ; mov [rsp + to], Rq(reg)),
        (ArgLoc::Float(reg), ValueShape::Float32) => {
            dynasm!(asm ; .arch x64 ; movd eax, Rx(reg) ; mov [rsp + to], rax);
        }
        (ArgLoc::Float(reg), _) => dynasm!(asm ; .arch x64 ; movups [rsp + to], Rx(reg)),
        (ArgLoc::Stack(at), ValueShape::Int32 | ValueShape::Float32) => {
            dynasm!(asm ; .arch x64 ; mov eax, [rbp + incoming + offset(at)] ; mov [rsp + to], rax);
        }
        (ArgLoc::Stack(at), ValueShape::Int64 | ValueShape::Float64) => {
            dynasm!(asm ; .arch x64 ; mov rax, [rbp + incoming + offset(at)] ; mov [rsp + to], rax);
        }
        (ArgLoc::Stack(at), ValueShape::Vector) => {
            dynasm!(asm ; .arch x64 ; movups xmm15, [rbp + incoming + offset(at)] ; movups [rsp + to], xmm15);
        }
    }
}

/// Results in memory first, since they need rax.
fn load_results(asm: &mut Assembler, layout: &SignatureLayout) {
    if layout.result_area_bytes != 0 {
        dynasm!(asm ; .arch x64 ; mov rax, [rbp - 16]);
    }
    for (i, place) in layout.results.iter().enumerate() {
        match *place {
            ResultLoc::Memory(at) => {
                dynasm!(asm ; .arch x64 ; movups xmm15, [rsp + value(i)] ; movups [rax + offset(at)], xmm15);
            }
            ResultLoc::Float(reg) => dynasm!(asm ; .arch x64 ; movups Rx(reg), [rsp + value(i)]),
            ResultLoc::Int(_) => {}
        }
    }
    for (i, place) in layout.results.iter().enumerate() {
        match *place {
            ResultLoc::Int(reg) => dynasm!(asm ; .arch x64 ; mov Rq(reg), [rsp + value(i)]),
            ResultLoc::Float(_) | ResultLoc::Memory(_) => {}
        }
    }
}
