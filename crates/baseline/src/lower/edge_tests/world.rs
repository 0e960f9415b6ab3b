//! A function in the middle of its body: a drawn state of the compiler, a machine in a state that fits, and the values.

use super::Random;
use crate::isa::x64::machine::{AREA, FRAME, Machine};
use crate::isa::x64::regs;
use crate::isa::{Addr, Reg, RegSet};
use crate::lower::Lower;
use crate::lower::operands::At;
use crate::state::locals::Local;
use crate::state::registers::Owner;
use crate::state::value::{NO_ALIAS, Place, Ty};
use upshift_abi::CpuFeatures;
use upshift_module::{LocalIndex, LoopHome};

/// Types of locals; those before [`DECLARED`] stand for parameters.
const LOCALS: [Ty; 14] = [
    Ty::I32,
    Ty::F64,
    Ty::I64,
    Ty::I32,
    Ty::I32,
    Ty::I64,
    Ty::F32,
    Ty::F64,
    Ty::FuncRef,
    Ty::ExternRef,
    Ty::I64,
    Ty::F64,
    Ty::I32,
    Ty::F32,
];
const DECLARED: usize = 3;

/// An operand below a block: its type, and its bits if it is a constant.
pub(super) type Below = (Ty, Option<u64>);

pub(super) struct World<'a> {
    pub(super) lower: Lower<'a>,
    pub(super) machine: Machine,
    /// Values of locals and of operands.
    pub(super) locals: Vec<u64>,
    pub(super) operands: Vec<u64>,
    pool: RegSet,
    /// Homes that the locals have at the label of a test.
    outer: Vec<Option<Reg>>,
}

/// Bytes that a value of the type has.
pub(super) fn bytes(ty: Ty) -> usize {
    match ty {
        Ty::I32 | Ty::F32 => 4,
        Ty::I64 | Ty::F64 | Ty::FuncRef | Ty::ExternRef => 8,
        Ty::V128 => 16,
    }
}

/// Keeps the bits that a value of the type has.
fn fit(ty: Ty, bits: u64) -> u64 {
    if bytes(ty) == 4 {
        bits & u64::from(u32::MAX)
    } else {
        bits
    }
}

impl<'a> World<'a> {
    /// Chooses homes and the working set, for the whole function.
    pub(super) fn new(mut lower: Lower<'a>, random: &mut Random) -> Self {
        lower.s.frame.save(regs::VMCTX);
        if lower.sig.result_area_bytes != 0 {
            lower.result_pointer = Some(lower.s.frame.pointer_slot());
        }
        lower.s.frame.end_saved();
        let mut ints: Vec<Reg> = regs::SAVED_HOMES
            .into_iter()
            .chain(regs::SCRATCH_HOMES)
            .collect();
        let mut floats = regs::FLOAT_HOMES.to_vec();
        let mut homes = RegSet::EMPTY;
        for (index, ty) in (0_u16..).zip(LOCALS) {
            // One parameter stays where the caller put it.
            let disp = if index == 0 {
                16
            } else {
                lower.s.frame.local_slot()
            };
            let mut local = Local::new(ty, disp);
            local.carried = ty.is_ref() || random.chance(75);
            let free = if ty.is_float() {
                &mut floats
            } else {
                &mut ints
            };
            lower.s.locals.push(local);
            if !ty.is_ref() && !free.is_empty() && local.carried && random.chance(40) {
                let home = free.remove(random.index(free.len()));
                lower.set_home(LocalIndex(u32::from(index)), home);
                homes.insert(home);
                if !regs::SAVED_HOMES.contains(&home) {
                    lower.s.scratch_homes.push(index);
                }
            }
        }
        let most = usize::from(regs::POOL_MIN) + random.index(12);
        let mut pool = RegSet::EMPTY;
        let all_floats = (0..regs::FLOAT_POOL).map(Reg::float);
        let ints = regs::INT_POOL.into_iter().filter(|&r| !homes.contains(r));
        let floats = all_floats.filter(|&r| !homes.contains(r));
        for reg in ints.take(most).chain(floats.take(most)) {
            pool.insert(reg);
        }
        let outer = lower.s.locals.iter().map(Local::home).collect();
        Self {
            outer,
            lower,
            machine: Machine::new(|| random.next()),
            locals: Vec::new(),
            operands: Vec::new(),
            pool,
        }
    }

