//! Marks, walks and answers over made-up stacks, and every order of a guest's and a reclaimer's steps over the real words.

use super::pass::{Found, Mailbox, Pass, Reader, walk};
use super::{InFlight, answer_idle};
use crate::store::interrupt::SharedContext;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use upshift_abi::Activation;

fn pass(ranges: &[Range<usize>], stores: usize, pokes: &Arc<AtomicUsize>) -> Arc<Pass> {
    let pokes = Arc::clone(pokes);
    let poke = Arc::new(move || {
        pokes.fetch_add(1, SeqCst);
    });
    Pass::of_ranges(ranges.into(), stores, poke)
}

fn pinned(pass: &Pass) -> Vec<bool> {
    pass.pinned().collect()
}

#[test]
fn marks() {
    let ranges = [100..110, 110..120, 200..210];
    let rows: [(usize, [bool; 3]); 9] = [
        (0, [false; 3]),
        (99, [false; 3]),
        (100, [true, false, false]),
        (109, [true, false, false]),
        // The end of one is where a call that is its last instruction returns to, and the start of the next.
        (110, [true, true, false]),
        (120, [false, true, false]),
        (121, [false; 3]),
        (210, [false, false, true]),
        (211, [false; 3]),
    ];
    for (pc, expected) in rows {
        let pass = pass(&ranges, 0, &Arc::default());
        pass.mark(pc);
        assert_eq!(pinned(&pass), expected, "{pc}");
    }
}

fn activation(outer: *mut Activation) -> Activation {
    Activation {
        outer,
        entry_fp: 0,
        entry_sp: 0,
        landing_pc: 0,
        exit_fp: 0,
        exit_pc: 0,
        failed: 0,
        context: ptr::null(),
        entering: 0,
        stack_limit: 0,
    }
}

/// Frames, innermost first: each holds the address of the next, and its return address. Gives the address of the innermost, and of
/// the entry's.
fn stack(words: &mut [usize], pcs: &[usize]) -> (usize, usize) {
    let base = words.as_mut_ptr().expose_provenance();
    for (i, pc) in pcs.iter().enumerate() {
        words[2 * i] = base + 16 * (i + 1);
        words[2 * i + 1] = *pc;
    }
    (base, base + 16 * pcs.len())
}

#[test]
fn walks_go_through_all_activations() {
    let (mut inner_words, mut outer_words) = ([0; 8], [0; 8]);
    let mut outer = activation(ptr::null_mut());
    (outer.exit_fp, outer.entry_fp) = stack(&mut outer_words, &[21, 22, 23]);
    outer.exit_pc = 20;
    let mut inner = activation(&raw mut outer);
    let (fp, entry_fp) = stack(&mut inner_words, &[11, 12]);
    (inner.entry_fp, inner.entering) = (entry_fp, 9);
    let collect = |inner: &Activation, exit| {
        let mut pcs = Vec::new();
        let mut mark = |pc| {
            pcs.push(pc);
            pcs.len() < 9
        };
        // SAFETY: rule WALK: the activations and the words are locals.
        unsafe { walk(inner, exit, &mut mark) };
        pcs
    };
    // In wasm, seen by itself in an exit stub; the entering word counts, 0 or not.
    let whole = [9, 10, 11, 12, 0, 20, 21, 22, 23];
    assert_eq!(collect(&inner, Some((fp, 10))), whole);
    // In wasm, when it leaves an activation further in.
    assert_eq!(collect(&inner, None), [9, 0, 20, 21, 22, 23]);
    // Outside.
    (inner.exit_fp, inner.exit_pc) = (fp, 10);
    assert_eq!(collect(&inner, None), whole);
    // A chain that goes nowhere, or down, or out of the activation, ends there.
    for next in [0, 1, fp, fp - 16, entry_fp + 1024, usize::MAX] {
        inner_words[0] = next;
        std::hint::black_box(&inner_words);
        assert_eq!(collect(&inner, None), [9, 10, 11, 0, 20, 21, 22, 23]);
    }
}

/// A guest's thread over real words: it enters, runs old code or new, is outside twice, and leaves. What it does at the ends of
/// its stays outside and at its exit is what `answer` and `leaving_wasm` do, without a `StoreInner`.
struct Guest {
    shared: Arc<SharedContext>,
    activation: Box<Activation>,
    words: Vec<usize>,
    at: usize,
    /// Code of its one frame.
    frame: Option<usize>,
}

const OLD: usize = 0x1000;
const NEW: usize = 0x2000;
const GUEST_STEPS: usize = 10;
/// A stay outside, the reading of the frames and the taking back of a request are steps of their own.
const RECLAIMER_STEPS: usize = 6;

impl Guest {
    fn new() -> Self {
        Self {
            shared: SharedContext::new(),
            activation: Box::new(activation(ptr::null_mut())),
            words: vec![0; 4],
            at: 0,
            frame: None,
        }
    }

    fn head(&self) -> *mut Activation {
        ptr::from_ref(&*self.activation).cast_mut()
    }

    fn answer(&self, exit: Option<(usize, usize)>) {
        let context = self.shared.context();
        if context.attention.load(SeqCst) == 0 {
            return;
        }
        for pass in self.shared.mailbox().take(context) {
            let mut mark = |pc| {
                pass.mark(pc);
                true
            };
            // SAFETY: rule WALK: the activation and its frames are locals.
            unsafe { walk(context.activation.load(SeqCst), exit, &mut mark) };
            pass.answered();
        }
    }

