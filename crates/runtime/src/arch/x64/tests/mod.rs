//! Hand-assembled code, published and run: the harness.

mod calls;
mod counter;
mod process;
mod store;
mod threads;
mod traps;

use super::{Assembler, SavedRegisters, finish};
use crate::arch::LibcallTable;
use crate::code_space::{CodeOwner, CodePtr, CodeSpace, CodeSpaceOptions, PublishedCode};
use crate::enter::{RawFrame, Stop, enter};
use crate::entry_table::EntryTable;
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use upshift_abi::{
    CallSite, CodeKind, CompiledFunc, EntrySlot, HostContext, InlineFrame, Libcall, Reloc,
    StoreContext, Tier, TrapCode, TrapSite, VmContext,
};
use upshift_module::{FuncIndex, FuncType};

/// Stack for the guest, unless a test says otherwise.
pub(crate) const MAX_WASM_STACK: usize = 256 << 10;
/// Whose code it is.
pub(crate) const OWNER: CodeOwner = CodeOwner(0x0123_4567_89ab_cdef);

/// What lazy stubs of tests run: the address that the test put here, or a failure if it is 0.
pub(crate) static LAZY_TARGET: AtomicUsize = AtomicUsize::new(0);
/// What the stub loads it from.
static LAZY_SLOT: EntrySlot = EntrySlot(AtomicPtr::new(std::ptr::null_mut()));
/// vmctx and function that a lazy stub passed last.
pub(crate) static LAZY_SEEN: (AtomicUsize, AtomicU32) = (AtomicUsize::new(0), AtomicU32::new(0));
/// The address of a loop entry, and what is done to the registers before.
type EntryScript = (usize, Option<fn(&mut SavedRegisters)>);

thread_local! {
    /// What the slow path of counters gives.
    pub(crate) static LOOP_ENTRY: Cell<EntryScript> = const { Cell::new((0, None)) };
}
/// Function and site that a counter stub passed last.
pub(crate) static COUNTER_SEEN: (AtomicU32, AtomicU32) = (AtomicU32::new(0), AtomicU32::new(0));

/// Overwrites what a callee may overwrite.
fn clobber() {
    // SAFETY: rule STUB: all that it changes is declared.
    unsafe {
        std::arch::asm!(
            "mov r8, -1", "mov r9, -1", "mov r10, -1", "mov r11, -1", "mov rsi, -1",
            "mov rdi, -1", "mov rcx, -1", "mov rdx, -1",
            "pcmpeqd xmm0, xmm0", "pcmpeqd xmm1, xmm1", "pcmpeqd xmm2, xmm2", "pcmpeqd xmm3, xmm3",
            "pcmpeqd xmm4, xmm4", "pcmpeqd xmm5, xmm5", "pcmpeqd xmm6, xmm6", "pcmpeqd xmm7, xmm7",
            "pcmpeqd xmm8, xmm8", "pcmpeqd xmm15, xmm15",
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("rsi") _, out("rdi") _,
            out("rcx") _, out("rdx") _, out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm15") _,
        );
    }
}

/// The activation of a context's store.
fn fail(context: *mut VmContext) {
    // SAFETY: rule STUB: stubs pass a live context of a store with an activation.
    unsafe { (*(*(*context).store).activation.load(Ordering::Relaxed)).failed = 1 };
}

unsafe extern "C" fn lazy_compile(vmctx: *mut VmContext, func: u32) -> *const EntrySlot {
    clobber();
    LAZY_SEEN.0.store(vmctx.addr(), Ordering::Relaxed);
    LAZY_SEEN.1.store(func, Ordering::Relaxed);
    let target = LAZY_TARGET.load(Ordering::Relaxed);
    if target == 0 {
        fail(vmctx);
    }
    LAZY_SLOT.0.store(
        std::ptr::with_exposed_provenance_mut(target),
        Ordering::Relaxed,
    );
    &raw const LAZY_SLOT
}

