//! Cranelift's result as the artefact that both tiers share.

use crate::translate::Places;
use crate::{names, traps};
use cranelift_codegen::binemit::Reloc as RelocKind;
use cranelift_codegen::ir::{ExternalName, Function, SourceLoc};
use cranelift_codegen::{CompiledCode, FinalizedMachReloc, FinalizedRelocTarget, MachSrcLoc};
use upshift_abi::{
    CallSite, CodeKind, CompileError, CompileErrorKind, CompiledFunc, InlineFrame, Reloc,
    RelocTarget, StackMap, Tier, TrapSite,
};
use upshift_module::ValidatedFunc;

/// Constants in the blob are loaded by instructions that want 16-byte alignment.
const ALIGN_MIN: u32 = 16;
/// Bytes of a `ud2`, the shortest instruction that a trap record may name.
const TRAP_BYTES: u32 = 2;

/// Turns compiled code into a [`CompiledFunc`]. `clif` holds the names that relocations refer to.
pub(crate) fn finish(
    (func, kind): (ValidatedFunc<'_>, CodeKind),
    (clif, bodies): (&Function, &Places),
    code: &CompiledCode,
) -> Result<CompiledFunc, CompileError> {
    let buffer = &code.buffer;
    let frame_bytes = buffer
        .frame_layout()
        .ok_or_else(|| internal("code without a frame layout"))?
        .frame_to_fp_offset;
    let mut origins = Origins::new((func, bodies), buffer.get_srclocs_sorted());

    let mut relocs = Vec::with_capacity(buffer.relocs().len());
    for reloc in buffer.relocs() {
        relocs.push(link(clif, reloc)?);
    }
    let mut trap_sites = Vec::with_capacity(buffer.traps().len());
    for trap in buffer.traps() {
        let (frame, wasm_offset) = origins.at(trap.offset);
        trap_sites.push(TrapSite {
            offset: trap.offset,
            wasm_offset,
            frame,
            code: traps::from_clif(trap.code).ok_or_else(|| internal("unknown trap code"))?,
        });
    }
    trap_sites.sort_unstable_by_key(|site| site.offset);
    origins.rewind();
    // A call's location is that of its last byte, not of what follows it.
    let mut calls: Vec<CallSite> = buffer
        .call_sites()
        .map(|site| {
            let (frame, wasm_offset) = origins.at(site.ret_addr - 1);
            CallSite {
                return_offset: site.ret_addr,
                wasm_offset,
                frame,
            }
        })
        .collect();
    calls.sort_unstable_by_key(|site| site.return_offset);

    Ok(CompiledFunc {
        func: func.index(),
        tier: Tier::Optimizing,
        kind,
        code: code.code_buffer().to_vec(),
        text_bytes: text_bytes(code),
        align: buffer.alignment.max(ALIGN_MIN),
        relocs,
        traps: trap_sites,
        calls,
        stack_maps: stack_maps(code),
        frame_bytes,
        inlined: bodies.calls().to_vec(),
    })
}

/// Cranelift places constants last and does not say where they begin: behind the last instruction that
/// some record names, which with a location on every instruction is the last one.
fn text_bytes(code: &CompiledCode) -> u32 {
    let buffer = &code.buffer;
    let located = buffer.get_srclocs_sorted().iter().map(|place| place.end);
    let trapping = buffer.traps().iter().map(|trap| trap.offset + TRAP_BYTES);
    let called = buffer.call_sites().map(|site| site.ret_addr);
    let end = located.chain(trapping).chain(called).max();
    end.map_or(buffer.total_size(), |end| end.min(buffer.total_size()))
}

fn link(clif: &Function, reloc: &FinalizedMachReloc) -> Result<Reloc, CompileError> {
    let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = &reloc.target else {
        return Err(internal("relocation against a symbol that is not ours"));
    };
    let target = names::target(&clif.params.user_named_funcs()[*name])
        .ok_or_else(|| internal("relocation against an unknown name"))?;
    let expected = match target {
        RelocTarget::EntrySlot(_) => RelocKind::X86GOTPCRel4,
        RelocTarget::Libcall(_) | RelocTarget::Code(_) => RelocKind::X86CallPCRel4,
    };
    if reloc.kind != expected {
        return Err(internal("relocation of an unexpected kind"));
    }
    Ok(Reloc {
        offset: reloc.offset,
        target,
        addend: i32::try_from(reloc.addend).map_err(|_| internal("addend out of range"))?,
    })
}

/// Cranelift counts up from rsp at the call, we count down from the saved rbp: `span` is their distance.
fn stack_maps(code: &CompiledCode) -> Vec<StackMap> {
    code.buffer
        .user_stack_maps()
        .iter()
        .map(|(return_offset, span, map)| StackMap {
            return_offset: *return_offset,
            slots: map.entries().map(|(_, from_rsp)| span - from_rsp).collect(),
        })
        .filter(|map| !map.slots.is_empty())
        .collect()
}

/// Walks the source locations along ascending code offsets.
struct Origins<'a> {
    all: &'a [MachSrcLoc<cranelift_codegen::Final>],
    rest: &'a [MachSrcLoc<cranelift_codegen::Final>],
    bodies: &'a Places,
    body_offset: u32,
}

impl<'a> Origins<'a> {
    fn new(
        (func, bodies): (ValidatedFunc<'_>, &'a Places),
        places: &'a [MachSrcLoc<cranelift_codegen::Final>],
    ) -> Self {
        Self {
            all: places,
            rest: places,
            bodies,
            body_offset: func.body_offset(),
        }
    }

    fn rewind(&mut self) {
        self.rest = self.all;
    }

    /// What the code at `offset` came from: a body, and an offset in the module; the function's start for the prologue.
    fn at(&mut self, offset: u32) -> (InlineFrame, u32) {
        if self.rest.first().is_some_and(|place| place.start > offset) {
            self.rewind();
        }
        while let [place, rest @ ..] = self.rest
            && place.end <= offset
        {
            self.rest = rest;
        }
        match self.rest.first() {
            Some(place) if place.start <= offset && place.loc != SourceLoc::default() => {
                self.bodies.find(place.loc)
            }
            _ => (InlineFrame::FUNC, self.body_offset),
        }
    }
}

#[cold]
fn internal(message: &str) -> CompileError {
    CompileError::new(CompileErrorKind::Internal, message)
}