    /// Opens a loop above the block: it gives homes to some locals. How many were given before.
    pub(super) fn open_loop(&mut self, random: &mut Random) -> u32 {
        self.run(false, |lower| {
            lower.freeze();
            lower.constants_to_slots(0);
            lower.flush_locals();
        });
        self.lower.drop_registers();
        let before = self.lower.loop_homes_len();
        let mut taken = RegSet::EMPTY;
        for (local, ty) in (0..).zip(LOCALS) {
            let state = self.lower.s.locals[local as usize];
            let regs: Vec<Reg> = self.lower.possible_homes(ty).minus(taken).collect();
            let may = state.home().is_none() && state.carried && !ty.is_ref();
            if may && !regs.is_empty() && random.chance(60) {
                let reg = regs[random.index(regs.len())];
                taken.insert(reg);
                let home = LoopHome {
                    local: LocalIndex(local),
                    weight: 1,
                    written: random.chance(50),
                };
                self.run(false, |lower| lower.take_for_home(reg, home));
            }
        }
        self.pool = self.lower.s.regs.pool;
        self.verify("at the header of a loop");
        before
    }

    /// Ends the innermost loop, which began when so many homes were given.
    pub(super) fn end_loop(&mut self, before: u32) {
        if let Some(block) = self.lower.s.blocks.last_mut() {
            block.homes = before;
        }
        self.run(false, Lower::end_loop_homes);
        self.pool = self.lower.s.regs.pool;
        self.verify("behind a loop");
    }

    /// Address of an operand's slot.
    pub(super) fn slot(&self, height: u32) -> u64 {
        FRAME - u64::from(self.lower.s.frame.operand_distance(height))
    }

    /// Address of a local's slot.
    pub(super) fn local_slot(&self, local: usize) -> u64 {
        FRAME.wrapping_add_signed(i64::from(self.lower.s.locals[local].disp()))
    }

    /// Forgets everything and draws a state with these operands, those of `below` already frozen.
    pub(super) fn draw(&mut self, random: &mut Random, below: &[Below], above: &[Ty]) {
        let s = &mut self.lower.s;
        s.stack.reset();
        s.regs.reset(self.pool);
        self.lower.zeros = None;
        self.machine = Machine::new(|| random.next());
        if let Some(pointer) = self.lower.result_pointer {
            let Addr::Frame(disp) = pointer else {
                panic!("{pointer:?}")
            };
            let at = FRAME.wrapping_add_signed(i64::from(disp));
            self.machine.write(at, 8, u128::from(AREA));
        }
        self.draw_locals(random);
        self.operands.clear();
        for &(ty, constant) in below {
            self.push_below(random, ty, constant);
        }
        let frozen = random.index(above.len() + 1);
        for (i, &ty) in above.iter().enumerate() {
            if i < frozen {
                let constant = random.chance(30).then(|| random.constant(ty));
                self.push_below(random, ty, constant);
            } else {
                self.push(random, ty);
            }
        }
        let frozen = u32::try_from(below.len() + frozen).unwrap();
        self.lower.s.stack.frozen = frozen;
        self.verify("the drawn state");
    }

