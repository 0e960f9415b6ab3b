//! The stubs of a code space, written when they are first needed.

use super::{CodePtr, CodeSpace, HostStub};
use crate::arch::LibcallTable;
use crate::arch::x64::{
    HostShape, LAZY_CHUNK_STUBS, LAZY_STUB_BYTES, counter_stub, exit_stub, host_stub, lazy_chunk,
    lazy_common,
};
use crate::error::RuntimeError;
use std::collections::HashMap;
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, Mutex, PoisonError};
use upshift_abi::{EntrySlot, Libcall, SignatureLayout};
use upshift_module::FuncType;

/// Where the stubs are.
#[derive(Debug)]
pub(super) struct Stubs {
    libcalls: LibcallTable,
    /// By number of the helper.
    exits: Vec<CodePtr>,
    lazy_common: Option<CodePtr>,
    /// Start of each chunk of lazy stubs; a new list when it grows, shared by entry tables.
    lazy_chunks: Mutex<Arc<[usize]>>,
    hosts: Mutex<HashMap<HostShape, HostStub>>,
}

impl Stubs {
    pub(super) fn new(libcalls: LibcallTable) -> Self {
        Self {
            libcalls,
            exits: Vec::new(),
            lazy_common: None,
            lazy_chunks: Mutex::new(Arc::from([])),
            hosts: Mutex::default(),
        }
    }

    /// Address of the exit stub of a helper.
    pub(super) fn exit(&self, libcall: Libcall) -> Option<usize> {
        self.exits.get(libcall as usize).map(|stub| stub.addr())
    }
}

impl CodeSpace {
    /// Writes the stubs that every space has.
    pub(super) fn write_common_stubs(&mut self) -> Result<(), RuntimeError> {
        let libcalls = self.stubs.libcalls;
        let write = |name: &str, stub: Vec<u8>| self.write_stub(&name, stub.len(), |_| stub);
        let exits = Libcall::ALL
            .iter()
            .map(|&libcall| {
                let target = (libcalls.address)(libcall);
                let stub = if libcall == Libcall::CounterOverflow {
                    counter_stub(target)
                } else {
                    exit_stub(target)
                };
                write(libcall.name(), stub)
            })
            .collect::<Result<_, _>>()?;
        let common = write("first calls", lazy_common(libcalls.lazy_compile))?;
        self.stubs.exits = exits;
        self.stubs.lazy_common = Some(common);
        Ok(())
    }

    /// Chunks of lazy stubs for the functions `0..count`.
    pub(super) fn lazy_chunks(&self, count: u32) -> Result<Arc<[usize]>, RuntimeError> {
        let wanted = (count as usize).div_ceil(LAZY_CHUNK_STUBS);
        let mut chunks = self
            .stubs
            .lazy_chunks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if chunks.len() < wanted {
            let common = self.stubs.lazy_common.map_or(0, CodePtr::addr);
            let mut all = chunks.to_vec();
            while all.len() < wanted {
                let first = u32::try_from(all.len() * LAZY_CHUNK_STUBS).unwrap_or(u32::MAX);
                let name = format!("first calls from {first} on");
                let chunk = self.write_stub(&name, LAZY_CHUNK_STUBS * LAZY_STUB_BYTES, |at| {
                    lazy_chunk(at, first, common)
                })?;
                all.push(chunk.addr());
            }
            *chunks = all.into();
        }
        Ok(chunks.clone())
    }

    pub(super) fn host_stub_of(&self, ty: &FuncType) -> Result<HostStub, RuntimeError> {
        let shape = HostShape::new(ty);
        let mut hosts = self
            .stubs
            .hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(&stub) = hosts.get(&shape) {
            return Ok(stub);
        }
        let bytes = host_stub(
            &shape,
            &SignatureLayout::new(ty),
            self.stubs.libcalls.host_call,
        );
        let slot = self.take_slots(1)?;
        let name = format!("host call {ty}");
        let code = match self.write_stub(&name, bytes.len(), |_| bytes) {
            Ok(code) => code,
            Err(error) => {
                self.free_slots(slot, 1);
                return Err(error);
            }
        };
        // SAFETY: rule CODE: the slot is committed, aligned and nobody else's yet.
        unsafe { slot.write(EntrySlot(AtomicPtr::new(code.as_ptr().cast_mut()))) };
        let stub = HostStub { slot };
        hosts.insert(shape, stub);
        Ok(stub)
    }
}
