//! R1 to R4 as a model, explored exhaustively: one guest thread with a store buffer (x86-TSO) and one reclaimer.
//!
//! The model is not the code. It says what the argument needs of the code, instruction by instruction, and that each part of
//! it is needed: with any of the orders or barriers taken away a schedule is found in which freed code runs.

use std::collections::HashSet;

/// Words that both threads see.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Word {
    /// The entry slot: 0 old code, 1 new code.
    Slot,
    /// Whether an activation is linked.
    Head,
    /// `exit_fp`: 0 inside.
    Exit,
    /// `attention`: bit 0 asked, bit 1 a reader.
    Attention,
    /// `entering`, and only while it says old code: 1.
    Entering,
}

/// What the guest's thread does, one step each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Op {
    /// An ordinary store: into the buffer.
    Store(Word, u8),
    /// Loads the slot.
    Load,
    /// Jumps to what was loaded last: a frame of it is there from now on.
    Call,
    /// Runs the innermost frame.
    Run,
    /// Drops the innermost frame.
    Return,
    /// A loop entry of old code is chosen, while its handle is held (the code is not retired before).
    Choose,
    /// Jumps to the loop entry.
    Jump,
    /// Looks at `attention`; takes the request if there is one, and answers with the frames that it has.
    Check,
    /// Waits until there is no reader; then the activation's memory goes.
    Leave,
}

/// What the reclaimer does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    /// Stores the slot: the old code is retired.
    Retire,
    Barrier,
    /// Done if no activation is linked.
    Idle,
    /// Puts the request there and counts as a reader.
    Ask,
    /// Finds out where the guest is.
    Look,
    /// Reads the frames, if it is outside.
    Walk,
    /// Takes the request back, if it was not inside; whether it was still there.
    Claim,
    /// Waits for an answer.
    Await,
    /// Frees the old code, unless a frame of it was seen.
    Free,
}

/// A way of breaking the protocol, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// Without the barrier between the slot and the look for idle stores.
    NoFirstBarrier,
    /// Without the barrier between `attention` and the look.
    NoSecondBarrier,
    /// `enter` loads the slot before it links the activation.
    LoadBeforeLink,
    /// Exit stubs look at `attention` before they say inside.
    CheckBeforeInside,
    /// The walk begins at an `exit_fp` that is read anew.
    ReadExitTwice,
    /// The lazy stub is given the code and not the slot.
    CodeInHand,
    /// The entry of a loop is not noted.
    NoEntering,
    /// `enter` does not wait for readers.
    NoWait,
}

use Op::{Call, Check, Choose, Jump, Leave, Load, Return, Run, Store};
use Word::{Attention, Entering, Exit, Head, Slot};

/// Enters, runs, calls out twice, calls again, and leaves.
fn calls(flaw: Flaw) -> Vec<Op> {
    let mut ops = vec![Store(Head, 1), Load, Call, Run];
    if flaw == Flaw::LoadBeforeLink {
        ops.swap(0, 1);
    }
    let mut back = [Store(Exit, 0), Check];
    if flaw == Flaw::CheckBeforeInside {
        back.swap(0, 1);
    }
    for _ in 0..2 {
        ops.push(Store(Exit, 1));
        ops.extend(back);
        ops.push(Run);
    }
    ops.extend([Load, Call, Run, Return, Return]);
    ops.extend([Store(Head, 0), Check, Leave]);
    ops
}

/// A first call: outside through the lazy stub, then into what the slot holds.
fn first_call(flaw: Flaw) -> Vec<Op> {
    let mut ops = vec![Store(Head, 1), Store(Exit, 1), Store(Exit, 0), Check, Load];
    if flaw == Flaw::CodeInHand {
        // The helper has loaded it, outside.
        ops.swap(2, 4);
        ops.swap(3, 4);
    }
    ops.extend([Call, Run, Return, Store(Head, 0), Check, Leave]);
    ops
}

/// The slow path of a counter enters a loop.
fn loop_entry(flaw: Flaw) -> Vec<Op> {
    let mut ops = vec![Store(Head, 1), Store(Exit, 1), Choose];
    if flaw != Flaw::NoEntering {
        ops.insert(3, Store(Entering, 1));
    }
    ops.extend([Store(Exit, 0), Check, Store(Entering, 0), Jump, Run, Return]);
    ops.extend([Store(Head, 0), Check, Leave]);
    ops
}

