//! Modules of wasm-smith, restricted to what both engines implement.

use super::random::Random;
use arbitrary::Unstructured;
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// Calls and rounds of loops until a module gives up.
const FUEL: u32 = 300;

fn config(seed: u64) -> Config {
    // Short and shallow, long, deep, wide, many tables.
    let shape = seed % 5;
    Config {
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        disallow_traps: seed.is_multiple_of(2),
        exceptions_enabled: false,
        gc_enabled: false,
        compact_imports_enabled: false,
        export_everything: true,
        extended_const_enabled: false,
        max_funcs: 10,
        min_funcs: 1,
        max_imports: 0,
        max_instructions: [100, 1500, 300, 500, 300][usize::try_from(shape).expect("below 5")],
        max_nesting_depth: if shape == 2 { 50 } else { 10 },
        max_values: if shape == 3 { 30 } else { 10 },
        max_exports: 200,
        max_memories: 1,
        min_memories: 1,
        max_memory32_bytes: 4 << 16,
        memory_max_size_required: true,
        memory64_enabled: false,
        max_tables: 4,
        min_tables: u32::from(shape == 4),
        max_table_elements: 100,
        table_max_size_required: true,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        memory_offset_choices: MemoryOffsetChoices(95, 4, 1),
        ..Config::default()
    }
}

/// The module of a seed.
pub(crate) fn module(seed: u64) -> Vec<u8> {
    let mut random = Random::new(!seed);
    let words = 250 + random.below(2000);
    let bytes: Vec<u8> = (0..words)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    module_of_bytes(seed, &bytes).expect("there are bytes enough for a module")
}

/// The module that the bytes describe, in the shape of a seed.
pub(crate) fn module_of_bytes(seed: u64, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut module = Module::new(config(seed), &mut Unstructured::new(bytes)).ok()?;
    module
        .ensure_termination(FUEL)
        .expect("every body was generated");
    Some(module.to_bytes())
}
