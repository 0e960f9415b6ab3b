//! Host functions from closures: arities, types, the caller, results and errors.

use crate::support::{assert_kind, in_each_mode, instance};
use std::fmt;
use upshift::{
    Caller, Engine, Error, ErrorKind, Func, FuncType, Instance, Linker, Module, Store, Val, ValType,
};

#[derive(Debug, PartialEq)]
struct Quota(u32);

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quota of {}", self.0)
    }
}

impl std::error::Error for Quota {}

type Sixteen = (
    i32,
    i64,
    f32,
    f64,
    u32,
    u64,
    f32,
    f64,
    i32,
    i64,
    f32,
    f64,
    i32,
    i64,
    f32,
    f64,
);

const SIXTEEN: Sixteen = (
    -1, -2, 3.5, 4.5, 5, 6, 7.5, 8.5, 9, 10, 11.5, 12.5, 13, 14, 15.5, -16.5,
);

const SIXTEEN_TYPES: &str = "i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64";

type OtherHalf = (i32, i64, f32, f64, i32, i64, f32, f64);
type Half = (i32, i64, f32, f64, u32, u64, f32, f64);

/// Tuples of sixteen cannot be compared.
fn halves(t: Sixteen) -> (Half, OtherHalf) {
    (
        (t.0, t.1, t.2, t.3, t.4, t.5, t.6, t.7),
        (t.8, t.9, t.10, t.11, t.12, t.13, t.14, t.15),
    )
}

/// A guest whose `go` passes its sixteen parameters to `host.f` and gives back what that returns.
fn passing_on() -> String {
    let gets: String = (0..16).map(|i| format!("(local.get {i})")).collect();
    format!(
        r#"(module
            (type $t (func (param {SIXTEEN_TYPES}) (result {SIXTEEN_TYPES})))
            (import "host" "f" (func $f (type $t)))
            (func (export "go") (type $t) (call $f {gets})))"#
    )
}

#[test]
fn sixteen_parameters_and_results() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, 0_u32);
        #[expect(clippy::many_single_char_names, reason = "sixteen parameters")]
        #[expect(clippy::too_many_arguments, reason = "sixteen parameters")]
        fn echo(
            a: i32,
            b: i64,
            c: f32,
            d: f64,
            e: u32,
            f: u64,
            g: f32,
            h: f64,
            i: i32,
            j: i64,
            k: f32,
            l: f64,
            m: i32,
            n: i64,
            o: f32,
            p: f64,
        ) -> Sixteen {
            (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
        }
        let plain = Func::wrap(&mut store, echo);
        let with_caller = Func::wrap(
            &mut store,
            |mut caller: Caller<'_, u32>,
             a: i32,
             b: i64,
             c: f32,
             d: f64,
             e: u32,
             f: u64,
             g: f32,
             h: f64,
             i: i32,
             j: i64,
             k: f32,
             l: f64,
             m: i32,
             n: i64,
             o: f32,
             p: f64| {
                *caller.data_mut() += 1;
                Ok::<_, Error>(echo(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p))
            },
        );
        for host in [plain, with_caller] {
            let guest = instance(&mut store, &passing_on(), &[host.into()]);
            let guest = guest.get_func(&mut store, "go").unwrap();
            for func in [host, guest] {
                let func = func.typed::<Sixteen, Sixteen>(&store).unwrap();
                for _ in 0..3 {
                    assert_eq!(
                        halves(func.call(&mut store, SIXTEEN).unwrap()),
                        halves(SIXTEEN)
                    );
                }
            }
        }
        assert_eq!(*store.data(), 6);
    });
}

