//! Traps of every kind, at any depth, with their frames.

use super::{Draft, HostBody, MAX_WASM_STACK, OWNER, World};
use crate::activation::{FRAMES_MAX, capture_frames};
use crate::arch::x64::{Assembler, STORE, disp};
use crate::code_space::CodePtr;
use crate::enter::{
    RawFrame, Stop, TrapRecord, clear_interrupt, enter, interrupt, request_interrupt,
};
use crate::memory::LinearMemory;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::cell::Cell;
use std::mem::offset_of;
use std::sync::atomic::Ordering;
use upshift_abi::{MemoryStyle, StoreContext, TrapCode};
use upshift_module::{FuncType, ValType};

const STACK_LIMIT: i32 = disp(offset_of!(StoreContext, stack_limit));

/// Writes over every callee-saved register but rbp.
fn trash(asm: &mut Assembler) {
    dynasm!(asm ; .arch x64
        ; mov rbx, -1 ; mov r12, rbx ; mov r13, rbx ; mov r14, rbx ; mov r15, rbx);
}

/// A prologue with the stack check.
fn prologue(asm: &mut Assembler, frame: i32) {
    dynasm!(asm ; .arch x64
        ; push rbp ; mov rbp, rsp
        ; mov r10, [rdi + STORE]
        ; cmp rsp, [r10 + STACK_LIMIT]
        ; jb ->overflow
        ; sub rsp, frame);
}

/// Where the prologue traps.
fn overflow_site(asm: &mut Assembler, sites: &mut super::Sites) {
    dynasm!(asm ; .arch x64 ; ->overflow:);
    sites.trap(asm, TrapCode::StackOverflow);
    dynasm!(asm ; .arch x64 ; ud2);
}

/// Calls itself rsi times with frames of 48 bytes, then does what `bottom` assembles.
pub(super) fn deep(index: u32, bottom: impl FnOnce(&mut Assembler, &mut super::Sites)) -> Draft {
    Draft::new(index, |asm, sites| {
        dynasm!(asm ; .arch x64 ; ->start:);
        prologue(asm, 32);
        trash(asm);
        dynasm!(asm ; .arch x64
            ; sub rsi, 1
            ; js ->bottom
            ; call ->start);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; leave ; ret ; ->bottom:);
        bottom(asm, sites);
        dynasm!(asm ; .arch x64 ; leave ; ret);
        overflow_site(asm, sites);
    })
}

pub(super) fn expect_trap(result: Result<u64, Stop>) -> TrapRecord {
    match result {
        Err(Stop::Trap(record)) => record,
        other => panic!("expected a trap, not {other:?}"),
    }
}

/// Traps `depth` calls down; rdx and rcx are what `bottom` works on.
fn check_trap(code: TrapCode, depth: u64, args: [u64; 2], bottom: fn(&mut Assembler)) {
    let world = World::new();
    let entry = world.install(&deep(4, |asm, sites| {
        if code != TrapCode::IntegerDivideByZero {
            sites.trap(asm, code);
            bottom(asm);
            return;
        }
        dynasm!(asm ; .arch x64 ; mov rax, rdx ; cqo);
        sites.trap(asm, code);
        bottom(asm);
    }));
    let survivor = std::hint::black_box(vec![3_u64; 100]);
    let record = expect_trap(world.call(entry, &[depth, args[0], args[1]]));
    assert_eq!(survivor.iter().sum::<u64>(), 300);
    assert_eq!(record.code, code);
    let frames = usize::try_from(depth).unwrap() + 1;
    assert_eq!(record.frames.len(), frames.min(FRAMES_MAX));
    for (i, frame) in record.frames.iter().enumerate() {
        let found = frame.locate().expect("frames lie in published code");
        assert_eq!((found.owner, found.func.0), (OWNER, 4));
        let offset = u32::try_from(frame.pc - entry.addr()).unwrap();
        let base = if i == 0 { 1000 } else { 2000 };
        assert_eq!(found.wasm_offset, Some(base + offset));
        assert_eq!(found.trap, (i == 0).then_some(code));
    }
    assert!(world.store.activation.load(Ordering::Relaxed).is_null());
}