    fn draw_locals(&mut self, random: &mut Random) {
        self.locals.clear();
        // A loop's header has cleared them.
        let zeros = random.chance(25) && self.lower.loop_homes_len() == 0;
        if zeros {
            let lowest = self.lower.s.locals[LOCALS.len() - 1].disp();
            let words = i32::try_from(LOCALS.len() - DECLARED).unwrap();
            self.lower.zeros = Some((lowest, words));
        }
        for (index, ty) in (0_u16..).zip(LOCALS) {
            let local = usize::from(index);
            let unwritten = zeros && local >= DECLARED;
            let free = self.free(random, ty).filter(|_| random.chance(50));
            let slot = self.local_slot(local);
            let state = &mut self.lower.s.locals[local];
            state.set_cached(None);
            state.dirty = false;
            state.upper_undefined = false;
            state.zero = false;
            state.newest_alias = NO_ALIAS;
            let mut value = random.value(ty);
            if let Some(home) = state.home() {
                self.machine.set_reg(home, value);
                if !self.lower.slot_is_old(home) {
                    self.machine.write(slot, bytes(ty), u128::from(value));
                }
            } else if let Some(reg) = free {
                state.set_cached(Some(reg));
                state.dirty = unwritten || random.chance(50);
                state.upper_undefined = ty == Ty::I32 && random.chance(50);
                let junk = state.upper_undefined;
                if !state.dirty {
                    self.machine.write(slot, bytes(ty), u128::from(value));
                }
                self.lower.s.regs.set_owner(reg, Owner::Local(index));
                self.fill(random, ty, reg, value, junk);
            } else if unwritten {
                state.zero = true;
                value = 0;
            } else {
                self.machine.write(slot, bytes(ty), u128::from(value));
            }
            self.locals.push(value);
        }
    }

    /// Puts a value into a register, with junk above it where nothing is promised.
    fn fill(&mut self, random: &mut Random, ty: Ty, reg: Reg, value: u64, junk: bool) {
        let junk = junk || ty == Ty::F32;
        let above = if junk { random.next() << 32 } else { 0 };
        self.machine.set_reg(reg, value | above);
    }

    fn free(&self, random: &mut Random, ty: Ty) -> Option<Reg> {
        let class = RegSet::class(ty.is_float());
        let free: Vec<Reg> = self.lower.s.regs.free().and(class).collect();
        (!free.is_empty()).then(|| free[random.index(free.len())])
    }

    /// Pushes an operand that is a constant or in its slot, perhaps in a register as well.
    fn push_below(&mut self, random: &mut Random, ty: Ty, constant: Option<u64>) {
        let height = self.lower.s.stack.len();
        if let Some(value) = constant {
            self.lower.push_const(ty, value);
            return self.operands.push(value);
        }
        let value = random.value(ty);
        match self.free(random, ty).filter(|_| random.chance(40)) {
            Some(reg) => {
                self.push_in(random, ty, reg, value);
                self.lower.s.stack.mark_in_slot(height);
            }
            None => self.lower.s.stack.push_slot(ty),
        }
        let slot = self.slot(height);
        self.machine.write(slot, bytes(ty), u128::from(value));
        self.operands.push(value);
    }

    fn push_in(&mut self, random: &mut Random, ty: Ty, reg: Reg, value: u64) {
        let junk = ty == Ty::I32 && random.chance(50);
        self.lower.push_reg_upper(ty, reg, junk);
        self.fill(random, ty, reg, value, junk);
    }

    /// Pushes an operand that may be anywhere.
    fn push(&mut self, random: &mut Random, ty: Ty) {
        let locals = (0_u16..).zip(&self.lower.s.locals);
        let aliases: Vec<u16> = locals
            .filter(|(_, state)| state.ty == ty && !state.zero)
            .map(|(local, _)| local)
            .collect();
        let kind = random.index(10);
        if kind < 3 && !aliases.is_empty() {
            let local = aliases[random.index(aliases.len())];
            self.lower.push_alias(local);
            self.operands.push(self.locals[usize::from(local)]);
        } else if kind < 7
            && let Some(reg) = self.free(random, ty)
        {
            let value = random.value(ty);
            self.push_in(random, ty, reg, value);
            self.operands.push(value);
        } else {
            let constant = random.chance(50).then(|| random.constant(ty));
            self.push_below(random, ty, constant);
        }
    }