macro_rules! sixteen_of {
    ($store:expr, $ty:ident, $text:literal) => {{
        type T = $ty;
        type List = (T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T);
        let host = Func::wrap(
            &mut *$store,
            |a: T,
             b: T,
             c: T,
             d: T,
             e: T,
             f: T,
             g: T,
             h: T,
             i: T,
             j: T,
             k: T,
             l: T,
             m: T,
             n: T,
             o: T,
             p: T| { (p, o, n, m, l, k, j, i, h, g, f, e, d, c, b, a) },
        );
        let types = [$text; 16].join(" ");
        let gets: String = (0..16).map(|i| format!("(local.get {i})")).collect();
        let text = format!(
            r#"(module
                (type $t (func (param {types}) (result {types})))
                (import "host" "f" (func $f (type $t)))
                (func (export "go") (type $t) (call $f {gets})))"#
        );
        let guest = instance(&mut *$store, &text, &[host.into()]);
        let guest = guest.get_func(&mut *$store, "go").unwrap();
        let one = |i: u8| T::from(i);
        let list: List = (
            one(1),
            one(2),
            one(3),
            one(4),
            one(5),
            one(6),
            one(7),
            one(8),
            one(9),
            one(10),
            one(11),
            one(12),
            one(13),
            one(14),
            one(15),
            one(16),
        );
        for func in [host, guest, guest, guest] {
            let func = func.typed::<List, List>(&*$store).unwrap();
            let r = func.call(&mut *$store, list).unwrap();
            let found = [
                r.0, r.1, r.2, r.3, r.4, r.5, r.6, r.7, r.8, r.9, r.10, r.11, r.12, r.13, r.14,
                r.15,
            ];
            let expected: Vec<T> = (1..=16).rev().map(one).collect();
            assert_eq!(found[..], expected[..], $text);
        }
    }};
}

/// More than there are registers, of one class, by tuples.
#[test]
fn sixteen_of_one_type() {
    in_each_mode(|engine| {
        let store = &mut Store::new(engine, ());
        sixteen_of!(store, i32, "i32");
        sixteen_of!(store, u64, "i64");
        sixteen_of!(store, f32, "f32");
        sixteen_of!(store, f64, "f64");
    });
}

/// Each kind of closure, the type that it gets, and what it gives for the arguments 5 and 6.
fn closures(store: &mut Store<u64>) -> Vec<(Func, &'static str, Vec<i64>)> {
    vec![
        (Func::wrap(&mut *store, || {}), "() -> ()", vec![]),
        (Func::wrap(&mut *store, || 1_i64), "() -> (i64)", vec![1]),
        (
            Func::wrap(&mut *store, |a: i64| a + 1),
            "(i64) -> (i64)",
            vec![6],
        ),
        (
            Func::wrap(&mut *store, |a: i64, b: i64| (b, a)),
            "(i64 i64) -> (i64 i64)",
            vec![6, 5],
        ),
        (
            Func::wrap(&mut *store, |a: i64| -> Result<(i64,), Error> { Ok((a,)) }),
            "(i64) -> (i64)",
            vec![5],
        ),
        (
            Func::wrap(&mut *store, |a: i64| -> Result<i64, std::io::Error> {
                Ok(a)
            }),
            "(i64) -> (i64)",
            vec![5],
        ),
        (
            Func::wrap(&mut *store, |caller: Caller<'_, u64>| *caller.data()),
            "() -> (i64)",
            vec![99],
        ),
        (
            Func::wrap(&mut *store, |mut caller: Caller<'_, u64>, a: i64| {
                *caller.data_mut() += 1;
                (a, *caller.data())
            }),
            "(i64) -> (i64 i64)",
            vec![5, 100],
        ),
    ]
}

fn normal(text: &str) -> String {
    text.replace([',', '[', ']', '(', ')'], " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_kind_of_closure() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, 99);
        for (func, ty, expected) in closures(&mut store) {
            *store.data_mut() = 99;
            let found = func.ty(&store);
            assert_eq!(normal(&found.to_string()), normal(ty));
            let args: Vec<Val> = [5, 6].map(Val::I64)[..found.params().len()].to_vec();
            let mut results = vec![Val::I32(0); found.results().len()];
            func.call(&mut store, &args, &mut results).unwrap();
            let results: Vec<i64> = results.iter().map(Val::unwrap_i64).collect();
            assert_eq!(results, expected, "{ty}");
        }
    });
}

