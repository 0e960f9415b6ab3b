//! Entries of the value stack: 8 bytes per operand, saying where its value is.
//!
//! ```text
//! height   entry                     frame slot
//!   3      Reg(rax)                  undefined
//!   2      Reg(rcx, also in slot)    the value
//!   1      Local(7)                  undefined      alias: no register of its own
//!   0      Const(42)                 undefined
//! ```

use crate::isa::{Cond, Reg};
use upshift_module::ops::{FloatWidth, Width};
use upshift_module::{HeapType, ValType};

/// Type of a value, one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ty {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
    ExternRef,
}

impl Ty {
    pub(crate) fn of(ty: ValType) -> Self {
        match ty {
            ValType::I32 => Self::I32,
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            ValType::V128 => Self::V128,
            ValType::Ref(r) => Self::of_heap(r.heap),
        }
    }

    /// The type of the specification; every reference is nullable.
    pub(crate) const fn val_type(self) -> ValType {
        match self {
            Self::I32 => ValType::I32,
            Self::I64 => ValType::I64,
            Self::F32 => ValType::F32,
            Self::F64 => ValType::F64,
            Self::V128 => ValType::V128,
            Self::FuncRef => ValType::FUNCREF,
            Self::ExternRef => ValType::EXTERNREF,
        }
    }

    pub(crate) const fn of_heap(heap: HeapType) -> Self {
        match heap {
            HeapType::Func => Self::FuncRef,
            HeapType::Extern => Self::ExternRef,
        }
    }

    pub(crate) const fn of_width(width: Width) -> Self {
        match width {
            Width::W32 => Self::I32,
            Width::W64 => Self::I64,
        }
    }

    pub(crate) const fn of_float(width: FloatWidth) -> Self {
        match width {
            FloatWidth::F32 => Self::F32,
            FloatWidth::F64 => Self::F64,
        }
    }

    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::V128)
    }

    pub(crate) const fn is_ref(self) -> bool {
        matches!(self, Self::FuncRef | Self::ExternRef)
    }
}

/// Kind of an entry; what `small` and `payload` mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// `payload` is the bits of a 32-bit value, or a sign-extended 64-bit one.
    Const,
    /// `payload` is an index into the wide constants.
    WideConst,
    /// `small` is the register; flags below.
    Reg,
    /// Alias of local `small`; `payload` is the next older alias of the same local.
    Local,
    /// In the canonical slot only.
    Slot,
    /// Result of the comparison whose condition is `small`: only ever on top.
    Flags,
}

/// The value is also in the canonical slot.
const IN_SLOT: u16 = 1 << 8;
/// Bits 32-63 of an i32 are undefined.
const UPPER_UNDEFINED: u16 = 1 << 9;

/// One operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    kind: Kind,
    ty: Ty,
    small: u16,
    payload: u32,
}

const _: () = assert!(size_of::<Entry>() == 8);

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Its bits; an i32 or f32 has zeros above.
    Const(u64),
    /// In a register that belongs to the operand.
    Reg {
        reg: Reg,
        in_slot: bool,
        upper_undefined: bool,
    },
    /// Wherever this local is.
    Local(u16),
    /// In its canonical slot.
    Slot,
    /// In the flags.
    Flags(Cond),
}

/// No older alias.
pub(crate) const NO_ALIAS: u32 = u32::MAX;

/// The operand stack at compile time.
#[derive(Debug, Default)]
pub(crate) struct ValueStack {
    entries: Vec<Entry>,
    wide: Vec<u64>,
    /// Heights of operands of reference type, lowest first.
    refs: Vec<u32>,
    /// Every operand below is a constant or in its slot.
    pub(crate) frozen: u32,
    /// Every operand from the first height to below the second is in its slot.
    stored: (u32, u32),
}

