//! Cranelift's target and settings; the only place that names an instruction set.

use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable as _, SetError};
use std::sync::{Mutex, PoisonError};
use upshift_abi::{CompileError, CompileErrorKind, CpuFeatures};

/// Settings that hold for every processor.
///
/// `is_pic` is what makes a direct call cheap: Cranelift then takes the address of a symbol that is not
/// colocated out of its global-offset-table entry, `mov reg, [rip + entry]`, anew at each call. Our
/// table is the entry table, and the entry is the function's slot. Helpers are colocated and so are
/// called by `call rel32`.
const SHARED: &[(&str, &str)] = &[
    ("opt_level", "speed"),
    ("regalloc_algorithm", "backtracking"),
    ("is_pic", "true"),
    ("unwind_info", "false"),
    ("preserve_frame_pointers", "true"),
    ("enable_probestack", "true"),
    ("probestack_strategy", "inline"),
    ("machine_code_cfg_info", "false"),
    ("enable_nan_canonicalization", "false"),
    ("enable_multi_ret_implicit_sret", "false"),
    ("enable_heap_access_spectre_mitigation", "false"),
    ("enable_table_access_spectre_mitigation", "false"),
];

/// Cranelift's names of the extensions.
const FEATURES: &[(CpuFeatures, &[&str])] = &[
    (CpuFeatures::SSE41, &["has_sse3", "has_ssse3", "has_sse41"]),
    (CpuFeatures::SSE42, &["has_sse42"]),
    (CpuFeatures::POPCNT, &["has_popcnt"]),
    (CpuFeatures::LZCNT, &["has_lzcnt"]),
    (CpuFeatures::BMI1, &["has_bmi1"]),
    (CpuFeatures::BMI2, &["has_bmi2"]),
    (CpuFeatures::AVX, &["has_avx"]),
    (CpuFeatures::AVX2, &["has_avx2"]),
    (CpuFeatures::FMA, &["has_fma"]),
];

/// Targets made so far, one per set of processor features; in practice one.
#[derive(Default)]
pub(crate) struct IsaCache {
    made: Mutex<Vec<(CpuFeatures, OwnedTargetIsa)>>,
}

impl IsaCache {
    /// The target for a processor.
    pub(crate) fn get(&self, cpu: CpuFeatures) -> Result<OwnedTargetIsa, CompileError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, isa)) = made.iter().find(|(known, _)| *known == cpu) {
            return Ok(OwnedTargetIsa::clone(isa));
        }
        let isa = build(cpu)?;
        made.push((cpu, OwnedTargetIsa::clone(&isa)));
        Ok(isa)
    }
}

fn build(cpu: CpuFeatures) -> Result<OwnedTargetIsa, CompileError> {
    if !cpu.has(CpuFeatures::SSE41) {
        return Err(CompileError::new(
            CompileErrorKind::Unsupported,
            "the processor lacks SSE4.1",
        ));
    }
    let mut flags = settings::builder();
    for (name, value) in SHARED {
        flags.set(name, value).map_err(bad_setting)?;
    }
    // +40 % compile time, so only where tests run.
    let verify = if cfg!(debug_assertions) {
        "true"
    } else {
        "false"
    };
    flags.set("enable_verifier", verify).map_err(bad_setting)?;

    let mut builder = isa::lookup_by_name("x86_64-unknown-linux-gnu")
        .map_err(|e| CompileError::new(CompileErrorKind::Unsupported, e.to_string()))?;
    for (feature, names) in FEATURES {
        if cpu.has(*feature) {
            for name in *names {
                builder.enable(name).map_err(bad_setting)?;
            }
        }
    }
    builder
        .finish(settings::Flags::new(flags))
        .map_err(|e| CompileError::new(CompileErrorKind::Internal, e.to_string()))
}

fn bad_setting(error: SetError) -> CompileError {
    CompileError::new(
        CompileErrorKind::Internal,
        format!("cranelift setting: {error}"),
    )
}
