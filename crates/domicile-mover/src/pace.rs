//! Keeping below a number of rows and of bytes a second, and resting while a site is strained.

mod backoff;
mod manners;

use crate::drive::{Clock, Stop};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use backoff::Bounds;
pub(crate) use manners::Manners;

/// How much may be done in a second; without a limit nothing ever waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

/// Work that counts towards one rest at most: a person of any size holds the others up for a few
/// minutes at the slowest pace.
const WORKED_MAX: Duration = Duration::from_secs(10);
/// How long a rest lasts before the pace is looked at anew.
const REST: Duration = Duration::from_millis(200);

/// Lets work begin only when earlier work has had its time.
pub(crate) struct Pacer {
    clock: Clock,
    limits: Limits,
    manners: Arc<Manners>,
    spent: Mutex<Spent>,
}

#[derive(Default)]
struct Spent {
    /// When the work so far has had its time.
    free_at: Duration,
    rows: u64,
    bytes: u64,
    people: u64,
    worked: Duration,
}

impl Pacer {
    pub(crate) fn new(clock: Clock, limits: Limits, manners: Arc<Manners>) -> Self {
        let least = |limit: Option<u64>| limit.map(|limit| limit.max(1));
        let limits = Limits { rows: least(limits.rows), bytes: least(limits.bytes) };
        Pacer { clock, limits, manners, spent: Mutex::default() }
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for what this many people had, and how long it took. The stricter limit counts.
    pub(crate) fn spend(&self, rows: u64, bytes: u64, people: u64, worked: Duration) {
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
        spent.worked = spent.worked.saturating_add(worked);
    }

    /// Waits until work may begin, or a stop is called for.
    pub(crate) async fn wait(&self, stop: &mut Stop) {
        loop {
            let free_at = self.spent().free_at;
            let Some(left) = free_at.checked_sub((self.clock)()).filter(|left| !left.is_zero())
            else {
                return;
            };
            if sleep_or_stop(left, stop).await {
                return;
            }
        }
    }

    /// Rests after so much work at these sites, for as long as one of them is strained by then.
    pub(crate) async fn rest(&self, worked: Duration, ends: &[usize], stop: &mut Stop) {
        let worked = worked.min(WORKED_MAX);
        let began = (self.clock)();
        let mut now = began;
        while let Some((at, strain, rest)) = self.manners.rest(worked, ends) {
            let left = rest.saturating_sub(now - began);
            if left.is_zero() || sleep_or_stop(left.min(REST), stop).await {
                return;
            }
            let woke = (self.clock)();
            self.manners.rested(at, strain, woke - now);
            now = woke;
        }
    }

    /// How many people may go together between these sites, so that they take about a second; a few
    /// until it is known how much people have.
    pub(crate) fn people_at_once(&self, ends: &[usize]) -> usize {
        const FIRST: usize = 10;
        let spent = self.spent();
        let is_strained = self.manners.rest(Duration::ZERO, ends).is_some();
        let millis = u64::try_from(spent.worked.as_millis()).unwrap_or(u64::MAX);
        let within = |limit: Option<u64>, had: u64| {
            let Some(limit) = limit else { return usize::MAX };
            if spent.people == 0 {
                return FIRST;
            }
            let people = u128::from(limit) * u128::from(spent.people) / u128::from(had.max(1));
            usize::try_from(people).unwrap_or(usize::MAX).max(1)
        };
        within(self.limits.rows, spent.rows)
            .min(within(self.limits.bytes, spent.bytes))
            .min(within(is_strained.then_some(1000), millis))
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

/// Whether a stop was called for meanwhile.
async fn sleep_or_stop(time: Duration, stop: &mut Stop) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => false,
        called = stop.changed() => called.is_err() || *stop.borrow(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn pacer(rows: Option<u64>, bytes: Option<u64>) -> (Pacer, Arc<Mutex<Duration>>) {
        let now = Arc::new(Mutex::new(Duration::from_secs(5)));
        let read = now.clone();
        let clock: Clock = Arc::new(move || *read.lock().unwrap());
        let bounds = Bounds { replica_lag: Duration::ZERO, dead_rows: 0 };
        let manners = Arc::new(Manners::new(clock.clone(), bounds, 1));
        (Pacer::new(clock, Limits { rows, bytes }, manners), now)
    }

    #[test]
    fn rows_take_their_time_one_after_the_other() {
        let (pacer, now) = pacer(Some(100), None);
        pacer.spend(50, 0, 5, Duration::ZERO);
        pacer.spend(100, 0, 10, Duration::ZERO);
        assert_eq!(pacer.spent().free_at, Duration::from_millis(6500));
        *now.lock().unwrap() = Duration::from_secs(60);
        pacer.spend(10, 0, 1, Duration::ZERO);
        assert_eq!(pacer.spent().free_at, Duration::from_millis(60_100), "no credit for rest");
    }

    #[test]
    fn a_batch_is_as_large_as_a_second_allows() {
        let (limited, _) = pacer(Some(100), None);
        assert_eq!(limited.people_at_once(&[0]), 10);
        limited.spend(40, 0, 2, Duration::ZERO);
        assert_eq!(limited.people_at_once(&[0]), 5);
        limited.spend(1_000_000, 0, 1, Duration::ZERO);
        assert_eq!(limited.people_at_once(&[0]), 1);
        assert_eq!(limited.rows_at_once(20_000), 100);
        let (unlimited, _) = pacer(None, None);
        unlimited.spend(u64::MAX, 0, 1, Duration::ZERO);
        assert_eq!(unlimited.people_at_once(&[0]), usize::MAX);
    }

    #[test]
    fn how_many_people_have_so_many_rows_is_learnt() {
        let (pacer, _) = pacer(None, None);
        assert_eq!(pacer.people_with(20_000), usize::MAX);
        pacer.spend(400, 0, 10, Duration::ZERO);
        assert_eq!(pacer.people_with(20_000), 500);
        pacer.spend(1_000_000, 0, 1, Duration::ZERO);
        assert_eq!(pacer.people_with(20_000), 1, "never nobody");
    }

    fn limited_by_bytes() -> (Pacer, Arc<Mutex<Duration>>) {
        pacer(None, Some(1000))
    }

    #[test]
    fn the_stricter_of_two_limits_counts() {
        let (pacer, now) = pacer(Some(100), Some(1000));
        pacer.spend(50, 2000, 4, Duration::ZERO);
        assert_eq!(pacer.spent().free_at, Duration::from_secs(7), "bytes take two seconds");
        assert_eq!(pacer.people_at_once(&[0]), 2);
        *now.lock().unwrap() = Duration::from_secs(10);
        pacer.spend(300, 0, 1, Duration::ZERO);
        assert_eq!(pacer.spent().free_at, Duration::from_secs(13), "rows take three");
        assert_eq!(pacer.people_at_once(&[0]), 1);
        let (of_bytes, _) = limited_by_bytes();
        assert_eq!((of_bytes.people_at_once(&[0]), of_bytes.rows_at_once(20_000)), (10, 20_000));
    }

    #[test]
    fn while_a_site_is_strained_a_batch_takes_about_a_second_and_a_rest_follows() {
        let (pacer, _) = pacer(None, None);
        pacer.spend(0, 0, 100, Duration::from_secs(5));
        assert_eq!(pacer.people_at_once(&[0]), usize::MAX);
        let waiting = domicile_store::Load { waiting: 1, ..Default::default() };
        pacer.manners.look(0, Some(&waiting));
        assert_eq!(pacer.people_at_once(&[0]), 20);
        let worked = Duration::from_secs(2);
        let rest = (0, crate::report::Strain::LockWaits, worked);
        assert_eq!(pacer.manners.rest(worked, &[0]), Some(rest));
        assert_eq!(pacer.manners.rest(worked, &[]), None, "another site is not strained");
    }
}
