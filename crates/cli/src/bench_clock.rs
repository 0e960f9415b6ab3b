//! `bench.start` and `bench.end`: the span of a guest's run that benchmark modules want measured.

use std::time::{Duration, Instant};

/// Sums the spans between `start` and `end`.
#[derive(Debug, Default)]
pub(crate) struct BenchClock {
    started: Option<Instant>,
    total: Duration,
    used: bool,
}

impl BenchClock {
    /// `bench.start`. A second start without an end goes on with the first one's span.
    pub(crate) fn start(&mut self) {
        self.used = true;
        self.started.get_or_insert_with(Instant::now);
    }

    /// `bench.end`. Without a start it is nothing.
    pub(crate) fn end(&mut self) {
        if let Some(started) = self.started.take() {
            self.total += started.elapsed();
        }
    }

    /// The time between the calls, if the guest made any; a missing end lasts until now.
    pub(crate) fn finish(&mut self) -> Option<Duration> {
        self.end();
        self.used.then_some(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::BenchClock;

    #[test]
    fn pairs_add_up_and_a_missing_end_lasts_until_the_finish() {
        assert_eq!(BenchClock::default().finish(), None);
        let mut clock = BenchClock::default();
        clock.end();
        assert_eq!(clock.finish(), None);
        let mut clock = BenchClock::default();
        clock.start();
        clock.end();
        let once = clock.total;
        clock.start();
        let all = clock.finish().expect("the clock was used");
        assert!(all >= once);
        assert!(clock.started.is_none());
    }
}
