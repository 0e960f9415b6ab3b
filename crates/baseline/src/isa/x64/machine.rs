//! A machine that knows move instructions only, for tests of the code that brings values from one place to another.
//!
//! Instructions are decoded by iced-x86, which shares nothing with the assembler, and run on registers and on one flat memory:
//! code and its constants at the bottom, the stack pointer and the frame pointer in the middle of areas of their own.

use crate::isa::Reg;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

const MEMORY_BYTES: usize = 0x6000;
/// Where the frame pointer points.
pub(crate) const FRAME: u64 = 0x5000;
/// Where the stack pointer points.
pub(crate) const STACK: u64 = 0x2000;
/// Memory that a pointer may point to.
pub(crate) const AREA: u64 = 0x3000;

/// Registers and memory.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    ints: [u64; 16],
    floats: [u128; 16],
    memory: Vec<u8>,
    /// Whether an instruction wrote the flags.
    pub(crate) flags_written: bool,
}

impl Machine {
    /// Every byte of it has a value of its own, by the numbers given.
    pub(crate) fn new(mut number: impl FnMut() -> u64) -> Self {
        let mut machine = Self {
            ints: std::array::from_fn(|_| number()),
            floats: std::array::from_fn(|_| u128::from(number()) << 64 | u128::from(number())),
            memory: Vec::with_capacity(MEMORY_BYTES),
            flags_written: false,
        };
        while machine.memory.len() < MEMORY_BYTES {
            machine.memory.extend(number().to_le_bytes());
        }
        machine.ints[4] = STACK;
        machine.ints[5] = FRAME;
        machine
    }

    /// The low 64 bits of a register of either class.
    pub(crate) fn reg(&self, reg: Reg) -> u64 {
        if reg.is_float() {
            low(self.float(reg))
        } else {
            self.ints[reg.index()]
        }
    }

    /// All bits of a vector register.
    pub(crate) fn float(&self, reg: Reg) -> u128 {
        self.floats[usize::from(reg.code())]
    }

    /// Sets a register; a vector register's upper half keeps its junk.
    pub(crate) fn set_reg(&mut self, reg: Reg, bits: u64) {
        if reg.is_float() {
            let float = &mut self.floats[usize::from(reg.code())];
            *float = *float >> 64 << 64 | u128::from(bits);
        } else {
            self.ints[reg.index()] = bits;
        }
    }

    /// The bytes at an address as a number.
    pub(crate) fn read(&self, at: u64, bytes: usize) -> u128 {
        let at = usize::try_from(at).unwrap();
        let mut number = [0; 16];
        number[..bytes].copy_from_slice(&self.memory[at..at + bytes]);
        u128::from_le_bytes(number)
    }

    /// Writes the low bytes of a number.
    pub(crate) fn write(&mut self, at: u64, bytes: usize, number: u128) {
        let at = usize::try_from(at).unwrap();
        self.memory[at..at + bytes].copy_from_slice(&number.to_le_bytes()[..bytes]);
    }

    /// Runs code from its first byte to `text_bytes`, with its constants behind that.
    pub(crate) fn run(&mut self, code: &[u8], text_bytes: u32) {
        assert!(code.len() < usize::try_from(STACK).unwrap() / 2);
        self.memory[..code.len()].copy_from_slice(code);
        self.flags_written = false;
        let text = &code[..usize::try_from(text_bytes).unwrap()];
        for instruction in Decoder::with_ip(64, text, 0, DecoderOptions::NONE) {
            self.step(&instruction);
        }
    }

    fn step(&mut self, i: &Instruction) {
        let bytes = match () {
            () if is(i, &[Mnemonic::Mov]) => operand_bytes(i),
            () if is(i, &[Mnemonic::Movaps, Mnemonic::Movups]) => 16,
            // A load clears the rest of the register; a move between registers would keep it.
            () if is(i, &[Mnemonic::Movss]) && has_memory(i) => 4,
            () if is(i, &[Mnemonic::Movsd]) && has_memory(i) => 8,
            () if i.code() == Code::Movlps_m64_xmm => 8,
            () if is(i, &[Mnemonic::Xor, Mnemonic::Xorps]) => {
                assert_eq!(i.op0_register(), i.op1_register(), "{i}");
                self.flags_written |= is(i, &[Mnemonic::Xor]);
                return self.assign(i, operand_bytes(i), 0);
            }
            () => panic!("not known to this machine: {i}"),
        };
        let value = self.source(i, bytes);
        self.assign(i, bytes, value);
    }

