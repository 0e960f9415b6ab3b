//! Our decoder against wasmparser's: the same operators at the same places.

use wasmparser::BinaryReader;

use super::{Code, OpReader};
use crate::convert;
use crate::decode::DecodeOptions;
use crate::features;
use crate::func::ValidatedFunc;
use crate::map::Mapper;
use crate::module::Module;

/// An operator as text, and the place behind it.
type Decoded = (String, u32);

/// Decodes one operator with wasmparser; none if it refuses.
fn theirs(body: &[u8], at: usize) -> Option<Decoded> {
    let mut reader = BinaryReader::new_features(body.get(at..)?, 0, features::ENABLED);
    let op = reader.visit_operator(&mut Mapper).ok()??;
    let end = at + reader.current_position();
    Some((format!("{op:?}"), u32::try_from(end).expect("small")))
}

fn reader(body: &[u8]) -> OpReader<'_> {
    OpReader {
        next: Code { rest: body },
        body_bytes: u32::try_from(body.len()).expect("small"),
    }
}

/// Decodes one operator with our decoder.
fn ours(body: &[u8], at: usize) -> Option<Decoded> {
    let mut ops = reader(body);
    ops.next = Code { rest: &body[at..] };
    let (offset, op) = ops.next()?;
    assert_eq!(offset as usize, at);
    Some((format!("{op:?}"), ops.offset()))
}

/// Walks a body with both.
fn check_body(func: ValidatedFunc<'_>) -> usize {
    let body = func.body;
    let mut reader = BinaryReader::new_features(body, 0, features::ENABLED);
    let mut locals = func.locals();
    for _ in 0..reader.read_var_u32().expect("valid") {
        let count = reader.read_var_u32().expect("valid");
        let ty = reader.read().expect("valid");
        let ty = convert::val_type(ty).expect("enabled");
        assert_eq!(locals.next(), Some((count, ty)));
    }
    assert_eq!(locals.next(), None);
    let mut at = reader.current_position();
    let mut ops = func.ops();
    let mut count = 0;
    while at < body.len() {
        let (op, end) = theirs(body, at).expect("valid");
        let found = ops.next().expect("as many");
        let place = u32::try_from(at).expect("small");
        assert_eq!((found.0, format!("{:?}", found.1)), (place, op));
        assert_eq!(ops.offset(), end);
        at = end as usize;
        count += 1;
    }
    assert!(ops.next().is_none());
    count
}

/// Any bytes behind any opcode: what wasmparser accepts, we decode as it does.
#[test]
fn decodes_like_wasmparser() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = [0_u32; 256];
    for _ in 0..1_500 {
        for opcode in 0..=u8::MAX {
            let mut bytes = vec![0; random.below(3)];
            let at = bytes.len();
            bytes.push(opcode);
            // Prefixed operators have small numbers.
            if opcode == 0xfc {
                bytes.push(u8::try_from(random.below(24)).expect("a byte"));
            }
            for _ in 0..random.below(4) {
                random.number(&mut bytes);
            }
            let whole = bytes.len();
            bytes.extend([0; 8]);
            for end in [whole, bytes.len()] {
                let bytes = &bytes[..end];
                if let Some(decoded) = theirs(bytes, at) {
                    assert_eq!(ours(bytes, at), Some(decoded), "{bytes:x?}");
                    accepted[usize::from(opcode)] += 1;
                }
            }
        }
    }
    // Every operator of the enabled proposals was among them.
    let ranges = [
        0x00..=0x05,
        0x0b..=0x11,
        0x1a..=0x1c,
        0x20..=0x26,
        0x28..=0xc4,
        0xd0..=0xd2,
        0xfc..=0xfc,
    ];
    let known = |opcode| ranges.iter().any(|range| range.contains(&opcode));
    for (opcode, &accepted) in (0..=u8::MAX).zip(&accepted) {
        assert_eq!(accepted > 5, known(opcode), "0x{opcode:x}: {accepted}");
    }
}

#[test]
fn walks_like_wasmparser() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut operators = 0;
    for entry in std::fs::read_dir(folder).expect("the examples are there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|end| end == "wasm") {
            let bytes = std::fs::read(&path).expect("readable");
            let module = Module::new(bytes, &DecodeOptions::default()).expect("valid");
            operators += module.funcs().map(check_body).sum::<usize>();
        }
    }
    assert!(operators > 10_000, "only {operators} operators");
}

/// Locals whose runs are padded, or of types that may be written in several ways.
#[test]
fn declares_like_wasmparser() {
    let mut bytes = wat::parse_str("(module (func))").expect("in the text format");
    // The code section is the last: its body is `00 0b`.
    let at = bytes.len() - 5;
    assert_eq!(bytes[at..], [10, 4, 1, 2, 0, 0x0b][1..]);
    let locals = [
        5, 1, 0x7f, 0x82, 0x80, 0, 0x7e, 1, 0x70, 1, 0x63, 0x70, 2, 0x6f, 0x41, 0x80, 0x7f, 0x1a,
        0x0b,
    ];
    bytes.truncate(at);
    let len = u8::try_from(locals.len()).expect("short");
    bytes.extend([len + 2, 1, len]);
    bytes.extend(locals);
    let module = Module::new(bytes, &DecodeOptions::default()).expect("valid");
    let operators: usize = module.funcs().map(check_body).sum();
    assert_eq!(operators, 3);
}

/// A walk ends where decoding fails, which validated bodies cannot cause.
#[test]
fn ends_early() {
    for body in [
        &[0x01, 0x41][..],
        &[0x01, 0x41, 0x80],
        &[0x01, 0x06],
        &[0x01, 0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        &[0x01, 0x44, 0, 0, 0, 0, 0, 0, 0],
        &[0x01, 0x28, 0x02],
        &[0x01, 0x0e, 0x7f],
        &[0x01, 0xfc],
    ] {
        let mut ops = reader(body);
        assert!(ops.next().is_some(), "{body:x?}");
        assert!(ops.next().is_none(), "{body:x?}");
        assert!(ops.next().is_none(), "{body:x?}");
        assert_eq!(ops.offset() as usize, body.len());
    }
}

/// What the next operator does is seen without decoding it.
#[test]
fn peeks() {
    let cases: [(&[u8], Option<u32>, bool); 9] = [
        (&[0x20, 0x05], None, false),
        (&[0x21, 0x05], Some(5), false),
        (&[0x22, 0x85, 0x01], Some(133), false),
        (&[0x21], None, false),
        (&[0x04, 0x40], None, true),
        (&[0x0d, 0x00], None, true),
        (&[0x1b], None, true),
        (&[0x45], None, true),
        (&[], None, false),
    ];
    for (rest, local, condition) in cases {
        let code = Code { rest };
        let found = code.assigned_local().map(|local| local.0);
        assert_eq!((found, code.takes_condition()), (local, condition));
    }
}

/// Marsaglia's xorshift: the same numbers at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("64-bit") % bound
    }

    /// Appends a number of one to ten bytes, most of them valid for some immediate: small and large, padded, signed.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let more = [0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 8, 9, 9][self.below(13)];
        for _ in 0..more {
            let byte = [0x80, 0xff, self.0.to_le_bytes()[7] | 0x80][self.below(3)];
            bytes.push(byte);
        }
        let any = self.0.to_le_bytes()[6] & 0x7f;
        bytes.push([0, 1, 1, 0x40, 0x7f, 0x70, 0x6f, any][self.below(8)]);
    }
}
