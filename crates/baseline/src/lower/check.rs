//! An independent check of the register state, in debug builds, after every operator.

use super::Lower;

#[cfg(debug_assertions)]
mod recount {
    use super::Lower;
    use crate::state::registers::Owner;
    use crate::state::value::Place;

    /// Only this many operands from the top are looked at, to keep debug builds linear.
    const WINDOW: u32 = 48;

    impl Lower<'_> {
        /// Every owner agrees with what it owns.
        pub(super) fn check_owners(&self) {
            for reg in self.s.regs.owned() {
                match self.s.regs.owner(reg) {
                    Owner::None => panic!("{reg:?} is owned by nobody"),
                    Owner::Operand(height) => assert!(
                        matches!(self.s.stack.place(height), Place::Reg { reg: r, .. } if r == reg),
                        "{reg:?} is not where operand {height} is"
                    ),
                    Owner::Local(local) => assert_eq!(
                        self.s.locals[usize::from(local)].cached(),
                        Some(reg),
                        "{reg:?} does not cache local {local}"
                    ),
                }
            }
        }

        /// Every operand in a register owns it.
        pub(super) fn check_operands(&self) {
            let len = self.s.stack.len();
            for height in len.saturating_sub(WINDOW)..len {
                match self.s.stack.place(height) {
                    Place::Reg { reg, .. } => {
                        let owned = self.s.regs.owner(reg) == Owner::Operand(height);
                        let hinted = height + 1 == len && !self.s.regs.pool.contains(reg);
                        assert!(owned || hinted, "operand {height} does not own {reg:?}");
                    }
                    Place::Flags(_) => assert_eq!(height + 1, len, "a comparison below the top"),
                    Place::Const(_) | Place::Slot => {}
                    Place::Local(_) => assert!(
                        height >= self.s.stack.frozen,
                        "an alias in the frozen prefix"
                    ),
                }
            }
        }
    }
}

impl Lower<'_> {
    /// Recounts registers against the value stack and the locals.
    #[inline]
    pub(super) fn check_registers(&self) {
        #[cfg(debug_assertions)]
        {
            self.check_owners();
            self.check_operands();
        }
    }
}
