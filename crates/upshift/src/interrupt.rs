//! [`InterruptHandle`]: stopping a guest from outside.

use std::fmt;
use upshift_runtime::StoreInner;

/// Stops the guest of a store, from any thread, also when the store is gone.
///
/// ```
/// use upshift::{Engine, Instance, Module, Store, TrapCode};
///
/// # fn main() -> upshift::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (func (export "spin") (loop $l (br $l))))"#)?;
/// let mut store = Store::new(&engine, ());
/// let spin = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), ()>(&mut store, "spin")?;
/// let handle = store.interrupt_handle();
/// let other = std::thread::spawn(move || handle.interrupt());
/// let error = spin.call(&mut store, ()).unwrap_err();
/// assert_eq!(error.trap().map(|trap| trap.code()), Some(TrapCode::Interrupt));
/// # other.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct InterruptHandle(upshift_runtime::InterruptHandle);

impl InterruptHandle {
    pub(crate) fn new(store: &StoreInner) -> Self {
        Self(store.interrupt_handle())
    }

    /// Makes the running guest trap with [`TrapCode::Interrupt`](crate::TrapCode::Interrupt) at its next call or loop. When none
    /// runs, the next call into a guest traps at once. The trap uses the request up.
    ///
    /// Loops notice it only while [`Config::interruption`](crate::Config::interruption) is on, as by default.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}

impl fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InterruptHandle")
    }
}
