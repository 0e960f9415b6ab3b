//! Globals: 16-byte cells that code reads and writes in place.

use crate::block::Pinned;
use crate::raw::RawVal;
use std::ptr::NonNull;
use upshift_abi::GlobalCell;
use upshift_module::GlobalType;

/// A global of a store.
pub(crate) struct Global {
    ty: GlobalType,
    cell: NonNull<GlobalCell>,
    // Where `cell` is, unless it is inside the vmctx of the instance that defines the global.
    _home: Option<Pinned<GlobalCell>>,
}

impl Global {
    /// A global in the vmctx of its instance, which lives as long as the global.
    pub(crate) fn inside(ty: GlobalType, cell: NonNull<GlobalCell>) -> Self {
        Self {
            ty,
            cell,
            _home: None,
        }
    }

    /// A global of the host.
    pub(crate) fn new(ty: GlobalType, value: RawVal) -> Self {
        let home = Pinned::new(GlobalCell(value.0));
        Self {
            ty,
            cell: home.ptr(),
            _home: Some(home),
        }
    }

    /// Its type.
    pub(crate) fn ty(&self) -> &GlobalType {
        &self.ty
    }

    /// Where its value is.
    pub(crate) fn cell(&self) -> NonNull<GlobalCell> {
        self.cell
    }

    /// Its value.
    pub(crate) fn get(&self) -> RawVal {
        // SAFETY: rule DEF: the cell lives as long as the global; code is outside.
        RawVal(unsafe { self.cell.read() }.0)
    }

    /// Assigns; the caller checked type and store of the value.
    pub(crate) fn set(&mut self, value: RawVal) {
        // SAFETY: rule DEF: as in `get`.
        unsafe { self.cell.write(GlobalCell(value.0)) };
    }
}
