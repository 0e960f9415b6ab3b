//! [`Linker`]: names for what modules import, and the checks of linking.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::externs::Extern;
use crate::func::{self, Func};
use crate::instance::Instance;
use crate::link;
use crate::module::Module;
use crate::shim::HostFn;
use crate::store::{AsContext, AsContextMut};
use crate::types::{ExternType, FuncType};
use crate::value::Val;
use crate::wrap::IntoFunc;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Defines imports by name, and instantiates modules with them.
///
/// Host functions defined by `func_wrap` and `func_new` belong to no store: one linker serves many. Items of a store,
/// as [`define`](Self::define) takes them, serve that store only.
///
/// ```
/// use upshift::{Engine, Linker, Module, Store};
///
/// # fn main() -> upshift::Result<()> {
/// let engine = Engine::default();
/// let mut linker: Linker<()> = Linker::new(&engine);
/// linker.func_wrap("host", "double", |n: i32| n * 2)?;
/// let module = Module::new(&engine, r#"(module
///     (import "host" "double" (func $double (param i32) (result i32)))
///     (func (export "quadruple") (param i32) (result i32)
///         (call $double (call $double (local.get 0)))))"#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = linker.instantiate(&mut store, &module)?;
/// let quadruple = instance.get_typed_func::<i32, i32>(&mut store, "quadruple")?;
/// assert_eq!(quadruple.call(&mut store, 5)?, 20);
/// # Ok(())
/// # }
/// ```
pub struct Linker<T> {
    engine: Engine,
    /// By module name, then by name.
    modules: HashMap<Arc<str>, HashMap<Arc<str>, Definition>>,
    shadowing: bool,
    /// Host functions take the data as exactly `T`, so a linker is invariant in it.
    data: PhantomData<fn(T) -> T>,
}

#[derive(Clone)]
enum Definition {
    /// An item of one store.
    Item(Extern),
    /// A host function for any `Store<T>`.
    Host(upshift_module::FuncType, HostFn),
}

impl<T> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            modules: self.modules.clone(),
            shadowing: self.shadowing,
            data: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .modules
            .iter()
            .flat_map(|(module, items)| items.keys().map(move |name| format!("{module}.{name}")));
        f.debug_set().entries(names).finish()
    }
}

