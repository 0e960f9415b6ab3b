//! Prologue and epilogue: homes, parameters, zeros, counters.
//!
//! Homes of the whole function are chosen here, from the hottest locals that the fact pass proposes. Integer homes that calls
//! preserve cost a save and a restore. Homes that calls do not preserve are written to their slots and loaded again around each
//! call, so a local gets one only if it is used in deeper loops than any call. References never have homes, so that stack maps
//! name slots only.

use super::Lower;
use super::cold::ColdKind;
use super::merge::SCRATCH;
use crate::isa::x64::{Asm, PrologueFields, regs};
use crate::isa::{Addr, AluOp, Cond, Reg, RegSet};
use crate::state::labels::BlockKind;
use crate::state::locals::Local;
use crate::state::moves::Moves;
use crate::state::registers::Owner;
use crate::state::value::Ty;
use upshift_abi::{
    ArgLoc, CompileError, CompileErrorKind, ENTRY_STEP, MemoryStyle, SiteIndex, TrapCode,
};
use upshift_module::ops::{BlockType, Width};
use upshift_module::{LocalIndex, Uses};

/// Least weighted uses that pay for saving and restoring a register.
const SAVED_HOME_WEIGHT: u32 = 4;
/// Least weighted uses for a home that costs nothing.
const SCRATCH_HOME_WEIGHT: u32 = 2;
/// What one more level of loops multiplies weights by, as a power of two.
const WEIGHT_SHIFT_PER_LOOP: u32 = 3;
/// Helper calls are not counted by the fact pass: this many are assumed.
const ASSUMED_HELPER_CALLS: u32 = 2;
/// Largest frame of a function without calls that is not checked against the stack limit: the reserve below the limit holds it.
const UNCHECKED_FRAME_BYTES_MAX: u32 = 1024;
/// More slots than this are cleared by a string instruction in the prologue.
const LAZY_ZERO_WORDS: i32 = 32;

