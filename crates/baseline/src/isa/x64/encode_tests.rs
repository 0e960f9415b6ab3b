//! Every form of instruction with every register, kind of address and size of number, read back by iced-x86, which shares
//! nothing with the encoder.

use super::Asm;
use crate::isa::{Addr, AluOp, Cond, FloatAlu, FloatBits, Reg, ShiftOp, Widen};
use crate::state::value::Ty;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use upshift_abi::CpuFeatures;
use upshift_module::ops::{FloatWidth, LoadOp, StoreOp, Width};

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const FLOAT_WIDTHS: [FloatWidth; 2] = [FloatWidth::F32, FloatWidth::F64];
const NUMBERS: [i32; 11] = [0, 1, -1, 2, 127, 128, -128, -129, 4096, i32::MAX, i32::MIN];

fn ints() -> impl Iterator<Item = Reg> {
    (0..16).map(Reg::int)
}

fn floats() -> impl Iterator<Item = Reg> {
    (0..16).map(Reg::float)
}

/// Registers that can be an index.
fn indices() -> impl Iterator<Item = Reg> {
    ints().filter(|reg| reg.code() != 4)
}

/// Every kind of address but those of constants, with every register and size of displacement.
fn addresses() -> Vec<Addr> {
    let mut all = Vec::new();
    for disp in NUMBERS {
        all.extend([
            Addr::Frame(disp),
            Addr::Ctx(disp),
            Addr::Mem0(disp),
            Addr::Stack(disp),
        ]);
        all.extend(ints().map(|base| Addr::Base(base, disp)));
        all.extend(indices().map(|index| Addr::Mem0Index(index, disp)));
        for base in ints() {
            all.extend(indices().map(|index| Addr::Index(base, index, disp)));
        }
    }
    all
}

/// What an operand should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operand {
    /// With its size in bytes: 16 for vector registers.
    Reg(Reg, u32),
    Mem(Addr),
    Imm(i64),
    /// The low 32 bits.
    Low(i32),
}

fn register(reg: Reg, bytes: u32) -> Register {
    let number = u32::from(reg.code());
    let first = match (reg.is_float(), bytes) {
        (true, _) => Register::XMM0,
        (false, 8) => Register::RAX,
        (false, 4) => Register::EAX,
        (false, 2) => Register::AX,
        // The high halves of four registers lie between.
        (false, _) => return byte_register(number),
    };
    first + number
}

fn byte_register(number: u32) -> Register {
    if number < 4 {
        Register::AL + number
    } else {
        Register::SPL + (number - 4)
    }
}

fn memory(addr: Addr) -> (Register, Register, i64) {
    let full = |reg| register(reg, 8);
    let none = Register::None;
    match addr {
        Addr::Frame(d) => (Register::RBP, none, i64::from(d)),
        Addr::Ctx(d) => (Register::R15, none, i64::from(d)),
        Addr::Mem0(d) => (Register::R14, none, i64::from(d)),
        Addr::Stack(d) => (Register::RSP, none, i64::from(d)),
        Addr::Mem0Index(i, d) => (Register::R14, full(i), i64::from(d)),
        Addr::Base(b, d) => (full(b), none, i64::from(d)),
        Addr::Index(b, i, d) => (full(b), full(i), i64::from(d)),
        Addr::Const(_) => (Register::RIP, none, 0),
    }
}

fn check_operand(i: &Instruction, at: u32, expected: Operand) {
    match expected {
        Operand::Reg(reg, bytes) => {
            assert_eq!(i.op_kind(at), OpKind::Register, "{i}");
            assert_eq!(i.op_register(at), register(reg, bytes), "{i}");
        }
        Operand::Mem(addr) => {
            assert_eq!(i.op_kind(at), OpKind::Memory, "{i}");
            let disp = i.memory_displacement64().cast_signed();
            let actual = (i.memory_base(), i.memory_index(), disp);
            assert_eq!(actual, memory(addr), "{i}");
            assert_eq!(i.memory_index_scale(), 1, "{i}");
        }
        Operand::Imm(value) => assert_eq!(i.immediate(at).cast_signed(), value, "{i}"),
        Operand::Low(value) => {
            let low = u32::try_from(i.immediate(at) & u64::from(u32::MAX)).unwrap();
            assert_eq!(low.cast_signed(), value, "{i}");
        }
    }
}

/// Runs what emits one instruction and reads it back.
struct Check {
    asm: Asm,
    done: usize,
}