#[test]
fn the_caller_is_the_importing_instance() {
    let text = r#"(module
        (import "host" "f" (func $f (result i32)))
        (memory (export "memory") 1)
        (global (export "id") (mut i32) (i32.const 0))
        (table 1 funcref) (elem (i32.const 0) $f)
        (type $t (func (result i32)))
        (func (export "direct") (result i32) (call $f))
        (func (export "indirect") (result i32) (call_indirect (type $t) (i32.const 0))))"#;
    in_each_mode(|engine| {
        let mut linker = Linker::new(engine);
        linker
            .func_wrap("host", "f", |mut caller: Caller<'_, ()>| {
                let id = caller
                    .get_export("id")
                    .and_then(upshift::Extern::into_global);
                assert!(caller.get_export("nothing").is_none());
                id.map_or(-1, |id| id.get(&mut caller).unwrap_i32())
            })
            .unwrap();
        let module = Module::new(engine, text).unwrap();
        let mut store = Store::new(engine, ());
        let instances: Vec<Instance> = (0..3)
            .map(|_| linker.instantiate(&mut store, &module).unwrap())
            .collect();
        for (id, instance) in (10..).zip(&instances) {
            let global = instance.get_global(&mut store, "id").unwrap();
            global.set(&mut store, Val::I32(id)).unwrap();
        }
        for (id, instance) in (10..).zip(&instances) {
            for _ in 0..3 {
                assert_eq!(
                    super::support::call_i32(&mut store, *instance, "direct").unwrap(),
                    id
                );
            }
            // Through a table the caller may be unknown when a module has several instances, never wrong.
            let found = super::support::call_i32(&mut store, *instance, "indirect").unwrap();
            assert!(found == id || found == -1, "{found}");
        }
        // Called by the host there is no caller.
        let f = linker
            .get(&mut store, "host", "f")
            .unwrap()
            .into_func()
            .unwrap();
        let f = f.typed::<(), i32>(&store).unwrap();
        assert_eq!(f.call(&mut store, ()).unwrap(), -1);
    });
}

#[test]
fn errors_come_back_as_they_are() {
    let text =
        r#"(module (import "" "" (func $f)) (func $g (call $f)) (func (export "go") (call $g)))"#;
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let own = Func::wrap(&mut store, || Err::<(), _>(Quota(3)));
        let wrapped = Func::wrap(&mut store, || {
            Err::<(), _>(Error::new(Quota(3)).context("while writing"))
        });
        let dynamic = Func::new(&mut store, FuncType::new(engine, [], []), |_, _, _| {
            Err(Quota(3).into())
        });
        for (host, message) in [
            (own, "quota of 3"),
            (wrapped, "while writing: quota of 3"),
            (dynamic, "quota of 3"),
        ] {
            let guest = instance(&mut store, text, &[host.into()]);
            let guest = guest.get_func(&mut store, "go").unwrap();
            for func in [host, guest, guest] {
                let error = assert_kind(func.call(&mut store, &[], &mut []), ErrorKind::Host);
                assert_eq!(error.downcast_ref::<Quota>(), Some(&Quota(3)));
                assert_eq!(error.to_string(), message);
                assert!(error.trap().is_none());
            }
        }
    });
}

#[test]
fn dynamic_results_are_checked() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let ty = FuncType::new(&engine, [], [ValType::I32, ValType::FUNCREF]);
    let left = Func::new(&mut store, ty.clone(), |_, _, _| Ok(()));
    let mut results = [Val::I64(1), Val::I64(1)];
    left.call(&mut store, &[], &mut results).unwrap();
    assert_eq!(results[0].i32(), Some(0));
    assert!(results[1].func_ref().is_some_and(|func| func.is_none()));
    for wrong in [Val::I64(1), Val::F32(0), Val::ExternRef(None)] {
        let host = Func::new(&mut store, ty.clone(), move |_, _, results| {
            results[1] = wrong;
            Ok(())
        });
        let error = assert_kind(host.call(&mut store, &[], &mut results), ErrorKind::Type);
        assert!(error.to_string().contains("host result 1"), "{error}");
        let guest = instance(
            &mut store,
            r#"(module (import "" "" (func $f (result i32 funcref)))
                (func (export "go") (call $f) drop drop))"#,
            &[host.into()],
        );
        let guest = guest.get_func(&mut store, "go").unwrap();
        assert_kind(guest.call(&mut store, &[], &mut []), ErrorKind::Type);
    }
}
