//! Arguments and results of every class, there and back.

use super::{Draft, LAZY_SEEN, LAZY_TARGET, World};
use crate::code_space::CodeSpaceOptions;
use crate::enter::{RawFrame, Stop};
use ValType::{F32, F64, I32, I64, V128};
use dynasmrt::{DynasmApi, dynasm};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use upshift_abi::callconv::x64::{INT_ARGS, INT_RESULTS};
use upshift_abi::{ArgLoc, Libcall, RelocTarget, ResultLoc, SignatureLayout};
use upshift_module::{FuncIndex, FuncType, ValType};

/// A value that says which one it is; as many bytes count as the type has.
fn sample(kind: u8, index: usize) -> [u8; 16] {
    let seed = u8::try_from(index * 3 % 251).unwrap();
    std::array::from_fn(|byte| kind ^ seed.wrapping_add(u8::try_from(byte).unwrap() * 17))
}

fn word(value: [u8; 16], at: usize) -> u64 {
    u64::from_le_bytes(value[at..at + 8].try_into().unwrap())
}

/// The frame that passes `sample(1, i)` as parameter i.
fn frame_of(types: &[ValType], layout: &SignatureLayout) -> RawFrame {
    let mut frame = RawFrame::default();
    frame.stack.resize(layout.stack_bytes as usize / 8, 0xdddd);
    for (i, (ty, place)) in types.iter().zip(&layout.params).enumerate() {
        let value = sample(1, i);
        match *place {
            ArgLoc::Int(reg) => {
                let at = INT_ARGS.iter().position(|&arg| arg == reg).unwrap();
                frame.ints[at] = word(value, 0);
            }
            ArgLoc::Float(reg) => frame.floats[usize::from(reg)] = value,
            ArgLoc::Stack(offset) => {
                frame.stack[offset as usize / 8] = word(value, 0);
                if *ty == V128 {
                    frame.stack[offset as usize / 8 + 1] = word(value, 8);
                }
            }
        }
    }
    frame
}

/// Calls a host function of this type through the entry stub and checks every argument and result.
fn check_round_trip(params: &[ValType], results: &[ValType], lazily: bool) {
    let world = World::new();
    let ty = FuncType::new(params.iter().copied(), results.iter().copied());
    let layout = SignatureLayout::new(&ty);
    let mut frame = frame_of(params, &layout);
    let mut area = vec![[0xee_u8; 16]; layout.result_area_bytes as usize / 16];
    if layout.result_pointer().is_some() {
        frame.ints[0] = area.as_mut_ptr().expose_provenance() as u64;
    }
    let body = |_: &upshift_abi::HostContext, values: *mut [u8; 16]| {
        for (i, ty) in params.iter().enumerate() {
            // SAFETY: rule STUB: one value per parameter.
            let got = unsafe { *values.add(i) };
            let bytes = ty.bytes() as usize;
            assert_eq!(got[..bytes], sample(1, i)[..bytes], "parameter {i} of {ty}");
        }
        for i in 0..results.len() {
            // SAFETY: rule STUB: one value per result.
            unsafe { *values.add(i) = sample(2, i) };
        }
        Ok(())
    };
    let body: &super::HostBody<'_> = &body;
    let context = world.host_context(&body);
    let stub = world.host_stub(&ty);
    assert_eq!(stub, world.host_stub(&ty), "stubs are shared");
    let code = if lazily {
        LAZY_TARGET.store(stub.as_ptr().expose_provenance(), Ordering::Relaxed);
        world.table.load(5)
    } else {
        stub
    };
    let vmctx = std::ptr::from_ref(&context).cast_mut().cast();
    world.call_frame(code, vmctx, &mut frame).unwrap();
    for (i, (ty, place)) in results.iter().zip(&layout.results).enumerate() {
        let got = match *place {
            ResultLoc::Int(reg) => {
                let at = INT_RESULTS.iter().position(|&result| result == reg);
                u128::from(frame.int_results[at.unwrap()]).to_le_bytes()
            }
            ResultLoc::Float(reg) => frame.float_results[usize::from(reg)],
            ResultLoc::Memory(offset) => area[offset as usize / 16],
        };
        let bytes = ty.bytes() as usize;
        assert_eq!(got[..bytes], sample(2, i)[..bytes], "result {i} of {ty}");
    }
    if lazily {
        assert_eq!(
            LAZY_SEEN.0.load(Ordering::Relaxed),
            std::ptr::from_ref(&context).addr()
        );
        assert_eq!(LAZY_SEEN.1.load(Ordering::Relaxed), 5);
    }
}