impl Check {
    fn new() -> Self {
        let mut asm = Asm::default();
        asm.reset(CpuFeatures::SSE41);
        Self { asm, done: 0 }
    }

    fn one(&mut self, mnemonic: Mnemonic, operands: &[Operand], emit: impl FnOnce(&mut Asm)) {
        let start = self.asm.buf.len();
        emit(&mut self.asm);
        let code = &self.asm.buf.code()[start..];
        let i = Decoder::new(64, code, DecoderOptions::NONE).decode();
        assert_eq!(i.mnemonic(), mnemonic, "{i}: {code:x?}");
        assert_eq!(i.len(), code.len(), "{i}: {code:x?}");
        for (&operand, at) in operands.iter().zip(0..) {
            check_operand(&i, at, operand);
        }
        check_prefix(&i, code);
        self.done += 1;
        if start > 1 << 16 {
            self.asm.reset(CpuFeatures::SSE41);
        }
    }
}

/// A REX prefix without a bit is there only for the low bytes of rsp, rbp, rsi, rdi.
fn check_prefix(i: &Instruction, code: &[u8]) {
    let rex = code.iter().find(|byte| !matches!(byte, 0x66 | 0xf2 | 0xf3));
    if rex == Some(&0x40) {
        let needed = (0..i.op_count()).any(|at| {
            i.op_kind(at) == OpKind::Register
                && (Register::SPL..=Register::DIL).contains(&i.op_register(at))
        });
        assert!(needed, "{i}: {code:x?}");
    }
}

fn bytes(width: Width) -> u32 {
    match width {
        Width::W32 => 4,
        Width::W64 => 8,
    }
}

const ALU: [(AluOp, Mnemonic); 6] = [
    (AluOp::Add, Mnemonic::Add),
    (AluOp::Sub, Mnemonic::Sub),
    (AluOp::And, Mnemonic::And),
    (AluOp::Or, Mnemonic::Or),
    (AluOp::Xor, Mnemonic::Xor),
    (AluOp::Cmp, Mnemonic::Cmp),
];

const SHIFTS: [(ShiftOp, Mnemonic); 5] = [
    (ShiftOp::Shl, Mnemonic::Shl),
    (ShiftOp::ShrS, Mnemonic::Sar),
    (ShiftOp::ShrU, Mnemonic::Shr),
    (ShiftOp::Rotl, Mnemonic::Rol),
    (ShiftOp::Rotr, Mnemonic::Ror),
];

/// The number as a width sees it in an instruction's immediate.
fn imm(width: Width, number: i32) -> Operand {
    match width {
        Width::W32 => Operand::Low(number),
        Width::W64 => Operand::Imm(i64::from(number)),
    }
}

#[test]
fn integers_in_registers() {
    let mut check = Check::new();
    for (width, dst) in WIDTHS.into_iter().flat_map(|w| ints().map(move |d| (w, d))) {
        let size = bytes(width);
        let d = Operand::Reg(dst, size);
        for src in ints() {
            let s = Operand::Reg(src, size);
            for (op, mnemonic) in ALU {
                check.one(mnemonic, &[d, s], |asm| asm.alu(width, op, dst, src));
            }
            check.one(Mnemonic::Imul, &[d, s], |asm| asm.mul(width, dst, src));
            let ty = Ty::of_width(width);
            if dst != src {
                check.one(Mnemonic::Mov, &[d, s], |asm| asm.mov(ty, dst, src));
            }
        }
        for (op, mnemonic) in SHIFTS {
            check.one(mnemonic, &[d], |asm| asm.shift_cl(width, op, dst));
            for count in [1, 2, 31] {
                let operands = [d, Operand::Imm(i64::from(count))];
                check.one(mnemonic, &operands, |asm| {
                    asm.shift_imm(width, op, dst, count);
                });
            }
        }
        check.one(Mnemonic::Idiv, &[d], |asm| asm.divide(width, true, dst));
        check.one(Mnemonic::Div, &[d], |asm| asm.divide(width, false, dst));
        check.asm.zero_flag = None;
        check.one(Mnemonic::Test, &[d, d], |asm| asm.test(width, dst));
    }
    assert!(check.done > 4000);
}

