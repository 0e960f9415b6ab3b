//! Stores and instances over hand-assembled code: the harness. A stub sink "compiles" a function by
//! assembling what the test says.

mod failures;
mod instances;
mod reclaim;
mod tables;
mod tiering;

use super::{Assembler, Draft, Sites};
use crate::{
    CallError, CodePtr, CodeSpace, CodeSpaceOptions, CounterReply, CounterVisit, ExternHandle,
    FuncHandle, HostCall, HostFn, InstanceHandle, LoadedModule, LoadedModuleParts, Payload, RawVal,
    StoreInner, StoreOptions, StoreParts, TierError, TierErrorKind, TierSink, TypeRegistry,
    libcall_table, probe_memory_style,
};
use dynasmrt::{DynasmApi, dynasm};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use upshift_abi::{CpuFeatures, Libcall, RelocTarget, TypeId};
use upshift_module::{DecodeOptions, FuncIndex, FuncType, Module, TypeIndex};

/// Assembles a function.
type Body = Box<dyn Fn(&LoadedModule, &mut Assembler, &mut Sites) + Send + Sync>;

/// Makes a [`Body`].
fn body(emit: impl Fn(&LoadedModule, &mut Assembler, &mut Sites) + Send + Sync + 'static) -> Body {
    Box::new(emit)
}

/// Compiles by [`Body`], and remembers what it was told.
#[derive(Default)]
struct StubSink {
    bodies: HashMap<u32, Body>,
    first_compiles: AtomicU32,
    compiling: Mutex<()>,
    overflows: Mutex<Vec<(u32, u32, u32)>>,
    rearm: i32,
    folded: Mutex<Vec<Vec<i32>>>,
}

impl TierSink for StubSink {
    fn compile_first(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
    ) -> Result<CodePtr, TierError> {
        let _guard = self.compiling.lock().unwrap();
        let defined = loaded.module().env().defined_func(func).unwrap();
        if !loaded.entries().is_lazy(defined) {
            return Ok(loaded.entries().load(defined));
        }
        let Some(body) = self.bodies.get(&func.0) else {
            let text = format!("no body for function {}", func.0);
            return Err(TierError::new(TierErrorKind::Unsupported, text));
        };
        self.first_compiles.fetch_add(1, Ordering::Relaxed);
        let draft = Draft::new(func.0, |asm, sites| body(loaded, asm, sites));
        Ok(loaded.publish_and_install(&draft.func)?)
    }

    fn counter_overflow(
        &self,
        _: &Arc<LoadedModule>,
        func: FuncIndex,
        visit: CounterVisit,
    ) -> CounterReply {
        let CounterVisit {
            site,
            entries,
            counter,
        } = visit;
        assert_eq!(counter & 0xff, entries);
        self.overflows
            .lock()
            .unwrap()
            .push((func.0, site.0, entries));
        CounterReply {
            rearm: self.rearm,
            entry: None,
        }
    }

    fn instance_dropped(&self, _: &LoadedModule, counters: &mut dyn Iterator<Item = i32>) {
        self.folded.lock().unwrap().push(counters.collect());
    }
}

/// What an engine has.
struct TestEngine {
    space: Arc<CodeSpace>,
    types: Arc<TypeRegistry>,
}

impl TestEngine {
    fn new() -> Self {
        let options = CodeSpaceOptions {
            reserve_bytes: 16 << 20,
            ..CodeSpaceOptions::default()
        };
        Self {
            space: CodeSpace::new(&options, &libcall_table()).unwrap(),
            types: TypeRegistry::new(),
        }
    }

    fn load(&self, text: &str, bodies: Vec<(u32, Body)>) -> (Arc<LoadedModule>, Arc<StubSink>) {
        let sink = StubSink {
            bodies: bodies.into_iter().collect(),
            rearm: -1000,
            ..StubSink::default()
        };
        let sink = Arc::new(sink);
        let bytes = wat::parse_str(text).unwrap();
        let module = Module::new(bytes, &DecodeOptions::default()).unwrap();
        let loaded = LoadedModule::new(LoadedModuleParts {
            module: Arc::new(module),
            code_space: Arc::clone(&self.space),
            types: Arc::clone(&self.types),
            sink: Arc::clone(&sink) as Arc<dyn TierSink>,
            memory_style: probe_memory_style(),
            cpu: CpuFeatures::detect(),
            interruption: true,
        });
        (loaded.unwrap(), sink)
    }

    fn store(&self) -> StoreInner {
        StoreInner::new(StoreParts {
            code_space: Arc::clone(&self.space),
            types: Arc::clone(&self.types),
            memory_style: probe_memory_style(),
            options: StoreOptions::default(),
        })
    }

    /// A store with one instance of a module without imports.
    fn instance(&self, text: &str, bodies: Vec<(u32, Body)>) -> (StoreInner, InstanceHandle) {
        let (loaded, _) = self.load(text, bodies);
        let mut store = self.store();
        let (instance, _) = store.instantiate(&loaded, &[]).unwrap();
        (store, instance)
    }
}

/// An exported function.
fn func(store: &StoreInner, instance: InstanceHandle, name: &str) -> FuncHandle {
    match store.export_by_name(instance, name) {
        Some(ExternHandle::Func(func)) => func,
        other => panic!("expected a function {name}, found {other:?}"),
    }
}

/// Calls an export with integers; its first result if it has one.
fn call(
    store: &mut StoreInner,
    instance: InstanceHandle,
    name: &str,
    args: &[u64],
) -> Result<u64, CallError> {
    let func = func(store, instance, name);
    let args: Vec<_> = args.iter().map(|arg| RawVal::from_u64(*arg)).collect();
    let results = store.func_type(func).unwrap().results().len();
    let mut results = vec![RawVal::ZERO; results];
    store.call(func, &args, &mut results)?;
    Ok(results.first().map_or(0, |result| result.u64()))
}

/// A host function.
fn host(f: impl Fn(HostCall<'_>) -> Result<(), Payload> + Send + Sync + 'static) -> HostFn {
    Arc::new(f)
}

fn host_func(
    store: &mut StoreInner,
    ty: FuncType,
    f: impl Fn(HostCall<'_>) -> Result<(), Payload> + Send + Sync + 'static,
) -> ExternHandle {
    ExternHandle::Func(store.new_host_func(&ty, host(f)).unwrap())
}

/// A function that hands its parameters to a helper and gives back its result.
fn forward(libcall: Libcall) -> Body {
    body(move |_, asm, sites| {
        dynasm!(asm ; .arch x64 ; push rbp ; mov rbp, rsp);
        sites.reloc(asm, 1, RelocTarget::Libcall(libcall));
        dynasm!(asm ; .arch x64 ; .u8 0xe8 ; .i32 0);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; leave ; ret);
    })
}

/// A function that calls an imported one with its own parameters.
fn call_import(import: u32) -> Body {
    body(move |loaded, asm, sites| {
        let place = loaded.layout().func_import(FuncIndex(import));
        let place = i32::try_from(place).unwrap();
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp
            ; mov rax, [rdi + place + 8]
            ; mov rdi, [rdi + place]
            ; call QWORD [rax]);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; leave ; ret);
    })
}

/// The canonical id of a type of the module, as code sees it.
fn type_id(loaded: &LoadedModule, ty: u32) -> u64 {
    let TypeId(id) = loaded.type_info(TypeIndex(ty)).id;
    u64::from(id)
}