#[test]
fn instructions_trap_at_any_depth() {
    let memory = LinearMemory::new(
        MemoryStyle::Reserved {
            guard_bytes: 2 << 30,
        },
        1,
        None,
    )
    .unwrap();
    let base = memory.base().expose_provenance() as u64;
    for depth in [0, 1, 10, 500] {
        check_trap(TrapCode::Unreachable, depth, [0, 0], |asm| {
            dynasm!(asm ; .arch x64 ; ud2);
        });
        check_trap(TrapCode::IntegerDivideByZero, depth, [1, 0], |asm| {
            dynasm!(asm ; .arch x64 ; idiv rcx);
        });
        // The first byte behind the memory, the last of the guard, and the guard before it with an access that ends in
        // the memory.
        for address in [
            65536,
            (6 << 30) - 8,
            16_u64.wrapping_sub(65536),
            4_u64.wrapping_neg(),
        ] {
            check_trap(TrapCode::MemoryOutOfBounds, depth, [base, address], |asm| {
                dynasm!(asm ; .arch x64 ; mov rax, [rdx + rcx]);
            });
            check_trap(TrapCode::MemoryOutOfBounds, depth, [base, address], |asm| {
                dynasm!(asm ; .arch x64 ; movups [rdx + rcx - 8], xmm0);
            });
        }
    }
}

/// A function that calls host functions of type (i64) -> i64: rsi is the context, rdx the entry slot, rcx the argument.
fn host_caller(index: u32) -> Draft {
    Draft::new(index, |asm, sites| {
        prologue(asm, 16);
        trash(asm);
        dynasm!(asm ; .arch x64
            ; mov rdi, rsi ; mov rsi, rcx ; call QWORD [rdx]);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; leave ; ret);
        overflow_site(asm, sites);
    })
}

/// Host -> wasm -> host -> wasm ... down to a trap; the host at `catch` levels from the bottom catches it.
struct Nest<'a> {
    world: &'a World,
    caller: CodePtr,
    trap: CodePtr,
    catch: u64,
    context: Cell<[u64; 2]>,
    drops: Cell<u64>,
}

struct CountDrop<'a>(&'a Cell<u64>);
impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Nest<'_> {
    /// One level: at 0 the trap, else through wasm into the host function, which comes here again.
    fn level(&self, depth: u64) -> Result<u64, Stop> {
        let _drop = CountDrop(&self.drops);
        if depth == 0 {
            return self.world.call(self.trap, &[3]);
        }
        let [context, slot] = self.context.get();
        self.world.call(self.caller, &[context, slot, depth - 1])
    }

    /// The host function: true when it caught the trap below.
    fn host(&self, depth: u64) -> Result<u64, ()> {
        // SAFETY: rule WALK: called from a host function of this store, on its thread.
        let frames = unsafe { capture_frames(&self.world.store) };
        assert!(!frames.is_empty() && frames.iter().all(|frame| frame.is_return));
        let before = self.world.store.activation.load(Ordering::Relaxed);
        let result = self.level(depth);
        assert_eq!(self.world.store.activation.load(Ordering::Relaxed), before);
        match result {
            Ok(value) => Ok(value + 1),
            Err(Stop::Trap(record)) => {
                assert_eq!(depth, 0, "a trap lands at the innermost entry");
                assert_eq!(record.code, TrapCode::Unreachable);
                // Four of the trapping function, and one per level of nesting.
                assert_eq!(record.frames.len(), 4 + frames.len());
                self.caught(depth)
            }
            Err(Stop::Failed) => self.caught(depth),
        }
    }

    fn caught(&self, depth: u64) -> Result<u64, ()> {
        if depth == self.catch { Ok(0) } else { Err(()) }
    }
}

#[test]
fn nests_host_and_wasm_with_a_trap_below() {
    let world = World::new();
    let caller = world.install(&host_caller(1));
    let trap = world.install(&deep(2, |asm, sites| {
        sites.trap(asm, TrapCode::Unreachable);
        dynasm!(asm ; .arch x64 ; ud2);
    }));
    let stub = world
        .space
        .host_stub(&FuncType::new([ValType::I64], [ValType::I64]))
        .unwrap();
    for depth in [1, 2, 5, 20] {
        for catch in [0, 1, depth / 2, depth - 1, depth] {
            let nest = Nest {
                world: &world,
                caller,
                trap,
                catch,
                context: Cell::default(),
                drops: Cell::default(),
            };
            let body = |_: &upshift_abi::HostContext, values: *mut [u8; 16]| {
                // SAFETY: rule STUB: one parameter, one result.
                let value = unsafe { &mut *values };
                let depth = u64::from_le_bytes(value[..8].try_into().unwrap());
                value[..8].copy_from_slice(&nest.host(depth)?.to_le_bytes());
                Ok(())
            };
            let body: &HostBody<'_> = &body;
            let context = world.host_context(&body);
            nest.context.set([
                std::ptr::from_ref(&context).expose_provenance() as u64,
                stub.slot().expose_provenance() as u64,
            ]);
            let result = nest.level(depth);
            assert_eq!(nest.drops.get(), depth + 1, "Rust frames end in order");
            if catch < depth {
                assert_eq!(result.unwrap(), depth - 1 - catch);
            } else {
                assert!(matches!(result, Err(Stop::Failed)));
            }
            assert!(world.store.activation.load(Ordering::Relaxed).is_null());
        }
    }
}

