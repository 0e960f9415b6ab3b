//! Many threads call the functions of one module at the same time, while these get better code: does a swap hold anybody up?
//!
//! There are more threads than processors, so most long gaps between two calls are the scheduler's. Linux counts for each thread
//! how long it could have run but did not, the second number of `schedstat`. What is left of a gap after that is the call
//! itself, whatever the engine does in it, and any wait for another thread. A gap of the machine below (a processor that a
//! hypervisor takes away) stays in: therefore the same is measured without swaps, under the policy Baseline.

use super::clock::ms;
use crate::schema::Stalls;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};
use upshift::{Engine, Error, Instance, Module, Store, TypedFunc};

/// How long two functions are called before the next two are: both are optimized in it, beside all threads.
const TURN: Duration = Duration::from_millis(25);

/// Calls all functions that the module exports, two at a time in turn, from `threads` threads with a store each.
///
/// # Errors
/// If the module cannot be instantiated without imports, exports a function with parameters or results or one that traps, or
/// the system does not tell how long threads wait for a processor.
pub(super) fn run(engine: &Engine, module: &Module, threads: u32) -> Result<Stalls, Error> {
    let callers = (0..threads).map(|_| Caller::new(engine, module));
    let callers = callers.collect::<Result<Vec<Caller>, Error>>()?;
    let ready = Barrier::new(callers.len());
    let outcomes: Vec<Result<Stalls, Error>> = thread::scope(|scope| {
        let spawn = |caller: Caller| scope.spawn(|| caller.run(&ready));
        let running: Vec<_> = callers.into_iter().map(spawn).collect();
        let join = |thread: ScopedJoinHandle<'_, _>| {
            let joined = thread.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().map(join).collect()
    });
    let mut all = Stalls {
        threads,
        swaps: engine.stats().optimizing.installs,
        ..Stalls::default()
    };
    for outcome in outcomes {
        let one = outcome?;
        all.calls += one.calls;
        all.longest_gap_ms = all.longest_gap_ms.max(one.longest_gap_ms);
        all.longest_stall_ms = all.longest_stall_ms.max(one.longest_stall_ms);
    }
    Ok(all)
}

/// What one thread needs.
struct Caller {
    store: Store<()>,
    functions: Vec<TypedFunc<(), ()>>,
}

impl Caller {
    fn new(engine: &Engine, module: &Module) -> Result<Self, Error> {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, module, &[])?;
        let names = module.exports().map(|export| export.name());
        let functions = names
            .map(|name| instance.get_typed_func(&mut store, name))
            .collect::<Result<_, Error>>()?;
        Ok(Self { store, functions })
    }

    /// Calls until all functions had their turn; the turns of all threads begin at the same times.
    fn run(mut self, ready: &Barrier) -> Result<Stalls, Error> {
        ready.wait();
        let clock = ThreadClock::new()?;
        let mut seen = Stalls::default();
        let started = Instant::now();
        for (turn, pair) in (1..).zip(self.functions.chunks(2)) {
            let end = started + TURN * turn;
            // The first call in a turn counts as well: the time before it is the harness's own.
            let mut last = clock.now()?;
            while last.at < end {
                for function in pair {
                    function.call(&mut self.store, ())?;
                    let now = clock.now()?;
                    seen.note(last, now);
                    last = now;
                }
            }
        }
        Ok(seen)
    }
}

impl Stalls {
    /// A call that lasted from one moment to another.
    fn note(&mut self, from: Moment, to: Moment) {
        let gap = to.at - from.at;
        let stall = gap.saturating_sub(to.waited.saturating_sub(from.waited));
        self.calls += 1;
        self.longest_gap_ms = self.longest_gap_ms.max(ms(gap));
        self.longest_stall_ms = self.longest_stall_ms.max(ms(stall));
    }
}

/// A point in the life of a thread.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    /// How long the thread could have run until then, but did not.
    waited: Duration,
}

/// The clocks of the thread that made it.
struct ThreadClock(File);

impl ThreadClock {
    fn new() -> Result<Self, Error> {
        let path = "/proc/thread-self/schedstat";
        let file = File::open(path).map_err(|error| Error::msg(format!("{path}: {error}")))?;
        Ok(Self(file))
    }

    /// Both clocks at one moment: read again if the thread had to wait between the two.
    fn now(&self) -> Result<Moment, Error> {
        let mut before = self.waited()?;
        loop {
            let at = Instant::now();
            let waited = self.waited()?;
            if waited == before {
                return Ok(Moment { at, waited });
            }
            before = waited;
        }
    }

    fn waited(&self) -> Result<Duration, Error> {
        let mut buffer = [0; 64];
        let read = self.0.read_at(&mut buffer, 0).map_err(Error::new)?;
        let text = buffer.get(..read).unwrap_or(&[]);
        let waited = waited(text).ok_or_else(|| {
            let text = String::from_utf8_lossy(text).into_owned();
            Error::msg(format!("schedstat: expected three numbers, found {text:?}"))
        })?;
        Ok(Duration::from_nanos(waited))
    }
}

/// The second of the three numbers: nanoseconds.
fn waited(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Moment, ThreadClock, run, waited};
    use crate::schema::Stalls;
    use std::time::{Duration, Instant};
    use upshift::{Config, Engine, Module, TierPolicy};

    #[test]
    fn what_the_scheduler_took_is_no_stall() {
        let start = Instant::now();
        let moment = |at_ms: u64, waited_ms: u64| Moment {
            at: start + Duration::from_millis(at_ms),
            waited: Duration::from_millis(waited_ms),
        };
        let check = |from: Moment, to: Moment, gap: f64, stall: f64| {
            let mut seen = Stalls::default();
            seen.note(from, to);
            let found = (seen.calls, seen.longest_gap_ms, seen.longest_stall_ms);
            assert_eq!(found, (1, gap, stall));
        };
        check(moment(0, 5), moment(10, 5), 10.0, 10.0);
        check(moment(0, 5), moment(10, 12), 10.0, 3.0);
        check(moment(0, 5), moment(10, 20), 10.0, 0.0);
    }

    #[test]
    fn the_kernel_tells() {
        assert_eq!(waited(b"12 34 5\n"), Some(34));
        assert_eq!(waited(b"12"), None);
        let clock = ThreadClock::new().expect("a clock");
        let (a, b) = (clock.now().expect("once"), clock.now().expect("twice"));
        assert!(a.at <= b.at && a.waited <= b.waited);
    }

    #[test]
    fn functions_are_swapped_under_their_callers() {
        let engine = Engine::new(Config::new().tier_policy(TierPolicy::Eager)).expect("an engine");
        let module = Module::new(
            &engine,
            r#"(module (func (export "f")) (func (export "g")))"#,
        );
        let module = module.expect("a module");
        let seen = run(&engine, &module, 3).expect("calls");
        assert!(seen.calls > 3 && seen.longest_stall_ms <= seen.longest_gap_ms);
        let trap = r#"(module (func (export "f") unreachable))"#;
        let module = Module::new(&engine, trap).expect("a module");
        assert!(run(&engine, &module, 3).is_err());
    }
}
