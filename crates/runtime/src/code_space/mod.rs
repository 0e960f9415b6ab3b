//! The one place where bytes become executable.
//!
//! A [`CodeSpace`] is one reservation: entry tables in front, code behind, so that every slot, stub and function is
//! within reach of a 32-bit displacement. Publishing: take a range (a short lock), write and link in the
//! writable view, enter the blob into the pc map; then anyone who gets the address may run it. Installing, one store,
//! is the entry table's. Addresses that held code once are used again only after every thread has
//! passed a serialising instruction (one `membarrier` per batch of freed blobs).

mod backing;
mod direct;
mod options;
mod published;
mod ranges;
mod stubs;
#[cfg(test)]
mod tests;

pub use options::{CodeSpaceOptions, CodeSpaceStats};
pub use published::{CodeOwner, CodePtr, HostStub, PublishedCode};

use crate::arch::LibcallTable;
use crate::entry_table::EntryTable;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::pc_map::{Blob, PcMap};
use crate::profile::{ProfileFormat, Profiler};
use crate::signals::install_signal_handlers;
use backing::{Backing, INT3, PAGE_BYTES};
use ranges::{GRANULE_BYTES, RangeAllocator};
use rustix::thread::{MembarrierCommand, membarrier};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stubs::Stubs;
use upshift_abi::{CompiledFunc, EntrySlot, RelocTarget, Tier};
use upshift_module::FuncType;

/// So many freed bytes are made usable at a time while there are fresh ones left.
const RECYCLE_BATCH_BYTES: usize = 64 << 10;

/// Entry tables, stubs and code of one engine.
#[derive(Debug)]
pub struct CodeSpace {
    // Before `backing`: the map goes before the addresses do.
    pc_map: PcMap,
    code: Mutex<CodeRanges>,
    tables: Mutex<RangeAllocator>,
    stubs: Stubs,
    quarantine: bool,
    can_recycle: bool,
    live_bytes: AtomicUsize,
    published_baseline_bytes: AtomicUsize,
    published_optimizing_bytes: AtomicUsize,
    profiler: Option<Arc<Profiler>>,
    backing: Backing,
}

/// Who has which bytes of code.
#[derive(Debug)]
struct CodeRanges {
    ranges: RangeAllocator,
    /// Freed, but a thread may still have old instructions of it in its pipeline.
    freed: Vec<(usize, usize)>,
    freed_bytes: usize,
}