impl Lower<'_> {
    /// Emits the prologue and sets the state at the start of the body up.
    pub(super) fn open(&mut self) -> Result<PrologueFields, CompileError> {
        let memory0 = self.facts.uses.contains(Uses::MEMORY0)
            && matches!(self.env.memory_style, MemoryStyle::Reserved { .. });
        self.s.frame.save(regs::VMCTX);
        self.add_locals();
        self.choose_homes(memory0);
        if memory0 {
            self.s.frame.save(regs::MEMORY0);
        }
        if self.sig.result_area_bytes != 0 {
            self.result_pointer = Some(self.s.frame.pointer_slot());
        }
        self.s.frame.end_saved();
        self.place_locals();
        if self.s.frame.too_large(self.facts.max_operands) {
            let message = "frame too large";
            return Err(CompileError::new(CompileErrorKind::Limit, message));
        }
        let most = self.s.frame.most(self.facts.max_operands);
        let checked = calls(self.facts.uses) || most > UNCHECKED_FRAME_BYTES_MAX;
        let overflow = checked.then(|| self.trap(TrapCode::StackOverflow));
        let saved = self.s.frame.saved();
        let fields = self.s.asm.open_frame(most, overflow, saved);
        if memory0 {
            self.s.asm.load_memory0();
        }
        if let (Some(slot), Some(code)) = (self.result_pointer, self.sig.result_pointer()) {
            self.s.asm.store(Ty::I64, slot, Reg::int(code));
        }
        self.clear_early();
        self.take_params();
        self.clear_homes();
        let label = self.s.asm.new_label();
        let ty = self.module.funcs[self.func.index().0 as usize];
        self.open_block(BlockKind::Func, BlockType::Func(ty), label);
        self.count(SiteIndex::ENTRY.0);
        self.s.regs.pinned = RegSet::EMPTY;
        Ok(fields)
    }

    /// Gives the hottest locals their registers and sets the working set.
    fn choose_homes(&mut self, memory0: bool) {
        let facts = self.facts;
        let any_calls = calls(facts.uses);
        let scratch_weight = self.scratch_home_weight();
        let spare = self.options.registers.map_or(usize::MAX, |n| {
            usize::from(n.saturating_sub(regs::POOL_MIN))
        });
        let saved = regs::SAVED_HOMES
            .iter()
            .filter(|&&reg| !(memory0 && reg == regs::MEMORY0))
            .map(|&reg| (reg, SAVED_HOME_WEIGHT));
        let free = regs::SCRATCH_HOMES.iter().map(|&reg| (reg, scratch_weight));
        let mut ints = if any_calls {
            Offers::new(saved.chain(free).take(spare))
        } else {
            Offers::new(free.chain(saved).take(spare))
        };
        let floats = regs::FLOAT_HOMES.iter();
        let mut floats = Offers::new(floats.map(|&reg| (reg, scratch_weight)).take(spare));
        let mut taken = RegSet::EMPTY;
        for candidate in &facts.homes {
            let ty = self.s.locals[candidate.local.0 as usize].ty;
            let list = if ty.is_float() {
                &mut floats
            } else {
                &mut ints
            };
            if !ty.is_ref()
                && facts.is_carried(candidate.local)
                && let Some(reg) = list.take(candidate.weight)
            {
                taken.insert(reg);
                self.set_home(candidate.local, reg);
                if regs::SAVED_HOMES.contains(&reg) {
                    self.s.frame.save(reg);
                } else if any_calls && let Ok(local) = u16::try_from(candidate.local.0) {
                    self.s.scratch_homes.push(local);
                }
            }
        }
        self.set_pool(taken);
    }

    /// Least weighted uses that pay for a home that calls do not preserve: a store and a load per call, at the depth of
    /// the deepest loop with a call.
    fn scratch_home_weight(&self) -> u32 {
        let facts = self.facts;
        if !calls(facts.uses) {
            return SCRATCH_HOME_WEIGHT;
        }
        let per_round = (facts.call_count + ASSUMED_HELPER_CALLS).saturating_mul(2);
        1_u32
            .checked_shl(WEIGHT_SHIFT_PER_LOOP * facts.call_depth.min(10))
            .map_or(u32::MAX, |rounds| per_round.saturating_mul(rounds))
    }

    /// The working set: what the homes leave, cut down to the option's number.
    fn set_pool(&mut self, homes: RegSet) {
        let most = self
            .options
            .registers
            .map_or(usize::MAX, |n| usize::from(n.max(regs::POOL_MIN)));
        let mut pool = RegSet::EMPTY;
        let ints = regs::INT_POOL.iter().copied();
        let floats = (0..regs::FLOAT_POOL).map(Reg::float);
        for reg in ints.filter(|&reg| !homes.contains(reg)).take(most) {
            pool.insert(reg);
        }
        for reg in floats.filter(|&reg| !homes.contains(reg)).take(most) {
            pool.insert(reg);
        }
        self.s.regs.reset(pool);
    }

    /// Lists all locals; they have no places yet.
    fn add_locals(&mut self) {
        for &ty in self.func.ty().params() {
            self.add_run(1, Ty::of(ty));
        }
        for (count, ty) in self.func.locals() {
            self.add_run(count, Ty::of(ty));
        }
    }

    fn add_run(&mut self, count: u32, ty: Ty) {
        let facts = self.facts;
        let start = u32::try_from(self.s.locals.len()).unwrap_or(u32::MAX);
        let run = start..start.saturating_add(count);
        if ty.is_ref() {
            let indices = run.clone().filter_map(|index| u16::try_from(index).ok());
            self.s.ref_locals.extend(indices);
        }
        self.s.locals.extend(run.map(|index| {
            let mut local = Local::new(ty, 0);
            local.carried = ty.is_ref() || facts.is_carried(LocalIndex(index));
            local
        }));
    }

    /// Gives every local its slot.
    fn place_locals(&mut self) {
        let params = &self.sig.params;
        for (local, &loc) in self.s.locals.iter_mut().zip(params) {
            local.set_disp(match loc {
                ArgLoc::Stack(offset) if !local.ty.is_ref() => Asm::incoming(offset),
                ArgLoc::Int(_) | ArgLoc::Float(_) | ArgLoc::Stack(_) => self.s.frame.local_slot(),
            });
        }
        // Those that have to be cleared come first, side by side.
        let frame = &mut self.s.frame;
        for cleared in [true, false] {
            for local in &mut self.s.locals[params.len()..] {
                if cleared == (local.carried && local.home().is_none()) {
                    local.set_disp(frame.local_slot());
                    self.cleared += i32::from(cleared);
                }
            }
        }
    }

    /// Clears the slots of declared locals now if there are many or references among them, or notes that it is to be done. Homes
    /// and locals that are not carried need no zero in their slots.
    fn clear_early(&mut self) {
        let params = self.func.ty().params().len();
        let declared = &mut self.s.locals[params..];
        let cleared = |local: &Local| local.carried && local.home().is_none();
        let words = self.s.frame.slot_bytes().cast_signed() / 8;
        let words = words.saturating_mul(self.cleared);
        let Some(lowest) = declared.iter().rev().find(|&local| cleared(local)) else {
            return;
        };
        let lowest = lowest.disp();
        if words > LAZY_ZERO_WORDS {
            self.s.asm.clear_many_slots(lowest, words);
        } else if declared.iter().any(|local| local.ty.is_ref()) {
            self.s.asm.clear_slots(lowest, words);
        } else {
            for local in declared.iter_mut() {
                local.zero = cleared(local);
            }
            self.zeros = Some((lowest, words));
        }
    }

    /// Brings parameters to their homes; the others stay in their registers as cached locals.
    fn take_params(&mut self) {
        let sig = self.sig;
        let homes = self.homes();
        let mut moves = Moves::default();
        for (index, &loc) in (0_u16..).zip(&sig.params) {
            let state = self.s.locals[usize::from(index)];
            let reg = match loc {
                ArgLoc::Int(code) => Reg::int(code),
                ArgLoc::Float(code) => Reg::float(code),
                ArgLoc::Stack(offset) => {
                    let from = Addr::Frame(Asm::incoming(offset));
                    if state.home().is_none() && from != state.slot() {
                        self.s.asm.copy(state.ty, state.slot(), from);
                    }
                    continue;
                }
            };
            if let Some(home) = state.home() {
                moves.add(state.ty, home, reg);
                continue;
            }
            let keep = self.s.regs.pool.contains(reg) && !homes.contains(reg);
            if !keep || state.ty.is_ref() {
                self.s.asm.store(state.ty, state.slot(), reg);
            }
            if keep {
                self.s.regs.set_owner(reg, Owner::Local(index));
                let state = &mut self.s.locals[usize::from(index)];
                state.set_cached(Some(reg));
                state.dirty = !state.ty.is_ref();
                state.upper_undefined = state.ty == Ty::I32;
            }
        }
        moves.resolve(SCRATCH, |m| self.s.asm.mov(m.ty, m.dst, m.src));
        for (index, &loc) in sig.params.iter().enumerate() {
            let state = self.s.locals[index];
            if let (ArgLoc::Stack(_), Some(home)) = (loc, state.home()) {
                self.s.asm.load(state.ty, home, state.slot());
            }
        }
        self.extend_homes();
    }

    /// An i32 that arrived in the register that is its home was not moved: clears its upper half.
    fn extend_homes(&mut self) {
        for (state, &loc) in self.s.locals.iter().zip(&self.sig.params) {
            if let (ArgLoc::Int(code), Some(home)) = (loc, state.home())
                && state.ty == Ty::I32
                && home == Reg::int(code)
            {
                self.s.asm.zero_extend(home, home);
            }
        }
    }

    fn homes(&self) -> RegSet {
        let mut homes = RegSet::EMPTY;
        for candidate in &self.facts.homes {
            if let Some(home) = self.s.locals[candidate.local.0 as usize].home() {
                homes.insert(home);
            }
        }
        homes
    }

    /// Declared locals are zero.
    fn clear_homes(&mut self) {
        let params = self.func.ty().params().len();
        for candidate in &self.facts.homes {
            let local = candidate.local.0 as usize;
            let state = self.s.locals[local];
            if local >= params
                && let Some(home) = state.home()
            {
                self.s.asm.load_const(state.ty, home, 0);
            }
        }
    }

    /// Counts an entry or a round of a loop.
    pub(super) fn count(&mut self, site: u32) {
        let Some(step) = self.options.counter_step else {
            return;
        };
        let Some(defined) = self.module.defined_func(self.func.index()) else {
            return;
        };
        let counter = self.env.layout.counter(defined);
        let counter = Addr::Ctx(i32::try_from(counter).unwrap_or(0));
        // The low byte counts entries.
        let step = if site == SiteIndex::ENTRY.0 {
            step.wrapping_add(ENTRY_STEP)
        } else {
            step
        };
        self.s
            .asm
            .alu_mem_imm(Width::W32, AluOp::Add, counter, step);
        let back = self.s.asm.new_label();
        let cold = self.cold(ColdKind::Counter(SiteIndex(site)), Some(back));
        self.s.asm.jump_if(Cond::Negative, cold);
        self.s.asm.bind(back);
    }

    /// The epilogue.
    pub(super) fn leave(&mut self) {
        self.s.asm.leave(self.s.frame.saved(), self.sig.stack_bytes);
    }
}

