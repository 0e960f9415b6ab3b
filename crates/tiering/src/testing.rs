//! Stand-ins for the layers around this crate: compilers that do what a test says.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use upshift_abi::{
    CodeKind, CompileEnv, CompileError, CompileErrorKind, CompileOptions, CompiledFunc, Compiler,
    CompilerWorker, Tier,
};
use upshift_module::{FuncIndex, ValidatedFunc};

/// A compiler that is never asked.
pub(crate) struct NoCompiler;

impl Compiler for NoCompiler {
    fn tier(&self) -> Tier {
        Tier::Optimizing
    }

    fn worker(&self) -> Box<dyn CompilerWorker> {
        unreachable!("nothing is compiled here")
    }
}

/// How a stub compile ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// With code of so many bytes.
    Code(usize),
    /// With an error.
    Error(CompileErrorKind),
    /// With a panic.
    Panic,
}

/// A call of a stub compiler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) func: FuncIndex,
    pub(crate) counter_step: Option<i32>,
    pub(crate) on_pool: bool,
}

#[derive(Default)]
struct Script {
    endings: HashMap<FuncIndex, Vec<Ending>>,
    gates: HashMap<FuncIndex, (Sender<()>, Receiver<()>)>,
    calls: Vec<Call>,
    workers: usize,
    live_workers: usize,
}

/// A compiler that makes `ret` and does what it is told.
pub(crate) struct StubCompiler {
    tier: Tier,
    script: Arc<Mutex<Script>>,
}

impl StubCompiler {
    pub(crate) fn new(tier: Tier) -> Arc<Self> {
        Arc::new(Self {
            tier,
            script: Arc::default(),
        })
    }

    /// The next compiles of a function end so, then all others with a little code.
    pub(crate) fn ends(&self, func: u32, endings: &[Ending]) {
        let mut script = self.script.lock().unwrap();
        script.endings.insert(FuncIndex(func), endings.to_vec());
    }

    /// Holds the next compile of a function: the receiver hears when it has started, and dropping
    /// the sender lets it go on.
    pub(crate) fn holds(&self, func: u32) -> (Sender<()>, Receiver<()>) {
        let (started, hears) = channel();
        let (lets_go, gate) = channel();
        let mut script = self.script.lock().unwrap();
        script.gates.insert(FuncIndex(func), (started, gate));
        (lets_go, hears)
    }

    /// All calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.script.lock().unwrap().calls.clone()
    }

    /// Functions compiled so far, in order.
    pub(crate) fn compiled(&self) -> Vec<u32> {
        self.calls().iter().map(|call| call.func.0).collect()
    }

    /// Workers made so far.
    pub(crate) fn workers(&self) -> usize {
        self.script.lock().unwrap().workers
    }

    /// Workers that were not dropped.
    pub(crate) fn live_workers(&self) -> usize {
        self.script.lock().unwrap().live_workers
    }
}

impl Compiler for StubCompiler {
    fn tier(&self) -> Tier {
        self.tier
    }

    fn worker(&self) -> Box<dyn CompilerWorker> {
        let mut script = self.script.lock().unwrap();
        script.workers += 1;
        script.live_workers += 1;
        drop(script);
        Box::new(StubWorker {
            tier: self.tier,
            script: Arc::clone(&self.script),
        })
    }
}

struct StubWorker {
    tier: Tier,
    script: Arc<Mutex<Script>>,
}

impl Drop for StubWorker {
    fn drop(&mut self) {
        let script = self.script.lock();
        script.unwrap_or_else(PoisonError::into_inner).live_workers -= 1;
    }
}

impl CompilerWorker for StubWorker {
    fn compile(
        &mut self,
        func: ValidatedFunc<'_>,
        _env: &CompileEnv<'_>,
        options: &CompileOptions,
    ) -> Result<CompiledFunc, CompileError> {
        let mut script = self.script.lock().unwrap();
        script.calls.push(Call {
            func: func.index(),
            counter_step: options.counter_step,
            on_pool: thread::current()
                .name()
                .is_some_and(|name| name.starts_with("upshift-")),
        });
        let ending = match script.endings.get_mut(&func.index()) {
            Some(endings) if !endings.is_empty() => endings.remove(0),
            Some(_) | None => Ending::Code(1),
        };
        let gate = script.gates.remove(&func.index());
        drop(script);
        if let Some((started, gate)) = gate {
            started.send(()).unwrap();
            assert!(gate.recv().is_err(), "nothing is ever sent");
        }
        match ending {
            Ending::Code(bytes) => Ok(code(func.index(), self.tier, bytes)),
            Ending::Error(kind) => Err(CompileError::new(kind, "as scripted")),
            Ending::Panic => panic!("as scripted"),
        }
    }
}

/// So many `ret` instructions.
pub(crate) fn code(func: FuncIndex, tier: Tier, bytes: usize) -> CompiledFunc {
    CompiledFunc {
        func,
        tier,
        kind: CodeKind::Entry,
        code: vec![0xc3; bytes],
        text_bytes: u32::try_from(bytes).unwrap(),
        align: 16,
        relocs: Vec::new(),
        traps: Vec::new(),
        calls: Vec::new(),
        stack_maps: Vec::new(),
        frame_bytes: 0,
        inlined: Vec::new(),
    }
}
