//! The manager over stub compilers: what happens is read off the events, never off the clock.

use crate::testing::{Ending, StubCompiler};
use crate::{
    CompileMode, EventKind, FuncState, ModuleTiers, RingBuffer, TierManager, TierMask, TierPolicy,
    TieringOptions, Tuning,
};
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::thread;
use upshift_abi::{CompileErrorKind, CpuFeatures, MemoryStyle, SiteIndex, Tier};
use upshift_module::{DecodeOptions, FuncIndex, Module};
use upshift_runtime::{
    CodeSpace, CodeSpaceOptions, CounterVisit, LoadedModule, LoadedModuleParts, TierErrorKind,
    TierSink, TypeRegistry, libcall_table,
};

mod profiles;
mod scripts;
mod threads;

/// Function 0 is imported; 1 is small, 2 has a loop, 3 is long.
const MODULE: &str = r#"(module
    (import "m" "f" (func))
    (func)
    (func (loop (br_if 0 (i32.const 0))))
    (func (result i32)
        (i32.const 1) (i32.const 2) (i32.add) (i32.const 3) (i32.add) (i32.const 4) (i32.add)
        (i32.const 5) (i32.add) (i32.const 6) (i32.add) (i32.const 7) (i32.add)))"#;

/// An engine and a module, as far as tiering sees them.
pub(crate) struct World {
    manager: TierManager,
    tiers: Arc<ModuleTiers>,
    pub(crate) loaded: Arc<LoadedModule>,
    baseline: Arc<StubCompiler>,
    optimizing: Arc<StubCompiler>,
    ring: Arc<RingBuffer>,
}

impl World {
    pub(crate) fn new(options: TieringOptions) -> Self {
        Self::with_code_space(options, CodeSpaceOptions::default().reserve_bytes)
    }

    fn with_code_space(options: TieringOptions, reserve_bytes: usize) -> Self {
        let baseline = StubCompiler::new(Tier::Baseline);
        let optimizing = StubCompiler::new(Tier::Optimizing);
        let ring = Arc::new(RingBuffer::new(1_000));
        let interruption = options.interruption;
        let options = TieringOptions {
            sink: Some(ring.clone()),
            ..options
        };
        let manager = TierManager::new(options, baseline.clone(), optimizing.clone());
        let code_space = CodeSpace::new(
            &CodeSpaceOptions {
                reserve_bytes,
                ..CodeSpaceOptions::default()
            },
            &libcall_table(),
        )
        .unwrap();
        let bytes = wat::parse_str(MODULE).unwrap();
        let module = Arc::new(Module::new(bytes, &DecodeOptions::default()).unwrap());
        let tiers = manager.module(&module);
        let loaded = LoadedModule::new(LoadedModuleParts {
            module,
            code_space,
            types: TypeRegistry::new(),
            sink: tiers.clone(),
            memory_style: MemoryStyle::Checked,
            cpu: CpuFeatures::default(),
            interruption,
        })
        .unwrap();
        Self {
            manager,
            tiers,
            loaded,
            baseline,
            optimizing,
            ring,
        }
    }

    fn call(&self, func: u32) -> Result<(), TierErrorKind> {
        self.tiers
            .compile_first(&self.loaded, FuncIndex(func))
            .map_err(|error| error.kind())?;
        assert!(!self.loaded.entries().is_lazy(func - 1));
        Ok(())
    }

    /// A flip in a function that was entered often since the last one.
    fn flip(&self, func: u32, site: u32) -> i32 {
        let (rearm, entered) = self.flip_after(func, site, 7);
        assert!(!entered);
        rearm
    }

    /// A flip after so many entries: what the counter is set to, and whether the loop is entered.
    fn flip_after(&self, func: u32, site: u32, entries: u32) -> (i32, bool) {
        let site = SiteIndex(site);
        let visit = CounterVisit {
            site,
            entries,
            counter: 1 << 31 | entries,
        };
        let func = FuncIndex(func);
        let reply = self.tiers.counter_overflow(&self.loaded, func, visit);
        (reply.rearm, reply.entry.is_some())
    }

    fn state(&self, func: u32) -> FuncState {
        self.tiers.state(FuncIndex(func)).unwrap()
    }

    /// The events of a function since the last look, in short.
    fn events(&self, func: u32) -> String {
        let events = self.ring.events();
        let told = |kind: &EventKind| !matches!(kind, EventKind::FunctionValidated { .. });
        let of_func = events
            .iter()
            .filter(|event| event.func.0 == func && told(&event.kind));
        of_func
            .map(|event| short(&event.kind))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// One word per event: a letter for the tier where it matters.
fn short(kind: &EventKind) -> String {
    let letter = |tier: Tier| tier.name().chars().next().unwrap();
    match *kind {
        EventKind::FunctionValidated { body_bytes } => format!("valid:{body_bytes}"),
        EventKind::FirstCompiled { tier, .. } => format!("first:{}", letter(tier)),
        EventKind::TierRequested { site: None, .. } => "request:policy".into(),
        EventKind::TierRequested {
            site: Some(site), ..
        } => format!("request:{}", site.0),
        EventKind::PriorityRaised { .. } => "raise".into(),
        EventKind::JobStarted { .. } => "start".into(),
        EventKind::JobFinished { .. } => "finish".into(),
        EventKind::Inlined { callee } => format!("inline:{}", callee.0),
        EventKind::Published { tier, .. } => format!("publish:{}", letter(tier)),
        EventKind::Installed { tier } => format!("install:{}", letter(tier)),
        EventKind::CodeRetired { tier, .. } => format!("retire:{}", letter(tier)),
        EventKind::CodeFreed { tier, .. } => format!("free:{}", letter(tier)),
        EventKind::OsrRequested { site, .. } => format!("osr-request:{}", site.0),
        EventKind::OsrStarted { site, .. } => format!("osr-start:{}", site.0),
        EventKind::OsrCompiled { site, .. } => format!("osr-compiled:{}", site.0),
        EventKind::OsrEntered { site } => format!("osr-enter:{}", site.0),
        EventKind::OsrRefused { site, kind } => format!("osr-refuse:{}:{kind:?}", site.0),
        EventKind::JobSkipped { reason } => format!("skip:{reason:?}"),
        EventKind::Failed { tier, kind } => format!("fail:{}:{kind:?}", letter(tier)),
    }
}

pub(crate) fn options(policy: TierPolicy) -> TieringOptions {
    TieringOptions {
        policy,
        threads: NonZeroUsize::new(2).unwrap(),
        tuning: steady(),
        ..TieringOptions::default()
    }
}

/// Thresholds that do not depend on how fast and how busy the machine is.
fn steady() -> Tuning {
    Tuning {
        busy_factor: 1,
        queue_percent: 0,
        compile_burst_us: u32::MAX,
        ..Tuning::default()
    }
}
