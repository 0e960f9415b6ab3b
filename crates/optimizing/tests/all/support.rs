//! What the tests share: modules from text with what a runtime would add, and listings.

use iced_x86::{Decoder, DecoderOptions, Formatter as _, NasmFormatter};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use upshift_abi::{
    CompileEnv, CompileError, CompileOptions, CompiledFunc, Compiler as _, CompilerWorker,
    CpuFeatures, InlineFrame, InlineLimits, MemoryStyle, Profile, RelocTarget, SignatureLayout,
    TypeId, VmLayout,
};
use upshift_module::{DecodeOptions, FuncIndex, FuncType, Module, ValidatedFunc};
use upshift_optimizing::OptimizingCompiler;

/// A guard that small constant offsets stay within.
const GUARD_BYTES: u64 = 32 << 20;

/// What a test chooses.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings {
    /// The checked memory style.
    pub(crate) checked: bool,
    /// Loops notice interrupts.
    pub(crate) interruption: bool,
    /// Every function has the code that it keeps.
    pub(crate) all_final: bool,
    /// What may be inlined.
    pub(crate) inlining: Option<InlineLimits>,
}

/// A profile in which function i has been entered 100 * i times, and every `call_indirect` reaches function 0.
#[derive(Debug)]
struct TestProfile {
    module: Arc<Module>,
    all_final: bool,
    limits: InlineLimits,
}

impl Profile for TestProfile {
    fn inlinee(&self, func: FuncIndex) -> Option<ValidatedFunc<'_>> {
        self.module.func(func)
    }

    fn entries(&self, func: FuncIndex) -> u64 {
        u64::from(func.0) * 100
    }

    fn is_final(&self, _: FuncIndex) -> bool {
        self.all_final
    }

    fn indirect_target(&self, _: FuncIndex, _: u32) -> Option<FuncIndex> {
        Some(FuncIndex(0))
    }

    fn inlining(&self) -> InlineLimits {
        self.limits
    }
}

/// A module with the layouts that the runtime would give it.
pub(crate) struct TestModule {
    module: Arc<Module>,
    layout: VmLayout,
    signatures: Vec<SignatureLayout>,
    type_ids: Vec<TypeId>,
    compiler: OptimizingCompiler,
}

impl TestModule {
    /// Decodes and validates a module in text form.
    pub(crate) fn new(source: &str) -> Self {
        let bytes = wat::parse_str(source).expect("the text is a module");
        let module = Module::new(bytes, &DecodeOptions::default()).expect("the module is valid");
        let types = &module.env().types;
        let mut ids: HashMap<&FuncType, TypeId> = HashMap::new();
        let type_ids = types
            .iter()
            .map(|ty| {
                let next = u32::try_from(ids.len()).expect("few types");
                *ids.entry(ty).or_insert(TypeId(TypeId::FIRST.0 + next))
            })
            .collect();
        Self {
            layout: VmLayout::new(module.env()),
            signatures: types.iter().map(SignatureLayout::new).collect(),
            type_ids,
            module: Arc::new(module),
            compiler: OptimizingCompiler::new(),
        }
    }

    /// The functions with a body.
    pub(crate) fn funcs(&self) -> impl Iterator<Item = ValidatedFunc<'_>> {
        self.module.funcs()
    }

    /// Compiles a function.
    pub(crate) fn compile(
        &self,
        func: ValidatedFunc<'_>,
        settings: Settings,
    ) -> Result<CompiledFunc, CompileError> {
        let options = CompileOptions::default();
        self.with_env(settings, |env| self.worker().compile(func, env, &options))
    }

    /// The CLIF of a function.
    pub(crate) fn clif(&self, func: ValidatedFunc<'_>, settings: Settings) -> String {
        self.with_env(settings, |env| self.compiler.clif(func, env))
            .expect("validated code translates")
    }

    fn with_env<R>(&self, settings: Settings, then: impl FnOnce(&CompileEnv<'_>) -> R) -> R {
        let profile = TestProfile {
            module: Arc::clone(&self.module),
            all_final: settings.all_final,
            limits: settings.inlining.unwrap_or(InlineLimits::OFF),
        };
        let mut env = self.env(settings);
        if settings.all_final || settings.inlining.is_some() {
            env.profile = Some(&profile);
        }
        then(&env)
    }

    /// A new worker.
    pub(crate) fn worker(&self) -> Box<dyn CompilerWorker> {
        self.compiler.worker()
    }

    /// What the runtime would say of the engine, without a profile.
    pub(crate) fn env(&self, settings: Settings) -> CompileEnv<'_> {
        CompileEnv {
            layout: &self.layout,
            signatures: &self.signatures,
            type_ids: &self.type_ids,
            memory_style: if settings.checked {
                MemoryStyle::Checked
            } else {
                MemoryStyle::Reserved {
                    guard_bytes: GUARD_BYTES,
                }
            },
            // The same on every machine that runs the tests.
            cpu: CpuFeatures::SSE41
                .with(CpuFeatures::SSE42)
                .with(CpuFeatures::POPCNT)
                .with(CpuFeatures::LZCNT)
                .with(CpuFeatures::BMI1)
                .with(CpuFeatures::BMI2)
                .with(CpuFeatures::AVX)
                .with(CpuFeatures::AVX2),
            interruption: settings.interruption,
            profile: None,
        }
    }
}