impl ValueStack {
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
        self.wide.clear();
        self.refs.clear();
        self.frozen = 0;
        self.stored = (0, 0);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a body has fewer than 2^23 operators"
    )]
    pub(crate) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    #[inline]
    pub(crate) fn ty(&self, height: u32) -> Ty {
        self.entries[height as usize].ty
    }

    /// Heights of operands of reference type.
    pub(crate) fn refs(&self) -> &[u32] {
        &self.refs
    }

    /// The entry at a height.
    #[inline]
    pub(crate) fn entry(&self, height: u32) -> Entry {
        self.entries[height as usize]
    }

    /// The bits of an entry among the wide constants.
    #[inline]
    pub(crate) fn wide_bits(&self, entry: Entry) -> u64 {
        self.wide[entry.payload as usize]
    }

    /// Where the operand at a height is.
    pub(crate) fn place(&self, height: u32) -> Place {
        let entry = self.entry(height);
        match entry.kind {
            Kind::Const => Place::Const(entry.narrow_bits()),
            Kind::WideConst => Place::Const(self.wide_bits(entry)),
            Kind::Reg => Place::Reg {
                reg: entry.reg(),
                in_slot: entry.small & IN_SLOT != 0,
                upper_undefined: entry.upper_undefined(),
            },
            Kind::Local => Place::Local(entry.small),
            Kind::Slot => Place::Slot,
            Kind::Flags => Place::Flags(entry.cond()),
        }
    }

    /// The next older alias of the local that the entry aliases.
    #[inline]
    pub(crate) fn older_alias(&self, height: u32) -> u32 {
        debug_assert_eq!(self.entries[height as usize].kind, Kind::Local);
        self.entries[height as usize].payload
    }

    /// Whether the entry is an alias of the local.
    #[inline]
    pub(crate) fn is_alias(&self, height: u32, local: u16) -> bool {
        self.entries
            .get(height as usize)
            .is_some_and(|entry| entry.kind == Kind::Local && entry.small == local)
    }

    #[inline]
    fn push(&mut self, kind: Kind, ty: Ty, small: u16, payload: u32) {
        let entry = Entry {
            kind,
            ty,
            small,
            payload,
        };
        // What seldom happens is called last, so that the rest needs no registers of its own.
        if ty.is_ref() || self.entries.len() == self.entries.capacity() {
            self.push_slowly(entry);
        } else {
            self.entries.push(entry);
        }
    }

    #[cold]
    #[inline(never)]
    fn push_slowly(&mut self, entry: Entry) {
        if entry.ty.is_ref() {
            self.refs.push(self.len());
        }
        self.entries.push(entry);
    }

    #[inline]
    pub(crate) fn push_const(&mut self, ty: Ty, bits: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "checked, or a 32-bit type")]
        let low = bits as u32;
        let narrow = match ty {
            Ty::I32 | Ty::F32 => true,
            Ty::I64 | Ty::F64 | Ty::V128 | Ty::FuncRef | Ty::ExternRef => {
                i64::from(low.cast_signed()) == bits.cast_signed()
            }
        };
        if narrow {
            self.push(Kind::Const, ty, 0, low);
        } else {
            let index = u32::try_from(self.wide.len()).unwrap_or(u32::MAX);
            self.wide.push(bits);
            self.push(Kind::WideConst, ty, 0, index);
        }
    }

    #[inline]
    pub(crate) fn push_reg(&mut self, ty: Ty, reg: Reg, upper_undefined: bool) {
        let flag = if upper_undefined { UPPER_UNDEFINED } else { 0 };
        self.push(Kind::Reg, ty, u16::from(reg.0) | flag, 0);
    }

    #[inline]
    pub(crate) fn push_local(&mut self, ty: Ty, local: u16, older: u32) {
        self.push(Kind::Local, ty, local, older);
    }

    #[inline]
    pub(crate) fn push_slot(&mut self, ty: Ty) {
        self.push(Kind::Slot, ty, 0, 0);
    }

    #[inline]
    pub(crate) fn push_flags(&mut self, cond: Cond) {
        self.push(Kind::Flags, Ty::I32, cond as u16, 0);
    }

    /// Removes the top entry.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop()?;
        if entry.ty.is_ref() {
            self.refs.pop();
        }
        let len = self.len();
        self.frozen = self.frozen.min(len);
        self.stored.1 = self.stored.1.min(len);
        Some(entry)
    }

    /// Whether every operand from a height on is known to be in its slot.
    pub(crate) fn is_stored(&self, from: u32) -> bool {
        self.stored.0 <= from && self.stored.1 == self.len()
    }

    /// The first height from `from` on whose operand may not be in its slot.
    pub(crate) fn first_not_stored(&self, from: u32) -> u32 {
        if self.stored.0 <= from {
            self.stored.1.max(from)
        } else {
            from
        }
    }

    /// Every operand from a height on is in its slot.
    pub(crate) fn mark_stored(&mut self, from: u32) {
        self.stored = (from, self.len());
    }

    fn set(&mut self, height: u32, kind: Kind, small: u16) {
        let entry = &mut self.entries[height as usize];
        entry.kind = kind;
        entry.small = small;
    }

    /// The value is now in its slot and nowhere else.
    pub(crate) fn set_slot(&mut self, height: u32) {
        self.set(height, Kind::Slot, 0);
    }

    /// The value is now in a register of its own.
    pub(crate) fn set_reg(&mut self, height: u32, reg: Reg, in_slot: bool) {
        let flag = if in_slot { IN_SLOT } else { 0 };
        self.set(height, Kind::Reg, u16::from(reg.0) | flag);
    }

    /// The same register, which has been copied to the slot.
    pub(crate) fn mark_in_slot(&mut self, height: u32) {
        self.entries[height as usize].small |= IN_SLOT;
    }

    /// The value moved to another register.
    pub(crate) fn move_reg(&mut self, height: u32, reg: Reg) {
        let entry = &mut self.entries[height as usize];
        entry.small = entry.small & !0xff | u16::from(reg.0);
        // Moving an i32 clears its upper half.
        entry.small &= !UPPER_UNDEFINED;
    }
}

