//! Signal handlers of others, and limits of the process: each case in a process of its own, this test binary run again.

use super::traps::{deep, expect_trap};
use super::{Draft, World};
use crate::code_space::{CodeSpace, CodeSpaceOptions};
use crate::memory::{LinearMemory, probe_memory_style};
use dynasmrt::dynasm;
use std::ffi::{c_int, c_void};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift_abi::{MemoryStyle, TrapCode};

const CASE: &str = "UPSHIFT_TEST_CASE";
const DONE: i32 = 77;

/// How a case ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// It ran to its end.
    Done,
    /// A signal killed it.
    Killed(c_int),
}

type Case = (&'static str, End, fn());

const CASES: &[Case] = &[
    ("handler_before", End::Done, handler_before),
    ("plain_handler_before", End::Done, plain_handler_before),
    ("handler_after_chains", End::Done, handler_after_chains),
    (
        "handler_after_does_not_chain",
        End::Done,
        handler_after_does_not_chain,
    ),
    (
        "passing_back_and_forth_ends",
        End::Killed(libc::SIGSEGV),
        passing_back_and_forth_ends,
    ),
    (
        "other_faults_kill",
        End::Killed(libc::SIGSEGV),
        other_faults_kill,
    ),
    (
        "guest_faults_elsewhere_kill",
        End::Killed(libc::SIGSEGV),
        guest_faults_elsewhere_kill,
    ),
    (
        "foreign_ud2_kills",
        End::Killed(libc::SIGILL),
        foreign_ud2_kills,
    ),
    (
        "a_sent_signal_kills",
        End::Killed(libc::SIGFPE),
        a_sent_signal_kills,
    ),
    (
        "an_ignored_signal_is_ignored",
        End::Done,
        an_ignored_signal_is_ignored,
    ),
    (
        "ignoring_does_not_help_against_faults",
        End::Killed(libc::SIGSEGV),
        ignored_faults_kill,
    ),
    (
        "four_gib_of_address_space",
        End::Done,
        four_gib_of_address_space,
    ),
    ("no_alternate_stack", End::Done, no_alternate_stack),
];

#[test]
fn cases() {
    if let Ok(name) = std::env::var(CASE) {
        let (_, _, run) = CASES.iter().find(|case| case.0 == name).unwrap();
        run();
        std::process::exit(DONE);
    }
    let program = std::env::current_exe().unwrap();
    let test = module_path!().split_once("::").unwrap().1;
    for &(name, end, _) in CASES {
        let output = Command::new(&program)
            .args(["--exact", &format!("{test}::cases"), "--nocapture"])
            .env(CASE, name)
            .output()
            .unwrap();
        let got = match (output.status.code(), output.status.signal()) {
            (Some(DONE), _) => Some(End::Done),
            (_, Some(signal)) => Some(End::Killed(signal)),
            (_, None) => None,
        };
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(got, Some(end), "{name}: {:?}\n{text}", output.status);
    }
}

/// A page that nobody may touch until a foreign handler says otherwise.
fn forbidden_page() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    if PAGE.load(Ordering::SeqCst) == 0 {
        let page = region::alloc(4096, region::Protection::NONE).unwrap();
        PAGE.store(page.as_ptr::<u8>().expose_provenance(), Ordering::SeqCst);
        std::mem::forget(page);
    }
    PAGE.load(Ordering::SeqCst)
}

fn protect_page(protection: region::Protection) {
    let page = std::ptr::with_exposed_provenance::<u8>(forbidden_page());
    // SAFETY: rule SIGNAL: the page is the test's and never given back.
    unsafe { region::protect(page, 4096, protection).unwrap() };
}

/// Touches the page from Rust: a fault that only a foreign handler can mend.
fn touch_page() {
    protect_page(region::Protection::NONE);
    let page = std::ptr::with_exposed_provenance::<u8>(forbidden_page());
    // SAFETY: rule SIGNAL: the page is mapped; the handler makes it readable, or the process ends here, as it should.
    unsafe { page.read_volatile() };
}

static FOREIGN_CALLS: AtomicUsize = AtomicUsize::new(0);
/// The action that the foreign handler found.
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// Makes the page accessible if that is where the fault was.
unsafe extern "C" fn foreign(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: rule SIGNAL: the kernel's pointers, or those that were passed on.
    let address = unsafe { (*info).si_addr() }.addr();
    if address != forbidden_page() {
        // Not ours, and nobody to pass it on to.
        std::process::abort();
    }
    FOREIGN_CALLS.fetch_add(1, Ordering::SeqCst);
    protect_page(region::Protection::READ_WRITE);
}

unsafe extern "C" fn foreign_plain(_: c_int) {
    FOREIGN_CALLS.fetch_add(1, Ordering::SeqCst);
    protect_page(region::Protection::READ_WRITE);
}

/// As `foreign`, but passes on what is not its own.
unsafe extern "C" fn foreign_chaining(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    // SAFETY: rule SIGNAL: as above; what was found takes three arguments.
    unsafe {
        if (*info).si_addr().addr() == forbidden_page() {
            FOREIGN_CALLS.fetch_add(1, Ordering::SeqCst);
            protect_page(region::Protection::READ_WRITE);
        } else {
            let next = FOUND.load(Ordering::SeqCst);
            let next = std::mem::transmute::<
                usize,
                unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
            >(next);
            next(signal, info, context);
        }
    }
}

fn install_foreign(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: rule SIGNAL: a zeroed action is valid; the handlers of this file keep the rules.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(signal, &raw const action, &raw mut old), 0);
        FOUND.store(old.sa_sigaction, Ordering::SeqCst);
    }
}

