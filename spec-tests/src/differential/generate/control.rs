//! Statements: calls, loops, blocks, branches.

use super::{Body, Sig, TABLE, small, ty, types};
use wasm_encoder::{BlockType, Instruction as I, ValType};

impl Body<'_> {
    /// Takes the operand on top of the stack off: into a local of its type, if there is one.
    pub(super) fn keep_or_drop(&mut self, ty: ValType) {
        match self.local(ty) {
            Some(local) => self.out.push(I::LocalSet(local)),
            None => self.out.push(I::Drop),
        }
    }

    pub(super) fn nested(&mut self, ty: ValType, depth: u32) {
        for _ in 0..self.random.below(3) {
            self.statement(depth);
        }
        self.expression(ty, depth);
    }

    pub(super) fn call_for(&mut self, ty: ValType, depth: u32) {
        let all: Vec<usize> = (0..self.shared.sigs.len())
            .filter(|&f| self.shared.sigs[f].results.first() == Some(&ty))
            .collect();
        if all.is_empty() {
            return self.leaf(ty);
        }
        let f = self.random.pick(&all);
        self.call(f, depth);
        for _ in 1..self.shared.sigs[f].results.len() {
            self.out.push(I::Drop);
        }
    }

    pub(super) fn call(&mut self, f: usize, depth: u32) {
        for p in self.shared.sigs[f].params.clone() {
            let deep = 1 + u32::from(self.random.chance(20));
            self.expression(p, depth.min(deep));
        }
        match self.random.below(4) {
            0 | 1 => self.out.push(I::Call(small(f))),
            _ => {
                let n = small(self.shared.sigs.len());
                // Usually the table's own copy of the function; sometimes anything.
                if self.random.chance(97) && (small(f)) < TABLE - 2 {
                    let mut slot = small(f);
                    if self.random.chance(30) && slot + n < TABLE - 2 {
                        slot += n;
                    }
                    self.out.push(I::I32Const(slot.cast_signed()));
                } else {
                    self.expression(ValType::I32, 1);
                    self.out.extend([I::I32Const(15), I::I32And]);
                }
                self.out.push(I::CallIndirect {
                    type_index: small(f),
                    table_index: 0,
                });
            }
        }
    }

    pub(super) fn block_type(&mut self, params: Vec<ValType>, results: Vec<ValType>) -> BlockType {
        let index = self.shared.sigs.len() + self.shared.blocks.len();
        self.shared.blocks.push(Sig { params, results });
        BlockType::FunctionType(small(index))
    }

    /// A loop with parameters, a counter, and an exit; leaves `results`.
    pub(super) fn loop_with(&mut self, results: &[ValType], depth: u32) {
        let params: Vec<ValType> = (0..self.random.below(4)).map(|_| ty(self.random)).collect();
        for p in &params {
            self.expression(*p, depth.min(2));
        }
        let bt = self.block_type(params.clone(), results.to_vec());
        self.out.push(I::Block(bt));
        self.labels.push(results.to_vec());
        let bt = self.block_type(params.clone(), results.to_vec());
        self.out.push(I::Loop(bt));
        self.labels.push(params.clone());
        for p in params.iter().rev() {
            self.keep_or_drop(*p);
        }
        self.fuel();
        self.out.push(I::If(BlockType::Empty));
        for r in results {
            self.constant(*r);
        }
        self.out.extend([I::Br(2), I::End]);
        for _ in 0..1 + self.random.below(4) {
            self.statement(depth);
        }
        // Once more, most of the time.
        for p in &params {
            self.expression(*p, depth.min(2));
        }
        self.expression(ValType::I32, depth);
        if self.random.chance(50) {
            self.out.extend([I::I32Const(7), I::I32And]);
        }
        self.out.push(I::BrIf(0));
        for _ in &params {
            self.out.push(I::Drop);
        }
        for r in results {
            self.expression(*r, depth);
        }
        self.labels.pop();
        self.labels.pop();
        self.out.extend([I::End, I::End]);
    }

    pub(super) fn statement(&mut self, depth: u32) {
        self.budget -= 1;
        if self.budget < 0 || depth == 0 {
            let t = ty(self.random);
            if let Some(l) = self.local(t) {
                self.leaf(t);
                self.out.push(I::LocalSet(l));
            }
            return;
        }
        match self.random.below(24) {
            0..6 => {
                let t = ty(self.random);
                self.expression(t, depth);
                self.keep_or_drop(t);
            }
            6 | 7 => {
                let t = ty(self.random);
                self.observed(t, depth);
                match self.global(t) {
                    Some(g) => self.out.push(I::GlobalSet(g)),
                    None => self.out.push(I::Drop),
                }
            }
            8..11 => self.store(depth - 1),
            11 | 12 => {
                self.expression(ValType::I32, depth - 1);
                self.out.push(I::If(BlockType::Empty));
                self.labels.push(vec![]);
                for _ in 0..1 + self.random.below(3) {
                    self.statement(depth - 1);
                }
                if self.random.chance(50) {
                    self.out.push(I::Else);
                    for _ in 0..1 + self.random.below(3) {
                        self.statement(depth - 1);
                    }
                }
                self.labels.pop();
                self.out.push(I::End);
            }
            13..15 => self.loop_statement(depth - 1),
            15 => self.branch(depth - 1),
            16 | 17 => self.switch(depth - 1),
            18 | 19 => {
                let f = self.random.index(self.shared.sigs.len());
                self.call(f, depth - 1);
                for r in self.shared.sigs[f].results.clone().into_iter().rev() {
                    self.keep_or_drop(r);
                }
            }
            20 => self.bulk(depth - 1),
            _ => {
                // Block with parameters and results.
                let params = types(self.random);
                let results = types(self.random);
                self.block_statement(params, results, depth - 1);
            }
        }
    }

    pub(super) fn block_statement(
        &mut self,
        params: Vec<ValType>,
        results: Vec<ValType>,
        depth: u32,
    ) {
        for p in &params {
            self.expression(*p, depth.min(2));
        }
        let bt = self.block_type(params.clone(), results.clone());
        let conditional = self.random.chance(50);
        if conditional {
            self.expression(ValType::I32, depth);
            self.out.push(I::If(bt));
        } else {
            self.out.push(I::Block(bt));
        }
        self.labels.push(results.clone());
        for arm in 0..1 + u32::from(conditional) {
            if arm == 1 {
                self.out.push(I::Else);
            }
            for p in params.iter().rev() {
                self.keep_or_drop(*p);
            }
            for _ in 0..self.random.below(3) {
                self.statement(depth);
            }
            for r in &results {
                self.expression(*r, depth.min(2));
            }
        }
        self.labels.pop();
        self.out.push(I::End);
        for r in results.iter().rev() {
            self.keep_or_drop(*r);
        }
    }

    pub(super) fn loop_statement(&mut self, depth: u32) {
        let results: Vec<ValType> = (0..self.random.below(3)).map(|_| ty(self.random)).collect();
        self.loop_with(&results, depth);
        for r in results.iter().rev() {
            self.keep_or_drop(*r);
        }
    }

    /// A branch to any label but a loop's header is fine; a header takes fuel.
    pub(super) fn branch(&mut self, depth: u32) {
        let l = self.random.index(self.labels.len());
        for t in self.labels[l].clone() {
            self.expression(t, depth.min(2));
        }
        self.expression(ValType::I32, depth);
        let conditional = self.random.chance(85);
        let target = self.depth_of(l);
        if conditional {
            if self.random.chance(70) {
                self.out.extend([I::I32Const(3), I::I32And, I::I32Eqz]);
            }
            self.out.push(I::BrIf(target));
            for _ in 0..self.labels[l].len() {
                self.out.push(I::Drop);
            }
        } else {
            // Under a condition, without falling through.
            self.out.push(I::Drop);
            for _ in 0..self.labels[l].len() {
                self.out.push(I::Drop);
            }
            self.expression(ValType::I32, depth);
            self.out.push(I::If(BlockType::Empty));
            for t in self.labels[l].clone() {
                self.leaf(t);
            }
            self.out.push(I::Br(target + 1));
            if self.random.chance(30) {
                self.labels.push(vec![]);
                self.statement(1);
                self.labels.pop();
            }
            self.out.push(I::End);
        }
    }

    /// A br_table over nested blocks, and over outer labels that carry the same types.
    pub(super) fn switch(&mut self, depth: u32) {
        let carried: Vec<ValType> = (0..self.random.below(3)).map(|_| ty(self.random)).collect();
        let n = 1 + self.random.below(5);
        let bt = match carried.as_slice() {
            [] => BlockType::Empty,
            [one] => BlockType::Result(*one),
            _ => self.block_type(vec![], carried.clone()),
        };
        for _ in 0..n {
            self.out.push(I::Block(bt));
            self.labels.push(carried.clone());
        }
        for t in &carried {
            self.expression(*t, depth.min(2));
        }
        self.expression(ValType::I32, depth);
        if self.random.chance(60) {
            self.out.extend([I::I32Const(7), I::I32And]);
        }
        let all: Vec<u32> = (0..self.labels.len())
            .filter(|&l| self.labels[l] == carried)
            .map(|l| self.depth_of(l))
            .collect();
        let targets: Vec<u32> = (0..self.random.below(9))
            .map(|_| self.random.pick(&all))
            .collect();
        let default = self.random.pick(&all);
        self.out.push(I::BrTable(targets.into(), default));
        for i in 0..n {
            self.labels.pop();
            self.out.push(I::End);
            if i + 1 < n {
                // Arms keep the carried values or replace them.
                if self.random.chance(50) {
                    for t in carried.iter().rev() {
                        self.keep_or_drop(*t);
                    }
                    self.statement(depth.min(2));
                    for t in &carried {
                        self.leaf(*t);
                    }
                } else {
                    self.statement(depth.min(2));
                }
                if self.random.chance(50) {
                    let out = self.random.below(n - 1 - i);
                    self.out.push(I::Br(out));
                    for t in &carried {
                        self.leaf(*t);
                    }
                }
            }
        }
        for t in carried.iter().rev() {
            self.keep_or_drop(*t);
        }
    }
}