unsafe extern "C" fn counter_overflow(
    _: *mut VmContext,
    func: u32,
    site: u32,
    registers: *mut SavedRegisters,
) -> u64 {
    clobber();
    COUNTER_SEEN.0.store(func, Ordering::Relaxed);
    COUNTER_SEEN.1.store(site, Ordering::Relaxed);
    // SAFETY: rule STUB: the stub passes its own frame.
    let registers = unsafe { &mut *registers };
    LOOP_ENTRY.with(|entry| {
        let (at, change) = entry.get();
        if let Some(change) = change {
            change(registers);
        }
        at as u64
    })
}

/// The helper of tests: arguments summed up with weights; fails when the first is 999.
unsafe extern "C" fn weighted(
    vmctx: *mut VmContext,
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    e: u32,
) -> u32 {
    clobber();
    if a == 999 {
        fail(vmctx);
    }
    a + 10 * b + 100 * c + 1000 * d + 10_000 * e
}

/// What a host function of a test does: its context, and its values.
pub(crate) type HostBody<'a> = dyn Fn(&HostContext, *mut [u8; 16]) -> Result<(), ()> + 'a;

unsafe extern "C" fn host_call(context: *mut HostContext, values: *mut [u8; 16]) {
    clobber();
    // SAFETY: rule STUB: contexts of tests point to a reference to a body that outlives the call.
    let (context, body) = unsafe { (&*context, *(*context).func.cast::<&HostBody<'_>>()) };
    if body(context, values).is_err() {
        fail(std::ptr::from_ref(context).cast_mut().cast());
    }
}

fn address(libcall: Libcall) -> *const c_void {
    if libcall == Libcall::CounterOverflow {
        counter_overflow as *const c_void
    } else {
        weighted as *const c_void
    }
}

/// The helpers of tests.
pub(crate) fn libcalls() -> LibcallTable {
    // SAFETY: rule STUB: the functions above do what is asked; tests use helpers of five parameters only.
    unsafe { LibcallTable::new(address, lazy_compile, host_call) }
}

/// A code space, a table of 16 functions, and one store with one context.
pub(crate) struct World {
    pub(crate) space: Arc<CodeSpace>,
    pub(crate) table: Arc<EntryTable>,
    pub(crate) store: Box<StoreContext>,
    vmctx: Box<VmContext>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_options(&CodeSpaceOptions {
            reserve_bytes: 64 << 20,
            ..CodeSpaceOptions::default()
        })
    }

    pub(crate) fn with_options(options: &CodeSpaceOptions) -> Self {
        let space = CodeSpace::new(options, &libcalls()).unwrap();
        let table = Arc::new(space.entry_table(16, 0).unwrap());
        Self::sharing(space, table)
    }

    /// Another store over the same code.
    pub(crate) fn sharing(space: Arc<CodeSpace>, table: Arc<EntryTable>) -> Self {
        let store = Box::new(StoreContext {
            stack_limit: AtomicUsize::new(0),
            interrupt: AtomicU32::new(0),
            attention: AtomicU32::new(0),
            activation: AtomicPtr::default(),
            store: Cell::new(std::ptr::null_mut()),
        });
        let vmctx = Box::new(VmContext {
            store: std::ptr::from_ref(&*store).cast_mut(),
            memory0_base: std::ptr::null_mut(),
            entry_table: table.base(),
            instance: std::ptr::null_mut(),
            module: std::ptr::null(),
        });
        Self {
            space,
            table,
            store,
            vmctx,
        }
    }

    pub(crate) fn vmctx(&self) -> *mut c_void {
        std::ptr::from_ref(&*self.vmctx).cast_mut().cast()
    }

    /// A context of a host function. `body` outlives it and its calls.
    pub(crate) fn host_context(&self, body: &&HostBody<'_>) -> HostContext {
        HostContext {
            store: std::ptr::from_ref(&*self.store).cast_mut(),
            func: std::ptr::from_ref(body).cast(),
        }
    }

    /// The stub of host functions of a type.
    pub(crate) fn host_stub(&self, ty: &FuncType) -> CodePtr {
        let stub = self.space.host_stub(ty).unwrap();
        // SAFETY: rule CODE: a stub's slot lives as long as the space.
        CodePtr::new(unsafe { (*stub.slot()).0.load(Ordering::Acquire) }).unwrap()
    }

    pub(crate) fn publish(&self, code: &Draft) -> PublishedCode {
        self.space
            .publish(&code.func, &self.table, OWNER)
            .expect("test code links")
    }

    /// Publishes and installs.
    pub(crate) fn install(&self, code: &Draft) -> CodePtr {
        let published = self.publish(code);
        self.table.install(code.func.func.0, &published);
        published.entry()
    }

    /// Calls code with integer arguments; its first result.
    pub(crate) fn call(&self, code: CodePtr, ints: &[u64]) -> Result<u64, Stop> {
        let mut frame = RawFrame::default();
        frame.ints[..ints.len()].copy_from_slice(ints);
        self.call_frame(code, self.vmctx(), &mut frame)?;
        Ok(frame.int_results[0])
    }

    pub(crate) fn call_frame(
        &self,
        code: CodePtr,
        vmctx: *mut c_void,
        frame: &mut RawFrame,
    ) -> Result<(), Stop> {
        // SAFETY: rule ENTER: tests give code of theirs with a frame that fits it; the store is this thread's.
        unsafe { enter(&self.store, code, vmctx, frame, MAX_WASM_STACK) }
    }
}

/// Code on its way: assembled bytes and tables.
pub(crate) struct Draft {
    pub(crate) func: CompiledFunc,
}

impl Draft {
    /// Code of function `index` by what `emit` assembles. `emit` notes sites by offsets.
    pub(crate) fn new(index: u32, emit: impl FnOnce(&mut Assembler, &mut Sites)) -> Self {
        let mut asm = Assembler::new(0);
        let mut sites = Sites::default();
        emit(&mut asm, &mut sites);
        let code = finish(asm);
        let func = CompiledFunc {
            func: FuncIndex(index),
            tier: Tier::Baseline,
            kind: CodeKind::Entry,
            text_bytes: u32::try_from(code.len()).unwrap(),
            code,
            align: 16,
            relocs: sites.relocs,
            traps: sites.traps,
            calls: sites.calls,
            stack_maps: Vec::new(),
            frame_bytes: 0,
            inlined: Vec::new(),
        };
        Self { func }
    }
}

/// Tables of a draft.
#[derive(Default)]
pub(crate) struct Sites {
    traps: Vec<TrapSite>,
    calls: Vec<CallSite>,
    relocs: Vec<Reloc>,
}

impl Sites {
    /// The next instruction may trap. Its wasm offset is 1000 + its offset.
    pub(crate) fn trap(&mut self, asm: &Assembler, code: TrapCode) {
        let offset = here(asm);
        self.traps.push(TrapSite {
            offset,
            wasm_offset: 1000 + offset,
            frame: InlineFrame::FUNC,
            code,
        });
    }

    /// The last instruction was a call. Its wasm offset is 2000 + the return offset.
    pub(crate) fn call(&mut self, asm: &Assembler) {
        let return_offset = here(asm);
        self.calls.push(CallSite {
            return_offset,
            wasm_offset: 2000 + return_offset,
            frame: InlineFrame::FUNC,
        });
    }

    /// A relocation at the end of the next instruction, whose field starts `after` bytes from here.
    pub(crate) fn reloc(&mut self, asm: &Assembler, after: u32, target: upshift_abi::RelocTarget) {
        self.relocs.push(Reloc {
            offset: here(asm) + after,
            target,
            addend: -4,
        });
    }
}

/// The offset of the next instruction.
pub(crate) fn here(asm: &Assembler) -> u32 {
    use dynasmrt::DynasmApi;
    u32::try_from(asm.offset().0).unwrap()
}