fn reclaimer(flaw: Flaw) -> Vec<Step> {
    use Step::{Ask, Await, Barrier, Claim, Free, Idle, Look, Retire, Walk};
    let steps = [
        Retire, Barrier, Idle, Ask, Barrier, Look, Walk, Claim, Await, Free,
    ];
    let skipped = match flaw {
        Flaw::NoFirstBarrier => Some(1),
        Flaw::NoSecondBarrier => Some(4),
        Flaw::None
        | Flaw::LoadBeforeLink
        | Flaw::CheckBeforeInside
        | Flaw::ReadExitTwice
        | Flaw::CodeInHand
        | Flaw::NoEntering
        | Flaw::NoWait => None,
    };
    let kept = steps
        .iter()
        .enumerate()
        .filter(|(i, _)| Some(*i) != skipped);
    kept.map(|(_, step)| *step).collect()
}

#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that a world is told apart by"
)]
struct World {
    memory: [u8; 5],
    buffer: Vec<(Word, u8)>,
    guest: usize,
    loaded: u8,
    /// Code of the frames, outermost first.
    frames: Vec<u8>,
    /// The guest holds the loop entry's handle.
    handle: bool,
    /// The activation is memory that somebody may read.
    there: bool,
    reclaimer: usize,
    asked: bool,
    answered: bool,
    /// What the last look found.
    idle: bool,
    linked: bool,
    outside: bool,
    /// The guest's frames have changed so often, and had when the last look was.
    moves: (u8, u8),
    pinned: bool,
    freed: bool,
}

impl World {
    fn word(&mut self, word: Word) -> &mut u8 {
        &mut self.memory[word as usize]
    }

    /// What the guest itself sees.
    fn own(&self, word: Word) -> u8 {
        let newest = self.buffer.iter().rev().find(|(at, _)| *at == word);
        newest.map_or(self.memory[word as usize], |&(_, value)| value)
    }

    fn drain_one(&mut self) {
        let (word, value) = self.buffer.remove(0);
        *self.word(word) = value;
    }

    fn drain(&mut self) {
        while !self.buffer.is_empty() {
            self.drain_one();
        }
    }

    /// Whether somebody who looks at the stack sees old code.
    fn has_old(&self, entering: u8) -> bool {
        self.frames.contains(&0) || entering == 1
    }

    /// The guest's next step; none if it waits. `Err` names what went wrong.
    fn step_guest(&self, op: Op, flaw: Flaw) -> Result<Option<Self>, String> {
        let mut next = self.clone();
        next.guest += 1;
        if matches!(op, Call | Jump | Return | Run) {
            next.moves.0 += 1;
        }
        match op {
            Store(word, value) => {
                if (word, value) == (Head, 1) {
                    next.there = true;
                }
                next.buffer.push((word, value));
                if (word, value) == (Entering, 1) {
                    // Rust drops the handle when the address is noted, which drains the buffer.
                    next.handle = false;
                    next.drain();
                }
            }
            Load => next.loaded = next.own(Slot),
            Call => next.frames.push(next.loaded),
            Run => {}
            Return => drop(next.frames.pop()),
            Choose => {
                if next.reclaimer > 0 {
                    // It is retired, so there is no handle to be had.
                    next.loaded = 1;
                } else {
                    next.loaded = 0;
                    next.handle = flaw != Flaw::NoEntering;
                }
            }
            Jump => next.frames.push(next.loaded),
            Check => {
                if next.own(Attention) != 0 {
                    // Taking a lock drains the buffer.
                    next.drain();
                    if next.asked {
                        next.asked = false;
                        *next.word(Attention) &= !1;
                        next.pinned |= next.has_old(next.memory[Entering as usize]);
                        next.answered = true;
                    }
                }
            }
            Leave => {
                if next.own(Attention) & 2 != 0 && flaw != Flaw::NoWait {
                    return Ok(None);
                }
                next.there = false;
            }
        }
        let runs = matches!(op, Call | Jump | Run);
        if runs && next.freed && next.frames.last() == Some(&0) {
            return Err(format!("freed code runs: {next:?}"));
        }
        if next.freed && next.frames.contains(&0) {
            return Err(format!("freed code has a frame: {next:?}"));
        }
        Ok(Some(next))
    }