impl<T: 'static> Linker<T> {
    /// A linker without definitions.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            modules: HashMap::new(),
            shadowing: false,
            data: PhantomData,
        }
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again, the last definition winning. Off at first.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.shadowing = allow;
        self
    }

    /// Defines an item of a store.
    ///
    /// # Errors
    /// If the name is taken, or `item` belongs to another store.
    pub fn define(
        &mut self,
        store: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        let item = item.into();
        if !store.as_context().inner().owns(item.handle()) {
            return Err(Error::other_store("definition"));
        }
        self.insert(module, name, Definition::Item(item))
    }

    /// Defines a host function from a closure; see [`IntoFunc`].
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Result<&mut Self> {
        let (ty, host) = func.into_host();
        self.insert(module, name, Definition::Host(ty, host))
    }

    /// Defines a host function whose type is known at run time only; see [`Func::new`].
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let host = func::dynamic_host(&ty, func);
        self.insert(module, name, Definition::Host(ty.0, host))
    }

    /// Defines all exports of an instance under a module name.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn instance(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        let exports = instance.export_list(store.as_context_mut().inner())?;
        for (name, item) in exports {
            self.insert(module, &name, Definition::Item(item))?;
        }
        Ok(self)
    }

    /// Instantiates a module with what is defined so far, and defines its exports under a module name. A
    /// reactor's `_initialize` is called.
    ///
    /// # Errors
    /// Those of [`instantiate`](Self::instantiate), and if a name is taken.
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        let instance = self.instantiate(&mut store, module)?;
        if let Some(initialize) = instance.get_func(&mut store, "_initialize") {
            initialize.typed::<(), ()>(&store)?.call(&mut store, ())?;
        }
        self.instance(store, name, instance)
    }

    /// Defines one name as another one.
    ///
    /// # Errors
    /// If the first is not defined, or the second is taken.
    pub fn alias(
        &mut self,
        module: &str,
        name: &str,
        as_module: &str,
        as_name: &str,
    ) -> Result<&mut Self> {
        let definition = self.definition(module, name).cloned().ok_or_else(|| {
            Error::with_kind(
                ErrorKind::Link,
                format!("expected {module}.{name} to be defined, found nothing"),
            )
        })?;
        self.insert(as_module, as_name, definition)
    }

    /// Defines all names of a module under another module name as well.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn alias_module(&mut self, module: &str, as_module: &str) -> Result<()> {
        let items = self.modules.get(module).cloned().unwrap_or_default();
        for (name, definition) in items {
            self.insert(as_module, &name, definition)?;
        }
        Ok(())
    }

    /// Defines every function that `module` imports and nobody defined: to fail with an error of kind
    /// [`ErrorKind::Link`] that names it, when it is called.
    ///
    /// # Errors
    /// None as yet; kept for imports that cannot be stood in for.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for import in module.imports() {
            if self.definition(import.module(), import.name()).is_some() {
                continue;
            }
            let ExternType::Func(ty) = import.ty() else {
                continue;
            };
            let message = format!(
                "unknown import: {}.{}: func {ty}",
                import.module(),
                import.name()
            );
            self.func_new(import.module(), import.name(), ty, move |_, _, _| {
                Err(Error::with_kind(ErrorKind::Link, message.as_str()))
            })?;
        }
        Ok(())
    }

    /// What a name stands for in a store.
    pub fn get(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
        name: &str,
    ) -> Option<Extern> {
        match self.definition(module, name)? {
            Definition::Item(item) => Some(*item),
            Definition::Host(ty, host) => {
                let func = Func::from_host(store.as_context_mut().inner_mut(), ty, host);
                func.ok().map(Extern::Func)
            }
        }
    }

    /// Links and instantiates a module, and runs its start function.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Link`] with all imports that are missing or have other types; kind
    /// [`ErrorKind::Store`] if engines or stores are mixed; else as [`Instance::new`].
    pub fn instantiate(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<Instance> {
        let mut context = store.as_context_mut();
        link::same_engine(context.engine(), &self.engine, "linker")?;
        link::same_engine(context.engine(), module.engine(), "module")?;
        let inner = context.inner_mut();
        let mut problems = link::Problems::default();
        let mut found = Vec::with_capacity(module.imports().len());
        for import in module.imports() {
            match self.definition(import.module(), import.name()) {
                None => problems.missing(&import),
                Some(Definition::Item(item)) => {
                    if !inner.owns(item.handle()) {
                        return Err(Error::other_store(&format!(
                            "definition of {}.{}",
                            import.module(),
                            import.name()
                        )));
                    }
                    problems.check(&import, &link::type_of(inner, *item));
                    found.push(Found::Item(*item));
                }
                Some(Definition::Host(ty, host)) => {
                    problems.check(&import, &ExternType::Func(FuncType(ty.clone())));
                    found.push(Found::Host(ty, host));
                }
            }
        }
        problems.into_result()?;
        let mut imports = Vec::with_capacity(found.len());
        for item in found {
            imports.push(match item {
                Found::Item(item) => item,
                Found::Host(ty, host) => Extern::Func(Func::from_host(inner, ty, host)?),
            });
        }
        Instance::instantiate(&mut context, module, &imports)
    }

    fn definition(&self, module: &str, name: &str) -> Option<&Definition> {
        self.modules.get(module)?.get(name)
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<&mut Self> {
        let items = match self.modules.get_mut(module) {
            Some(items) => items,
            None => self.modules.entry(module.into()).or_default(),
        };
        if !self.shadowing && items.contains_key(name) {
            return Err(Error::with_kind(
                ErrorKind::Link,
                format!("expected {module}.{name} not to be defined yet, found a definition"),
            ));
        }
        items.insert(name.into(), definition);
        Ok(self)
    }
}

/// What an import was resolved to.
enum Found<'a> {
    Item(Extern),
    Host(&'a upshift_module::FuncType, &'a HostFn),
}
