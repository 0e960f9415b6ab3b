//! Arguments and results of many types and numbers, and references.

use crate::support::{assert_kind, in_each_mode, instance};
use upshift::{
    Engine, ErrorKind, ExternRef, Func, FuncType, Global, GlobalType, Mutability, Ref, RefType,
    Store, Table, TableType, Val, ValType,
};

/// Parameters, which are also the results, a letter each: i i32, I i64, f f32, F f64, r externref, p funcref.
const SIGNATURES: &[&str] = &[
    "",
    "i",
    "F",
    "iI",
    "fF",
    "iiiiiiiii",
    "IIIIIIIIIIIIII",
    "fffffffff",
    "FFFFFFFFFFFFFFFFF",
    "iIfFiIfFiIfFiIfFiIfFiIfFiIfFiIfF",
    "FfIiFfIiFfIiFfIiF",
    "rprprprprprp",
    "iiiiiiiiifffffffffr",
    "fffffffffiiiiiiiiip",
    "IFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIFIF",
];

fn type_of(letter: char) -> ValType {
    match letter {
        'i' => ValType::I32,
        'I' => ValType::I64,
        'f' => ValType::F32,
        'F' => ValType::F64,
        'r' => ValType::EXTERNREF,
        _ => ValType::FUNCREF,
    }
}

/// A value for the position, of which all bits count.
fn value(store: &mut Store<()>, letter: char, at: u32) -> Val {
    let bits = u64::from(at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let low = u32::try_from(bits >> 32).unwrap();
    match letter {
        'i' => Val::I32(low.cast_signed()),
        'I' => Val::I64(bits.cast_signed()),
        'f' => Val::F32(low),
        'F' => Val::F64(bits),
        'r' if at.is_multiple_of(3) => Val::ExternRef(None),
        'r' => ExternRef::new(&mut *store, at).unwrap().into(),
        _ if at.is_multiple_of(3) => Val::FuncRef(None),
        _ => Func::wrap(&mut *store, move || at).into(),
    }
}

/// Equal to the bit. References compare by their handles, of which there is one per thing.
fn shown(values: &[Val]) -> Vec<String> {
    values.iter().map(|value| format!("{value:?}")).collect()
}

fn through(signature: &str) -> String {
    let types: Vec<String> = signature.chars().map(|c| type_of(c).to_string()).collect();
    let ty = format!("(param {0}) (result {0})", types.join(" "));
    let gets: String = (0..types.len())
        .map(|i| format!("(local.get {i})"))
        .collect();
    format!(
        r#"(module
            (type $t (func {ty}))
            (import "host" "echo" (func $echo (type $t)))
            (table funcref (elem $own))
            (func $own (type $t) {gets})
            (func (export "own") (type $t) (call $own {gets}))
            (func (export "host") (type $t) (call $echo {gets}))
            (func (export "indirect") (type $t) (call_indirect (type $t) {gets} (i32.const 0)))
            (func (export "block") (type $t) {gets} (block (type $t)) (loop (type $t))))"#
    )
}

#[test]
fn values_come_back_as_they_went() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        for signature in SIGNATURES {
            let types = || signature.chars().map(type_of);
            let ty = FuncType::new(engine, types(), types());
            let echo = Func::new(&mut store, ty, |_, params, results| {
                results.copy_from_slice(params);
                Ok(())
            });
            let guest = instance(&mut store, &through(signature), &[echo.into()]);
            let args: Vec<Val> = (0..)
                .zip(signature.chars())
                .map(|(at, letter)| value(&mut store, letter, at))
                .collect();
            for name in ["own", "host", "indirect", "block"] {
                let func = guest.get_func(&mut store, name).unwrap();
                for _ in 0..3 {
                    let mut results = vec![Val::I32(0); args.len()];
                    func.call(&mut store, &args, &mut results).unwrap();
                    assert_eq!(shown(&results), shown(&args), "{signature} {name}");
                }
            }
        }
    });
}

#[test]
fn wrong_values_are_refused() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let func = Func::wrap(&mut store, |_: i32, _: f64| 1_i64);
    let good = [Val::I32(1), Val::F64(0)];
    let cases: [(&[Val], usize); 6] = [
        (&[], 1),
        (&good[..1], 1),
        (&[good[0], good[1], good[1]], 1),
        (&[good[1], good[0]], 1),
        (&good, 0),
        (&good, 2),
    ];
    for (args, results) in cases {
        let mut results = vec![Val::I32(0); results];
        assert_kind(func.call(&mut store, args, &mut results), ErrorKind::Type);
    }
    func.call(&mut store, &good, &mut [Val::I32(0)]).unwrap();
    assert_kind(func.typed::<(i32, f64), i32>(&store), ErrorKind::Type);
    assert_kind(func.typed::<(f64, i32), i64>(&store), ErrorKind::Type);
    func.typed::<(u32, f64), u64>(&store).unwrap();
}