impl Entry {
    #[inline]
    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    #[inline]
    pub(crate) fn ty(self) -> Ty {
        self.ty
    }

    /// The bits of a [`Kind::Const`].
    #[inline]
    pub(crate) fn narrow_bits(self) -> u64 {
        match self.ty {
            Ty::I32 | Ty::F32 => u64::from(self.payload),
            Ty::I64 | Ty::F64 | Ty::V128 | Ty::FuncRef | Ty::ExternRef => {
                let wide = i64::from(self.payload.cast_signed());
                wide.cast_unsigned()
            }
        }
    }

    /// The register of a [`Kind::Reg`].
    #[inline]
    pub(crate) fn reg(self) -> Reg {
        debug_assert_eq!(self.kind, Kind::Reg);
        Reg((self.small & 0xff) as u8)
    }

    /// Whether bits 32-63 of the i32 in the register are undefined.
    #[inline]
    pub(crate) fn upper_undefined(self) -> bool {
        self.kind == Kind::Reg && self.small & UPPER_UNDEFINED != 0
    }

    /// The local of a [`Kind::Local`].
    #[inline]
    pub(crate) fn local(self) -> u16 {
        debug_assert_eq!(self.kind, Kind::Local);
        self.small
    }

    /// The next older alias of the local of a [`Kind::Local`].
    #[inline]
    pub(crate) fn older_alias(self) -> u32 {
        debug_assert_eq!(self.kind, Kind::Local);
        self.payload
    }

    /// The condition of a [`Kind::Flags`].
    #[inline]
    pub(crate) fn cond(self) -> Cond {
        debug_assert_eq!(self.kind, Kind::Flags);
        Cond::from_number(self.small)
    }
}
