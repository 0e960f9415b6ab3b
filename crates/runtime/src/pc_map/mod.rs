//! From a pc to the function it lies in, without locks.
//!
//! A signal handler asks, so a lookup neither locks nor allocates. The spaces of a process are a list of nodes that are
//! never given back, only reused. Each has two words per page of code: the list of the blobs that **start** in
//! the page, and the blob that reaches into it from an earlier one. A blob is immutable but for its link.
//!
//! Removing a blob unlinks it first. Its memory is given back when no lookup is under way: lookups count themselves
//! in [`READERS`], and all accesses to the count and to the links are `SeqCst`. If the remover, having unlinked,
//! sees a count of zero, then whoever counts himself later finds the link gone (rule PCMAP).

mod sites;

use crate::code_space::CodeOwner;
use crate::error::RuntimeError;
use crate::pages::Pages;
use region::Protection;
use sites::{Site, SiteTable};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicPtr, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use upshift_abi::{CompiledFunc, InlineFrame, InlinedCall, Tier, TrapCode};
use upshift_module::FuncIndex;

/// Blobs are listed by page of code.
const PAGE_BYTES: usize = 4096;

/// What a pc belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeLocation {
    /// Whose code: what `publish` was given.
    pub owner: CodeOwner,
    /// Whose code it is. What [`bodies`] gives names the functions that were inlined into it as well.
    pub func: FuncIndex,
    /// Which tier.
    pub tier: Tier,
    /// Size of the whole code in bytes.
    pub code_bytes: u32,
    /// Offset of the operator in the module in bytes, if the pc is a trap site or a call site. It may be in an inlined body.
    pub wasm_offset: Option<u32>,
    /// Why the instruction may trap, if the pc is a trap site.
    pub trap: Option<TrapCode>,
}

/// What the instruction at `pc` belongs to. Takes no lock and allocates nothing: a signal handler
/// may call it. None for stubs and for anything that is not published code.
#[must_use]
pub fn lookup_pc(pc: usize) -> Option<CodeLocation> {
    find(pc, |blob| blob.location(blob.trap_site(pc)))
}

/// What the call that returns to `pc` belongs to; otherwise as [`lookup_pc`].
#[must_use]
pub fn lookup_return_pc(pc: usize) -> Option<CodeLocation> {
    // A call may be the last instruction of its blob.
    find(pc.wrapping_sub(1), |blob| blob.location(blob.call_site(pc)))
}

/// Calls `emit` for each function that a frame with this pc stands for, innermost first: bodies that were inlined are
/// frames of their own, as if they had been called. `is_return` tells a return address from an instruction. False if the pc
/// is not in published code. Takes no lock.
pub(crate) fn bodies(pc: usize, is_return: bool, emit: &mut dyn FnMut(CodeLocation)) -> bool {
    let pc_in_blob = pc.wrapping_sub(usize::from(is_return));
    find(pc_in_blob, |blob| {
        let site = if is_return {
            blob.call_site(pc)
        } else {
            blob.trap_site(pc)
        };
        blob.each_body(site, emit);
    })
    .is_some()
}

/// What the map knows of one piece of code.
#[derive(Debug)]
pub(crate) struct Blob {
    /// Next blob that starts in the same page.
    next: AtomicPtr<Self>,
    start: usize,
    bytes: u32,
    func: FuncIndex,
    tier: Tier,
    owner: CodeOwner,
    traps: SiteTable,
    calls: SiteTable,
    inlined: Box<[InlinedCall]>,
}

impl Blob {
    /// The record of code at address `start`.
    pub(crate) fn new(start: usize, code: &CompiledFunc, owner: CodeOwner) -> Box<Self> {
        Box::new(Self {
            next: AtomicPtr::default(),
            start,
            bytes: u32::try_from(code.code.len()).unwrap_or(u32::MAX),
            func: code.func,
            tier: code.tier,
            owner,
            traps: SiteTable::traps(&code.traps),
            calls: SiteTable::calls(&code.calls),
            inlined: code.inlined.as_slice().into(),
        })
    }

    fn end(&self) -> usize {
        self.start + self.bytes as usize
    }

    fn contains(&self, pc: usize) -> bool {
        (self.start..self.end()).contains(&pc)
    }

    fn offset(&self, pc: usize) -> u32 {
        u32::try_from(pc - self.start).unwrap_or(u32::MAX)
    }

    fn trap_site(&self, pc: usize) -> Option<Site> {
        self.traps.find(self.offset(pc))
    }

    fn call_site(&self, pc: usize) -> Option<Site> {
        self.calls.find(self.offset(pc))
    }

