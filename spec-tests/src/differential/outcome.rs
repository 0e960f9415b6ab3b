//! What can be observed of a call, in the same terms for every engine.

/// A value. NaNs are canonical and references say only whether they are null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    Ref { null: bool },
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    I32,
    I64,
    F32,
    F64,
    Ref,
}

impl Value {
    pub(crate) fn f32(bits: u32) -> Self {
        let nan = f32::from_bits(bits).is_nan();
        Self::F32(if nan { 0x7fc0_0000 } else { bits })
    }

    pub(crate) fn f64(bits: u64) -> Self {
        let nan = f64::from_bits(bits).is_nan();
        Self::F64(if nan { 0x7ff8 << 48 } else { bits })
    }

    /// A digest of bytes.
    pub(crate) fn digest(bytes: &[u8]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = (hash ^ u64::from_le_bytes(word))
                .wrapping_mul(0x100_0000_01b3)
                .rotate_left(29);
        }
        Self::I64(hash.cast_signed())
    }

    fn bits(self) -> u64 {
        match self {
            Self::I32(value) => u64::from(value.cast_unsigned()),
            Self::I64(value) => value.cast_unsigned(),
            Self::F32(bits) => u64::from(bits) | 1 << 40,
            Self::F64(bits) => bits ^ 77,
            Self::Ref { null } => u64::from(null),
        }
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum End {
    #[default]
    Returned,
    StackOverflow,
    Memory,
    /// A table's bounds, in `call_indirect` as well.
    Table,
    NullCall,
    Signature,
    DivideByZero,
    Overflow,
    Conversion,
    Unreachable,
    Other(String),
}

/// A call of an exported function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: Vec<Value>,
    /// In a new instance.
    pub(crate) fresh: bool,
}

/// What a call gave, and what it left in the exported globals, memories and tables and in the host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Run {
    pub(crate) end: End,
    pub(crate) values: Vec<Value>,
    pub(crate) state: Vec<(String, Value)>,
}

impl Run {
    pub(crate) fn ended(end: End) -> Self {
        Self {
            end,
            ..Self::default()
        }
    }
}

/// Every host function: folds its arguments into the host's state, and draws its results from there.
pub(crate) fn host(args: &[Value], results: &[Kind], state: &mut u64) -> Vec<Value> {
    for arg in args {
        *state = (state.rotate_left(11) ^ arg.bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    *state = state.wrapping_add(1);
    let mut word = *state;
    results
        .iter()
        .map(|kind| {
            word = (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            // 24 bits are exact in a single.
            let small = u16::try_from(word >> 48).expect("16 bits");
            match kind {
                Kind::I32 => Value::I32(i32::from(small.cast_signed()) << (word & 15)),
                Kind::I64 => Value::I64(word.cast_signed() >> (word >> 59)),
                Kind::F32 => Value::f32((f32::from(small) / 7.0).to_bits()),
                Kind::F64 => Value::f64((f64::from(small) / 7.0).to_bits()),
                Kind::Ref => Value::Ref { null: true },
            }
        })
        .collect()
}