    /// Has code emitted and runs it. While flags are live, it must leave them alone.
    pub(super) fn run<T>(&mut self, flags_live: bool, emit: impl FnOnce(&mut Lower<'a>) -> T) -> T {
        let before = self.machine.clone();
        self.lower.s.asm.reset(CpuFeatures::SSE41);
        self.lower.s.asm.flags_live = flags_live;
        let answer = emit(&mut self.lower);
        let code = self.lower.s.asm.finish().unwrap();
        self.machine.run(&code.code, code.text_bytes);
        assert!(!(flags_live && self.machine.flags_written), "live flags");
        assert_eq!(self.lower.failure, None);
        for reg in [regs::RSP, Reg::int(5), regs::VMCTX] {
            assert_eq!(self.machine.reg(reg), before.reg(reg), "{reg:?}");
        }
        answer
    }

    /// The machine has what the state of the compiler says.
    pub(super) fn verify(&self, when: &str) {
        assert_eq!(self.operands.len(), self.lower.s.stack.len() as usize);
        for (height, &value) in (0..).zip(&self.operands) {
            self.verify_operand(height, value, when);
        }
        for (local, &value) in self.locals.iter().enumerate() {
            let state = self.lower.s.locals[local];
            if let Some(reg) = state.reg() {
                self.expect_reg(state.ty, reg, value, !state.upper_undefined, when);
            } else if state.zero {
                assert_eq!(value, 0, "{when}");
            }
            let lost = !state.carried && state.cached().is_none();
            if state.home().is_none() && !state.dirty && !state.zero && !lost {
                self.expect_memory(state.ty, self.local_slot(local), value, when);
            }
        }
        self.lower.check_registers();
    }

    fn verify_operand(&self, height: u32, value: u64, when: &str) {
        let ty = self.lower.s.stack.ty(height);
        match self.lower.s.stack.place(height) {
            Place::Const(bits) => assert_eq!(bits, value, "{when}: operand {height}"),
            Place::Reg {
                reg,
                in_slot,
                upper_undefined,
            } => {
                self.expect_reg(ty, reg, value, !upper_undefined, when);
                if in_slot {
                    self.expect_memory(ty, self.slot(height), value, when);
                }
            }
            Place::Local(local) => {
                assert_eq!(self.locals[usize::from(local)], value, "{when}: {height}");
            }
            Place::Slot => self.expect_memory(ty, self.slot(height), value, when),
            Place::Flags(cond) => panic!("{when}: {cond:?}"),
        }
    }

    /// A register holds a value; an i32 with a clear upper half if that is promised.
    pub(super) fn expect_reg(&self, ty: Ty, reg: Reg, value: u64, clear: bool, when: &str) {
        assert_eq!(reg.is_float(), ty.is_float(), "{when}: {reg:?}");
        let found = self.machine.reg(reg);
        let found = if ty == Ty::I32 && clear {
            found
        } else {
            fit(ty, found)
        };
        assert_eq!(found, value, "{when}: a {ty:?} in {reg:?}");
    }

    pub(super) fn expect_memory(&self, ty: Ty, at: u64, value: u64, when: &str) {
        let found = self.machine.read(at, bytes(ty));
        assert_eq!(found, u128::from(value), "{when}: a {ty:?} at {at:#x}");
    }

    /// Every local without a home is in its slot, and the others are in their homes.
    pub(super) fn expect_locals(&self, when: &str) {
        for (local, &value) in self.locals.iter().enumerate() {
            let state = self.lower.s.locals[local];
            match self.outer[local] {
                Some(home) => self.expect_reg(state.ty, home, value, true, when),
                None if !state.carried => {}
                None => self.expect_memory(state.ty, self.local_slot(local), value, when),
            }
        }
    }

    /// Whether an operand is one that needs no place.
    pub(super) fn is_const(&self, height: u32) -> bool {
        matches!(self.lower.peek(height).at, At::Const(_))
    }

    pub(super) fn pool(&self) -> RegSet {
        self.pool
    }
}
