//! `--timeout`: stops a guest from another thread.
//!
//! A guest that runs is interrupted and traps as any other. One that sleeps in a host function cannot be
//! interrupted there; after a grace period the process ends with the same exit code and the same last line.

use crate::EXIT_TRAP;
use crate::args::TimingsFormat;
use crate::timings::{self, Phases};
use std::process::exit;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use upshift::{Engine, InterruptHandle};

/// How long an interrupted guest may take to come out of a host function.
const GRACE: Duration = Duration::from_millis(500);

/// What the timer needs to end the run in the place of the main thread.
pub(crate) struct Timer {
    pub(crate) handle: InterruptHandle,
    pub(crate) timeout: Duration,
    pub(crate) engine: Engine,
    pub(crate) phases: Phases,
    pub(crate) format: Option<TimingsFormat>,
}

impl Timer {
    /// Starts the timer; dropping what it returns stops it.
    pub(crate) fn start(self) -> mpsc::Sender<()> {
        let (sender, receiver) = mpsc::channel::<()>();
        let started = Instant::now();
        thread::spawn(move || {
            if receiver.recv_timeout(self.timeout) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            self.handle.interrupt();
            if receiver.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                self.give_up(started.elapsed());
            }
        });
        sender
    }

    fn give_up(self, run: Duration) {
        eprintln!("upshift: the guest sleeps in a host function longer than --timeout allows");
        match self.format {
            Some(TimingsFormat::Json) => {
                let phases = Phases { run, ..self.phases };
                timings::print_json(Some(&self.engine), phases, EXIT_TRAP);
            }
            None => {}
        }
        exit(EXIT_TRAP);
    }
}
