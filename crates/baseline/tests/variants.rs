//! Every operator compiles with few registers, in both memory styles and without extensions. Debug builds recount the
//! registers after every operator, so a wrong state does not get far.

mod common;

use common::{Setup, all_features, compile};
use std::fmt::Write as _;
use upshift_abi::{CompileOptions, CpuFeatures, MemoryStyle};

const BINARY_INT: &str = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr \
    eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const UNARY_INT: &str = "clz ctz popcnt extend8_s extend16_s eqz";
const BINARY_FLOAT: &str = "add sub mul div min max copysign eq ne lt gt le ge";
const UNARY_FLOAT: &str = "abs neg ceil floor trunc nearest sqrt";
/// Result type, operator, operand type.
const CONVERSIONS: &str = "i32.wrap_i64 i64.extend_i32_s i64.extend_i32_u i64.extend32_s=i64 \
    i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.trunc_f32_s i64.trunc_f32_u \
    i64.trunc_f64_s i64.trunc_f64_u i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s \
    i32.trunc_sat_f64_u i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u \
    f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f64.convert_i32_s \
    f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f32.demote_f64 f64.promote_f32 \
    i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64";

/// Where a binary operator's operands come from.
const SOURCES: [(&str, &str); 5] = [
    ("local.get 0", "local.get 1"),
    ("local.get 1", "local.get 0"),
    ("local.get 0", "CONST"),
    ("CONST", "local.get 1"),
    ("(call $id (local.get 0))", "(call $id (local.get 1))"),
];

/// Functions that use a binary operator on every kind of operand, plainly, under pressure and into a local.
fn binary(out: &mut String, ty: &str, op: &str) {
    let compares = matches!(&op[..2], "eq" | "ne" | "lt" | "gt" | "le" | "ge");
    let result = if compares { "i32" } else { ty };
    for (first, second) in SOURCES {
        let constant = format!("{ty}.const 7");
        let first = first
            .replace("CONST", &constant)
            .replace("$id", &format!("$id_{ty}"));
        let second = second
            .replace("CONST", &constant)
            .replace("$id", &format!("$id_{ty}"));
        let pushes = |s: &str| {
            if s.starts_with('(') {
                s.to_owned()
            } else {
                format!("({s})")
            }
        };
        let (first, second) = (pushes(&first), pushes(&second));
        writeln!(
            out,
            "(func (param {ty} {ty}) (result {result}) (local $r {result}) (local $i i32)
               (loop $l
                 (local.set $r ({ty}.{op} {first} {second}))
                 (drop (select ({ty}.{op} {first} {second}) (local.get $r) (local.get $i)))
                 (local.set 0 (local.get 1))
                 (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
               (if (result {result}) (local.get $i)
                 (then ({ty}.{op} {first} {second})) (else (local.get $r))))"
        )
        .expect("a string");
    }
}

fn unary(out: &mut String, result: &str, op: &str, ty: &str) {
    writeln!(
        out,
        "(func (param {ty}) (result {result}) (local $r {result})
           (local.set $r ({op} (local.get 0)))
           (drop ({op} (call $id_{ty} (local.get 0))))
           (block $b (result {result}) (drop (br_if $b (local.get $r) (i32.const 1)))
             ({op} (local.get 0))))"
    )
    .expect("a string");
}

/// A module with all numeric operators.
fn numeric() -> String {
    let mut out = String::from("(module\n");
    for ty in ["i32", "i64", "f32", "f64"] {
        writeln!(
            out,
            "(func $id_{ty} (param {ty}) (result {ty}) (local.get 0))"
        )
        .expect("a string");
    }
    for ty in ["i32", "i64"] {
        for op in BINARY_INT.split_whitespace() {
            binary(&mut out, ty, op);
        }
        for op in UNARY_INT.split_whitespace() {
            let result = if op == "eqz" { "i32" } else { ty };
            unary(&mut out, result, &format!("{ty}.{op}"), ty);
        }
    }
    for ty in ["f32", "f64"] {
        for op in BINARY_FLOAT.split_whitespace() {
            binary(&mut out, ty, op);
        }
        for op in UNARY_FLOAT.split_whitespace() {
            unary(&mut out, ty, &format!("{ty}.{op}"), ty);
        }
    }
    for row in CONVERSIONS.split_whitespace() {
        let (op, operand) = row.split_once('=').unwrap_or((row, ""));
        let named = ["i32", "i64", "f32", "f64"]
            .into_iter()
            .find(|ty| op[4..].contains(ty));
        let ty = named.unwrap_or(operand);
        unary(&mut out, &op[..3], op, ty);
    }
    out.push(')');
    out
}

