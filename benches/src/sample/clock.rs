//! The clocks of one iteration in an engine that runs in this process.

use crate::schema::Iteration;
use std::time::{Duration, Instant};

/// A duration in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What the imports of a guest note while it runs: part of the data of every engine's store.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// When the guest first called an import.
    first_import: Option<Instant>,
    /// When the span that is open now began.
    region: Option<Instant>,
    /// All spans that were closed; none if the guest never called `bench.start`.
    regions: Option<Duration>,
    /// When the guest called `bench.step`.
    steps: Vec<Instant>,
}

/// So many steps are noted without asking for memory.
const STEPS: usize = 16_384;

impl Clock {
    /// The guest calls an import.
    pub(crate) fn import(&mut self) {
        if self.first_import.is_none() {
            self.first_import = Some(Instant::now());
        }
    }

    /// `bench.start`. A second start without an end goes on with the first one's span.
    pub(crate) fn start(&mut self) {
        self.import();
        self.regions.get_or_insert_default();
        self.region.get_or_insert_with(Instant::now);
    }

    /// `bench.end`. Without a start it is nothing.
    pub(crate) fn end(&mut self) {
        self.import();
        self.close(Instant::now());
    }

    /// `bench.step`: a step of the work is done.
    pub(crate) fn step(&mut self) {
        self.import();
        self.steps.push(Instant::now());
    }

    /// The steps, in ms since `origin`.
    pub(crate) fn steps_ms(&self, origin: Instant) -> Vec<f64> {
        let steps = self.steps.iter();
        steps.map(|step| ms(*step - origin)).collect()
    }

    fn close(&mut self, now: Instant) {
        if let Some(started) = self.region.take() {
            *self.regions.get_or_insert_default() += now - started;
        }
    }

    /// The start function of the module may have called imports: that belongs to instantiation.
    pub(crate) fn called(&mut self) -> Instant {
        *self = Self {
            steps: Vec::with_capacity(STEPS),
            ..Self::default()
        };
        Instant::now()
    }

    /// The times of a call that has just ended. A span that was not closed lasts until now.
    pub(crate) fn finish(
        &mut self,
        instantiate: Duration,
        called: Instant,
        exit: i32,
    ) -> Iteration {
        let now = Instant::now();
        self.close(now);
        let first = self.first_import.unwrap_or(now);
        Iteration {
            instantiate_ms: ms(instantiate),
            first_call_ms: ms(first - called),
            run_ms: ms(now - first),
            region_ms: self.regions.map(ms),
            exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use std::time::Duration;

    /// Steps: `i` import, `s` start, `e` end, `c` the call of the guest begins.
    #[test]
    fn regions() {
        let check = |steps: &str, measured: bool| {
            let mut clock = Clock::default();
            let mut called = clock.called();
            for step in steps.chars() {
                match step {
                    's' => clock.start(),
                    'e' => clock.end(),
                    'c' => called = clock.called(),
                    _ => clock.import(),
                }
            }
            let found = clock.finish(Duration::ZERO, called, 0);
            assert_eq!(found.region_ms.is_some(), measured, "{steps}: {found:?}");
            assert!(found.first_call_ms >= 0.0 && found.run_ms >= 0.0);
            assert!(found.region_ms.unwrap_or(0.0) <= found.run_ms, "{steps}");
        };
        check("", false);
        check("iei", false);
        check("se", true);
        check("isse", true);
        check("is", true);
        check("sesie", true);
        check("sec", false);
    }
}
