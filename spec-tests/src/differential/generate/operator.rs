//! Expressions, and accesses to memory and the table.

use super::Body;
use wasm_encoder::{BlockType, Instruction as I, MemArg, RefType, ValType};

const BINARY_I32: [I<'static>; 11] = [
    I::I32Add,
    I::I32Sub,
    I::I32Mul,
    I::I32And,
    I::I32Or,
    I::I32Xor,
    I::I32Shl,
    I::I32ShrS,
    I::I32ShrU,
    I::I32Rotl,
    I::I32Rotr,
];

const COMPARE_I32: [I<'static>; 10] = [
    I::I32Eq,
    I::I32Ne,
    I::I32LtS,
    I::I32LtU,
    I::I32GtS,
    I::I32GtU,
    I::I32LeS,
    I::I32LeU,
    I::I32GeS,
    I::I32GeU,
];

const COMPARE_I64: [I<'static>; 10] = [
    I::I64Eq,
    I::I64Ne,
    I::I64LtS,
    I::I64LtU,
    I::I64GtS,
    I::I64GtU,
    I::I64LeS,
    I::I64LeU,
    I::I64GeS,
    I::I64GeU,
];

const COMPARE_F32: [I<'static>; 6] = [I::F32Eq, I::F32Ne, I::F32Lt, I::F32Gt, I::F32Le, I::F32Ge];

const COMPARE_F64: [I<'static>; 6] = [I::F64Eq, I::F64Ne, I::F64Lt, I::F64Gt, I::F64Le, I::F64Ge];

const UNARY_I32: [I<'static>; 6] = [
    I::I32Clz,
    I::I32Ctz,
    I::I32Popcnt,
    I::I32Eqz,
    I::I32Extend8S,
    I::I32Extend16S,
];

const BINARY_I64: [I<'static>; 11] = [
    I::I64Add,
    I::I64Sub,
    I::I64Mul,
    I::I64And,
    I::I64Or,
    I::I64Xor,
    I::I64Shl,
    I::I64ShrS,
    I::I64ShrU,
    I::I64Rotl,
    I::I64Rotr,
];

const UNARY_I64: [I<'static>; 6] = [
    I::I64Clz,
    I::I64Ctz,
    I::I64Popcnt,
    I::I64Extend8S,
    I::I64Extend16S,
    I::I64Extend32S,
];

/// Operators with a float result of one width.
pub(super) struct Float {
    ty: ValType,
    binary: [I<'static>; 6],
    unary: [I<'static>; 7],
    copysign: I<'static>,
    /// From which type.
    conversions: [(ValType, I<'static>); 6],
    load: fn(MemArg) -> I<'static>,
}

const FLOAT_32: Float = Float {
    ty: ValType::F32,
    binary: [
        I::F32Add,
        I::F32Sub,
        I::F32Mul,
        I::F32Div,
        I::F32Min,
        I::F32Max,
    ],
    unary: [
        I::F32Abs,
        I::F32Neg,
        I::F32Sqrt,
        I::F32Ceil,
        I::F32Floor,
        I::F32Trunc,
        I::F32Nearest,
    ],
    copysign: I::F32Copysign,
    conversions: [
        (ValType::I32, I::F32ConvertI32S),
        (ValType::I32, I::F32ConvertI32U),
        (ValType::I64, I::F32ConvertI64S),
        (ValType::I64, I::F32ConvertI64U),
        (ValType::F64, I::F32DemoteF64),
        (ValType::I32, I::F32ReinterpretI32),
    ],
    load: I::F32Load,
};

const FLOAT_64: Float = Float {
    ty: ValType::F64,
    binary: [
        I::F64Add,
        I::F64Sub,
        I::F64Mul,
        I::F64Div,
        I::F64Min,
        I::F64Max,
    ],
    unary: [
        I::F64Abs,
        I::F64Neg,
        I::F64Sqrt,
        I::F64Ceil,
        I::F64Floor,
        I::F64Trunc,
        I::F64Nearest,
    ],
    copysign: I::F64Copysign,
    conversions: [
        (ValType::I32, I::F64ConvertI32S),
        (ValType::I32, I::F64ConvertI32U),
        (ValType::I64, I::F64ConvertI64S),
        (ValType::I64, I::F64ConvertI64U),
        (ValType::F32, I::F64PromoteF32),
        (ValType::I64, I::F64ReinterpretI64),
    ],
    load: I::F64Load,
};

impl Body<'_> {
    pub(super) fn expression(&mut self, ty: ValType, depth: u32) {
        self.budget -= 1;
        if depth == 0 || self.budget < 0 {
            return self.leaf(ty);
        }
        match self.random.below(22) {
            0..3 => self.leaf(ty),
            3 => {
                self.expression(ty, depth - 1);
                if let Some(l) = self.local(ty) {
                    self.out.push(I::LocalTee(l));
                }
            }
            4 => {
                self.expression(ty, depth - 1);
                self.expression(ty, depth - 1);
                self.expression(ValType::I32, depth - 1);
                self.out.push(if matches!(ty, ValType::Ref(_)) {
                    I::TypedSelect(ty)
                } else {
                    I::Select
                });
            }
            5 => {
                self.expression(ValType::I32, depth - 1);
                self.out.push(I::If(BlockType::Result(ty)));
                self.labels.push(vec![ty]);
                self.nested(ty, depth - 1);
                self.out.push(I::Else);
                self.nested(ty, depth - 1);
                self.labels.pop();
                self.out.push(I::End);
            }
            6 => {
                self.out.push(I::Block(BlockType::Result(ty)));
                self.labels.push(vec![ty]);
                self.nested(ty, depth - 1);
                self.labels.pop();
                self.out.push(I::End);
            }
            7 => self.loop_with(&[ty], depth - 1),
            8 => self.call_for(ty, depth - 1),
            9 => {
                // Branch with a value that also falls through.
                let all: Vec<usize> = (0..self.labels.len())
                    .filter(|&l| self.labels[l] == [ty])
                    .collect();
                self.expression(ty, depth - 1);
                if !all.is_empty() {
                    let l = self.random.pick(&all);
                    self.expression(ValType::I32, depth - 1);
                    self.out.push(I::BrIf(self.depth_of(l)));
                }
            }
            _ => self.operator(ty, depth - 1),
        }
    }

    pub(super) fn address(&mut self, depth: u32) -> MemArg {
        let wild = self.random.chance(2);
        self.expression(ValType::I32, depth);
        if !wild {
            let mask = self.random.pick(&[0xff, 0xfff, 0x1ff8, 0xfff0]);
            self.out.extend([I::I32Const(mask), I::I32And]);
        }
        let offset = match self.random.below(40) {
            0 => 0xffff_ffff,
            1 => 0x8000_0000,
            2 => 65_530,
            3..10 => 0,
            _ => u64::from(self.random.below(256)),
        };
        MemArg {
            offset,
            align: 0,
            target: wasm_encoder::MemArgTarget::Memory(0),
            ordering: None,
        }
    }

    /// Accesses at constant distances from one index, which is mostly in bounds.
    pub(super) fn neighbours(&mut self, depth: u32) {
        let (Some(index), Some(sum)) = (self.local(ValType::I32), self.local(ValType::I32)) else {
            return;
        };
        self.expression(ValType::I32, depth);
        let mask = self.random.pick(&[0xff, 0xfff, 0x1ffff]);
        self.out.extend([I::I32Const(mask), I::I32And]);
        self.out
            .extend([I::I32Const(16), I::I32Add, I::LocalSet(index)]);
        for _ in 0..2 + self.random.below(4) {
            let distance = self
                .random
                .pick(&[-65_537, -65_536, -24, -16, -8, -4, -1, 0, 1, 8, 16, 65_536]);
            let m = MemArg {
                offset: self.random.pick(&[0, 0, 0, 4, 8, 65_535]),
                align: 0,
                target: wasm_encoder::MemArgTarget::Memory(0),
                ordering: None,
            };
            self.out.extend([I::LocalGet(index), I::I32Const(distance)]);
            self.out.push(I::I32Add);
            let (load, store) = match self.random.below(3) {
                0 => (I::I32Load(m), I::I32Store(m)),
                1 => (I::I32Load8U(m), I::I32Store8(m)),
                _ => (I::I32Load16S(m), I::I32Store16(m)),
            };
            if self.random.chance(50) {
                self.expression(ValType::I32, depth.min(1));
                self.out.push(store);
            } else {
                self.out.extend([load, I::LocalSet(sum)]);
            }
        }
    }

    pub(super) fn store(&mut self, depth: u32) {
        if self.random.chance(20) {
            return self.neighbours(depth);
        }
        let m = self.address(depth);
        let (ty, i) = match self.random.below(9) {
            0 => (ValType::I32, I::I32Store(m)),
            1 => (ValType::I32, I::I32Store8(m)),
            2 => (ValType::I32, I::I32Store16(m)),
            3 => (ValType::I64, I::I64Store(m)),
            4 => (ValType::I64, I::I64Store8(m)),
            5 => (ValType::I64, I::I64Store16(m)),
            6 => (ValType::I64, I::I64Store32(m)),
            7 => (ValType::F32, I::F32Store(m)),
            _ => (ValType::F64, I::F64Store(m)),
        };
        self.observed(ty, depth);
        self.out.push(i);
    }

    pub(super) fn bulk(&mut self, depth: u32) {
        let masks = match self.random.below(6) {
            0 => {
                self.expression(ValType::I32, depth);
                self.out
                    .extend([I::I32Const(1), I::I32And, I::MemoryGrow(0), I::Drop]);
                return;
            }
            1 | 2 => [0xfff, 0xfff, 0xff],
            3 | 4 => [0xfff, -1, 0xff],
            _ => {
                // Table entries, and growth.
                self.expression(ValType::I32, depth);
                self.out.extend([I::I32Const(15), I::I32And]);
                self.expression(ValType::Ref(RefType::FUNCREF), depth);
                self.out.push(I::TableSet(0));
                self.expression(ValType::Ref(RefType::FUNCREF), depth);
                self.expression(ValType::I32, depth);
                self.out
                    .extend([I::I32Const(3), I::I32And, I::TableGrow(0), I::Drop]);
                return;
            }
        };
        for mask in &masks[..2] {
            self.expression(ValType::I32, depth);
            if *mask != -1 {
                self.out.extend([I::I32Const(*mask), I::I32And]);
            }
        }
        if self.random.chance(30) {
            let length = self
                .random
                .pick(&[0, 1, 2, 3, 7, 8, 15, 16, 24, 33, 64, 65]);
            self.out.push(I::I32Const(length));
        } else {
            self.expression(ValType::I32, depth);
            self.out.extend([I::I32Const(masks[2]), I::I32And]);
        }
        if masks[1] == -1 {
            self.out.push(I::MemoryFill(0));
        } else {
            self.out.push(I::MemoryCopy {
                src_mem: 0,
                dst_mem: 0,
            });
        }
    }

    pub(super) fn operator(&mut self, ty: ValType, depth: u32) {
        match ty {
            ValType::I32 => self.operator_i32(depth),
            ValType::I64 => self.operator_i64(depth),
            ValType::F32 => self.operator_float(&FLOAT_32, depth),
            ValType::F64 => self.operator_float(&FLOAT_64, depth),
            ValType::V128 | ValType::Ref(_) => {
                self.expression(ValType::I32, depth);
                self.out
                    .extend([I::I32Const(15), I::I32And, I::TableGet(0)]);
            }
        }
    }

    pub(super) fn two(&mut self, ty: ValType, depth: u32, i: I<'static>) {
        self.expression(ty, depth);
        if self.random.chance(30) {
            self.constant(ty);
        } else {
            self.expression(ty, depth);
        }
        self.out.push(i);
    }

    pub(super) fn operator_i32(&mut self, depth: u32) {
        use ValType::{F32, F64, I32, I64};
        let k = self.random.index(1 << 20);
        match self.random.below(16) {
            0..4 => self.two(I32, depth, BINARY_I32[k % 11].clone()),
            4 | 5 => self.two(I32, depth, COMPARE_I32[k % 10].clone()),
            6 => self.two(I64, depth, COMPARE_I64[k % 10].clone()),
            7 => self.two(F32, depth, COMPARE_F32[k % 6].clone()),
            8 => self.two(F64, depth, COMPARE_F64[k % 6].clone()),
            9 => {
                self.expression(I32, depth);
                self.out.push(UNARY_I32[k % 6].clone());
            }
            10 => {
                self.expression(I32, depth);
                self.divisor(I32, depth);
                self.out
                    .push([I::I32DivS, I::I32DivU, I::I32RemS, I::I32RemU][k % 4].clone());
            }
            11 => {
                let (t, i) = [
                    (I64, I::I32WrapI64),
                    (I64, I::I64Eqz),
                    (F32, I::I32TruncSatF32S),
                    (F32, I::I32TruncSatF32U),
                    (F64, I::I32TruncSatF64S),
                    (F64, I::I32TruncSatF64U),
                ][k % 6]
                    .clone();
                self.expression(t, depth);
                self.out.push(i);
            }
            12 => {
                self.observed(F32, depth);
                self.out.push(I::I32ReinterpretF32);
            }
            13 => {
                let m = self.address(depth);
                self.out.push(
                    [
                        I::I32Load(m),
                        I::I32Load8S(m),
                        I::I32Load8U(m),
                        I::I32Load16S(m),
                        I::I32Load16U(m),
                    ][k % 5]
                        .clone(),
                );
            }
            14 => {
                self.expression(ValType::Ref(RefType::FUNCREF), depth);
                self.out.push(I::RefIsNull);
            }
            _ => self.rare_i32(k, depth),
        }
    }

    /// Operators that trap often or whose result hardly changes.
    fn rare_i32(&mut self, k: usize, depth: u32) {
        use ValType::{F32, F64, I32};
        match k % 20 {
            0 => {
                let (t, i) = [
                    (F32, I::I32TruncF32S),
                    (F32, I::I32TruncF32U),
                    (F64, I::I32TruncF64S),
                    (F64, I::I32TruncF64U),
                ][k / 20 % 4]
                    .clone();
                self.expression(t, depth);
                self.out.push(i);
            }
            1..8 => self.out.push(I::MemorySize(0)),
            8..10 => self.out.push(I::TableSize(0)),
            _ => self.two(I32, depth, BINARY_I32[k % 11].clone()),
        }
    }

    pub(super) fn divisor(&mut self, ty: ValType, depth: u32) {
        if self.random.chance(50) {
            self.constant(ty);
            if self.random.chance(5) {
                return;
            }
        } else {
            self.expression(ty, depth);
        }
        if self.random.chance(96) {
            if ty == ValType::I32 {
                self.out.extend([
                    I::I32Const(3),
                    I::I32Or,
                    I::I32Const(0x7fff_ffff),
                    I::I32And,
                ]);
            } else {
                self.out
                    .extend([I::I64Const(5), I::I64Or, I::I64Const(i64::MAX), I::I64And]);
            }
        }
    }

    pub(super) fn operator_i64(&mut self, depth: u32) {
        use ValType::{F32, F64, I32, I64};
        let k = self.random.index(1 << 20);
        match self.random.below(10) {
            0..4 => self.two(I64, depth, BINARY_I64[k % 11].clone()),
            4 => {
                self.expression(I64, depth);
                self.out.push(UNARY_I64[k % 6].clone());
            }
            5 => {
                self.expression(I64, depth);
                self.divisor(I64, depth);
                self.out
                    .push([I::I64DivS, I::I64DivU, I::I64RemS, I::I64RemU][k % 4].clone());
            }
            6 => {
                let (t, i) = [
                    (F32, I::I64TruncSatF32S),
                    (F32, I::I64TruncSatF32U),
                    (F64, I::I64TruncSatF64S),
                    (F64, I::I64TruncSatF64U),
                ][k % 4]
                    .clone();
                self.expression(t, depth);
                self.out.push(i);
            }
            7 => {
                self.observed(F64, depth);
                self.out.push(I::I64ReinterpretF64);
            }
            8 => {
                self.expression(I32, depth);
                self.out
                    .push([I::I64ExtendI32S, I::I64ExtendI32U][k % 2].clone());
            }
            _ => {
                let m = self.address(depth);
                self.out.push(
                    [
                        I::I64Load(m),
                        I::I64Load8S(m),
                        I::I64Load8U(m),
                        I::I64Load16S(m),
                        I::I64Load16U(m),
                        I::I64Load32S(m),
                        I::I64Load32U(m),
                    ][k % 7]
                        .clone(),
                );
            }
        }
    }

    /// An operator with a float result.
    pub(super) fn operator_float(&mut self, float: &Float, depth: u32) {
        let k = self.random.index(1 << 20);
        match self.random.below(9) {
            0..4 => self.two(float.ty, depth, float.binary[k % 6].clone()),
            4 => {
                self.expression(float.ty, depth);
                self.out.push(float.unary[k % 7].clone());
            }
            5 => {
                self.expression(float.ty, depth);
                self.observed(float.ty, depth);
                self.out.push(float.copysign.clone());
            }
            6 | 7 => {
                let (from, conversion) = float.conversions[k % 6].clone();
                self.expression(from, depth);
                self.out.push(conversion);
            }
            _ => {
                let at = self.address(depth);
                self.out.push((float.load)(at));
            }
        }
    }
}
