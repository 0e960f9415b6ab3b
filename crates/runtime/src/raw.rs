//! Untyped values at the boundary between Rust and wasm: 16 bytes, whose type the signature knows.

use std::fmt;

/// A value without its type. Integers and floats are little-endian from the first byte on,
/// references are 8 bytes, zero is the null reference. Bytes beyond the value's size mean nothing.
///
/// A function reference is the address of its record. Rust code never makes one up:
/// [`StoreInner::func_bits`](crate::StoreInner::func_bits) gives the bits of a handle, and every
/// way from the host into wasm checks that the bits are those of a function of the same store.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct RawVal(pub(crate) [u8; 16]);

impl RawVal {
    /// Null reference, zero of every numeric type.
    pub const ZERO: Self = Self([0; 16]);

    /// From an `i32`'s bits.
    #[must_use]
    pub const fn from_u32(value: u32) -> Self {
        Self((value as u128).to_le_bytes())
    }

    /// From an `i64`'s bits.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self((value as u128).to_le_bytes())
    }

    /// From an `f32`; the bits are kept.
    #[must_use]
    pub const fn from_f32(value: f32) -> Self {
        Self::from_u32(value.to_bits())
    }

    /// From an `f64`; the bits are kept.
    #[must_use]
    pub const fn from_f64(value: f64) -> Self {
        Self::from_u64(value.to_bits())
    }

    /// From a `v128`.
    #[must_use]
    pub const fn from_v128(value: u128) -> Self {
        Self(value.to_le_bytes())
    }

    /// From a reference's bits.
    #[must_use]
    pub const fn from_ref(bits: u64) -> Self {
        Self::from_u64(bits)
    }

    /// As an `i32`'s bits.
    #[must_use]
    pub const fn u32(self) -> u32 {
        let b = self.0;
        u32::from_le_bytes([b[0], b[1], b[2], b[3]])
    }

    /// As an `i64`'s bits.
    #[must_use]
    pub const fn u64(self) -> u64 {
        let b = self.0;
        u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
    }

    /// As an `f32`.
    #[must_use]
    pub const fn f32(self) -> f32 {
        f32::from_bits(self.u32())
    }

    /// As an `f64`.
    #[must_use]
    pub const fn f64(self) -> f64 {
        f64::from_bits(self.u64())
    }

    /// As a `v128`.
    #[must_use]
    pub const fn v128(self) -> u128 {
        u128::from_le_bytes(self.0)
    }

    /// As a reference's bits, 0 for null.
    #[must_use]
    pub const fn ref_bits(self) -> u64 {
        self.u64()
    }
}

impl fmt::Debug for RawVal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawVal({:#x})", self.v128())
    }
}
