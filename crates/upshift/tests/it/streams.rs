//! Modules that arrive in pieces: the same outcome as for all bytes at once, and work that is done before the last of them.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use upshift::{
    CompileMode, Config, Engine, ErrorKind, Event, EventKind, EventSink, Instance, Module,
    ModuleStream, Store, TierPolicy,
};

const POLICIES: [TierPolicy; 3] = [
    TierPolicy::Dynamic,
    TierPolicy::Baseline,
    TierPolicy::Optimizing,
];

/// Engines of all policies, compile modes, and with and without a pool.
fn engines(policies: &[TierPolicy]) -> Vec<(String, Engine)> {
    let mut engines = Vec::new();
    for policy in policies {
        for mode in [CompileMode::Lazy, CompileMode::Eager] {
            for threads in [1, 2] {
                let mut config = Config::new();
                config
                    .tier_policy(*policy)
                    .compile_mode(mode)
                    .threads(threads);
                let name = format!("{policy:?} {mode:?} {threads}");
                engines.push((name, Engine::new(&config).unwrap()));
            }
        }
    }
    engines
}

/// Functions that each call the one before: `sum` of them, with the number of the last as its result.
fn chain(funcs: usize) -> Vec<u8> {
    let mut wat = "(module (memory 1) (func $f0 (result i32) (i32.const 0))".to_owned();
    for i in 1..funcs {
        let before = i - 1;
        wat += &format!("(func $f{i} (result i32) (i32.add (call $f{before}) (i32.const 1)))");
    }
    let last = funcs - 1;
    wat += &format!("(export \"last\" (func $f{last})) (data (i32.const 0) \"x\"))");
    wat::parse_str(wat).unwrap()
}

/// Reads pieces of a size.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(buffer.len());
        (&self.bytes[..count.min(self.bytes.len())])
            .read(buffer)
            .inspect(|read| {
                self.bytes = &self.bytes[*read..];
            })
    }
}

/// What is known of a module, or what is wrong with it.
fn render(module: upshift::Result<Module>) -> String {
    match module {
        Ok(module) => {
            let exports = module.exports().map(|e| format!("{} {}", e.name(), e.ty()));
            format!("{:?}", exports.collect::<Vec<_>>())
        }
        Err(error) => format!("{:?} {error}", error.kind()),
    }
}

/// Bytes of all sorts: the binary and the text format, valid and not.
fn all_sorts() -> Vec<Vec<u8>> {
    let valid = chain(9);
    let mut sorts = vec![
        Vec::new(),
        b"\0".to_vec(),
        b"not wasm".to_vec(),
        b"(module (func (export \"f\")))".to_vec(),
        b"(module (func (result i32)))".to_vec(),
        b"(module (func".to_vec(),
        // Sections that lie about their size: code, types and a custom one, each of nearly 2^32 bytes.
        b"\0asm\x01\0\0\0\x0a\xff\xff\xff\xff\x0f\x01".to_vec(),
        b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f\x01".to_vec(),
        b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\x0f\x01a".to_vec(),
        // A component.
        b"\0asm\x0d\0\x01\0".to_vec(),
    ];
    sorts.extend((0..valid.len()).map(|end| valid[..end].to_vec()));
    for at in 0..valid.len() {
        for change in [1, 0x80] {
            let mut bytes = valid.clone();
            bytes[at] ^= change;
            sorts.push(bytes);
        }
    }
    let mut longer = valid.clone();
    longer.push(0x0b);
    sorts.extend([longer, valid]);
    sorts
}

#[test]
fn pieces_do_not_matter() {
    for (name, engine) in engines(&[TierPolicy::Baseline]) {
        for bytes in all_sorts() {
            let whole = render(Module::new(&engine, &bytes));
            for size in [1, 7, 4096] {
                let bytes = &bytes[..];
                let found = render(Module::from_stream(&engine, Pieces { bytes, size }));
                assert_eq!(found, whole, "{name}, pieces of {size}, {bytes:?}");
            }
        }
    }
}

#[test]
fn code_that_was_made_early_runs() {
    let bytes = chain(4000);
    for (name, engine) in engines(&POLICIES) {
        for size in [1000, 1 << 20] {
            let bytes = &bytes[..];
            let module = Module::from_stream(&engine, Pieces { bytes, size }).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let last = instance.get_typed_func::<(), i32>(&mut store, "last");
            assert_eq!(last.unwrap().call(&mut store, ()).unwrap(), 3999, "{name}");
        }
    }
}

/// Counts first compiles.
#[derive(Default)]
struct Count(Mutex<usize>, Condvar);

impl EventSink for Count {
    fn event(&self, event: &Event) {
        if let EventKind::FirstCompiled { .. } = event.kind {
            *self.0.lock().unwrap() += 1;
            self.1.notify_all();
        }
    }
}

