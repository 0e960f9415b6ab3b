//! Out-of-line code, emitted behind the body: traps, counters, corrections of fast paths.
//!
//! A cold path sees the registers as they were at its fast path and changes only what it is told to.

use super::Lower;
use crate::isa::x64::Truncation;
use crate::isa::{Label, Reg};
use upshift_abi::{SiteIndex, TrapCode};
use upshift_module::ops::Width;

/// Code to be emitted behind the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cold {
    label: Label,
    /// Where it goes on, if it does.
    back: Label,
    wasm_offset: u32,
    kind: ColdKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ColdKind {
    Trap(TrapCode),
    /// The counter flipped its sign at this site.
    Counter(SiteIndex),
    /// Remainder by -1 is 0: the register.
    RemainderZero(Reg),
    /// Values that a truncation's fast path does not cover.
    Truncate(Truncation),
    /// A branch that leaves loops with homes of their own: a range of moves.
    Edge(u32, u32),
    /// `call_indirect` of something else than expected.
    Indirect(IndirectCold),
}

/// The cold path of a `call_indirect`.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndirectCold {
    pub(super) table: u32,
    pub(super) ty: u32,
    pub(super) type_id: u32,
    /// Entered here with the address of the entry in r11, and at the usual label with the index in r11.
    pub(super) mismatch: Label,
}

impl Lower<'_> {
    /// A label whose code traps.
    pub(super) fn trap(&mut self, code: TrapCode) -> Label {
        let wasm_offset = self.s.asm.wasm_offset;
        if let Some(last) = self.s.cold.last()
            && last.wasm_offset == wasm_offset
            && matches!(last.kind, ColdKind::Trap(other) if other == code)
        {
            return last.label;
        }
        self.cold(ColdKind::Trap(code), None)
    }

    /// A label of cold code that goes on at `back`.
    pub(super) fn cold(&mut self, kind: ColdKind, back: Option<Label>) -> Label {
        let label = self.s.asm.new_label();
        let wasm_offset = self.s.asm.wasm_offset;
        self.s.cold.push(Cold {
            label,
            back: back.unwrap_or(label),
            wasm_offset,
            kind,
        });
        label
    }

    /// Emits all cold code.
    pub(super) fn emit_cold(&mut self) {
        let all = std::mem::take(&mut self.s.cold);
        for cold in &all {
            self.s.asm.wasm_offset = cold.wasm_offset;
            self.s.asm.bind(cold.label);
            match cold.kind {
                ColdKind::Trap(code) => {
                    self.s.asm.trap_site(code);
                    self.s.asm.undefined();
                }
                ColdKind::Counter(site) => {
                    let func = self.func.index().0.cast_signed();
                    self.s.asm.call_counter(func, site.0.cast_signed());
                    self.s.asm.jump(cold.back);
                }
                ColdKind::RemainderZero(reg) => {
                    self.s
                        .asm
                        .load_const(crate::state::value::Ty::of_width(Width::W32), reg, 0);
                    self.s.asm.jump(cold.back);
                }
                ColdKind::Truncate(t) => self.s.asm.truncate_cold(t, cold.back),
                ColdKind::Edge(from, to) => {
                    self.emit_edge_moves(from, to);
                    self.s.asm.jump(cold.back);
                }
                ColdKind::Indirect(call) => self.emit_indirect_cold(call, cold.back),
            }
        }
        self.s.cold = all;
        self.s.cold.clear();
    }
}
