//! Compiles whole modules outside any engine.

use upshift_abi::{
    CompileEnv, CompileOptions, CompiledFunc, Compiler, CpuFeatures, MemoryStyle, SignatureLayout,
    TypeId, VmLayout,
};
use upshift_baseline::BaselineCompiler;
use upshift_module::{DecodeOptions, Module};

/// How a test compiles.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) style: MemoryStyle,
    pub(crate) cpu: CpuFeatures,
    pub(crate) options: CompileOptions,
}

/// Everything that the listings rely on, whatever this machine has.
pub(crate) fn all_features() -> CpuFeatures {
    [
        CpuFeatures::SSE41,
        CpuFeatures::SSE42,
        CpuFeatures::POPCNT,
        CpuFeatures::LZCNT,
        CpuFeatures::BMI1,
        CpuFeatures::BMI2,
        CpuFeatures::AVX,
    ]
    .into_iter()
    .fold(CpuFeatures::default(), CpuFeatures::with)
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            style: MemoryStyle::Reserved {
                guard_bytes: 1 << 31,
            },
            cpu: all_features(),
            options: CompileOptions::default(),
        }
    }
}

/// Compiles every function of a module in the binary format.
#[allow(dead_code, reason = "the example has a module already")]
pub(crate) fn compile(bytes: &[u8], setup: Setup) -> Vec<CompiledFunc> {
    let module = Module::new(bytes.to_vec(), &DecodeOptions::default()).expect("a valid module");
    let mut funcs = Vec::new();
    compile_module(&module, setup, |func| funcs.push(func));
    funcs
}

/// Compiles every function of a module, one after the other by one worker.
pub(crate) fn compile_module(module: &Module, setup: Setup, mut each: impl FnMut(CompiledFunc)) {
    let env = module.env();
    let layout = VmLayout::new(env);
    let signatures: Vec<SignatureLayout> = env.types.iter().map(SignatureLayout::new).collect();
    let type_ids: Vec<TypeId> = (0..env.types.len())
        .map(|i| TypeId(TypeId::FIRST.0 + u32::try_from(i).expect("a test")))
        .collect();
    let env = CompileEnv {
        layout: &layout,
        signatures: &signatures,
        type_ids: &type_ids,
        memory_style: setup.style,
        cpu: setup.cpu,
        interruption: false,
        profile: None,
    };
    let mut worker = BaselineCompiler::new().worker();
    for func in module.funcs() {
        let index = func.index();
        each(
            worker
                .compile(func, &env, &setup.options)
                .unwrap_or_else(|error| panic!("{index:?}: {error}")),
        );
    }
}