    fn step(&mut self, slot: usize) {
        let context = Arc::clone(&self.shared);
        let context = context.context();
        self.at += 1;
        match self.at {
            1 => context.activation.store(self.head(), SeqCst),
            2 => {
                self.frame = Some(slot);
                let (_, entry_fp) = stack(&mut self.words, &[slot + 8]);
                self.activation.entry_fp = entry_fp;
            }
            3 | 6 => {
                self.activation.exit_pc = 7;
                self.activation.exit_fp = self.words.as_ptr().addr();
            }
            4 | 7 => self.activation.exit_fp = 0,
            5 | 8 => self.answer(Some((self.words.as_ptr().addr(), 7))),
            9 => {
                self.frame = None;
                self.words.fill(usize::MAX);
                context.activation.store(ptr::null_mut(), SeqCst);
            }
            _ => self.answer(None),
        }
    }
}

/// Runs one schedule: bit `i` says whose step number `i` is. Gives whether the code was freed.
fn run(schedule: u32) -> bool {
    let mut guest = Guest::new();
    let pokes = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&guest.shared);
    let (mailbox, context) = (shared.mailbox(), shared.context());
    let mut slot = OLD;
    let mut stage = 0;
    let mut asked = None;
    let mut reader = None;
    let mut found = None;
    let mut freed = false;
    for step in 0..GUEST_STEPS + RECLAIMER_STEPS {
        if schedule & (1 << step) == 0 {
            guest.step(slot);
            assert!(!(freed && guest.frame == Some(OLD)), "{schedule:#x}");
            continue;
        }
        stage += 1;
        match (stage, &asked) {
            (1, _) => slot = NEW,
            (2, _) => {
                // Only who is in wasm is asked.
                let stores = usize::from(shared.is_in_wasm());
                let pass = pass(std::slice::from_ref(&(OLD..OLD + 16)), stores, &pokes);
                pass.hold();
                if shared.is_in_wasm() {
                    mailbox.ask(context, &pass);
                    reader = Some(Reader::new(Arc::clone(&shared)));
                }
                asked = Some(pass);
            }
            (3, Some(pass)) if reader.is_some() => {
                // SAFETY: rule RECLAIM: a reader; one thread plays all parts, and the activation is a local.
                found = Some(unsafe { pass.look(&shared) });
            }
            (4, Some(pass)) if matches!(found, Some(Found::Idle | Found::Outside)) => {
                mailbox.claim(context, pass);
            }
            (5, _) => drop(reader.take()),
            (6, Some(pass)) => freed = pass.release() && pinned(pass) == [false],
            (_, _) => {}
        }
        assert!(!(freed && guest.frame == Some(OLD)), "{schedule:#x}");
    }
    let pass = asked.expect("all steps were made");
    // The last answer pokes, unless the reclaimer held the pass then.
    let late = !freed && pass.is_answered() && pinned(&pass) == [false];
    assert!(pass.is_answered(), "{schedule:#x}: everybody has answered");
    assert!(
        !late || pokes.load(SeqCst) == 1,
        "{schedule:#x}: and said so"
    );
    assert_eq!(context.attention.load(SeqCst), 0, "{schedule:#x}");
    freed
}

#[test]
fn every_order_of_steps_keeps_code_that_runs() {
    let (mut freed, mut kept) = (0, 0);
    let steps = GUEST_STEPS + RECLAIMER_STEPS;
    for schedule in 0..1_u32 << steps {
        if schedule.count_ones() as usize == RECLAIMER_STEPS {
            if run(schedule) {
                freed += 1;
            } else {
                kept += 1;
            }
        }
    }
    assert_eq!(freed + kept, 8008);
    assert!(freed > 100 && kept > 100, "{freed} freed, {kept} kept");
}

/// A pass is driven again and again until the store is outside, or goes away.
#[test]
fn passes_wait_for_stores_that_are_inside() {
    for ends in ["outside", "dropped"] {
        let mut guest = Guest::new();
        guest.step(OLD);
        guest.step(OLD);
        let pokes = Arc::new(AtomicUsize::new(0));
        let pass = pass(&[OLD..OLD + 16, NEW..NEW + 16], 1, &pokes);
        guest.shared.mailbox().ask(guest.shared.context(), &pass);
        let mut in_flight = InFlight {
            pass: Arc::clone(&pass),
            stores: vec![Arc::clone(&guest.shared)],
            codes: Vec::new(),
        };
        for _ in 0..3 {
            pass.hold();
            in_flight.collect(&|| true);
            assert!(!pass.release());
            assert_eq!(in_flight.stores.len(), 1);
        }
        // Without a barrier nobody is looked at.
        guest.step(OLD);
        in_flight.collect(&|| false);
        assert_eq!((in_flight.stores.len(), pinned(&pass)), (1, vec![false; 2]));
        if ends == "outside" {
            pass.hold();
            in_flight.collect(&|| true);
            assert!(pass.release());
            assert_eq!(pinned(&pass), [true, false]);
            assert_eq!(pokes.load(SeqCst), 0, "the driver knows");
        } else {
            answer_idle(&guest.shared);
            assert!(pass.is_answered());
            assert_eq!((pinned(&pass), pokes.load(SeqCst)), (vec![false; 2], 1));
        }
        assert!(!Mailbox::has_readers(guest.shared.context()));
        assert_eq!(guest.shared.context().attention.load(SeqCst), 0);
    }
}
