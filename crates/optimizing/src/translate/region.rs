//! Alias regions: parts of memory of which Cranelift may assume that a store to one leaves loads from
//! the others as they are.
//!
//! Sound because what one region covers is never reached through another:
//! * a definition of ours and one that we import are different objects, so each defined memory or global has its
//!   own region, and all imported ones, which may be one object under two names, share theirs;
//! * table elements, table and memory headers, entry slots, results on the stack are different types at different places.
//!
//! A call ends what is known of every region but [`Region::Fixed`]. Entry slots change at any time; they are
//! read right before a call, so no two reads meet without a call between them.

use cranelift_codegen::ir::{AliasRegion, AliasRegionData, Function};
use cranelift_frontend::FunctionBuilder;
use std::borrow::Cow;
use upshift_module::{GlobalIndex, MemoryIndex, ModuleEnv};

/// Definitions of a kind that have a region of their own; the others of the kind share one. Cranelift keeps a word per
/// region and block.
const OWN_REGIONS_MAX: u32 = 8;

/// A part of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Region {
    /// What does not change while code of the instance runs.
    Fixed,
    /// Lengths and moving bases of tables.
    TableDefs,
    /// Lengths and moving bases of memories.
    MemoryDefs,
    /// Table elements.
    Elements,
    /// Code pointers.
    EntrySlots,
    /// Results beyond the registers.
    Results,
    /// References spilled around calls.
    Spills,
    /// The store's interrupt word, which another thread writes.
    Interrupt,
    /// Values on their way from a baseline frame into a loop.
    LoopEntry,
    /// Bytes of a memory: 0 of all imported ones, else 1 + defined index.
    Memory(u32),
    /// A global: 0 for all imported ones, else 1 + defined index.
    Global(u32),
}

impl Region {
    /// Where a memory's bytes are.
    pub(super) fn of_memory(env: &ModuleEnv, memory: MemoryIndex) -> Self {
        Self::Memory(own_number(env.defined_memory(memory)))
    }

    /// Where a global is.
    pub(super) fn of_global(env: &ModuleEnv, global: GlobalIndex) -> Self {
        Self::Global(own_number(env.defined_global(global)))
    }

    fn number(self) -> u32 {
        match self {
            Self::Fixed => 0,
            Self::TableDefs => 1,
            Self::MemoryDefs => 2,
            Self::Elements => 3,
            Self::EntrySlots => 4,
            Self::Results => 5,
            Self::Spills => 6,
            Self::Interrupt => 7,
            Self::LoopEntry => 8,
            Self::Memory(number) => 16 + number,
            Self::Global(number) => 32 + number,
        }
    }

    fn description(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Fixed => "fixed",
            Self::TableDefs => "table headers",
            Self::MemoryDefs => "memory headers",
            Self::Elements => "table elements",
            Self::EntrySlots => "entry slots",
            Self::Results => "results",
            Self::Spills => "spilled references",
            Self::Interrupt => "interrupt word",
            Self::LoopEntry => "loop entry",
            Self::Memory(0) => "imported memories",
            Self::Memory(_) => "memory",
            Self::Global(0) => "imported globals",
            Self::Global(_) => "global",
        })
    }

    /// The region's number in a function.
    pub(super) fn declare(self, func: &mut Function) -> AliasRegion {
        let user_id = self.number();
        let regions = &mut func.dfg.alias_regions;
        regions.get(user_id).unwrap_or_else(|| {
            regions.insert(AliasRegionData {
                user_id,
                description: self.description(),
            })
        })
    }
}

fn own_number(defined: Option<u32>) -> u32 {
    defined.map_or(0, |index| 1 + index.min(OWN_REGIONS_MAX))
}

/// Gives the stores and loads of references around calls a region.
pub(super) fn place_reference_spills(builder: &mut FunctionBuilder<'_>) {
    builder.make_stack_map_alias_region(Box::new(|regions, _, _, _| {
        Some(regions.insert(AliasRegionData {
            user_id: Region::Spills.number(),
            description: Region::Spills.description(),
        }))
    }));
}

/// An offset in one of the runtime's structs, or in a vmctx, which the engine's limits keep far below 2 GiB.
pub(super) fn field(offset: usize) -> i32 {
    i32::try_from(offset).expect("a context is smaller than 2 GiB")
}