/// Recurses without end on a thread with this much stack.
fn check_overflow(thread_bytes: usize, max_wasm_stack: usize) {
    let run = move || {
        let world = World::new();
        let entry = world.install(&deep(4, |_, _| {}));
        for _ in 0..3 {
            let mut frame = RawFrame {
                ints: [u64::MAX >> 1, 0, 0, 0, 0],
                ..RawFrame::default()
            };
            // SAFETY: rule ENTER: code and frame of this test.
            let result = unsafe {
                enter(
                    &world.store,
                    entry,
                    world.vmctx(),
                    &mut frame,
                    max_wasm_stack,
                )
            };
            let record = expect_trap(result.map(|()| 0));
            assert_eq!(record.code, TrapCode::StackOverflow);
            let room = max_wasm_stack.min(thread_bytes.saturating_sub(300 << 10));
            let expected = if room == 0 { 0 } else { FRAMES_MAX };
            assert_eq!(record.frames.len(), expected);
        }
        let shallow = world.call(entry, &[3]);
        assert_eq!(shallow.is_ok(), thread_bytes > 400 << 10);
    };
    let thread = std::thread::Builder::new().stack_size(thread_bytes);
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn endless_recursion_overflows_on_threads_of_any_size() {
    for (thread_bytes, max_wasm_stack) in [
        (128 << 10, 512 << 10),
        (512 << 10, 512 << 10),
        (2 << 20, 64 << 10),
        (2 << 20, 1 << 40),
        (16 << 20, 8 << 20),
    ] {
        check_overflow(thread_bytes, max_wasm_stack);
    }
}

#[test]
fn endless_nesting_overflows_too() {
    let world = World::new();
    let caller = world.install(&host_caller(1));
    let ty = FuncType::new([ValType::I64], [ValType::I64]);
    let stub = world.space.host_stub(&ty).unwrap();
    let levels = Cell::new(0_u32);
    let arguments = Cell::new([0; 3]);
    let body = |_: &upshift_abi::HostContext, _: *mut [u8; 16]| {
        levels.set(levels.get() + 1);
        match world.call(caller, &arguments.get()) {
            Err(Stop::Trap(record)) => {
                assert_eq!(record.code, TrapCode::StackOverflow);
                Err(())
            }
            Err(Stop::Failed) => Err(()),
            Ok(_) => panic!("it cannot return"),
        }
    };
    let body: &HostBody<'_> = &body;
    let context = world.host_context(&body);
    arguments.set([
        std::ptr::from_ref(&context).expose_provenance() as u64,
        stub.slot().expose_provenance() as u64,
        0,
    ]);
    let result = world.call(caller, &arguments.get());
    assert!(matches!(result, Err(Stop::Failed)));
    assert!(levels.get() > 10);
}

/// Calls a function with a stack check again and again.
fn endless() -> Draft {
    Draft::new(6, |asm, sites| {
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp
            ; again:
            ; call ->leaf);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; jmp <again ; ->leaf:);
        prologue(asm, 16);
        dynasm!(asm ; .arch x64 ; leave ; ret);
        overflow_site(asm, sites);
    })
}

#[test]
fn an_interrupt_is_never_lost() {
    let world = World::new();
    let code = world.install(&endless());
    for _ in 0..200 {
        let words = (&world.store.interrupt, &world.store.stack_limit);
        std::thread::scope(|scope| {
            // Before, while or after the guest starts: by chance.
            scope.spawn(move || request_interrupt(words.0, words.1));
            let record = expect_trap(world.call(code, &[]));
            assert_eq!(record.code, TrapCode::Interrupt);
            assert_eq!(record.frames.len(), 2);
        });
        clear_interrupt(&world.store);
    }
    interrupt(&world.store);
    for _ in 0..3 {
        assert_eq!(expect_trap(world.call(code, &[])).code, TrapCode::Interrupt);
    }
    clear_interrupt(&world.store);
    let shallow = world.install(&deep(4, |_, _| {}));
    assert!(world.call(shallow, &[20]).is_ok());
    const { assert!(MAX_WASM_STACK > 20 * 64) };
}
