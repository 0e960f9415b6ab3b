//! Instances of modules: [`Instance`].

use crate::error::{Error, ErrorKind, Result};
use crate::externs::{Export, Extern};
use crate::func::Func;
use crate::global::Global;
use crate::link;
use crate::memory::Memory;
use crate::module::Module;
use crate::shim;
use crate::store::{AsContextMut, StoreContextMut};
use crate::table::Table;
use crate::typed::{TypedFunc, WasmParams, WasmResults};
use upshift_runtime::{InstanceHandle, StoreInner};

/// An instance of a module in a store.
///
/// ```
/// use upshift::{Engine, Func, Instance, Module, Store};
///
/// # fn main() -> upshift::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module
///     (import "host" "log" (func $log (param i32)))
///     (func (export "run") (call $log (i32.const 7))))"#)?;
/// let mut store = Store::new(&engine, Vec::new());
/// let log = Func::wrap(&mut store, |mut caller: upshift::Caller<'_, Vec<i32>>, n: i32| {
///     caller.data_mut().push(n);
/// });
/// let instance = Instance::new(&mut store, &module, &[log.into()])?;
/// let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
/// run.call(&mut store, ())?;
/// assert_eq!(store.data(), &[7]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instance(pub(crate) InstanceHandle);

impl Instance {
    /// Instantiates a module with its imports in order, and runs its start function (spec 4.5.4).
    ///
    /// # Errors
    /// Kind [`ErrorKind::Link`] if the imports do not match; kind [`ErrorKind::Store`] if one is of another
    /// store or the module of another engine; a trap of an active segment or of the start function, an error of
    /// a host function; kind [`ErrorKind::Resource`] if the system has no room.
    ///
    /// # Panics
    /// If a host function that the start function calls panics: with the same payload.
    pub fn new(mut store: impl AsContextMut, module: &Module, imports: &[Extern]) -> Result<Self> {
        let mut context = store.as_context_mut();
        link::same_engine(context.engine(), module.engine(), "module")?;
        let expected = module.imports().len();
        if imports.len() != expected {
            return Err(Error::with_kind(
                ErrorKind::Link,
                format!("expected {expected} imports, found {}", imports.len()),
            ));
        }
        let mut problems = link::Problems::default();
        for (import, item) in module.imports().zip(imports) {
            if !context.inner().owns(item.handle()) {
                let name = format!("import {}.{}", import.module(), import.name());
                return Err(Error::other_store(&name));
            }
            problems.check(&import, &link::type_of(context.inner(), *item));
        }
        problems.into_result()?;
        Self::instantiate(&mut context, module, imports)
    }

    /// Instantiates with imports that were checked.
    pub(crate) fn instantiate<T>(
        context: &mut StoreContextMut<'_, T>,
        module: &Module,
        imports: &[Extern],
    ) -> Result<Self> {
        let imports: Vec<_> = imports.iter().map(|item| item.handle()).collect();
        let (instance, start) = shim::instantiate(context, module.loaded(), &imports)?;
        if let Some(start) = start {
            shim::call(context, start, &[], &mut [])?;
        }
        Ok(Self(instance))
    }

    /// An export by name.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get_export(&self, store: impl AsContextMut, name: &str) -> Option<Extern> {
        let context = store.as_context();
        self.check(context.inner())
            .expect("the instance is of this store");
        let export = context.inner().export_by_name(self.0, name)?;
        Some(Extern::from_handle(export))
    }

    /// An exported function by name.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get_func(&self, store: impl AsContextMut, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// An exported function by name, its type checked.
    ///
    /// # Errors
    /// If there is no such function, its type is another one, or the instance is of another store.
    pub fn get_typed_func<P: WasmParams, R: WasmResults>(
        &self,
        mut store: impl AsContextMut,
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        self.check(store.as_context().inner())?;
        let func = self.get_func(&mut store, name).ok_or_else(|| {
            Error::with_kind(
                ErrorKind::Link,
                format!("expected an exported function {name:?}, found none"),
            )
        })?;
        func.typed(&store)
            .map_err(|error| error.context(format_args!("export {name:?}")))
    }

    /// An exported memory by name.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get_memory(&self, store: impl AsContextMut, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// An exported table by name.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get_table(&self, store: impl AsContextMut, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// An exported global by name.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get_global(&self, store: impl AsContextMut, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }

    /// All exports in the module's order.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn exports<'a, T: 'a>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> impl ExactSizeIterator<Item = Export<'a>> {
        let store: &'a StoreInner = store.into().into_inner();
        let exports = store
            .exports(self.0)
            .expect("the instance is of this store");
        exports
            .map(|(name, item)| Export::new(name, Extern::from_handle(item)))
            .collect::<Vec<_>>()
            .into_iter()
    }

    pub(crate) fn export_list(self, store: &StoreInner) -> Result<Vec<(Box<str>, Extern)>> {
        let exports = store.exports(self.0);
        let exports = exports.ok_or_else(|| Error::other_store("instance"))?;
        Ok(exports
            .map(|(name, item)| (name.into(), Extern::from_handle(item)))
            .collect())
    }

    fn check(self, store: &StoreInner) -> Result<()> {
        if store.owns_instance(self.0) {
            Ok(())
        } else {
            Err(Error::other_store("instance"))
        }
    }
}