#[test]
fn integers_and_numbers() {
    let mut check = Check::new();
    for (width, dst) in WIDTHS.into_iter().flat_map(|w| ints().map(move |d| (w, d))) {
        let size = bytes(width);
        let d = Operand::Reg(dst, size);
        for number in NUMBERS {
            for (op, mnemonic) in ALU {
                check.one(mnemonic, &[d, imm(width, number)], |asm| {
                    asm.alu_imm(width, op, dst, number);
                });
            }
            for src in ints() {
                let operands = [d, Operand::Reg(src, size), imm(width, number)];
                check.one(Mnemonic::Imul, &operands, |asm| {
                    asm.mul_imm(width, dst, src, number);
                });
            }
        }
    }
    for (dst, ty) in ints().flat_map(|d| [(d, Ty::I32), (d, Ty::I64)]) {
        let numbers = NUMBERS.map(|number| i64::from(number).cast_unsigned());
        for bits in numbers.into_iter().chain([u64::MAX >> 1, 1 << 63, 1 << 32]) {
            let bits = if ty == Ty::I32 {
                bits & u64::from(u32::MAX)
            } else {
                bits
            };
            check.asm.flags_live = true;
            let size = if bits <= u64::from(u32::MAX) { 4 } else { 8 };
            let operands = [Operand::Reg(dst, size), Operand::Imm(bits.cast_signed())];
            check.one(Mnemonic::Mov, &operands, |asm| {
                asm.load_const(ty, dst, bits);
            });
        }
        check.asm.flags_live = false;
        let d = Operand::Reg(dst, 4);
        check.one(Mnemonic::Xor, &[d, d], |asm| asm.load_const(ty, dst, 0));
    }
    assert!(check.done > 7000);
}

#[test]
fn extensions_and_conditions() {
    let mut check = Check::new();
    let kinds = [
        (Width::W32, Widen::S8, Mnemonic::Movsx, 4, 1),
        (Width::W64, Widen::S8, Mnemonic::Movsx, 8, 1),
        (Width::W32, Widen::S16, Mnemonic::Movsx, 4, 2),
        (Width::W64, Widen::S16, Mnemonic::Movsx, 8, 2),
        (Width::W32, Widen::S32, Mnemonic::Mov, 4, 4),
        (Width::W64, Widen::S32, Mnemonic::Movsxd, 8, 4),
    ];
    for (dst, src) in ints().flat_map(|d| ints().map(move |s| (d, s))) {
        for (width, kind, mnemonic, to, from) in kinds {
            let operands = [Operand::Reg(dst, to), Operand::Reg(src, from)];
            check.one(mnemonic, &operands, |asm| asm.widen(width, kind, dst, src));
        }
        for width in WIDTHS {
            let operands = [
                Operand::Reg(dst, bytes(width)),
                Operand::Reg(src, bytes(width)),
            ];
            for (number, mnemonic) in CONDITIONS {
                let cond = Cond::from_number(number);
                check.one(mnemonic, &operands, |asm| {
                    asm.cond_move(width, cond, dst, src);
                });
            }
        }
    }
    for dst in ints() {
        let start = check.asm.buf.len();
        check.asm.set_cond(Cond::FloatEq, dst);
        let code = &check.asm.buf.code()[start..];
        let text: Vec<_> = Decoder::new(64, code, DecoderOptions::NONE)
            .into_iter()
            .map(|i| (i.mnemonic(), i.op0_register(), i.op1_register()))
            .collect();
        let (low, r11) = (register(dst, 1), Register::R11L);
        let none = Register::None;
        let expected = [
            (Mnemonic::Sete, low, none),
            (Mnemonic::Setnp, r11, none),
            (Mnemonic::And, low, r11),
            (Mnemonic::Movzx, register(dst, 4), low),
        ];
        assert_eq!(text, expected);
    }
    assert!(check.done > 8000);
}

/// By their numbers, without `FloatEq` and `FloatNe`.
const CONDITIONS: [(u16, Mnemonic); 16] = [
    (0, Mnemonic::Cmove),
    (1, Mnemonic::Cmovne),
    (2, Mnemonic::Cmovl),
    (3, Mnemonic::Cmovge),
    (4, Mnemonic::Cmovg),
    (5, Mnemonic::Cmovle),
    (6, Mnemonic::Cmovb),
    (7, Mnemonic::Cmovae),
    (8, Mnemonic::Cmova),
    (9, Mnemonic::Cmovbe),
    (12, Mnemonic::Cmovs),
    (13, Mnemonic::Cmovns),
    (14, Mnemonic::Cmovo),
    (15, Mnemonic::Cmovno),
    (16, Mnemonic::Cmovp),
    (17, Mnemonic::Cmovnp),
];

