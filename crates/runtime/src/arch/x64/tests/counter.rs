//! The counter stub keeps everything.

use super::{COUNTER_SEEN, Draft, LOOP_ENTRY, World};
use crate::arch::x64::{Assembler, SavedRegisters};
use crate::enter::RawFrame;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::sync::atomic::Ordering;
use upshift_abi::{Libcall, RelocTarget};

/// All but rsp, rbp, r11 and vmctx.
const INTS: [u8; 12] = [0, 1, 2, 3, 6, 7, 8, 9, 10, 12, 13, 14];

fn int_value(reg: u8) -> i32 {
    0x1234_0000 + i32::from(reg)
}

fn float_value(reg: u8, half: i32) -> i32 {
    0x4321_0000 + 256 * half + i32::from(reg)
}

fn set_all(asm: &mut Assembler) {
    for reg in 0..16_u8 {
        dynasm!(asm ; .arch x64
            ; mov r11d, float_value(reg, 0) ; movq Rx(reg), r11
            ; mov r11d, float_value(reg, 1) ; pinsrq Rx(reg), r11, 1);
    }
    for reg in INTS {
        dynasm!(asm ; .arch x64 ; mov Rq(reg), int_value(reg));
    }
}

/// Jumps to the global label `wrong` when a register is not what it was. Uses r11.
fn check_all(asm: &mut Assembler) {
    for reg in INTS {
        dynasm!(asm ; .arch x64 ; cmp Rq(reg), int_value(reg) ; jne ->wrong);
    }
    for reg in 0..16_u8 {
        dynasm!(asm ; .arch x64
            ; movq r11, Rx(reg) ; cmp r11, float_value(reg, 0) ; jne ->wrong
            ; pextrq r11, Rx(reg), 1 ; cmp r11, float_value(reg, 1) ; jne ->wrong);
    }
}

/// Calls the stub with rsp off by `skew` bytes; gives r11 back, or -1 when anything changed.
fn counting(skew: i32) -> Draft {
    Draft::new(0, |asm, sites| {
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp
            ; push rbx ; push r12 ; push r13 ; push r14 ; push r15
            ; sub rsp, 24 + skew
            ; mov r15, rdi
            ; mov [rbp - 48], rdi);
        set_all(asm);
        dynasm!(asm ; .arch x64 ; mov [rbp - 56], rsp ; push 77 ; push 5);
        sites.reloc(asm, 1, RelocTarget::Libcall(Libcall::CounterOverflow));
        dynasm!(asm ; .arch x64 ; .u8 0xe8 ; .i32 0);
        sites.call(asm);
        dynasm!(asm ; .arch x64
            ; mov [rbp - 64], r11
            ; cmp r15, [rbp - 48] ; jne ->wrong
            ; cmp rsp, [rbp - 56] ; jne ->wrong);
        check_all(asm);
        dynasm!(asm ; .arch x64
            ; mov rax, [rbp - 64]
            ; ->out:
            ; lea rsp, [rbp - 40]
            ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbx ; pop rbp
            ; ret
            ; ->wrong:
            ; mov rax, -1
            ; jmp ->out);
    })
}

/// Goes to the slow path and does not come back: r15 is kept in rax, and the stack argument stays where it is.
fn leaving() -> Draft {
    Draft::new(0, |asm, sites| {
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp ; sub rsp, 48
            ; mov rax, r15 ; mov r15, rdi
            ; movsd xmm3, [rbp + 16]
            ; push 77 ; push 5);
        sites.reloc(asm, 1, RelocTarget::Libcall(Libcall::CounterOverflow));
        dynasm!(asm ; .arch x64 ; .u8 0xe8 ; .i32 0);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; ud2);
    })
}

#[test]
fn a_loop_entry_takes_the_place_of_the_frame() {
    let world = World::new();
    let entered = world.install(&Draft::new(1, |asm, _| {
        dynasm!(asm ; .arch x64 ; lea rax, [rdi + rsi] ; add rax, [rsp + 8] ; ret 16);
    }));
    let left = world.install(&leaving());
    LOOP_ENTRY.set((
        entered.addr(),
        Some(|registers: &mut SavedRegisters| {
            registers.ints[15] = registers.ints[0];
            registers.ints[7] = 1000;
            registers.ints[6] = registers.floats[3][0];
        }),
    ));
    let mut frame = RawFrame::default();
    frame.stack.extend([600, 0]);
    let result = world.call_frame(left, world.vmctx(), &mut frame);
    LOOP_ENTRY.set((0, None));
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(frame.int_results[0], 1000 + 2 * 600);
}

#[test]
fn keeps_every_register_at_any_alignment() {
    let world = World::new();
    for skew in [0, 8, 16, 24] {
        let code = world.install(&counting(skew));
        assert_eq!(world.call(code, &[]).unwrap(), 0, "skew {skew}");
        assert_eq!(COUNTER_SEEN.0.load(Ordering::Relaxed), 77);
        assert_eq!(COUNTER_SEEN.1.load(Ordering::Relaxed), 5);
    }
}