    fn source(&self, i: &Instruction, bytes: usize) -> u128 {
        if i.op1_kind() == OpKind::Memory {
            self.read(self.address(i), bytes)
        } else if i.op1_kind() == OpKind::Register {
            truncate(self.register(i.op1_register()), bytes)
        } else {
            truncate(u128::from(i.immediate(1)), bytes)
        }
    }

    /// Writes the first operand. Writing 32 bits of an integer register clears the upper half, and a vector register is
    /// always written as a whole.
    fn assign(&mut self, i: &Instruction, bytes: usize, value: u128) {
        if i.op0_kind() == OpKind::Memory {
            return self.write(self.address(i), bytes, value);
        }
        assert_eq!(i.op0_kind(), OpKind::Register, "{i}");
        let register = i.op0_register();
        if register.is_xmm() {
            self.floats[register.number()] = value;
        } else {
            assert!(bytes >= 4, "a narrow move: {i}");
            self.ints[register.number()] = low(value);
        }
    }

    fn register(&self, register: Register) -> u128 {
        if register.is_xmm() {
            self.floats[register.number()]
        } else {
            u128::from(self.ints[register.number()])
        }
    }

    fn address(&self, i: &Instruction) -> u64 {
        assert_eq!(i.memory_index(), Register::None, "{i}");
        if i.is_ip_rel_memory_operand() {
            return i.ip_rel_memory_address();
        }
        let base = self.ints[i.memory_base().number()];
        base.wrapping_add(i.memory_displacement64())
    }
}

fn low(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap()
}

fn truncate(bits: u128, bytes: usize) -> u128 {
    if bytes == 16 {
        return bits;
    }
    bits & ((1 << (bytes * 8)) - 1)
}

fn is(i: &Instruction, mnemonics: &[Mnemonic]) -> bool {
    mnemonics.contains(&i.mnemonic())
}

fn has_memory(i: &Instruction) -> bool {
    i.op0_kind() == OpKind::Memory || i.op1_kind() == OpKind::Memory
}

/// Size of the first operand.
fn operand_bytes(i: &Instruction) -> usize {
    if i.op0_kind() == OpKind::Memory {
        i.memory_size().size()
    } else {
        i.op0_register().size()
    }
}

#[cfg(test)]
mod tests {
    use super::{FRAME, Machine};
    use crate::isa::x64::Asm;
    use crate::isa::{Addr, Reg};
    use crate::state::value::Ty;
    use upshift_abi::CpuFeatures;

    #[test]
    fn it_does_what_the_processor_does() {
        let mut asm = Asm::default();
        asm.reset(CpuFeatures::SSE41);
        let (rax, rcx, xmm1, xmm2) = (Reg::int(0), Reg::int(1), Reg::float(1), Reg::float(2));
        asm.load_const(Ty::I64, rax, 0x1234_5678_9abc_def0);
        asm.mov(Ty::I32, rcx, rax);
        asm.store(Ty::I64, Addr::Frame(-8), rax);
        asm.load(Ty::F32, xmm1, Addr::Frame(-8));
        asm.load_const(Ty::F64, xmm2, 0x4000_0000_0000_0001);
        asm.store_const(Ty::I64, Addr::Frame(-16), 0xffff_ffff_ffff_fff6);
        let code = asm.finish().unwrap();
        let mut machine = Machine::new(|| u64::MAX);
        machine.run(&code.code, code.text_bytes);
        assert_eq!(machine.reg(rax), 0x1234_5678_9abc_def0);
        assert_eq!(machine.reg(rcx), 0x9abc_def0);
        assert_eq!(machine.float(xmm1), 0x9abc_def0);
        assert_eq!(machine.float(xmm2), 0x4000_0000_0000_0001);
        assert_eq!(machine.read(FRAME - 16, 8), 0xffff_ffff_ffff_fff6);
        assert!(!machine.flags_written);
    }
}
