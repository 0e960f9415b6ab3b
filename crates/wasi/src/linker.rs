//! The functions of the interface as imports of a guest.

use crate::exit::ExitStatus;
use crate::preview1::{Function, MODULE, Param, Preview1, Stop};
use upshift::{Caller, Error, ErrorKind, Extern, FuncType, Linker, Val, ValType};

/// Defines all functions of WASI preview 1 in a linker, under the module name [`MODULE`].
///
/// `get` finds the implementation in the store's data. A function works on the memory that the calling
/// instance exports as `memory`. `proc_exit` ends the guest with an error that is an [`ExitStatus`].
///
/// ```
/// use upshift::{Engine, Linker, Module, Store};
/// use upshift_wasi::{ExitStatus, WasiCtx, WasiCtxBuilder};
///
/// # fn main() -> Result<(), upshift::Error> {
/// let engine = Engine::default();
/// let mut linker: Linker<WasiCtx> = Linker::new(&engine);
/// upshift_wasi::add_to_linker(&mut linker, |context| context)?;
///
/// let module = Module::new(&engine, r#"(module
///     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
///     (memory (export "memory") 1)
///     (func (export "_start") (call $exit (i32.const 7))))"#)?;
/// let mut store = Store::new(&engine, WasiCtxBuilder::new().build()?);
/// let instance = linker.instantiate(&mut store, &module)?;
/// let start = instance.get_func(&mut store, "_start").unwrap();
/// let error = start.call(&mut store, &[], &mut []).unwrap_err();
/// assert_eq!(error.downcast_ref::<ExitStatus>().unwrap().code(), 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Link`] if one of the functions is defined already.
pub fn add_to_linker<T: 'static, P: Preview1>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut P + Send + Sync + Copy + 'static,
) -> Result<(), Error> {
    for &function in Function::ALL {
        let params = function.params().iter().map(|&param| val_type(param));
        let results = function.returns_errno().then_some(ValType::I32);
        let ty = FuncType::new(linker.engine(), params, results);
        linker.func_new(
            MODULE,
            function.name(),
            ty,
            move |mut caller, params, results| {
                let errno = call(&mut caller, function, get, params)?;
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(errno.cast_signed());
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Most parameters of a function, `path_open`'s.
const PARAMS_MAX: usize = 9;

fn call<T: 'static, P: Preview1>(
    caller: &mut Caller<'_, T>,
    function: Function,
    get: impl Fn(&mut T) -> &mut P,
    params: &[Val],
) -> Result<u32, Error> {
    let mut args = [0; PARAMS_MAX];
    for (arg, param) in args.iter_mut().zip(params) {
        *arg = match *param {
            Val::I32(value) => value.cast_unsigned().into(),
            Val::I64(value) => value.cast_unsigned(),
            Val::F32(_) | Val::F64(_) | Val::V128(_) | Val::FuncRef(_) | Val::ExternRef(_) => {
                let message = format!("expected integers for {}", function.name());
                return Err(Error::with_kind(ErrorKind::Internal, message));
            }
        };
    }
    let args = &args[..params.len()];
    let outcome = if let Some(Extern::Memory(memory)) = caller.get_export("memory") {
        let (memory, data) = memory.data_and_store_mut(&mut *caller);
        get(data).call(function, args, memory)
    } else if function == Function::ProcExit {
        // A guest without memory can still exit.
        get(caller.data_mut()).call(function, args, &mut [])
    } else {
        let name = function.name();
        return Err(Error::msg(format!(
            "expected the instance that calls {name} to export a memory named \"memory\""
        )));
    };
    outcome.map_err(|stop| match stop {
        Stop::Exit(code) => Error::new(ExitStatus::new(code)),
        Stop::Trap(message) => Error::msg(message).context(function.name()),
    })
}

fn val_type(param: Param) -> ValType {
    match param {
        Param::I32 => ValType::I32,
        Param::I64 => ValType::I64,
    }
}
