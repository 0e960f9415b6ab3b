//! `--timeout`: stops a guest from another thread.
//!
//! A guest that runs is interrupted and traps as any other. One that waits in a host function cannot be
//! interrupted there; after a grace period the process ends with the same exit code and the same last line.

use crate::EXIT_TRAP;
use crate::args::RunOptions;
use crate::out::err;
use crate::progress::Shared;
use crate::run::{Reporting, report};
use std::process::exit;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use upshift::InterruptHandle;

/// How long an interrupted guest may take to come out of a host function.
const GRACE: Duration = Duration::from_millis(500);

/// Starts the timer; dropping what it returns stops it.
pub(crate) fn start(
    options: &RunOptions,
    timeout: Duration,
    handle: InterruptHandle,
    progress: Shared,
) -> mpsc::Sender<()> {
    let reporting = Reporting::new(options);
    let (sender, receiver) = mpsc::channel::<()>();
    thread::spawn(move || {
        if receiver.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        handle.interrupt();
        if receiver.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            // The main thread keeps this lock once it has begun to report, so only one of the two does.
            let mut progress = progress.lock();
            progress.end_call();
            err(
                "upshift: the guest ran longer than --timeout allows, and waits in a host function",
            );
            report(reporting, &progress, EXIT_TRAP);
            exit(EXIT_TRAP);
        }
    });
    sender
}
