//! Keeping below a number of rows a second.

use crate::drive::{Clock, Stop};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Lets work begin only when the rows of earlier work have had their time.
pub(crate) struct Pacer {
    clock: Clock,
    rows_per_second: Option<u64>,
    spent: Mutex<Spent>,
}

#[derive(Default)]
struct Spent {
    /// When the rows so far have had their time.
    free_at: Duration,
    rows: u64,
    people: u64,
}

impl Pacer {
    /// A pacer; without a limit nothing ever waits.
    pub(crate) fn new(clock: Clock, rows_per_second: Option<u64>) -> Self {
        let rows_per_second = rows_per_second.map(|rows| rows.max(1));
        Pacer { clock, rows_per_second, spent: Mutex::default() }
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for rows that this many people had.
    pub(crate) fn spend(&self, rows: u64, people: u64) {
        let Some(limit) = self.rows_per_second else { return };
        let now = (self.clock)();
        let mut spent = self.spent();
        let nanos = u128::from(rows) * 1_000_000_000 / u128::from(limit);
        let took = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        spent.free_at = spent.free_at.max(now).saturating_add(took);
        spent.rows = spent.rows.saturating_add(rows);
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

    /// How many people may go together, so that their rows take about a second; a few until it is
    /// known how many rows people have.
    pub(crate) fn people_at_once(&self) -> usize {
        const FIRST: usize = 10;
        let Some(limit) = self.rows_per_second else { return usize::MAX };
        let spent = self.spent();
        if spent.people == 0 {
            return FIRST;
        }
        let people = u128::from(limit) * u128::from(spent.people) / u128::from(spent.rows.max(1));
        usize::try_from(people).unwrap_or(usize::MAX).max(1)
    }

    /// How many rows may go in one commit.
    pub(crate) fn rows_at_once(&self, usual: u64) -> u64 {
        self.rows_per_second.map_or(usual, |limit| limit.min(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn pacer(limit: Option<u64>) -> (Pacer, Arc<Mutex<Duration>>) {
        let now = Arc::new(Mutex::new(Duration::from_secs(5)));
        let read = now.clone();
        (Pacer::new(Arc::new(move || *read.lock().unwrap()), limit), now)
    }

    #[test]
    fn rows_take_their_time_one_after_the_other() {
        let (pacer, now) = pacer(Some(100));
        pacer.spend(50, 5);
        pacer.spend(100, 10);
        assert_eq!(pacer.spent().free_at, Duration::from_millis(6500));
        *now.lock().unwrap() = Duration::from_secs(60);
        pacer.spend(10, 1);
        assert_eq!(pacer.spent().free_at, Duration::from_millis(60_100), "no credit for rest");
    }

    #[test]
    fn a_batch_is_as_large_as_a_second_allows() {
        let (limited, _) = pacer(Some(100));
        assert_eq!(limited.people_at_once(), 10);
        limited.spend(40, 2);
        assert_eq!(limited.people_at_once(), 5);
        limited.spend(1_000_000, 1);
        assert_eq!(limited.people_at_once(), 1);
        assert_eq!(limited.rows_at_once(20_000), 100);
        let (unlimited, _) = pacer(None);
        unlimited.spend(u64::MAX, 1);
        assert_eq!(unlimited.people_at_once(), usize::MAX);
    }
}
