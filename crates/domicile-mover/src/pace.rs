//! Keeping below a number of rows and of bytes a second.

use crate::drive::{Clock, Stop};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How much may be done in a second; without a limit nothing ever waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

/// Lets work begin only when earlier work has had its time.
pub(crate) struct Pacer {
    clock: Clock,
    limits: Limits,
    spent: Mutex<Spent>,
}

#[derive(Default)]
struct Spent {
    /// When the work so far has had its time.
    free_at: Duration,
    rows: u64,
    bytes: u64,
    people: u64,
}

impl Pacer {
    pub(crate) fn new(clock: Clock, limits: Limits) -> Self {
        let least = |limit: Option<u64>| limit.map(|limit| limit.max(1));
        let limits = Limits { rows: least(limits.rows), bytes: least(limits.bytes) };
        Pacer { clock, limits, spent: Mutex::default() }
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for what this many people had. The stricter limit counts.
    pub(crate) fn spend(&self, rows: u64, bytes: u64, people: u64) {
        let took = |done: u64, limit: Option<u64>| {
            let nanos =
                limit.map_or(0, |limit| u128::from(done) * 1_000_000_000 / u128::from(limit));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let took = took(rows, self.limits.rows).max(took(bytes, self.limits.bytes));
        let now = (self.clock)();
        let mut spent = self.spent();
        spent.free_at = spent.free_at.max(now).saturating_add(took);
        spent.rows = spent.rows.saturating_add(rows);
        spent.bytes = spent.bytes.saturating_add(bytes);
        spent.people = spent.people.saturating_add(people);
    }

    /// Waits until work may begin, or a stop is called for.
    pub(crate) async fn wait(&self, stop: &mut Stop) {
        loop {
            let free_at = self.spent().free_at;
            let Some(left) = free_at.checked_sub((self.clock)()).filter(|left| !left.is_zero())
            else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                called = stop.changed() => if called.is_err() || *stop.borrow() { return },
            }
        }
    }

    /// How many people may go together, so that they take about a second; a few until it is known
    /// how much people have.
    pub(crate) fn people_at_once(&self) -> usize {
        const FIRST: usize = 10;
        let spent = self.spent();
        let within = |limit: Option<u64>, had: u64| {
            let Some(limit) = limit else { return usize::MAX };
            if spent.people == 0 {
                return FIRST;
            }
            let people = u128::from(limit) * u128::from(spent.people) / u128::from(had.max(1));
            usize::try_from(people).unwrap_or(usize::MAX).max(1)
        };
        within(self.limits.rows, spent.rows).min(within(self.limits.bytes, spent.bytes))
    }

    /// How many people have about so many rows, going by those who went; all of them until
    /// somebody did.
    pub(crate) fn people_with(&self, rows: u64) -> usize {
        let spent = self.spent();
        if spent.people == 0 {
            return usize::MAX;
        }
        let people = u128::from(rows) * u128::from(spent.people) / u128::from(spent.rows.max(1));
        usize::try_from(people).unwrap_or(usize::MAX).max(1)
    }

    /// How many rows may go in one commit.
    pub(crate) fn rows_at_once(&self, usual: u64) -> u64 {
        self.limits.rows.map_or(usual, |limit| limit.min(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn pacer(rows: Option<u64>, bytes: Option<u64>) -> (Pacer, Arc<Mutex<Duration>>) {
        let now = Arc::new(Mutex::new(Duration::from_secs(5)));
        let read = now.clone();
        (Pacer::new(Arc::new(move || *read.lock().unwrap()), Limits { rows, bytes }), now)
    }

    #[test]
    fn rows_take_their_time_one_after_the_other() {
        let (pacer, now) = pacer(Some(100), None);
        pacer.spend(50, 0, 5);
        pacer.spend(100, 0, 10);
        assert_eq!(pacer.spent().free_at, Duration::from_millis(6500));
        *now.lock().unwrap() = Duration::from_secs(60);
        pacer.spend(10, 0, 1);
        assert_eq!(pacer.spent().free_at, Duration::from_millis(60_100), "no credit for rest");
    }

    #[test]
    fn a_batch_is_as_large_as_a_second_allows() {
        let (limited, _) = pacer(Some(100), None);
        assert_eq!(limited.people_at_once(), 10);
        limited.spend(40, 0, 2);
        assert_eq!(limited.people_at_once(), 5);
        limited.spend(1_000_000, 0, 1);
        assert_eq!(limited.people_at_once(), 1);
        assert_eq!(limited.rows_at_once(20_000), 100);
        let (unlimited, _) = pacer(None, None);
        unlimited.spend(u64::MAX, 0, 1);
        assert_eq!(unlimited.people_at_once(), usize::MAX);
    }

    #[test]
    fn how_many_people_have_so_many_rows_is_learnt() {
        let (pacer, _) = pacer(None, None);
        assert_eq!(pacer.people_with(20_000), usize::MAX);
        pacer.spend(400, 0, 10);
        assert_eq!(pacer.people_with(20_000), 500);
        pacer.spend(1_000_000, 0, 1);
        assert_eq!(pacer.people_with(20_000), 1, "never nobody");
    }

    fn limited_by_bytes() -> (Pacer, Arc<Mutex<Duration>>) {
        pacer(None, Some(1000))
    }

    #[test]
    fn the_stricter_of_two_limits_counts() {
        let (pacer, now) = pacer(Some(100), Some(1000));
        pacer.spend(50, 2000, 4);
        assert_eq!(pacer.spent().free_at, Duration::from_secs(7), "bytes take two seconds");
        assert_eq!(pacer.people_at_once(), 2);
        *now.lock().unwrap() = Duration::from_secs(10);
        pacer.spend(300, 0, 1);
        assert_eq!(pacer.spent().free_at, Duration::from_secs(13), "rows take three");
        assert_eq!(pacer.people_at_once(), 1);
        let (of_bytes, _) = limited_by_bytes();
        assert_eq!((of_bytes.people_at_once(), of_bytes.rows_at_once(20_000)), (10, 20_000));
    }
}
