//! What the tests share: one engine per way of running, made once, and short forms.

use std::sync::OnceLock;
use std::thread::panicking;
use upshift::{
    AsContextMut, CompileMode, Config, Engine, Error, ErrorKind, Extern, Instance, Module, Store,
    TierPolicy, TrapCode, Tuning,
};

pub(crate) const POLICIES: [TierPolicy; 4] = [
    TierPolicy::Dynamic,
    TierPolicy::Eager,
    TierPolicy::Baseline,
    TierPolicy::Optimizing,
];

/// One way of running guests.
pub(crate) struct Mode {
    pub(crate) name: String,
    pub(crate) engine: Engine,
}

/// Says which mode failed.
struct Named<'a>(&'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if panicking() {
            eprintln!("failed in mode {}", self.0);
        }
    }
}

/// All policies, lazy and eager, and some that are hard on the compilers. The engines are shared by all tests.
pub(crate) fn modes() -> &'static [Mode] {
    static MODES: OnceLock<Vec<Mode>> = OnceLock::new();
    MODES.get_or_init(|| {
        let mut modes = Vec::new();
        for policy in POLICIES {
            for mode in [CompileMode::Lazy, CompileMode::Eager] {
                let mut config = Config::new();
                config.tier_policy(policy).compile_mode(mode);
                modes.push((format!("{policy:?} {mode:?}"), config));
            }
        }
        let mut config = Config::new();
        config.tier_up_after(1);
        modes.push(("Dynamic, after one call".into(), config));
        let mut config = Config::new();
        config.memory_reservation(false).tier_up_after(1);
        modes.push(("checked memories, after one call".into(), config));
        let mut config = Config::new();
        config.osr_after(1);
        modes.push(("every loop entered at once".into(), config));
        let mut config = Config::new();
        config.osr_after(2).baseline_registers(0);
        modes.push(("loops entered at back-edges, few registers".into(), config));
        let inline_all = Tuning::default().inline_all();
        let mut config = Config::new();
        config
            .tier_policy(TierPolicy::Optimizing)
            .compile_mode(CompileMode::Eager)
            .tuning(inline_all);
        modes.push(("everything inlined".into(), config));
        let mut config = Config::new();
        config.osr_after(1).tuning(inline_all);
        modes.push(("everything inlined into loops".into(), config));
        let mut config = Config::new();
        config.threads(1).tier_policy(TierPolicy::Eager);
        modes.push(("Eager, one thread".into(), config));
        let mut config = Config::new();
        config
            .baseline_registers(0)
            .tier_policy(TierPolicy::Baseline);
        modes.push(("Baseline, as few registers as possible".into(), config));
        let made = modes.into_iter().map(|(name, config)| Mode {
            name,
            engine: Engine::new(&config).unwrap(),
        });
        made.collect()
    })
}

/// Runs a check in each mode.
pub(crate) fn in_each_mode(check: impl Fn(&Engine)) {
    for mode in modes() {
        let _named = Named(&mode.name);
        check(&mode.engine);
    }
}

/// An instance of a module in text form, with imports in order.
pub(crate) fn instance<T>(store: &mut Store<T>, text: &str, imports: &[Extern]) -> Instance {
    let module = Module::new(store.engine(), text).unwrap();
    Instance::new(store, &module, imports).unwrap()
}

/// An engine with the default options, for what does not depend on the tier.
pub(crate) fn engine() -> Engine {
    modes()[0].engine.clone()
}

/// Expects a trap with this code.
#[track_caller]
pub(crate) fn assert_trap<R: std::fmt::Debug>(outcome: Result<R, Error>, code: TrapCode) -> Error {
    let error = outcome.expect_err("a trap");
    let found = error.trap().map(|trap| trap.code());
    assert_eq!(
        (error.kind(), found),
        (ErrorKind::Trap, Some(code)),
        "{error}"
    );
    error
}

/// Expects an error of this kind.
#[track_caller]
pub(crate) fn assert_kind<R: std::fmt::Debug>(outcome: Result<R, Error>, kind: ErrorKind) -> Error {
    let error = outcome.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

/// Calls an export of type () -> i32.
#[track_caller]
pub(crate) fn call_i32(
    mut store: impl AsContextMut,
    instance: Instance,
    name: &str,
) -> Result<i32, Error> {
    let func = instance
        .get_typed_func::<(), i32>(&mut store, name)
        .unwrap();
    func.call(&mut store, ())
}
