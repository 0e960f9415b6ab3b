//! The engine's canonical function types: equal types have equal ids in all its modules, so that
//! `call_indirect` compares one word.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use upshift_abi::{SignatureLayout, TypeId};
use upshift_module::FuncType;

/// One canonical function type.
#[derive(Debug)]
pub struct TypeInfo {
    /// Its id.
    pub id: TypeId,
    /// The type.
    pub ty: FuncType,
    /// Where its arguments and results go.
    pub layout: SignatureLayout,
    /// Whether a parameter is a function reference, which entries from the host must check.
    pub(crate) funcref_params: bool,
    /// Whether a result is a function reference, which returns of host functions must check.
    pub(crate) funcref_results: bool,
}

/// All function types that an engine has met. They are kept until the engine goes.
#[derive(Default)]
pub struct TypeRegistry {
    // Taken when a module is loaded or a host function is made, never by running code.
    types: RwLock<Types>,
}

#[derive(Default)]
struct Types {
    ids: HashMap<FuncType, Arc<TypeInfo>>,
    by_id: Vec<Arc<TypeInfo>>,
}

impl TypeRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The canonical entry of a type, made when it is new.
    #[must_use]
    pub fn intern(&self, ty: &FuncType) -> Arc<TypeInfo> {
        let known = |types: &Types| types.ids.get(ty).cloned();
        if let Some(info) = known(&self.types.read().unwrap_or_else(PoisonError::into_inner)) {
            return info;
        }
        let mut types = self.types.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(info) = known(&types) {
            return info;
        }
        let number = u32::try_from(types.by_id.len()).unwrap_or(u32::MAX);
        let info = Arc::new(TypeInfo {
            id: TypeId(TypeId::FIRST.0.saturating_add(number)),
            layout: SignatureLayout::new(ty),
            funcref_params: ty.params().iter().any(|ty| is_funcref(*ty)),
            funcref_results: ty.results().iter().any(|ty| is_funcref(*ty)),
            ty: ty.clone(),
        });
        types.by_id.push(Arc::clone(&info));
        types.ids.insert(ty.clone(), Arc::clone(&info));
        info
    }

    /// The type with this id, for error texts; none for the two special ids and unknown ones.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<Arc<TypeInfo>> {
        let index = usize::try_from(id.0.checked_sub(TypeId::FIRST.0)?).ok()?;
        let types = self.types.read().unwrap_or_else(PoisonError::into_inner);
        types.by_id.get(index).cloned()
    }
}

/// Whether values of this type are addresses of function records.
pub(crate) fn is_funcref(ty: upshift_module::ValType) -> bool {
    use upshift_module::{HeapType, ValType};
    match ty {
        ValType::Ref(ty) => matches!(ty.heap, HeapType::Func),
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => false,
    }
}

impl fmt::Debug for TypeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.types.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "TypeRegistry({} types)", types.by_id.len())
    }
}

#[cfg(test)]
mod tests {
    use super::TypeRegistry;
    use upshift_abi::TypeId;
    use upshift_module::{FuncType, ValType};

    #[test]
    fn equal_types_have_equal_ids() {
        let registry = TypeRegistry::new();
        let unary = || FuncType::new([ValType::I32], [ValType::I32]);
        let first = registry.intern(&unary());
        let other = registry.intern(&FuncType::new([ValType::I32, ValType::I32], []));
        assert_eq!(first.id, TypeId::FIRST);
        assert_eq!(registry.intern(&unary()).id, first.id);
        assert_ne!(
            other.id, first.id,
            "the split between parameters and results counts"
        );
        assert_eq!(
            registry.get(other.id).map(|info| info.ty.clone()),
            Some(other.ty.clone())
        );
        assert!(registry.get(TypeId::NULL).is_none());
        assert!(registry.get(TypeId(99)).is_none());
    }
}