/// Traps out of bounds in a guest, a few frames down; false if it was something else.
fn guest_traps(world: &World) {
    let memory = LinearMemory::new(
        MemoryStyle::Reserved {
            guard_bytes: 2 << 30,
        },
        1,
        None,
    )
    .unwrap();
    let code = world.install(&load());
    let address = memory.base().addr() as u64 + (1 << 31);
    for _ in 0..3 {
        let record = expect_trap(world.call(code, &[4, address]));
        assert_eq!(record.code, TrapCode::MemoryOutOfBounds);
        assert_eq!(record.frames.len(), 5);
    }
}

/// Loads from the address in rdx.
fn load() -> Draft {
    deep(7, |asm, sites| {
        sites.trap(asm, TrapCode::MemoryOutOfBounds);
        dynasm!(asm ; .arch x64 ; mov rax, [rdx]);
    })
}

fn both_work(world: &World) {
    for _ in 0..2 {
        let before = FOREIGN_CALLS.load(Ordering::SeqCst);
        guest_traps(world);
        assert_eq!(FOREIGN_CALLS.load(Ordering::SeqCst), before);
        touch_page();
        assert_eq!(FOREIGN_CALLS.load(Ordering::SeqCst), before + 1);
    }
}

fn handler_before() {
    install_foreign(
        libc::SIGSEGV,
        foreign as *const () as usize,
        libc::SA_SIGINFO,
    );
    both_work(&World::new());
}

fn plain_handler_before() {
    install_foreign(libc::SIGSEGV, foreign_plain as *const () as usize, 0);
    both_work(&World::new());
}

fn handler_after_chains() {
    let world = World::new();
    install_foreign(
        libc::SIGSEGV,
        foreign_chaining as *const () as usize,
        libc::SA_SIGINFO,
    );
    both_work(&world);
    // The next engines go in front, one handler after the other; still both work.
    for _ in 0..3 {
        both_work(&World::new());
        both_work(&world);
    }
}

fn handler_after_does_not_chain() {
    let world = World::new();
    install_foreign(
        libc::SIGSEGV,
        foreign as *const () as usize,
        libc::SA_SIGINFO,
    );
    touch_page();
    assert_eq!(FOREIGN_CALLS.load(Ordering::SeqCst), 1);
    // A new engine takes guests' faults back.
    both_work(&World::new());
    both_work(&world);
}

fn passing_back_and_forth_ends() {
    let _world = World::new();
    install_foreign(
        libc::SIGSEGV,
        foreign_chaining as *const () as usize,
        libc::SA_SIGINFO,
    );
    let _other = World::new();
    read_null();
}

fn read_null() {
    let null = std::hint::black_box(std::ptr::with_exposed_provenance::<u64>(64));
    // SAFETY: rule SIGNAL: this ends the process, as the test expects.
    unsafe { null.read_volatile() };
}

fn other_faults_kill() {
    let world = World::new();
    guest_traps(&world);
    read_null();
}

fn guest_faults_elsewhere_kill() {
    let world = World::new();
    let code = world.install(&load());
    let _ = world.call(code, &[0, 64]);
}

fn foreign_ud2_kills() {
    let _world = World::new();
    // SAFETY: rule SIGNAL: this ends the process, as the test expects.
    unsafe { std::arch::asm!("ud2") };
}

fn a_sent_signal_kills() {
    let _world = World::new();
    // SAFETY: rule SIGNAL: this ends the process, as the test expects.
    unsafe { libc::raise(libc::SIGFPE) };
}

fn an_ignored_signal_is_ignored() {
    install_foreign(libc::SIGFPE, libc::SIG_IGN, 0);
    let world = World::new();
    // SAFETY: rule SIGNAL: sends a signal that is ignored.
    unsafe { libc::raise(libc::SIGFPE) };
    guest_traps(&world);
}

fn ignored_faults_kill() {
    install_foreign(libc::SIGSEGV, libc::SIG_IGN, 0);
    let world = World::new();
    guest_traps(&world);
    read_null();
}

fn four_gib_of_address_space() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit {
        current: Some(4 << 30),
        maximum: Some(4 << 30),
    };
    setrlimit(Resource::As, limit).unwrap();
    assert_eq!(probe_memory_style(), MemoryStyle::Checked);
    let world = World::with_options(&CodeSpaceOptions::default());
    let space: &CodeSpace = &world.space;
    assert!(space.stats().reserved_bytes <= 256 << 20);
    let mut memory = LinearMemory::new(MemoryStyle::Checked, 1, None).unwrap();
    assert!(memory.grow(65_000).is_none(), "more than the limit");
    // More than half of the limit, in steps: growth needs no second copy.
    for _ in 0..40 {
        assert!(memory.grow(1000).is_some());
    }
    let code = world.install(&deep(1, |_, _| {}));
    assert!(world.call(code, &[10]).is_ok());
}

/// A thread whose signal stack somebody switched off gets another.
fn no_alternate_stack() {
    let run = || {
        let off = libc::stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: rule SIGNAL: no handler is running on it.
        let done = unsafe { libc::sigaltstack(&raw const off, std::ptr::null_mut()) };
        assert_eq!(done, 0);
        let world = World::new();
        guest_traps(&world);
        // SAFETY: rule SIGNAL: a query.
        let now = unsafe {
            let mut now: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(std::ptr::null(), &raw mut now);
            now
        };
        assert_eq!(now.ss_flags & libc::SS_DISABLE, 0);
        assert!(now.ss_size >= 64 << 10);
    };
    for _ in 0..3 {
        std::thread::spawn(run).join().unwrap();
    }
}
