//! `run --invoke NAME`: arguments parsed by the signature, results printed.

use upshift::{Error, ErrorKind, ExternRef, Func, Store, Val, ValType};

/// Parses the words after FILE by a function's parameters.
pub(crate) fn parse_arguments<T>(
    store: &Store<T>,
    name: &str,
    func: &Func,
    words: &[&str],
) -> Result<Vec<Val>, Error> {
    let ty = func.ty(store);
    let params: Vec<ValType> = ty.params().collect();
    if params.len() != words.len() {
        let message = format!(
            "{name} has type {ty}: expected {} arguments, found {}",
            params.len(),
            words.len()
        );
        return Err(Error::with_kind(ErrorKind::Type, message));
    }
    params
        .iter()
        .zip(words)
        .enumerate()
        .map(|(i, (ty, word))| argument(i, ty, word))
        .collect()
}

fn argument(index: usize, ty: &ValType, word: &str) -> Result<Val, Error> {
    let value = match ty {
        ValType::I32 => integer(word, u64::from(u32::MAX), i64::from(i32::MIN))
            .and_then(|bits| {
                i32::try_from(bits.cast_signed())
                    .ok()
                    .or_else(|| u32::try_from(bits).ok().map(u32::cast_signed))
            })
            .map(Val::I32),
        ValType::I64 => integer(word, u64::MAX, i64::MIN).map(|bits| Val::I64(bits.cast_signed())),
        ValType::F32 => word.parse::<f32>().ok().map(|v| Val::F32(v.to_bits())),
        ValType::F64 => word.parse::<f64>().ok().map(|v| Val::F64(v.to_bits())),
        ValType::Ref(_) | ValType::V128 => None,
    };
    value.ok_or_else(|| {
        let message = format!("argument {index}: expected a value of type {ty}, found {word:?}");
        Error::with_kind(ErrorKind::Type, message)
    })
}

/// A decimal or `0x` integer between `min` and `max`, as two's complement bits.
fn integer(word: &str, max: u64, min: i64) -> Option<u64> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let magnitude = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    if negative {
        (magnitude <= min.unsigned_abs()).then(|| magnitude.wrapping_neg())
    } else {
        (magnitude <= max).then_some(magnitude)
    }
}

/// One line per result, as a literal of its type.
pub(crate) fn format_results<T>(store: &Store<T>, results: &[Val]) -> String {
    results
        .iter()
        .map(|value| format_value(store, value) + "\n")
        .collect()
}

fn format_value<T>(store: &Store<T>, value: &Val) -> String {
    match value {
        Val::I32(v) => v.to_string(),
        Val::I64(v) => v.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(bits) => format!("{bits:#034x}"),
        Val::FuncRef(None) | Val::ExternRef(None) => "null".to_owned(),
        Val::FuncRef(Some(func)) => format!("funcref {}", func.ty(store)),
        Val::ExternRef(Some(reference)) => format_extern(reference),
    }
}

fn format_extern(_reference: &ExternRef) -> String {
    "externref".to_owned()
}

#[cfg(test)]
mod tests {
    use super::argument;
    use upshift::{Val, ValType};

    #[test]
    fn arguments_are_parsed_by_their_type() {
        let rows = [
            (ValType::I32, "-5", Some(Val::I32(-5))),
            (ValType::I32, "4294967295", Some(Val::I32(-1))),
            (ValType::I32, "0x10", Some(Val::I32(16))),
            (ValType::I32, "4294967296", None),
            (ValType::I32, "-2147483649", None),
            (ValType::I32, "x", None),
            (
                ValType::I64,
                "-9223372036854775808",
                Some(Val::I64(i64::MIN)),
            ),
            (ValType::I64, "18446744073709551615", Some(Val::I64(-1))),
            (ValType::F64, "-1.5", Some(Val::F64((-1.5_f64).to_bits()))),
            (ValType::F32, "2", Some(Val::F32(2.0_f32.to_bits()))),
            (ValType::EXTERNREF, "1", None),
        ];
        for (ty, word, expected) in rows {
            let found = argument(0, &ty, word).ok();
            assert_eq!(
                format!("{found:?}"),
                format!("{expected:?}"),
                "{word} as {ty}"
            );
        }
    }
}