/// Hands over the last byte when so many functions are compiled.
struct Patient<'a> {
    bytes: &'a [u8],
    count: &'a Count,
    funcs: usize,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.len() == 1 {
            let count = self.count.0.lock().unwrap();
            let minute = Duration::from_secs(60);
            let waited = self
                .count
                .1
                .wait_timeout_while(count, minute, |n| *n < self.funcs);
            assert!(
                !waited.unwrap().1.timed_out(),
                "nothing is compiled meanwhile"
            );
        }
        let end = self.bytes.len().saturating_sub(1).max(1);
        let read = (&self.bytes[..end.min(self.bytes.len())]).read(buffer)?;
        self.bytes = &self.bytes[read..];
        Ok(read)
    }
}

#[test]
fn everything_is_compiled_before_the_last_byte() {
    let funcs = 5000;
    let bytes = chain(funcs);
    // The optimizing compiler works on threads of the pool only.
    for (policy, threads) in [
        (TierPolicy::Baseline, 1),
        (TierPolicy::Baseline, 2),
        (TierPolicy::Dynamic, 3),
        (TierPolicy::Optimizing, 2),
    ] {
        let count = Arc::new(Count::default());
        let mut config = Config::new();
        config.tier_policy(policy).threads(threads);
        // Inlining needs the whole module.
        config
            .inlining(false)
            .compile_mode(CompileMode::Eager)
            .events(Arc::<Count>::clone(&count));
        let engine = Engine::new(&config).unwrap();
        let reader = Patient {
            bytes: &bytes,
            count: &count,
            funcs,
        };
        let module = Module::from_stream(&engine, reader).unwrap();
        assert_eq!(*count.0.lock().unwrap(), funcs, "each of them once");
        assert_eq!(engine.stats().functions, funcs as u64);
        drop(module);
    }
}

#[test]
fn everything_is_validated_before_the_last_byte() {
    let bytes = chain(5000);
    let (last, first) = bytes.split_last().unwrap();
    for (name, engine) in engines(&POLICIES) {
        let mut stream = ModuleStream::new(&engine);
        stream.push(first).unwrap();
        let started = std::time::Instant::now();
        while stream.ready_functions() < 5000 {
            assert!(started.elapsed().as_secs() < 60, "{name}");
            std::thread::yield_now();
        }
        stream.push(&[*last]).unwrap();
        let module = stream.finish().unwrap();
        assert_eq!(module.exports().len(), 1, "{name}");
        assert_eq!(engine.stats().functions, 5000, "{name}");
    }
}

/// A reader that fails at its end.
struct Failing<'a>(&'a [u8], &'a [io::ErrorKind]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.1.split_first() {
            Some((kind, rest)) if self.0.is_empty() || *kind == io::ErrorKind::Interrupted => {
                self.1 = rest;
                Err((*kind).into())
            }
            Some(_) | None => self.0.read(buffer),
        }
    }
}

#[test]
fn errors_of_the_reader() {
    use io::ErrorKind::{ConnectionReset, Interrupted};
    let engine = Engine::default();
    let bytes = chain(10);
    assert!(Module::from_stream(&engine, Failing(&bytes, &[Interrupted, Interrupted])).is_ok());
    let kinds = [Interrupted, ConnectionReset];
    let error = Module::from_stream(&engine, Failing(&bytes[..50], &kinds)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let source = error.downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), ConnectionReset);
    assert!(
        error.to_string().starts_with("cannot read the module: "),
        "{error}"
    );
}

/// Never ends.
struct Endless<'a>(&'a [u8], &'a AtomicUsize);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = if self.0.is_empty() {
            buffer.fill(0);
            buffer.len()
        } else {
            self.0.read(buffer)?
        };
        self.1.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}

#[test]
fn a_wrong_module_is_not_read_to_its_end() {
    let bytes = chain(10);
    for (name, engine) in engines(&[TierPolicy::Baseline]) {
        let read = AtomicUsize::new(0);
        let error = Module::from_stream(&engine, Endless(&bytes, &read)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{name}: {error}");
        assert!(read.load(Ordering::Relaxed) < 1 << 20, "{name}");
    }
}

#[test]
fn a_stream_that_failed_stays_so() {
    let engine = Engine::default();
    let mut stream = ModuleStream::new(&engine);
    let error = stream.push(b"\0wrong from the second byte on").unwrap_err();
    let text = error.to_string();
    assert_eq!(stream.push(b"x").unwrap_err().to_string(), text);
    assert_eq!(stream.finish().unwrap_err().to_string(), text);
}

#[test]
fn a_stream_may_cross_threads() {
    fn check<T: Send>() {}
    check::<ModuleStream>();
}
