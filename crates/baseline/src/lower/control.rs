//! Control: blocks, branches, jump tables.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::x64::regs::R11;
use crate::isa::{AluOp, Cond, Label};
use crate::state::labels::{Block, BlockKind, REG_RESULTS_MAX};
use crate::state::value::Ty;
use upshift_abi::{SiteIndex, TrapCode};
use upshift_module::ops::{BlockType, BrTable, ControlOp, Width};

/// From so many targets on, a `br_table` is a table.
const TABLE_TARGETS_MIN: u32 = 4;

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn control(&mut self, op: ControlOp<'_>) {
        match op {
            ControlOp::Unreachable => {
                self.s.asm.trap_site(TrapCode::Unreachable);
                self.s.asm.undefined();
                self.stop();
            }
            ControlOp::Nop => {}
            ControlOp::Block(ty) => {
                self.freeze();
                let label = self.s.asm.new_label();
                self.open_block(BlockKind::Block, ty, label);
            }
            ControlOp::Loop(ty) => self.op_loop(ty),
            ControlOp::If(ty) => self.op_if(ty),
            ControlOp::Else => self.op_else(),
            ControlOp::End => self.op_end(),
            ControlOp::Br(depth) => {
                let index = self.block_index(depth);
                self.branch(index);
                self.stop();
            }
            ControlOp::BrIf(depth) => self.op_br_if(depth),
            ControlOp::BrTable(table) => self.op_br_table(&table),
            ControlOp::Return => {
                self.branch(0);
                self.stop();
            }
        }
    }

    /// Type of the `i`-th result of a block.
    pub(super) fn block_type(&self, ty: BlockType, i: u32) -> Ty {
        match ty {
            BlockType::Empty => Ty::I32,
            BlockType::Value(ty) => Ty::of(ty),
            BlockType::Func(index) => Ty::of(self.module.ty(index).results()[i as usize]),
        }
    }

    /// Numbers of parameters and results.
    fn block_arity(&self, ty: BlockType) -> (u32, u32) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Value(_) => (0, 1),
            BlockType::Func(index) => {
                let ty = self.module.ty(index);
                (count(ty.params().len()), count(ty.results().len()))
            }
        }
    }

    /// Opens a block; its parameters are on the stack. Freezes nothing.
    pub(super) fn open_block(&mut self, kind: BlockKind, ty: BlockType, label: Label) -> usize {
        let (params, results) = self.block_arity(ty);
        let (params, results) = match kind {
            BlockKind::Func => (0, results),
            BlockKind::Block | BlockKind::Loop | BlockKind::If | BlockKind::Else => {
                (params, results)
            }
        };
        self.s.blocks.push(Block {
            kind,
            ty,
            label,
            else_label: label,
            height: self.s.stack.len() - params,
            params,
            results,
            homes: self.loop_homes_len(),
            snapshot: 0,
            reached: false,
            chosen: false,
            result_regs: [R11; REG_RESULTS_MAX],
            trampoline_of: 0,
            trampoline: label,
        });
        self.s.blocks.len() - 1
    }

    /// What follows cannot be reached until the block's end or second arm.
    pub(super) fn stop(&mut self) {
        let height = self.s.blocks.last().map_or(0, |block| block.height);
        self.truncate(height);
        self.forget_locals();
        self.reachable = false;
    }

    /// Jumps to a block's label with its operands.
    fn branch(&mut self, index: usize) {
        if index != 0 {
            self.flush_locals();
        }
        self.s.blocks[index].reached = true;
        self.edge(index);
    }

    /// Code of an edge: values to where the label wants them, and the jump. Changes no state.
    fn edge(&mut self, index: usize) {
        self.store_loop_homes(index);
        self.move_results(index);
        self.load_former_homes(index);
        let label = self.s.blocks[index].label;
        self.s.asm.jump(label);
    }

    fn op_loop(&mut self, ty: BlockType) {
        let site = self.loops_seen + 1;
        self.loops_seen += 1;
        self.freeze();
        let (params, _) = self.block_arity(ty);
        self.constants_to_slots(self.s.stack.len() - params);
        self.flush_locals();
        self.drop_registers();
        self.give_loop_homes(site);
        let label = self.s.asm.new_label();
        self.s.asm.bind(label);
        self.open_block(BlockKind::Loop, ty, label);
        if self.watched == Some(SiteIndex(site)) {
            self.note_loop(SiteIndex(site));
        }
        self.count(site);
    }

    /// Takes the condition off and leaves it in the flags.
    pub(super) fn pop_condition(&mut self) -> Cond {
        let val = self.pop();
        let cond = self.condition(val);
        self.s.asm.flags_live = true;
        cond
    }

    fn condition(&mut self, val: Val) -> Cond {
        match val.at {
            At::Flags(cond) => cond,
            At::Slot(_) => {
                if let Some(slot) = self.slot_of(val) {
                    self.s.asm.alu_mem_imm(Width::W32, AluOp::Cmp, slot, 0);
                }
                Cond::Ne
            }
            At::Const(_) | At::Reg(_) | At::Local(_) => {
                let reg = self.in_reg(val);
                self.s.asm.test(Width::W32, reg);
                Cond::Ne
            }
        }
    }

    fn op_if(&mut self, ty: BlockType) {
        let cond = self.pop_condition();
        self.freeze();
        let (params, _) = self.block_arity(ty);
        self.constants_to_slots(self.s.stack.len() - params);
        self.clear_zeros();
        let label = self.s.asm.new_label();
        let else_label = self.s.asm.new_label();
        let snapshot = self.save_registers();
        self.s.asm.jump_if(cond.negate(), else_label);
        let index = self.open_block(BlockKind::If, ty, label);
        let block = &mut self.s.blocks[index];
        block.else_label = else_label;
        block.snapshot = snapshot;
    }

    pub(super) fn op_else(&mut self) {
        let index = self.s.blocks.len() - 1;
        if self.reachable {
            self.branch(index);
        }
        let block = &mut self.s.blocks[index];
        block.kind = BlockKind::Else;
        let block = *block;
        self.truncate(block.height);
        self.drop_registers();
        self.s.asm.bind(block.else_label);
        for i in 0..block.params {
            let ty = self.param_type(block.ty, i);
            self.s.stack.push_slot(ty);
        }
        self.s.stack.frozen = self.s.stack.len();
        self.restore_registers(block.snapshot);
        self.reachable = true;
    }

    /// Type of the `i`-th parameter of a block.
    fn param_type(&self, ty: BlockType, i: u32) -> Ty {
        match ty {
            BlockType::Empty => Ty::I32,
            BlockType::Value(ty) => Ty::of(ty),
            BlockType::Func(index) => Ty::of(self.module.ty(index).params()[i as usize]),
        }
    }

    pub(super) fn op_end(&mut self) {
        let Some(&block) = self.s.blocks.last() else {
            self.fail("an end without a block");
            return;
        };
        match block.kind {
            BlockKind::Func => return self.end_body(),
            // An `if` without `else` passes its parameters on.
            BlockKind::If => self.op_else(),
            BlockKind::Block | BlockKind::Loop | BlockKind::Else => {}
        }
        let index = self.s.blocks.len() - 1;
        let joins = self.s.blocks[index].reached && block.kind != BlockKind::Loop;
        if joins {
            if self.reachable {
                self.flush_locals();
                self.move_results(index);
            }
            let block = self.s.blocks[index];
            self.s.asm.bind(block.label);
            self.s.blocks.pop();
            self.enter_label(&block);
            self.reachable = true;
        } else {
            self.s.blocks.pop();
            if block.kind == BlockKind::Loop {
                self.end_loop_homes();
            }
        }
    }

    fn end_body(&mut self) {
        if self.reachable {
            self.move_results(0);
        }
        let block = self.s.blocks[0];
        if self.reachable || block.reached {
            self.s.asm.bind(block.label);
            self.leave();
        }
        self.s.blocks.pop();
        self.truncate(0);
        self.forget_locals();
        self.reachable = false;
    }

    fn op_br_if(&mut self, depth: u32) {
        let index = self.block_index(depth);
        let cond = self.pop_condition();
        if index != 0 {
            self.flush_locals();
        }
        self.store_results(index);
        let moves = self.branch_moves(index);
        let block = &mut self.s.blocks[index];
        block.reached = true;
        let label = block.label;
        if moves {
            let skip = self.s.asm.new_label();
            self.s.asm.jump_if(cond.negate(), skip);
            self.s.asm.flags_live = false;
            self.edge(index);
            self.s.asm.bind(skip);
        } else if self.leaves_loop_homes(index) {
            let edge = self.cold_edge(index, label);
            self.s.asm.jump_if(cond, edge);
        } else {
            self.s.asm.jump_if(cond, label);
        }
    }

    fn op_br_table(&mut self, table: &BrTable<'_>) {
        self.tables_seen += 1;
        let index = self.pop();
        self.flush_locals();
        let target = self.in_reg_extended(index);
        // Everything is allocated before the first jump: edges see one state.
        let scratch = match index.at {
            At::Reg(reg) => reg,
            At::Const(_) | At::Local(_) | At::Slot(_) | At::Flags(_) => self.alloc(false),
        };
        // Blocks whose edges need code get it behind the jump, once per label: begin with none.
        let mut edges = Vec::new();
        let default = self.table_edge(table.default(), &mut edges);
        self.s
            .asm
            .alu_imm(Width::W32, AluOp::Cmp, target, table.len().cast_signed());
        self.s.asm.jump_if(Cond::GeU, default);
        if table.len() < TABLE_TARGETS_MIN {
            for (value, depth) in (0..).zip(table.targets()) {
                let edge = self.table_edge(depth, &mut edges);
                if value + 1 == table.len().cast_signed() {
                    self.s.asm.jump(edge);
                } else {
                    self.s.asm.alu_imm(Width::W32, AluOp::Cmp, target, value);
                    self.s.asm.jump_if(Cond::Eq, edge);
                }
            }
        } else {
            self.s.asm.jump_table(target, scratch);
            for depth in table.targets() {
                let edge = self.table_edge(depth, &mut edges);
                self.s.asm.table_entry(edge);
            }
        }
        for index in edges {
            self.s.asm.bind(self.s.blocks[index].trampoline);
            self.edge(index);
        }
        self.stop();
    }

    /// Where a target of a `br_table` jumps to: the label, or code that moves values and then jumps there.
    fn table_edge(&mut self, depth: u32, edges: &mut Vec<usize>) -> Label {
        let index = self.block_index(depth);
        let serial = self.tables_seen;
        self.s.blocks[index].reached = true;
        if self.s.blocks[index].trampoline_of == serial {
            return self.s.blocks[index].trampoline;
        }
        let moves = self.branch_moves(index) || self.leaves_loop_homes(index);
        let trampoline = if moves {
            edges.push(index);
            self.s.asm.new_label()
        } else {
            self.s.blocks[index].label
        };
        let block = &mut self.s.blocks[index];
        block.trampoline_of = serial;
        block.trampoline = trampoline;
        trampoline
    }
}
