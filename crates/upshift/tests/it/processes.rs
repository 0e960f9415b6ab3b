//! What concerns a whole process, each case in one of its own: this test binary, run again.

use crate::support::{assert_trap, call_i32};
use std::env;
use std::ffi::{c_int, c_void};
use std::process::{Command, exit};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift::{Config, Engine, Memory, MemoryType, Store, TrapCode};

const CASE: &str = "UPSHIFT_API_TEST_CASE";
/// How a case ends that ran through, unlike any way that the test harness ends.
const DONE: i32 = 77;

const CASES: &[(&str, fn())] = &[
    ("handler_before", handler_before),
    ("handler_after", handler_after),
    ("handler_before_and_after", handler_before_and_after),
    ("four_gib_of_address_space", four_gib_of_address_space),
    ("data_without_files", data_without_files),
    (
        "data_files_are_closed",
        crate::initial_memories::files_are_closed,
    ),
    ("data_with_few_mappings", data_with_few_mappings),
    ("perf_map", crate::profiles::perf_map),
    ("jit_dump", crate::profiles::jit_dump),
];

#[test]
fn each_in_a_process_of_its_own() {
    if let Ok(name) = env::var(CASE) {
        let (_, case) = CASES.iter().find(|(case, _)| *case == name).unwrap();
        case();
        exit(DONE);
    }
    for (name, _) in CASES {
        let output = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "processes::each_in_a_process_of_its_own",
                "--test-threads=1",
                "--nocapture",
            ])
            .env(CASE, name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(DONE),
            "{name}: {:?}\n{text}",
            output.status
        );
    }
}

/// A page that only the foreign handler makes accessible.
static PAGE: AtomicUsize = AtomicUsize::new(0);
const PAGE_BYTES: usize = 4096;
static FOREIGN_CALLS: AtomicUsize = AtomicUsize::new(0);
/// The handler that was there before the foreign one.
static NEXT: AtomicUsize = AtomicUsize::new(0);

type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn protect_page(protection: c_int) {
    let page = ptr::with_exposed_provenance_mut(PAGE.load(Ordering::SeqCst));
    // SAFETY: rule SIGNAL: the page is this test's own.
    assert_eq!(unsafe { libc::mprotect(page, PAGE_BYTES, protection) }, 0);
}

/// Mends faults of the page, and passes others on if there is somebody.
unsafe extern "C" fn foreign(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: rule SIGNAL: the kernel's pointers, or those that were passed on.
    let address = unsafe { (*info).si_addr() }.addr();
    let page = PAGE.load(Ordering::SeqCst);
    if (page..page + PAGE_BYTES).contains(&address) {
        FOREIGN_CALLS.fetch_add(1, Ordering::SeqCst);
        protect_page(libc::PROT_READ | libc::PROT_WRITE);
        return;
    }
    let next = NEXT.load(Ordering::SeqCst);
    if next == libc::SIG_DFL {
        std::process::abort();
    }
    // SAFETY: rule SIGNAL: it was installed with three arguments.
    unsafe { std::mem::transmute::<usize, Handler>(next)(signal, info, context) };
}

fn install_foreign() {
    // SAFETY: rule SIGNAL: a mapping of this test's own; a zeroed action is valid; the handler keeps to
    // what handlers may do.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(ptr::null_mut(), PAGE_BYTES, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        PAGE.store(page.expose_provenance(), Ordering::SeqCst);
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = foreign as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(
            libc::sigaction(libc::SIGSEGV, &raw const action, &raw mut old),
            0
        );
        // Rust's own handler for overflows ends the process, which is no use here.
        let ours = old.sa_sigaction != libc::SIG_DFL && NEXT.load(Ordering::SeqCst) != usize::MAX;
        NEXT.store(
            if ours {
                old.sa_sigaction
            } else {
                libc::SIG_DFL
            },
            Ordering::SeqCst,
        );
    }
}

/// Guests trap and foreign faults are mended, by turns, in both tiers.
fn both_work() {
    for policy in crate::support::POLICIES {
        let mut config = Config::new();
        config.tier_policy(policy).memory_reservation(true);
        guests_and_faults(&Engine::new(&config).unwrap());
    }
}

fn guests_and_faults(engine: &Engine) {
    let mut store = Store::new(engine, ());
    let guest = crate::support::instance(
        &mut store,
        r#"(module (memory 1)
            (func (export "load") (result i32) (i32.load (i32.const 0x7fffffff)))
            (func $down (export "down") (result i32) (i32.add (call $down) (i32.const 1)))
            (func (export "stop") (result i32) unreachable)
            (func (export "div") (result i32) (i32.div_u (i32.const 1) (i32.load (i32.const 0)))))"#,
        &[],
    );
    for _ in 0..3 {
        let before = FOREIGN_CALLS.load(Ordering::SeqCst);
        for (name, code) in [
            ("load", TrapCode::MemoryOutOfBounds),
            ("down", TrapCode::StackOverflow),
            ("stop", TrapCode::Unreachable),
            ("div", TrapCode::IntegerDivideByZero),
        ] {
            assert_trap(call_i32(&mut store, guest, name), code);
        }
        assert_eq!(FOREIGN_CALLS.load(Ordering::SeqCst), before);
        protect_page(libc::PROT_NONE);
        let page = ptr::with_exposed_provenance::<u8>(PAGE.load(Ordering::SeqCst));
        // SAFETY: rule SIGNAL: the page is mapped, and the handler makes it accessible.
        unsafe { page.read_volatile() };
        assert_eq!(FOREIGN_CALLS.load(Ordering::SeqCst), before + 1);
    }
}