#[test]
fn memory_of_every_kind() {
    let mut check = Check::new();
    let loads = [
        (LoadOp::I32, Mnemonic::Mov, 4),
        (LoadOp::I64, Mnemonic::Mov, 8),
        (LoadOp::I32U8, Mnemonic::Movzx, 4),
        (LoadOp::I64S8, Mnemonic::Movsx, 8),
        (LoadOp::I64S32, Mnemonic::Movsxd, 8),
    ];
    let stores = [
        (StoreOp::I32As8, Mnemonic::Mov, 1),
        (StoreOp::I32As16, Mnemonic::Mov, 2),
        (StoreOp::I32, Mnemonic::Mov, 4),
        (StoreOp::I64, Mnemonic::Mov, 8),
    ];
    for addr in addresses() {
        let memory = Operand::Mem(addr);
        for reg in ints() {
            for (op, mnemonic, size) in loads {
                let operands = [Operand::Reg(reg, size), memory];
                check.one(mnemonic, &operands, |asm| asm.load_op(op, reg, addr));
            }
            for (op, mnemonic, size) in stores {
                let operands = [memory, Operand::Reg(reg, size)];
                check.one(mnemonic, &operands, |asm| asm.store_op(op, addr, reg));
            }
            let d = Operand::Reg(reg, 4);
            check.one(Mnemonic::Sub, &[d, memory], |asm| {
                asm.alu_mem(Width::W32, AluOp::Sub, reg, addr);
            });
        }
        for reg in floats() {
            let d = Operand::Reg(reg, 16);
            check.one(Mnemonic::Movss, &[d, memory], |asm| {
                asm.load(Ty::F32, reg, addr);
            });
            check.one(Mnemonic::Movsd, &[memory, d], |asm| {
                asm.store(Ty::F64, addr, reg);
            });
        }
    }
    assert!(check.done > 100_000);
}

#[test]
fn memory_and_numbers() {
    let mut check = Check::new();
    for addr in addresses() {
        let memory = Operand::Mem(addr);
        for number in NUMBERS {
            for (width, (op, mnemonic)) in WIDTHS.into_iter().flat_map(|w| ALU.map(|op| (w, op))) {
                check.one(mnemonic, &[memory, imm(width, number)], |asm| {
                    asm.alu_mem_imm(width, op, addr, number);
                });
            }
            let wide = Operand::Imm(i64::from(number));
            check.one(Mnemonic::Mov, &[memory, wide], |asm| {
                asm.store_op_imm(StoreOp::I64, addr, number);
            });
            let narrow = Operand::Imm(i64::from(number.cast_unsigned() & 0xffff));
            check.one(Mnemonic::Mov, &[memory, narrow], |asm| {
                asm.store_op_imm(StoreOp::I64As16, addr, number);
            });
            let byte = Operand::Imm(i64::from(number.cast_unsigned() & 0xff));
            check.one(Mnemonic::Mov, &[memory, byte], |asm| {
                asm.store_op_imm(StoreOp::I32As8, addr, number);
            });
        }
    }
    assert!(check.done > 100_000);
}

#[test]
fn addresses_in_registers() {
    let mut check = Check::new();
    for (dst, a) in ints().flat_map(|d| indices().map(move |a| (d, a))) {
        for b in indices() {
            check.one(Mnemonic::Lea, &[Operand::Reg(dst, 8)], |asm| {
                asm.lea_add(Width::W64, dst, a, b);
            });
            let start = check.asm.buf.len();
            check.asm.lea_add(Width::W32, dst, a, b);
            let i = Decoder::new(64, &check.asm.buf.code()[start..], 0).decode();
            let mut used = [i.memory_base(), i.memory_index()];
            let mut expected = [register(a, 8), register(b, 8)];
            used.sort();
            expected.sort();
            assert_eq!((used, i.memory_displacement64()), (expected, 0), "{i}");
        }
        for (factor, scale) in [(3, 2), (5, 4), (9, 8)] {
            let start = check.asm.buf.len();
            check.asm.lea_times(Width::W32, dst, a, factor);
            let i = Decoder::new(64, &check.asm.buf.code()[start..], 0).decode();
            assert_eq!(i.op0_register(), register(dst, 4), "{i}");
            assert_eq!(i.memory_base(), register(a, 8), "{i}");
            assert_eq!(i.memory_index(), register(a, 8), "{i}");
            assert_eq!(i.memory_index_scale(), scale, "{i}");
            assert_eq!(i.memory_displacement64(), 0, "{i}");
        }
    }
}

