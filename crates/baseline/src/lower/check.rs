//! An independent check of the register state, in debug builds, after every operator.

use super::Lower;

#[cfg(debug_assertions)]
mod recount {
    use super::Lower;
    use crate::state::registers::Owner;
    use crate::state::value::Place;

    /// Only this many operands from the top, and so many locals, are looked at, to keep debug builds linear.
    const WINDOW: u32 = 48;

    impl Lower<'_> {
        /// Every owner agrees with what it owns, and owns registers of the working set only.
        pub(super) fn check_owners(&self) {
            for reg in self.s.regs.owned() {
                assert!(self.s.regs.pool.contains(reg), "{reg:?} is not allocated");
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
                    Place::Local(local) => self.check_alias(height, local),
                }
                if height < self.s.stack.frozen {
                    self.check_frozen(height);
                }
            }
        }

        /// An operand below a block is a constant or in its slot.
        fn check_frozen(&self, height: u32) {
            let place = self.s.stack.place(height);
            let frozen = match place {
                Place::Const(_) | Place::Slot => true,
                Place::Reg { in_slot, .. } => in_slot,
                Place::Local(_) | Place::Flags(_) => false,
            };
            assert!(frozen, "operand {height} below a block is {place:?}");
        }

        /// An alias is found from its local: by the local itself, or by the next newer alias.
        fn check_alias(&self, height: u32, local: u16) {
            let len = self.s.stack.len();
            let newer = (height + 1..len).find(|&newer| self.s.stack.is_alias(newer, local));
            let found = match newer {
                Some(newer) => self.s.stack.older_alias(newer),
                None => self.s.locals[usize::from(local)].newest_alias,
            };
            assert_eq!(found, height, "an alias of local {local} is lost");
            let state = self.s.locals[usize::from(local)];
            assert!(!state.zero, "an alias of local {local}, which is nowhere");
        }

        /// Every local in a register owns it, or is at home in it.
        pub(super) fn check_locals(&self) {
            for (local, state) in (0_u16..).zip(&self.s.locals).take(WINDOW as usize) {
                if let Some(reg) = state.cached() {
                    let owner = self.s.regs.owner(reg);
                    assert_eq!(owner, Owner::Local(local), "{reg:?} and local {local}");
                }
                if let Some(home) = state.home() {
                    assert!(!self.s.regs.pool.contains(home), "{home:?} is a home");
                    assert_eq!(state.cached(), None, "local {local} is at home");
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
            self.check_locals();
        }
    }
}