/// What must be true of every artefact.
pub(crate) fn check_artefact(code: &CompiledFunc) {
    let size = u32::try_from(code.code.len()).expect("small code");
    assert!(code.align >= 16 && code.align.is_power_of_two());
    assert!(code.text_bytes <= size && code.text_bytes > 0);
    assert!(code.traps.is_sorted_by_key(|site| site.offset));
    assert!(code.calls.is_sorted_by_key(|site| site.return_offset));
    assert!(code.stack_maps.is_sorted_by_key(|map| map.return_offset));
    assert!(code.traps.iter().all(|site| site.offset < code.text_bytes));
    assert!(code.relocs.iter().all(|reloc| reloc.offset + 4 <= size));
    for (at, call) in code.inlined.iter().enumerate() {
        assert!(call.caller.0 as usize <= at, "callers come first");
    }
    let sites = code.calls.iter().map(|site| site.frame);
    for frame in sites.chain(code.traps.iter().map(|site| site.frame)) {
        assert!(
            frame.0 as usize <= code.inlined.len(),
            "sites are in known bodies"
        );
    }
    for map in &code.stack_maps {
        let call = |site: &upshift_abi::CallSite| site.return_offset == map.return_offset;
        assert!(code.calls.iter().any(call), "a stack map is at a call");
        assert!(
            map.slots
                .iter()
                .all(|&slot| slot > 0 && slot <= code.frame_bytes),
            "references lie in the frame"
        );
    }
}

/// Appends the machine code with its records.
pub(crate) fn print(listing: &mut String, code: &CompiledFunc) {
    for (at, call) in code.inlined.iter().enumerate() {
        let (number, func, at) = (at + 1, call.func.0, call.wasm_offset);
        let caller = within(call.caller);
        writeln!(
            listing,
            "      inlined {number}: function {func} @{at:x}{caller}"
        )
        .expect("a String grows");
    }
    let text = &code.code[..code.text_bytes as usize];
    let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
    let mut formatter = NasmFormatter::new();
    for instruction in &mut decoder {
        let start = u32::try_from(instruction.ip()).expect("small code");
        let end = u32::try_from(instruction.next_ip()).expect("small code");
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        write!(listing, "{start:4x}: {text}").expect("a String grows");
        for reloc in code
            .relocs
            .iter()
            .filter(|r| (start..end).contains(&r.offset))
        {
            match reloc.target {
                RelocTarget::EntrySlot(func) => write!(listing, " ; slot {}", func.0),
                RelocTarget::Libcall(libcall) => write!(listing, " ; {}", libcall.name()),
                RelocTarget::Code(func) => write!(listing, " ; code {}", func.0),
            }
            .expect("a String grows");
        }
        for trap in code.traps.iter().filter(|t| t.offset == start) {
            let (code, at, body) = (trap.code, trap.wasm_offset, within(trap.frame));
            write!(listing, " ; trap: {code} @{at:x}{body}").expect("a String grows");
        }
        for call in code.calls.iter().filter(|c| c.return_offset == end) {
            let (at, body) = (call.wasm_offset, within(call.frame));
            write!(listing, " ; call @{at:x}{body}").expect("a String grows");
        }
        for map in code.stack_maps.iter().filter(|m| m.return_offset == end) {
            write!(listing, " ; references at rbp - {:x?}", map.slots).expect("a String grows");
        }
        listing.push('\n');
    }
    let data = code.code.len() - code.text_bytes as usize;
    if data > 0 {
        writeln!(listing, "      {data} bytes of data").expect("a String grows");
    }
}

/// Which inlined body a place is in; nothing for the function's own.
fn within(frame: InlineFrame) -> String {
    match frame.0 {
        0 => String::new(),
        number => format!(" in {number}"),
    }
}