    fn step_reclaimer(&self, step: Step, flaw: Flaw) -> Result<Option<Self>, String> {
        let mut next = self.clone();
        next.reclaimer += 1;
        match step {
            // A loop entry is retired with its last handle.
            Step::Retire if next.handle => return Ok(None),
            Step::Retire => *next.word(Slot) = 1,
            Step::Barrier => next.drain(),
            Step::Idle => next.answered = next.memory[Head as usize] == 0,
            Step::Ask if next.answered => {}
            Step::Ask => {
                next.asked = true;
                *next.word(Attention) |= 3;
            }
            Step::Look | Step::Walk | Step::Claim if *next.word(Attention) & 2 == 0 => {}
            Step::Look => {
                next.linked = next.memory[Head as usize] == 1;
                next.idle = !next.linked;
                next.outside = next.linked && next.memory[Exit as usize] == 1;
                next.moves.1 = next.moves.0;
            }
            Step::Walk => {
                if next.linked && !next.there {
                    return Err(format!("a stack that is gone is read: {next:?}"));
                }
                // Frames that have changed may hide anything.
                let at_rest = next.moves.0 == next.moves.1;
                let seen = flaw != Flaw::ReadExitTwice || next.memory[Exit as usize] == 1;
                if next.outside && at_rest && seen {
                    next.pinned |= next.has_old(next.memory[Entering as usize]);
                }
            }
            Step::Claim => {
                if (next.outside || next.idle) && next.asked {
                    next.answered = true;
                    next.asked = false;
                    *next.word(Attention) &= !1;
                }
                *next.word(Attention) &= !2;
            }
            Step::Await if !next.answered => return Ok(None),
            Step::Await => {}
            Step::Free => next.freed = !next.pinned,
        }
        if next.freed && next.frames.contains(&0) {
            return Err(format!("code with a frame is freed: {next:?}"));
        }
        Ok(Some(next))
    }
}

/// Walks everything that can happen; the first thing that goes wrong, or in how many ways it ended, and whether the code was freed in
/// some of them.
fn explore(guest: &[Op], flaw: Flaw) -> Result<(usize, bool), String> {
    let steps = reclaimer(flaw);
    let mut seen = HashSet::new();
    let mut open = vec![World::default()];
    let mut ends = (0, false);
    while let Some(world) = open.pop() {
        if !seen.insert(world.clone()) {
            continue;
        }
        let mut moved = false;
        if let Some(&op) = guest.get(world.guest)
            && let Some(next) = world.step_guest(op, flaw)?
        {
            moved = true;
            open.push(next);
        }
        if let Some(&step) = steps.get(world.reclaimer)
            && let Some(next) = world.step_reclaimer(step, flaw)?
        {
            moved = true;
            open.push(next);
        }
        if !world.buffer.is_empty() {
            let mut next = world.clone();
            next.drain_one();
            moved = true;
            open.push(next);
        }
        if !moved {
            assert_eq!(world.guest, guest.len(), "the guest never waits for good");
            let ended = world.reclaimer == steps.len();
            assert!(ended || flaw != Flaw::None, "every pass ends: {world:?}");
            ends = (ends.0 + 1, ends.1 || world.freed);
        }
    }
    Ok(ends)
}

#[test]
fn no_schedule_runs_freed_code() {
    for guest in [calls, first_call, loop_entry] {
        let (ends, freed) = explore(&guest(Flaw::None), Flaw::None).unwrap();
        assert!(ends > 0 && freed, "something is freed");
    }
}

/// What is left out, and the guest that shows it.
type FlawRow = (Flaw, fn(Flaw) -> Vec<Op>);

#[test]
fn every_part_of_the_protocol_is_needed() {
    let rows: &[FlawRow] = &[
        (Flaw::NoFirstBarrier, calls),
        (Flaw::NoSecondBarrier, calls),
        (Flaw::LoadBeforeLink, calls),
        (Flaw::CheckBeforeInside, calls),
        (Flaw::ReadExitTwice, calls),
        (Flaw::CodeInHand, first_call),
        (Flaw::NoEntering, loop_entry),
        (Flaw::NoWait, calls),
    ];
    for &(flaw, guest) in rows {
        let found = explore(&guest(flaw), flaw);
        assert!(found.is_err(), "{flaw:?} is found: {found:?}");
    }
}