impl CodeSpace {
    /// Reserves address space and writes the stubs. Installs the signal handlers of the process.
    ///
    /// # Errors
    /// `Os` or `Resource` when the system refuses even the smallest reservation.
    pub fn new(
        options: &CodeSpaceOptions,
        libcalls: &LibcallTable,
    ) -> Result<Arc<Self>, RuntimeError> {
        install_signal_handlers()?;
        let host_entry = crate::arch::x64::host_entry()
            .map_err(|error| RuntimeError::os("making the entry stub", error))?;
        if let Some(profiler) = &options.profiler {
            let code = crate::arch::x64::host_entry_code();
            profiler.stub("entry", host_entry as usize, &code);
        }
        // Who reads a perf map looks names up for code in anonymous memory only.
        let anonymous = (options.profiler.as_ref())
            .is_some_and(|profiler| profiler.format() == ProfileFormat::PerfMap);
        let dual_mapping = options.dual_mapping && !anonymous;
        let backing = Backing::new(options.effective_bytes(), dual_mapping)?;
        if anonymous {
            backing.announce()?;
        }
        let mut space = Self {
            pc_map: PcMap::new(backing.code().addr(), backing.code_bytes())?,
            code: Mutex::new(CodeRanges {
                ranges: RangeAllocator::new(backing.code_bytes()),
                freed: Vec::new(),
                freed_bytes: 0,
            }),
            tables: Mutex::new(RangeAllocator::new(backing.tables_bytes())),
            stubs: Stubs::new(*libcalls),
            quarantine: options.quarantine,
            can_recycle: membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore).is_ok(),
            live_bytes: AtomicUsize::new(0),
            published_baseline_bytes: AtomicUsize::new(0),
            published_optimizing_bytes: AtomicUsize::new(0),
            profiler: options.profiler.clone(),
            backing,
        };
        space.write_common_stubs()?;
        Ok(Arc::new(space))
    }

    /// A table for the defined functions of a module, whose first one has index `first_index`.
    /// Every slot holds its lazy stub.
    ///
    /// # Errors
    /// `Resource` when there is no room.
    pub fn entry_table(
        self: &Arc<Self>,
        defined_funcs: u32,
        first_index: u32,
    ) -> Result<EntryTable, RuntimeError> {
        let chunks = self.lazy_chunks(defined_funcs.saturating_add(first_index))?;
        let base = self.take_slots(defined_funcs.max(1))?;
        Ok(EntryTable::new(
            self.clone(),
            base,
            (first_index, defined_funcs),
            chunks,
        ))
    }

    /// Writes and links code and enters it into the pc map. It is not installed yet. The caller gives back what it gets, by
    /// [`free`](Self::free). `entries` is the table of the same module; `owner` comes back from lookups.
    ///
    /// # Errors
    /// `Resource` when the space is full, `Limit` when the code is malformed (which is a compiler's bug).
    pub fn publish(
        self: &Arc<Self>,
        code: &CompiledFunc,
        entries: &EntryTable,
        owner: CodeOwner,
    ) -> Result<PublishedCode, RuntimeError> {
        if code.code.is_empty() || code.code.len() > i32::MAX as usize {
            return Err(malformed("its size"));
        }
        let align = usize::try_from(code.align).unwrap_or(PAGE_BYTES);
        if !align.is_power_of_two() || align > PAGE_BYTES {
            return Err(malformed("its alignment"));
        }
        let (offset, entry) = self.take_code(code.code.len(), align)?;
        let linked = match self.link(code, entries, offset) {
            Ok(linked) => linked,
            Err(error) => {
                // Never executed, so it can be used again at once.
                self.code().ranges.free(offset, code.code.len());
                return Err(error);
            }
        };
        if let (Some(profiler), Some(linked)) = (&self.profiler, linked) {
            profiler.code(owner, code, entry.addr(), linked);
        }
        self.pc_map.insert(Blob::new(entry.addr(), code, owner));
        self.live_bytes
            .fetch_add(code.code.len(), Ordering::Relaxed);
        let published = match code.tier {
            Tier::Baseline => &self.published_baseline_bytes,
            Tier::Optimizing => &self.published_optimizing_bytes,
        };
        published.fetch_add(code.code.len(), Ordering::Relaxed);
        Ok(PublishedCode::new(entry, code))
    }

    /// Gives code back: its bytes become `int3`, its pc map entry goes, its addresses are used again later.
    ///
    /// # Safety
    /// Rule CODE: `code` was published here; no thread runs it or has a frame in it, and no slot holds it any more.
    pub unsafe fn free(&self, code: PublishedCode) {
        let start = code.entry().addr();
        let bytes = code.code_bytes() as usize;
        let offset = start - self.backing.code().addr();
        self.pc_map.remove(start);
        self.live_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let filled = self.backing.write(offset, bytes, |slice| slice.fill(INT3));
        if self.quarantine || !self.can_recycle || filled.is_err() {
            return;
        }
        let mut ranges = self.code();
        ranges.freed.push((offset, bytes));
        ranges.freed_bytes += bytes;
    }

    /// Whether code can be freed for good: addresses are used again, and threads can be made to pass a fence.
    pub(crate) fn can_recycle(&self) -> bool {
        self.can_recycle
    }

    /// Makes every thread of the process pass a full fence, and forget instructions that it has fetched ahead. False if
    /// the system refuses.
    pub(crate) fn barrier(&self) -> bool {
        self.can_recycle && membarrier(MembarrierCommand::PrivateExpeditedSyncCore).is_ok()
    }

    /// The stub through which wasm calls host functions of this type. Types of one shape share it.
    ///
    /// # Errors
    /// `Resource` when there is no room.
    pub fn host_stub(self: &Arc<Self>, ty: &FuncType) -> Result<HostStub, RuntimeError> {
        self.host_stub_of(ty)
    }

    /// Who is told where code is.
    pub(crate) fn profiler(&self) -> Option<&Arc<Profiler>> {
        self.profiler.as_ref()
    }

    /// Sizes now.
    #[must_use]
    pub fn stats(&self) -> CodeSpaceStats {
        let high_water = self.code().ranges.high_water();
        CodeSpaceStats {
            reserved_bytes: self.backing.bytes(),
            committed_bytes: high_water.next_multiple_of(PAGE_BYTES),
            live_bytes: self.live_bytes.load(Ordering::Relaxed),
            published_baseline_bytes: self.published_baseline_bytes.load(Ordering::Relaxed),
            published_optimizing_bytes: self.published_optimizing_bytes.load(Ordering::Relaxed),
        }
    }

    fn code(&self) -> MutexGuard<'_, CodeRanges> {
        self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, RangeAllocator> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A range of code: its offset, and its address in the executable view.
    fn take_code(&self, bytes: usize, align: usize) -> Result<(usize, CodePtr), RuntimeError> {
        let mut code = self.code();
        if code.freed_bytes >= RECYCLE_BATCH_BYTES {
            code.recycle();
        }
        let offset = match code.ranges.allocate(bytes, align) {
            Some(offset) => offset,
            None => {
                code.recycle();
                code.ranges
                    .allocate(bytes, align)
                    .ok_or_else(|| full("code", bytes))?
            }
        };
        drop(code);
        // SAFETY: rule CODE: the allocator stays inside the code area.
        let entry = unsafe { self.backing.code().add(offset) };
        let entry = CodePtr::new(entry).ok_or_else(|| full("code", bytes))?;
        Ok((offset, entry))
    }

    /// Writes code to its range, pads the range with `int3`, and applies relocations. Gives a copy if there is a profiler.
    fn link(
        &self,
        code: &CompiledFunc,
        entries: &EntryTable,
        offset: usize,
    ) -> Result<Option<Vec<u8>>, RuntimeError> {
        let bytes = code.code.len();
        let base = self.backing.code().addr() + offset;
        let mut result = Ok(None);
        let padded = bytes.next_multiple_of(GRANULE_BYTES);
        self.backing.write(offset, padded, |slice| {
            slice[..bytes].copy_from_slice(&code.code);
            slice[bytes..].fill(INT3);
            for reloc in &code.relocs {
                let at = reloc.offset as usize;
                let target = match reloc.target {
                    RelocTarget::EntrySlot(func) => entries.slot_of(func),
                    RelocTarget::Libcall(libcall) => self.stubs.exit(libcall),
                    RelocTarget::Code(func) => Self::direct_target(code, base, entries, func),
                };
                let value = target.and_then(|target| {
                    let distance = i64::try_from(target).ok()? - i64::try_from(base + at).ok()?;
                    i32::try_from(distance + i64::from(reloc.addend)).ok()
                });
                let field = slice[..bytes]
                    .get_mut(at..)
                    .and_then(|rest| rest.get_mut(..4));
                match (field, value) {
                    (Some(field), Some(value)) => field.copy_from_slice(&value.to_le_bytes()),
                    (_, _) => result = Err(malformed("a relocation")),
                }
            }
            if self.profiler.is_some() && result.is_ok() {
                result = Ok(Some(slice[..bytes].to_vec()));
            }
        })?;
        result
    }

    /// Writes a stub that lives as long as the space; its address.
    fn write_stub(
        &self,
        name: &dyn fmt::Display,
        bytes: usize,
        make: impl FnOnce(usize) -> Vec<u8>,
    ) -> Result<CodePtr, RuntimeError> {
        let (offset, entry) = self.take_code(bytes, GRANULE_BYTES)?;
        let stub = make(entry.addr());
        debug_assert!(stub.len() <= bytes);
        self.backing
            .write(offset, bytes.next_multiple_of(GRANULE_BYTES), |slice| {
                slice.fill(INT3);
                slice[..stub.len()].copy_from_slice(&stub);
            })?;
        if let Some(profiler) = &self.profiler {
            profiler.stub(&name.to_string(), entry.addr(), &stub);
        }
        self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(entry)
    }

    /// Usable slots, whose content is undefined.
    fn take_slots(&self, count: u32) -> Result<NonNull<EntrySlot>, RuntimeError> {
        let bytes = count as usize * size_of::<EntrySlot>();
        let mut tables = self.tables();
        let offset = tables
            .allocate(bytes, GRANULE_BYTES)
            .ok_or_else(|| full("entry tables", bytes))?;
        if let Err(error) = self.backing.commit_tables(tables.high_water()) {
            tables.free(offset, bytes);
            return Err(error);
        }
        // SAFETY: rule CODE: the allocator stays inside the tables area.
        let base = unsafe { self.backing.tables().add(offset) };
        NonNull::new(base.cast()).ok_or_else(|| full("entry tables", bytes))
    }

    /// Gives slots back; nobody calls through them any more.
    pub(crate) fn free_slots(&self, base: NonNull<EntrySlot>, count: u32) {
        let offset = base.as_ptr().addr() - self.backing.tables().addr();
        self.tables()
            .free(offset, count as usize * size_of::<EntrySlot>());
    }
}

impl CodeRanges {
    /// Makes freed addresses usable, after every thread of the process has serialised.
    fn recycle(&mut self) {
        if self.freed.is_empty() || membarrier(MembarrierCommand::PrivateExpeditedSyncCore).is_err()
        {
            return;
        }
        for (offset, bytes) in self.freed.drain(..) {
            self.ranges.free(offset, bytes);
        }
        self.freed_bytes = 0;
    }
}

#[cold]
fn full(what: &str, bytes: usize) -> RuntimeError {
    RuntimeError::new(
        RuntimeErrorKind::Resource,
        format!("the code space has no room for {bytes} bytes of {what}"),
    )
}

#[cold]
fn malformed(what: &str) -> RuntimeError {
    RuntimeError::new(
        RuntimeErrorKind::Limit,
        format!("compiled code cannot be linked: {what} is out of range"),
    )
}