/// Everything that is not numeric, with large offsets, imports, several tables and memories' helpers.
const OTHER: &str = r#"(module
  (type $t (func (param i32 i64 f32 f64 externref) (result i32 externref)))
  (import "m" "table" (table $imported 3 funcref))
  (import "m" "memory" (memory 1))
  (import "m" "global" (global $gi (mut i64)))
  (import "m" "func" (func $f (type $t)))
  (table $own 3 funcref) (table $ext 3 externref)
  (global $g (mut f64) (f64.const 1)) (global $c i32 (i32.const 42))
  (elem declare func $f) (elem $e func $f) (data $d "abc")
  (func (param i32 i64 f32 f64 externref) (result i32 externref)
    (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
    drop
    (call_indirect $own (type $t) (i64.const 1) (f32.const 2) (f64.const 3) (local.get 4) (local.get 0))
    drop drop
    (call_indirect $imported (type $t) (i32.const 1) (local.get 1) (f32.const 2) (local.get 3)
      (table.get $ext (local.get 0)) (i32.const 2)))
  (func (param i32 externref funcref)
    (i64.store32 offset=0xfffffff0 (local.get 0) (i64.load8_s offset=0x80000000 (local.get 0)))
    (f64.store (i32.const -8) (f64.load offset=16 (i32.const 65536)))
    (i32.store16 (local.get 0) (i32.const 70000)) (i64.store (local.get 0) (i64.const 0x123456789a))
    (global.set $g (global.get $g)) (global.set $gi (i64.const 1)) (drop (global.get $c))
    (memory.copy (local.get 0) (local.get 0) (memory.grow (memory.size)))
    (memory.fill (local.get 0) (i32.const 1) (global.get $c))
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)
    (table.set $own (local.get 0) (local.get 2)) (table.set $ext (i32.const 0) (local.get 1))
    (drop (table.grow $ext (local.get 1) (table.size $imported)))
    (table.fill $ext (i32.const 0) (ref.null extern) (ref.is_null (local.get 1)))
    (table.init $own $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)
    (table.copy $own $imported (i32.const 0) (i32.const 0) (i32.const 1))
    (drop (ref.is_null (ref.func $f)))
    (drop (select (result externref) (local.get 1) (ref.null extern) (local.get 0))))
  (func (param i32) (result i32 i64 f64 i32 i64 f64)
    (local i64 f64 i32)
    (i32.const 1) (local.get 1) (local.get 2)
    (loop (param i32 i64 f64) (result i32 i64 f64)
      (block (param i32 i64 f64) (result i32 i64 f64)
        (br_table 0 1 0 1 0 (local.get 0))))
    (if (param i32 i64 f64) (result i32 i64 f64 i32 i64 f64) (local.get 3)
      (then (i32.const 2) (i64.const 3) (local.tee 2 (f64.const 4)))
      (else drop drop drop (return
        (i32.const 2) (local.get 1) (f64.const 4) (local.get 0) (i64.const 3) (f64.const 4)))))
)"#;

#[test]
fn every_operator_compiles_with_few_registers() {
    let modules = [numeric(), OTHER.to_owned()].map(|text| wat::parse_str(text).expect("text"));
    let styles = [
        MemoryStyle::Checked,
        MemoryStyle::Reserved {
            guard_bytes: 1 << 31,
        },
        MemoryStyle::Reserved { guard_bytes: 4096 },
    ];
    let mut functions = 0;
    for style in styles {
        for cpu in [CpuFeatures::SSE41, all_features()] {
            for registers in [Some(0), Some(6), Some(8), None] {
                for counter_step in [None, Some(1)] {
                    let options = CompileOptions {
                        counter_step,
                        registers,
                    };
                    let setup = Setup {
                        style,
                        cpu,
                        options,
                    };
                    functions += modules
                        .iter()
                        .map(|m| compile(m, setup).len())
                        .sum::<usize>();
                }
            }
        }
    }
    assert!(functions > 10_000, "{functions}");
}
