//! Calls of the provider, `wasi-common`, by the rows of the interface.

use crate::errno::{Errno, Failure};
use crate::preview1::{Function, Stop, for_each_function};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasi_common::WasiCtx;
use wasi_common::snapshots::preview_1::{types, wasi_snapshot_preview1 as witx};
use wiggle::GuestMemory;
use wiggle::anyhow::{Result, anyhow};

/// Calls a function of the provider. The number of arguments has been checked.
pub(crate) fn forward(
    provider: &mut WasiCtx,
    function: Function,
    args: &[u64],
    memory: &mut [u8],
) -> std::result::Result<(), Failure> {
    let code = dispatch(provider, function, args, &mut GuestMemory::Unshared(memory))?;
    if code == 0 {
        return Ok(());
    }
    let errno = u16::try_from(code)
        .ok()
        .and_then(|code| types::Errno::try_from(code).ok());
    match errno {
        Some(errno) => Err(Errno::from(errno).into()),
        None => Err(Failure::Stop(Stop::Trap(format!(
            "expected an errno, found {code}"
        )))),
    }
}

/// What a function of the provider returns.
trait Returned {
    fn code(self) -> i32;
}

impl Returned for i32 {
    fn code(self) -> i32 {
        self
    }
}

impl Returned for () {
    fn code(self) -> i32 {
        0
    }
}

/// Runs one of the provider's functions. They are `async` in form only, and never wait.
fn finish<R: Returned>(call: impl Future<Output = Result<R>>) -> Result<i32> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(call).poll(&mut context) {
        Poll::Ready(result) => result.map(Returned::code),
        Poll::Pending => Err(anyhow!("the provider waits for an event that never comes")),
    }
}

/// Takes the next argument as a provider's function wants it.
macro_rules! lower {
    (I32, $args:ident) => {
        low_word($args.next().unwrap_or_default())
    };
    (I64, $args:ident) => {
        $args.next().unwrap_or_default().cast_signed()
    };
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the low half, where an i32 argument is"
)]
fn low_word(arg: u64) -> i32 {
    (arg as u32).cast_signed()
}

macro_rules! define_dispatch {
    ($($variant:ident = $name:ident($($param:ident),*)
        needs [$($needs:tt)*] out [$($out:tt)*] paths [$($paths:tt)*];)*) => {
        fn dispatch(
            provider: &mut WasiCtx,
            function: Function,
            args: &[u64],
            memory: &mut GuestMemory<'_>,
        ) -> Result<i32> {
            let mut args = args.iter().copied();
            match function {
                $(Function::$variant => {
                    finish(witx::$name(provider, memory $(, lower!($param, args))*))
                })*
            }
        }
    };
}

for_each_function!(define_dispatch);
