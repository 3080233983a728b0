//! A distribution of durations in bounded memory.

use super::Percentiles;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many durations are kept as they are; more are counted in buckets.
const EXACT_MAX: usize = 10_000;
/// Buckets to each power of two: a bucket is at most a thousandth of its values wide.
const BUCKETS: u32 = 1024;

/// Durations, for their percentiles: exact to the microsecond up to 10,000 of them, from
/// then on to a thousandth. The longest is always exact.
///
/// It never holds more than those and one number for each bucket that was ever met: a thousand for
/// each power of two between the shortest and the longest.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    exact: Vec<Duration>,
    /// By the upper end, in microseconds.
    buckets: BTreeMap<u64, u64>,
    count: u64,
    longest: Duration,
}

impl Spread {
    /// Adds one.
    pub fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.longest = self.longest.max(duration);
        if self.buckets.is_empty() && self.exact.len() < EXACT_MAX {
            self.exact.push(duration);
            return;
        }
        for duration in std::mem::take(&mut self.exact).into_iter().chain([duration]) {
            *self.buckets.entry(upper_end(duration)).or_default() += 1;
        }
    }

    /// Percentiles by nearest rank; all zero where nothing was added.
    pub fn percentiles(mut self) -> Percentiles {
        if self.buckets.is_empty() {
            return Percentiles::of(std::mem::take(&mut self.exact));
        }
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let at = |percent: u64| {
            let rank = (self.count * percent).div_ceil(100).max(1);
            let mut below = 0;
            let reached = self.buckets.iter().find(|(_, count)| {
                below += **count;
                below >= rank
            });
            let upper = reached.map_or(self.longest, |(upper, _)| Duration::from_micros(*upper));
            millis(upper.min(self.longest))
        };
        Percentiles { p50: at(50), p99: at(99), max: millis(self.longest) }
    }
}

/// The largest number of microseconds in a duration's bucket.
fn upper_end(duration: Duration) -> u64 {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let bits = u64::BITS - (micros / u64::from(BUCKETS)).leading_zeros();
    micros | ((1 << bits.saturating_sub(1)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a percentile of these may differ by.
    fn is_near(found: f64, exact: f64) -> bool {
        (found - exact).abs() <= exact / 1000.0
    }

    #[test]
    fn a_million_durations_take_the_room_of_their_buckets() {
        let mut spread = Spread::default();
        let mut draw: u64 = 7;
        let mut all = Vec::new();
        for _ in 0..1_000_000 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // From a microsecond to about 17 s, as many short ones as long ones.
            let micros = (draw >> 40) >> ((draw >> 33) % 24);
            let duration = Duration::from_micros(micros);
            spread.add(duration);
            all.push(duration);
        }
        assert!(spread.exact.is_empty() && spread.buckets.len() < 24 * 1024);
        let (found, exact) = (spread.percentiles(), Percentiles::of(all));
        assert!(is_near(found.p50, exact.p50), "{found:?} {exact:?}");
        assert!(is_near(found.p99, exact.p99), "{found:?} {exact:?}");
        assert_eq!(found.max.to_bits(), exact.max.to_bits());
    }

    #[test]
    fn few_durations_are_exact() {
        let mut spread = Spread::default();
        (1..=200).map(Duration::from_millis).for_each(|duration| spread.add(duration));
        assert_eq!(spread.percentiles(), Percentiles { p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Spread::default().percentiles(), Percentiles::default());
    }

    #[test]
    fn a_bucket_is_a_thousandth_wide() {
        for micros in [0, 1, 1023, 1024, 2047, 2048, 5_000, 999_999, u64::MAX] {
            let upper = upper_end(Duration::from_micros(micros));
            assert!(upper >= micros && upper - micros <= micros / 1000, "{micros}: {upper}");
        }
    }
}