/// Most registers of a class that can be homes.
const OFFERS_MAX: usize = if regs::FLOAT_HOMES.len() > INT_HOMES {
    regs::FLOAT_HOMES.len()
} else {
    INT_HOMES
};
const INT_HOMES: usize = regs::SAVED_HOMES.len() + regs::SCRATCH_HOMES.len();

/// Registers of a class for homes in the order in which they are given, each with the least weight that it is given for.
struct Offers {
    regs: [(Reg, u32); OFFERS_MAX],
    count: usize,
    given: usize,
}

impl Offers {
    fn new(offers: impl Iterator<Item = (Reg, u32)>) -> Self {
        let mut list = Self {
            regs: [(SCRATCH[0], 0); OFFERS_MAX],
            count: 0,
            given: 0,
        };
        for (place, offer) in list.regs.iter_mut().zip(offers) {
            *place = offer;
            list.count += 1;
        }
        list
    }

    /// The next register, if the weight is enough for it.
    fn take(&mut self, weight: u32) -> Option<Reg> {
        let &(reg, least) = self.regs[..self.count].get(self.given)?;
        (weight >= least).then(|| {
            self.given += 1;
            reg
        })
    }
}

/// Whether there are calls, of functions or helpers.
fn calls(uses: Uses) -> bool {
    uses.contains(Uses::CALL) || uses.contains(Uses::LIBCALL)
}