fn handler_before() {
    // Whatever is there already is Rust's.
    NEXT.store(usize::MAX, Ordering::SeqCst);
    install_foreign();
    both_work();
}

fn handler_after() {
    let engine = Engine::default();
    install_foreign();
    guests_and_faults(&engine);
    both_work();
}

fn handler_before_and_after() {
    handler_before();
    // Now in front of the engine's handler, and behind it as well.
    NEXT.store(0, Ordering::SeqCst);
    install_foreign();
    guests_and_faults(&Engine::default());
}

fn four_gib_of_address_space() {
    let limit = libc::rlimit {
        rlim_cur: 4 << 30,
        rlim_max: 4 << 30,
    };
    // SAFETY: rule SIGNAL: a limit of this process only, by a valid pointer.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    assert_eq!(outcome, 0);
    for policy in crate::support::POLICIES {
        let engine = Engine::new(Config::new().tier_policy(policy)).unwrap();
        let mut store = Store::new(&engine, ());
        // Dozens of memories: no room for a reservation each.
        for _ in 0..20 {
            let memory = Memory::new(&mut store, MemoryType::new(16, None)).unwrap();
            memory.grow(&mut store, 16).unwrap();
        }
        let guest = crate::support::instance(
            &mut store,
            r#"(module (memory 1)
                (func (export "sum") (result i32) (local $i i32) (local $n i32)
                    (drop (memory.grow (i32.const 99)))
                    (loop $l
                        (i32.store (i32.mul (local.get $i) (i32.const 4)) (local.get $i))
                        (local.set $n (i32.add (local.get $n)
                            (i32.load (i32.mul (local.get $i) (i32.const 4)))))
                        (br_if $l (i32.lt_u
                            (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                            (i32.const 100000))))
                    (local.get $n))
                (func (export "out") (result i32) (i32.load offset=65536 (i32.const -1))))"#,
            &[],
        );
        for _ in 0..3 {
            let sum = (0..100_000_i32).fold(0, i32::wrapping_add);
            assert_eq!(call_i32(&mut store, guest, "sum").unwrap(), sum);
            assert_trap(
                call_i32(&mut store, guest, "out"),
                TrapCode::MemoryOutOfBounds,
            );
        }
    }
    // Asked for, a reservation fails as an error.
    let engine = Engine::new(Config::new().memory_reservation(true)).unwrap();
    let mut store = Store::new(&engine, ());
    let outcome = Memory::new(&mut store, MemoryType::new(1, None));
    crate::support::assert_kind(outcome, upshift::ErrorKind::Resource);
}

/// Memory files are refused, so that instances copy their data.
fn data_without_files() {
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 1 << 20,
    };
    // SAFETY: rule SIGNAL: a limit of this process only, by a valid pointer.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    assert_eq!(outcome, 0);
    crate::initial_memories::check_all(false);
}

/// The process may have a few mappings more, from none to enough: instances have their data, or there is an error.
fn data_with_few_mappings() {
    for reserve in [true, false] {
        let engine = Engine::new(Config::new().memory_reservation(reserve)).unwrap();
        let subject = crate::initial_memories::Subject::new(&engine);
        let map = |bytes, protection| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: rule MEMORY: a fresh mapping.
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) }
        };
        // Every other page of it gets another protection, so that each is a mapping, until the system has enough.
        let bytes = 200_000 * PAGE_BYTES;
        let filler = map(bytes, libc::PROT_NONE);
        assert_ne!(filler, libc::MAP_FAILED);
        let protect = |page: usize, protection| {
            // SAFETY: rule MEMORY: inside the filler, which nobody uses.
            unsafe { libc::mprotect(filler.byte_add(page * PAGE_BYTES), PAGE_BYTES, protection) }
        };
        let full = (1..200_000)
            .step_by(2)
            .find(|page| protect(*page, libc::PROT_READ) != 0);
        let mut page = full.expect("a limit on mappings");
        let mut made = 0;
        for _ in 0..8 {
            made += u32::from(subject.instance_is_right_or_refused());
            page -= 2;
            assert_eq!(protect(page, libc::PROT_NONE), 0);
        }
        // SAFETY: rule MEMORY: the filler is this test's own.
        assert_eq!(unsafe { libc::munmap(filler, bytes) }, 0);
        assert!(made > 0, "with sixteen mappings more there is room");
    }
}
