//! Arguments of scripts to values, and results against patterns.

use std::fmt::Write as _;
use upshift::{Error, ExternRef, Store, Val};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// Number that an `externref` of a script wraps.
struct HostNumber(u32);

/// Makes the arguments of an invocation.
pub(crate) fn arguments(store: &mut Store<()>, args: &[WastArg<'_>]) -> Result<Vec<Val>, Error> {
    args.iter().map(|arg| argument(store, arg)).collect()
}

fn argument(store: &mut Store<()>, arg: &WastArg<'_>) -> Result<Val, Error> {
    let WastArg::Core(arg) = arg else {
        return Err(Error::msg("component arguments are not supported"));
    };
    Ok(match arg {
        WastArgCore::I32(v) => Val::I32(*v),
        WastArgCore::I64(v) => Val::I64(*v),
        WastArgCore::F32(v) => Val::F32(v.bits),
        WastArgCore::F64(v) => Val::F64(v.bits),
        WastArgCore::V128(v) => Val::V128(u128::from_le_bytes(v.to_le_bytes())),
        WastArgCore::RefNull(HeapType::Abstract {
            ty: AbstractHeapType::Func,
            ..
        }) => Val::FuncRef(None),
        WastArgCore::RefNull(HeapType::Abstract {
            ty: AbstractHeapType::Extern,
            ..
        }) => Val::ExternRef(None),
        WastArgCore::RefExtern(number) => {
            Val::ExternRef(Some(ExternRef::new(store, HostNumber(*number))?))
        }
        WastArgCore::RefNull(other) => {
            return Err(Error::msg(format!(
                "null of type {other:?} is not supported"
            )));
        }
        WastArgCore::RefHost(_) => return Err(Error::msg("`ref.host` is not supported")),
    })
}

/// Compares results with the expected ones; the error says expected and found.
pub(crate) fn compare(
    store: &Store<()>,
    found: &[Val],
    expected: &[WastRet<'_>],
) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "expected {} results, found {}",
            expected.len(),
            found.len()
        ));
    }
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let WastRet::Core(expected) = expected else {
            return Err("component results are not supported".to_owned());
        };
        if !matches(store, found, expected) {
            return Err(format!(
                "result {i}: expected {expected:x?}, found {}",
                show(store, found)
            ));
        }
    }
    Ok(())
}

fn matches(store: &Store<()>, found: &Val, expected: &WastRetCore<'_>) -> bool {
    match (found, expected) {
        (_, WastRetCore::Either(options)) => options.iter().any(|e| matches(store, found, e)),
        (Val::I32(found), WastRetCore::I32(expected)) => found == expected,
        (Val::I64(found), WastRetCore::I64(expected)) => found == expected,
        (Val::F32(found), WastRetCore::F32(expected)) => f32_matches(*found, expected),
        (Val::F64(found), WastRetCore::F64(expected)) => f64_matches(*found, expected),
        (Val::V128(found), WastRetCore::V128(expected)) => v128_matches(*found, expected),
        (Val::FuncRef(None) | Val::ExternRef(None), WastRetCore::RefNull(ty)) => {
            match (found, ty) {
                (_, None) => true,
                (Val::FuncRef(_), Some(ty)) => is_heap(ty, AbstractHeapType::Func),
                (_, Some(ty)) => is_heap(ty, AbstractHeapType::Extern),
            }
        }
        (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
        (Val::ExternRef(Some(found)), WastRetCore::RefExtern(expected)) => {
            match (expected, host_number(store, found)) {
                (None, _) => true,
                (Some(expected), found) => found == Some(*expected),
            }
        }
        _ => false,
    }
}

fn is_heap(found: &HeapType<'_>, expected: AbstractHeapType) -> bool {
    matches!(found, HeapType::Abstract { ty, .. } if *ty == expected)
}

fn host_number(store: &Store<()>, reference: &ExternRef) -> Option<u32> {
    let data = reference.data(store).ok()?;
    data.downcast_ref::<HostNumber>().map(|number| number.0)
}

fn f32_matches(found: u32, expected: &NanPattern<wast::token::F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(value) => found == value.bits,
    }
}

fn f64_matches(found: u64, expected: &NanPattern<wast::token::F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => found & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => found & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(value) => found == value.bits,
    }
}

fn v128_matches(found: u128, expected: &V128Pattern) -> bool {
    let bytes = found.to_le_bytes();
    let lanes32 = || {
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|lane| u32::from_le_bytes(*lane))
    };
    let lanes64 = || {
        bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|lane| u64::from_le_bytes(*lane))
    };
    match expected {
        V128Pattern::I8x16(lanes) => lanes.iter().flat_map(|l| l.to_le_bytes()).eq(bytes),
        V128Pattern::I16x8(lanes) => lanes.iter().flat_map(|l| l.to_le_bytes()).eq(bytes),
        V128Pattern::I32x4(lanes) => lanes.iter().flat_map(|l| l.to_le_bytes()).eq(bytes),
        V128Pattern::I64x2(lanes) => lanes.iter().flat_map(|l| l.to_le_bytes()).eq(bytes),
        V128Pattern::F32x4(lanes) => lanes32().zip(lanes).all(|(f, e)| f32_matches(f, e)),
        V128Pattern::F64x2(lanes) => lanes64().zip(lanes).all(|(f, e)| f64_matches(f, e)),
    }
}

fn show(store: &Store<()>, value: &Val) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match value {
        Val::I32(v) => write!(text, "i32 {v} ({v:#x})"),
        Val::I64(v) => write!(text, "i64 {v} ({v:#x})"),
        Val::F32(bits) => write!(text, "f32 {} ({bits:#x})", f32::from_bits(*bits)),
        Val::F64(bits) => write!(text, "f64 {} ({bits:#x})", f64::from_bits(*bits)),
        Val::V128(bits) => write!(text, "v128 {bits:#034x}"),
        Val::FuncRef(None) => write!(text, "null funcref"),
        Val::FuncRef(Some(_)) => write!(text, "funcref"),
        Val::ExternRef(None) => write!(text, "null externref"),
        Val::ExternRef(Some(r)) => write!(text, "externref {:?}", host_number(store, r)),
    };
    text
}