/// The lazy stub's target is one static.
static LAZY: Mutex<()> = Mutex::new(());

#[test]
fn every_class_of_argument_and_result() {
    let _guard = LAZY.lock().unwrap();
    let mixed = [I32, F32, I64, F64, V128, ValType::EXTERNREF];
    let many = |ty: ValType, count: usize| vec![ty; count];
    let cases: &[(Vec<ValType>, Vec<ValType>)] = &[
        (vec![], vec![]),
        (mixed.to_vec(), mixed.to_vec()),
        (mixed.repeat(6), mixed.repeat(5)),
        (many(I32, 12), many(I32, 10)),
        (many(I64, 7), many(I64, 20)),
        (many(F32, 9), many(F64, 10)),
        (many(V128, 11), many(V128, 9)),
        ([many(I64, 6), many(V128, 9)].concat(), many(F32, 8)),
        (many(F64, 1000), many(I32, 1000)),
    ];
    for (params, results) in cases {
        for lazily in [false, true] {
            check_round_trip(params, results, lazily);
        }
    }
}

#[test]
fn a_failing_lazy_compile_lands() {
    let _guard = LAZY.lock().unwrap();
    let world = World::new();
    LAZY_TARGET.store(0, Ordering::Relaxed);
    assert!(world.table.is_lazy(3));
    for _ in 0..3 {
        assert!(matches!(
            world.call(world.table.load(3), &[]),
            Err(Stop::Failed)
        ));
    }
    assert!(world.store.activation.load(Ordering::Relaxed).is_null());
}

/// `weighted(1, 2, 3, 4, first)` through its exit stub, from a frame.
fn helper_caller() -> Draft {
    Draft::new(0, |asm, sites| {
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp
            ; mov edx, 2 ; mov ecx, 3 ; mov r8d, 4 ; mov r9d, 5);
        sites.reloc(asm, 1, RelocTarget::Libcall(Libcall::MemoryInit));
        dynasm!(asm ; .arch x64 ; .u8 0xe8 ; .i32 0);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; leave ; ret);
    })
}

#[test]
fn helpers_return_or_land() {
    let world = World::new();
    let code = world.install(&helper_caller());
    assert_eq!(world.call(code, &[1]).unwrap() & 0xffff_ffff, 54_321);
    assert!(matches!(world.call(code, &[999]), Err(Stop::Failed)));
    assert_eq!(world.call(code, &[7]).unwrap() & 0xffff_ffff, 54_327);
}

#[test]
fn installed_code_is_called_through_its_slot() {
    for dual_mapping in [true, false] {
        check_swaps(&World::with_options(&CodeSpaceOptions {
            reserve_bytes: 16 << 20,
            dual_mapping,
            quarantine: false,
            profiler: None,
        }));
    }
}

fn check_swaps(world: &World) {
    let constant = |value: i32| {
        Draft::new(1, |asm, _| {
            dynasm!(asm ; .arch x64 ; push rbp ; mov rbp, rsp ; mov eax, value ; leave ; ret);
        })
    };
    let caller = world.install(&Draft::new(0, |asm, sites| {
        dynasm!(asm ; .arch x64 ; push rbp ; mov rbp, rsp);
        sites.reloc(asm, 2, RelocTarget::EntrySlot(FuncIndex(1)));
        dynasm!(asm ; .arch x64 ; .bytes [0xff, 0x15] ; .i32 0 ; leave ; ret);
    }));
    for value in [17, 42, -1] {
        let code = world.install(&constant(value));
        assert!(!world.table.is_lazy(1));
        assert_eq!(world.table.load(1), code);
        let got = world.call(caller, &[]).unwrap() & 0xffff_ffff;
        assert_eq!(got, u64::from(value.cast_unsigned()));
    }
}

#[test]
#[should_panic(expected = "code of another function")]
fn code_goes_into_its_own_slot_only() {
    let world = World::new();
    let code = world.publish(&helper_caller());
    world.table.install(2, &code);
}