const REFERENCES: &str = r#"(module
    (table $f (export "f") 4 funcref)
    (table $e (export "e") 4 externref)
    (global $gf (export "gf") (mut funcref) (ref.null func))
    (global $ge (export "ge") (mut externref) (ref.null extern))
    (func $seven (export "seven") (result i32) (i32.const 7))
    (func (export "get_seven") (result funcref) (ref.func $seven))
    (func (export "f_through") (param funcref) (result funcref)
        (table.set $f (i32.const 1) (local.get 0))
        (global.set $gf (table.get $f (i32.const 1)))
        (global.get $gf))
    (func (export "e_through") (param externref) (result externref)
        (table.set $e (i32.const 1) (local.get 0))
        (global.set $ge (table.get $e (i32.const 1)))
        (global.get $ge))
    (func (export "null") (param funcref externref) (result i32 i32)
        (ref.is_null (local.get 0)) (ref.is_null (local.get 1)))
    (type $t (func (result i32)))
    (func (export "call") (param i32) (result i32) (call_indirect $f (type $t) (local.get 0)))
    (elem declare func $seven))"#;

#[test]
fn references_keep_their_identity() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let guest = instance(&mut store, REFERENCES, &[]);
        let seven = guest.get_func(&mut store, "seven").unwrap();
        let eight = Func::wrap(&mut store, || 8_i32);
        let get_seven = guest
            .get_typed_func::<(), Option<Func>>(&mut store, "get_seven")
            .unwrap();
        assert_eq!(get_seven.call(&mut store, ()).unwrap(), Some(seven));
        let through = guest
            .get_typed_func::<Option<Func>, Option<Func>>(&mut store, "f_through")
            .unwrap();
        let table = guest.get_table(&mut store, "f").unwrap();
        let global = guest.get_global(&mut store, "gf").unwrap();
        let call = guest
            .get_typed_func::<i32, i32>(&mut store, "call")
            .unwrap();
        for (func, result) in [(Some(seven), Some(7)), (Some(eight), Some(8)), (None, None)] {
            assert_eq!(through.call(&mut store, func).unwrap(), func);
            assert_eq!(
                table.get(&mut store, 1).and_then(|r| r.as_func()),
                Some(func)
            );
            assert_eq!(global.get(&mut store).func_ref(), Some(func));
            assert_eq!(call.call(&mut store, 1).ok(), result);
            // What the host puts into the table, the guest calls.
            table.set(&mut store, 2, Ref::Func(func)).unwrap();
            assert_eq!(call.call(&mut store, 2).ok(), result);
        }
        let word = ExternRef::new(&mut store, String::from("word")).unwrap();
        let other = ExternRef::new(&mut store, 5_u8).unwrap();
        let through = guest
            .get_typed_func::<Option<ExternRef>, Option<ExternRef>>(&mut store, "e_through")
            .unwrap();
        for value in [Some(word), Some(other), None] {
            assert_eq!(through.call(&mut store, value).unwrap(), value);
        }
        let data = word.data(&store).unwrap();
        assert_eq!(
            data.downcast_ref::<String>().map(String::as_str),
            Some("word")
        );
        assert_eq!(other.data(&store).unwrap().downcast_ref(), Some(&5_u8));
        let null = guest
            .get_typed_func::<(Option<Func>, Option<ExternRef>), (i32, i32)>(&mut store, "null")
            .unwrap();
        for (func, value) in [(None, None), (Some(seven), None), (None, Some(word))] {
            let expected = (i32::from(func.is_none()), i32::from(value.is_none()));
            assert_eq!(null.call(&mut store, (func, value)).unwrap(), expected);
        }
    });
}

#[test]
fn values_know_their_types() {
    let mut store = Store::new(&crate::support::engine(), ());
    let func = Func::wrap(&mut store, || {});
    let word = ExternRef::new(&mut store, 1_u8).unwrap();
    for (val, ty) in [
        (Val::from(1_i32), ValType::I32),
        (Val::from(u32::MAX), ValType::I32),
        (Val::from(1_i64), ValType::I64),
        (Val::from(1.5_f32), ValType::F32),
        (Val::from(1.5_f64), ValType::F64),
        (Val::from(func), ValType::FUNCREF),
        (Val::from(word), ValType::EXTERNREF),
    ] {
        assert_eq!(val.ty(), ty);
        assert_eq!(Val::default_for_ty(ty).map(|zero| zero.ty()), Some(ty));
        let cells = GlobalType::new(ty, Mutability::Var);
        let global = Global::new(&mut store, cells, val).unwrap();
        assert_eq!(shown(&[global.get(&mut store)]), shown(&[val]));
    }
    let table = TableType::new(RefType::FUNCREF, 1, None);
    assert_kind(Table::new(&mut store, table, word.into()), ErrorKind::Type);
}