#[test]
fn floats_in_registers() {
    let mut check = Check::new();
    let singles = [
        Mnemonic::Addss,
        Mnemonic::Subss,
        Mnemonic::Mulss,
        Mnemonic::Divss,
    ];
    let doubles = [
        Mnemonic::Addsd,
        Mnemonic::Subsd,
        Mnemonic::Mulsd,
        Mnemonic::Divsd,
    ];
    let ops = [FloatAlu::Add, FloatAlu::Sub, FloatAlu::Mul, FloatAlu::Div];
    for (dst, src) in floats().flat_map(|d| floats().map(move |s| (d, s))) {
        let both = [Operand::Reg(dst, 16), Operand::Reg(src, 16)];
        for (width, mnemonics) in FLOAT_WIDTHS.into_iter().zip([singles, doubles]) {
            for (op, mnemonic) in ops.into_iter().zip(mnemonics) {
                check.one(mnemonic, &both, |asm| asm.float_alu(width, op, dst, src));
            }
        }
        check.one(Mnemonic::Ucomisd, &both, |asm| {
            asm.float_compare(FloatWidth::F64, dst, src);
        });
        check.one(Mnemonic::Ucomiss, &both, |asm| {
            asm.float_compare(FloatWidth::F32, dst, src);
        });
        check.one(Mnemonic::Sqrtss, &both, |asm| {
            asm.float_sqrt(FloatWidth::F32, dst, src);
        });
        check.one(Mnemonic::Cvtss2sd, &both, |asm| {
            asm.float_resize(FloatWidth::F64, dst, src);
        });
        check.one(Mnemonic::Cvtsd2ss, &both, |asm| {
            asm.float_resize(FloatWidth::F32, dst, src);
        });
        let bits = [
            (FloatBits::And, Mnemonic::Andps),
            (FloatBits::Or, Mnemonic::Orps),
            (FloatBits::Xor, Mnemonic::Xorps),
        ];
        for (op, mnemonic) in bits {
            check.one(mnemonic, &both, |asm| asm.float_bits(op, dst, src));
        }
        if dst != src {
            check.one(Mnemonic::Movaps, &both, |asm| asm.mov(Ty::F64, dst, src));
        }
    }
    for (float, int) in floats().flat_map(|f| ints().map(move |i| (f, i))) {
        for (width, mnemonic) in WIDTHS.into_iter().zip([Mnemonic::Movd, Mnemonic::Movq]) {
            let (f, i) = (Operand::Reg(float, 16), Operand::Reg(int, bytes(width)));
            check.one(mnemonic, &[f, i], |asm| asm.transfer(width, float, int));
            check.one(mnemonic, &[i, f], |asm| asm.transfer(width, int, float));
            check.one(Mnemonic::Cvttsd2si, &[i, f], |asm| {
                asm.cvt_to_int(FloatWidth::F64, width, int, float);
            });
            check.one(Mnemonic::Cvtsi2ss, &[f, i], |asm| {
                asm.cvt_from_int(FloatWidth::F32, width, float, int);
            });
        }
    }
    assert!(check.done > 4000);
}

#[test]
fn jumps_go_where_they_are_bound() {
    for (number, filler) in (0..18).flat_map(|n| [0, 100, 124, 125, 126, 127, 200].map(|f| (n, f)))
    {
        let cond = Cond::from_number(number);
        if matches!(cond, Cond::FloatEq | Cond::FloatNe) {
            continue;
        }
        let mut asm = Asm::default();
        asm.reset(CpuFeatures::SSE41);
        let (back, on) = (asm.new_label(), asm.new_label());
        asm.bind(back);
        for _ in 0..filler {
            asm.sign_into_rdx(Width::W32);
        }
        asm.jump_if(cond, back);
        asm.jump_if(cond, on);
        asm.jump(back);
        asm.jump(on);
        asm.bind(on);
        let finished = asm.finish().unwrap();
        let end = u64::from(finished.text_bytes);
        let jumps: Vec<_> = Decoder::new(64, &finished.code, 0)
            .into_iter()
            .filter(|i| i.mnemonic() != Mnemonic::Cdq)
            .map(|i| (i.condition_code(), i.near_branch_target()))
            .collect();
        let none = iced_x86::ConditionCode::None;
        let [first, second, third, last] = jumps[..] else {
            panic!("{jumps:?}");
        };
        assert_ne!(first.0, none);
        assert_eq!((first.1, second), (0, (first.0, end)));
        assert_eq!((third, last), ((none, 0), (none, end)));
    }
}
