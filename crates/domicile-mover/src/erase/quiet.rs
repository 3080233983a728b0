//! How long the fences of a site have refused nobody.

use std::time::Duration;

/// A count of refusals, and the times on the clock before and after it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) refusals: u64,
    pub(super) asked: Duration,
    pub(super) answered: Duration,
}

/// What has been seen of one site's count, over all batches: each need not watch for itself.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// The last count, and when it had been reached for certain.
    seen: Option<(u64, Duration)>,
}

impl Quiet {
    /// What is missing, as of this reading, to a period without refusals that began after `since`.
    ///
    /// Both ends are taken from the safe side: a count has been reached by the time it is answered,
    /// and is known to stand until it is asked for.
    pub(super) fn missing(
        &mut self,
        reading: Reading,
        since: Duration,
        period: Duration,
    ) -> Duration {
        let began = match self.seen {
            Some((refusals, at)) if refusals == reading.refusals => at,
            _ => reading.answered,
        };
        self.seen = Some((reading.refusals, began));
        period.saturating_sub(reading.asked.saturating_sub(began.max(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(200);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn missing(quiet: &mut Quiet, refusals: u64, asked: u64, since: u64) -> Duration {
        let reading = Reading { refusals, asked: ms(asked), answered: ms(asked + 1) };
        quiet.missing(reading, ms(since), PERIOD)
    }

    #[test]
    fn the_first_reading_shows_nothing_of_the_past() {
        assert_eq!(missing(&mut Quiet::default(), 7, 1000, 0), PERIOD);
    }

    #[test]
    fn a_period_that_began_after_settling_is_waited_for_once() {
        let mut quiet = Quiet::default();
        missing(&mut quiet, 7, 1000, 1000);
        assert_eq!(missing(&mut quiet, 7, 1101, 1000), ms(100));
        assert_eq!(missing(&mut quiet, 7, 1201, 1000), Duration::ZERO);
        // The next batch settled while the first one waited, another only just now.
        assert_eq!(missing(&mut quiet, 7, 1250, 1020), Duration::ZERO);
        assert_eq!(missing(&mut quiet, 7, 1250, 1240), ms(190));
    }

    #[test]
    fn a_refusal_between_two_erasures_makes_the_next_wait_anew() {
        let mut quiet = Quiet::default();
        missing(&mut quiet, 7, 1000, 0);
        assert_eq!(missing(&mut quiet, 7, 1300, 0), Duration::ZERO);
        assert_eq!(missing(&mut quiet, 8, 1310, 0), PERIOD);
        assert_eq!(missing(&mut quiet, 8, 1411, 0), ms(100));
        assert_eq!(missing(&mut quiet, 9, 1511, 0), PERIOD);
        assert_eq!(missing(&mut quiet, 9, 1712, 0), Duration::ZERO);
    }

    #[test]
    fn the_time_a_reading_takes_counts_for_nothing() {
        let mut quiet = Quiet::default();
        let slow = Reading { refusals: 7, asked: ms(1000), answered: ms(1500) };
        quiet.missing(slow, ms(0), PERIOD);
        let slow = Reading { refusals: 7, asked: ms(1600), answered: ms(2100) };
        assert_eq!(quiet.missing(slow, ms(0), PERIOD), ms(100));
    }
}