    fn location(&self, site: Option<Site>) -> CodeLocation {
        CodeLocation {
            owner: self.owner,
            func: self.func,
            tier: self.tier,
            code_bytes: self.bytes,
            wasm_offset: site.map(|site| site.wasm_offset),
            trap: site.and_then(|site| site.trap),
        }
    }

    /// From the body that the site is in out to the function's own. A caller's number is lower than the callee's, so it ends.
    fn each_body(&self, site: Option<Site>, emit: &mut dyn FnMut(CodeLocation)) {
        let mut location = self.location(site);
        let mut frame = site.map_or(InlineFrame::FUNC, |site| site.frame);
        while let Some(call) = frame.call().and_then(|at| self.inlined.get(at)) {
            location.func = call.func;
            emit(location);
            location.func = self.func;
            location.wasm_offset = Some(call.wasm_offset);
            location.trap = None;
            debug_assert!(call.caller < frame, "callers come first");
            if call.caller >= frame {
                break;
            }
            frame = call.caller;
        }
        emit(location);
    }
}

/// One code space in the list. Never given back; `end` is 0 while nobody uses it, and is the last to be set: base and
/// pages change only while it is 0 and no lookup is under way that saw another value.
#[derive(Debug)]
struct SpaceNode {
    base: AtomicUsize,
    end: AtomicUsize,
    pages: AtomicPtr<Page>,
    next: Option<&'static Self>,
}

/// The blobs of one page of code. All zero is an empty page.
#[derive(Debug)]
struct Page {
    /// Blobs that start here.
    starts: AtomicPtr<Blob>,
    /// The blob that reaches into this page from an earlier one.
    covers: AtomicPtr<Blob>,
}

/// Lookups under way.
static READERS: AtomicUsize = AtomicUsize::new(0);
/// Head of the list of spaces.
static SPACES: AtomicPtr<SpaceNode> = AtomicPtr::new(std::ptr::null_mut());
/// Nodes that nobody uses.
static IDLE_NODES: Mutex<Vec<&'static SpaceNode>> = Mutex::new(Vec::new());

/// Counts a lookup for as long as it lives.
struct Reading;

impl Reading {
    fn begin() -> Self {
        READERS.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READERS.fetch_sub(1, SeqCst);
    }
}

fn find<R>(pc: usize, use_blob: impl FnOnce(&Blob) -> R) -> Option<R> {
    let _reading = Reading::begin();
    let blob = find_blob(pc);
    // SAFETY: rule PCMAP: blobs found while counted as a reader stay until the count falls.
    unsafe { blob.as_ref() }.map(use_blob)
}

/// The blob at a pc, or null. The caller counts as a reader.
fn find_blob(pc: usize) -> *const Blob {
    let mut node = SPACES.load(SeqCst);
    // SAFETY: rule PCMAP: nodes are never given back.
    while let Some(space) = unsafe { node.as_ref() } {
        // The end first: it is set last, so the others belong to it.
        let end = space.end.load(SeqCst);
        let (base, pages) = (space.base.load(SeqCst), space.pages.load(SeqCst));
        if (base..end).contains(&pc) {
            // SAFETY: rule PCMAP: the space was in the list after the reader was counted, so its pages stay, and
            // there is one for every page of the range.
            let page = unsafe { &*pages.add((pc - base) / PAGE_BYTES) };
            return find_in_page(page, pc);
        }
        node = space.next.map_or(std::ptr::null_mut(), |next| {
            std::ptr::from_ref(next).cast_mut()
        });
    }
    std::ptr::null()
}

fn find_in_page(page: &Page, pc: usize) -> *const Blob {
    let mut blob = page.starts.load(SeqCst);
    // SAFETY: rule PCMAP: the caller counts as a reader.
    while let Some(candidate) = unsafe { blob.as_ref() } {
        if candidate.contains(pc) {
            return blob;
        }
        blob = candidate.next.load(SeqCst);
    }
    let cover = page.covers.load(SeqCst);
    // SAFETY: rule PCMAP: as above.
    match unsafe { cover.as_ref() } {
        Some(candidate) if candidate.contains(pc) => cover,
        Some(_) | None => std::ptr::null(),
    }
}

/// A node that nobody uses, old or new.
fn take_node() -> &'static SpaceNode {
    let mut idle = IDLE_NODES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(node) = idle.pop() {
        return node;
    }
    // Only one thread links at a time: the lock is held.
    let head = SPACES.load(SeqCst);
    let node: &'static SpaceNode = Box::leak(Box::new(SpaceNode {
        base: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        pages: AtomicPtr::default(),
        // SAFETY: rule PCMAP: nodes are never given back.
        next: unsafe { head.as_ref() },
    }));
    SPACES.store(std::ptr::from_ref(node).cast_mut(), SeqCst);
    node
}

/// The map of one code space.
#[derive(Debug)]
pub(crate) struct PcMap {
    node: &'static SpaceNode,
    base: usize,
    pages: Pages,
    /// Writers exclude each other.
    writer: Mutex<Writer>,
}

/// What only writers see.
#[derive(Default, Debug)]
struct Writer {
    /// Unlinked blobs that readers may still look at.
    limbo: Vec<*mut Blob>,
    /// No blob ever reached into the pages from here on.
    used_pages: usize,
}

// SAFETY: rule PCMAP: the writer owns the blobs in limbo; only it gives them back.
unsafe impl Send for Writer {}
// SAFETY: rule PCMAP: pages are atomics; the mutex orders writers.
unsafe impl Send for PcMap {}
// SAFETY: as above.
unsafe impl Sync for PcMap {}

impl PcMap {
    /// Enters the code `base .. base + bytes` of a new space into the list.
    pub(crate) fn new(base: usize, bytes: usize) -> Result<Self, RuntimeError> {
        let count = bytes.div_ceil(PAGE_BYTES);
        let mut pages = Pages::reserve(
            count * size_of::<Page>(),
            Protection::READ_WRITE,
            "reserving the pc map",
        )?;
        let node = take_node();
        node.pages.store(pages.as_mut_ptr(), SeqCst);
        node.base.store(base, SeqCst);
        node.end.store(base + bytes, SeqCst);
        Ok(Self {
            node,
            base,
            pages,
            writer: Mutex::default(),
        })
    }

    fn page(&self, index: usize) -> &Page {
        debug_assert!((index + 1) * size_of::<Page>() <= self.pages.len());
        // SAFETY: rule PCMAP: there is a page for every address of the space; zeroed memory is an empty page.
        unsafe { &*self.pages.as_ptr::<Page>().add(index) }
    }

    /// Index of the page a blob starts in, and of the last one that it reaches into.
    fn span(&self, blob: &Blob) -> (usize, usize) {
        let index = |addr: usize| (addr - self.base) / PAGE_BYTES;
        (index(blob.start), index(blob.end() - 1))
    }

    /// Makes a blob findable. It is not empty.
    pub(crate) fn insert(&self, blob: Box<Blob>) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = self.span(&blob);
        writer.used_pages = writer.used_pages.max(last + 1);
        let starts = &self.page(first).starts;
        blob.next.store(starts.load(SeqCst), SeqCst);
        let blob = Box::into_raw(blob);
        starts.store(blob, SeqCst);
        for index in first + 1..=last {
            self.page(index).covers.store(blob, SeqCst);
        }
        writer.collect();
    }

    /// Unlinks the blob that starts at this address. Nobody executes it any more.
    pub(crate) fn remove(&self, start: usize) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut link = &self.page((start - self.base) / PAGE_BYTES).starts;
        loop {
            let blob = link.load(SeqCst);
            // SAFETY: rule PCMAP: linked blobs are alive, and the lock keeps other removers out.
            let Some(found) = (unsafe { blob.as_ref() }) else {
                debug_assert!(false, "freed what was not published");
                return;
            };
            if found.start == start {
                link.store(found.next.load(SeqCst), SeqCst);
                let (first, last) = self.span(found);
                for index in first + 1..=last {
                    self.page(index).covers.store(std::ptr::null_mut(), SeqCst);
                }
                writer.limbo.push(blob);
                break;
            }
            link = &found.next;
        }
        writer.collect();
    }
}

impl Writer {
    /// Gives unlinked blobs back if no lookup is under way.
    fn collect(&mut self) {
        if self.limbo.is_empty() || READERS.load(SeqCst) != 0 {
            return;
        }
        for blob in self.limbo.drain(..) {
            // SAFETY: rule PCMAP: unlinked before the count was seen at zero; made by `Box::into_raw`.
            drop(unsafe { Box::from_raw(blob) });
        }
    }
}

impl Drop for PcMap {
    fn drop(&mut self) {
        self.node.end.store(0, SeqCst);
        // Lookups take about a microsecond; those that begin now skip the node.
        while READERS.load(SeqCst) != 0 {
            std::thread::yield_now();
        }
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut blobs = std::mem::take(&mut writer.limbo);
        for index in 0..writer.used_pages {
            let mut blob = self.page(index).starts.load(SeqCst);
            while !blob.is_null() {
                blobs.push(blob);
                // SAFETY: rule PCMAP: linked blobs are alive.
                blob = unsafe { (*blob).next.load(SeqCst) };
            }
        }
        for blob in blobs {
            // SAFETY: rule PCMAP: no lookup can reach it any more; made by `Box::into_raw`, listed once.
            drop(unsafe { Box::from_raw(blob) });
        }
        IDLE_NODES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.node);
    }
}
