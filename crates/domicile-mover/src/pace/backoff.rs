//! How fast to go at one site, from what its database bears. Pure: time is passed in.

use crate::report::Strain;
use domicile_store::{Load, Replica};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What may be added to a site's load before a move gives way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// By how much a replica may fall behind the least it was behind in this run.
    pub(crate) replica_lag: Duration,
    /// By how many dead rows a table may grow, where they are also more than a part of the living.
    pub(crate) dead_rows: u64,
}

/// Two fifths of the living: twice what lets autovacuum begin, unless it is told otherwise.
const DEAD_PART: (u64, u64) = (2, 5);

/// A pace in parts of the full one, and the least there is: a move always goes on.
const FULL: u32 = 16;
const LEAST: u32 = 1;

/// How much of the log's past is kept, in looks. A replica that has not moved for longer counts as
/// being that far behind.
const PAST: usize = 3600;

/// One site's pace: halved by each look that finds it strained, and a sixteenth more with each that
/// does not.
#[derive(Debug)]
pub(crate) struct Backoff {
    bounds: Bounds,
    pace: u32,
    strain: Option<Strain>,
    /// Whether the last look found too many dead rows.
    has_many_dead: bool,
    /// Whether dead rows are vacuumed away, so that no rest is needed for their sake.
    is_vacuumed: bool,
    /// When the log had come where: what a replica has not replayed, and since when it stands there.
    written: VecDeque<(Duration, u64)>,
    /// The least each replica was behind, and the fewest dead rows of each table, in this run.
    least_lag: BTreeMap<String, Duration>,
    least_dead: BTreeMap<String, u64>,
}

impl Backoff {
    pub(crate) fn new(bounds: Bounds) -> Backoff {
        Backoff {
            bounds,
            pace: FULL,
            strain: None,
            has_many_dead: false,
            is_vacuumed: false,
            written: VecDeque::new(),
            least_lag: BTreeMap::new(),
            least_dead: BTreeMap::new(),
        }
    }

    /// Takes in one look; nothing is known after a failed one. Returns what strains the site, in
    /// words, when that ends the full pace.
    pub(crate) fn look(&mut self, now: Duration, load: Option<&Load>) -> Option<String> {
        let Some((strain, words)) = load.and_then(|load| self.strained(now, load)) else {
            self.pace = (self.pace + 1).min(FULL);
            return None;
        };
        let began = self.pace == FULL;
        self.pace = (self.pace / 2).max(LEAST);
        self.strain = Some(strain);
        began.then_some(words)
    }

    /// What slows the move down here; nothing at full pace.
    pub(crate) fn strain(&self) -> Option<Strain> {
        self.strain.filter(|_| self.pace < FULL)
    }

    /// Whether there are so many dead rows that a vacuum should come.
    pub(crate) fn wants_vacuum(&self) -> bool {
        self.has_many_dead
    }

    /// Takes in whether vacuums come when they are wanted, and rid the tables of dead rows.
    pub(crate) fn vacuumed(&mut self, in_vain: bool) {
        self.is_vacuumed = !in_vain;
        self.has_many_dead &= in_vain;
    }

    /// How long to rest after so much work.
    pub(crate) fn rest(&self, worked: Duration) -> Duration {
        worked * (FULL - self.pace) / self.pace
    }

    /// The first strain there is. Takes note of everything first.
    fn strained(&mut self, now: Duration, load: &Load) -> Option<(Strain, String)> {
        let lagging = self.lagging(now, load);
        let dead = self.dead(load);
        // Whoever vacuums goes from table to table, and the horizon waits for each.
        let dead = dead.filter(|_| !load.tables.iter().any(|table| table.is_vacuumed));
        self.has_many_dead = dead.is_some();
        let dead = dead.filter(|_| !self.is_vacuumed);
        let waiting = (load.waiting > 0).then(|| {
            (Strain::LockWaits, format!("{} sessions wait for the mover's locks", load.waiting))
        });
        lagging.or(dead).or(waiting)
    }

    fn lagging(&mut self, now: Duration, load: &Load) -> Option<(Strain, String)> {
        if self.written.back().is_none_or(|(_, written)| *written < load.written) {
            self.written.push_back((now, load.written));
        }
        let replayed = load.replicas.iter().map(|replica| replica.replayed).min();
        let replayed = replayed.unwrap_or(u64::MAX);
        while self.written.len() > PAST
            || self.written.front().is_some_and(|(_, written)| *written <= replayed)
        {
            self.written.pop_front();
        }
        let mut found = None;
        for replica in &load.replicas {
            let lag = self.lag(now, replica);
            let least = self.least_lag.entry(replica.name.clone()).or_insert(lag);
            *least = lag.min(*least);
            if lag > *least + self.bounds.replica_lag {
                let (name, seconds) = (&replica.name, lag.as_secs_f64());
                let words = format!("replica {name} is {seconds:.1} s behind");
                found = found.or(Some((Strain::ReplicaLag, words)));
            }
        }
        found
    }

    /// For how long at least a replica has not replayed what was written. One that stands still
    /// shows in the log's past alone, one that was behind before the run in its own measure alone.
    fn lag(&self, now: Duration, replica: &Replica) -> Duration {
        let missing = self.written.iter().find(|(_, written)| *written > replica.replayed);
        missing.map_or(Duration::ZERO, |(since, _)| {
            now.saturating_sub(*since).max(replica.lag.unwrap_or_default())
        })
    }

    fn dead(&mut self, load: &Load) -> Option<(Strain, String)> {
        let (part, whole) = DEAD_PART;
        let mut found = None;
        for table in &load.tables {
            let least = self.least_dead.entry(table.table.clone()).or_insert(table.dead);
            *least = table.dead.min(*least);
            let grown = table.dead - *least;
            if grown > self.bounds.dead_rows && grown / part > table.live / whole {
                let words = format!("{} has {} dead rows", table.table, table.dead);
                found = found.or(Some((Strain::DeadRows, words)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_store::TableLoad;

    const BOUNDS: Bounds = Bounds { replica_lag: Duration::from_secs(1), dead_rows: 1000 };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn replica(written: u64, replayed: u64, lag: Option<u64>) -> Load {
        let replica = Replica { name: "dub2".to_owned(), replayed, lag: lag.map(s) };
        Load { written, replicas: vec![replica], ..Load::default() }
    }

    /// One look a second from this one on, every one alike but for the log.
    fn looks(backoff: &mut Backoff, from: u64, count: u64, load: impl Fn(u64) -> Load) {
        for at in from..from + count {
            backoff.look(s(at), Some(&load(at)));
        }
    }

    fn rest(backoff: &Backoff) -> Duration {
        backoff.rest(s(1))
    }

    #[test]
    fn each_strained_look_halves_the_pace_down_to_a_floor_and_it_comes_back_slowly() {
        let mut backoff = Backoff::new(BOUNDS);
        let waiting = |waiting| Load { waiting, ..Load::default() };
        looks(&mut backoff, 0, 5, |_| waiting(0));
        assert_eq!((rest(&backoff), backoff.strain()), (s(0), None));
        for expected in [1, 3, 7, 15, 15, 15] {
            looks(&mut backoff, 5, 1, |_| waiting(2));
            assert_eq!(rest(&backoff), s(expected));
            assert_eq!(backoff.strain(), Some(Strain::LockWaits));
        }
        looks(&mut backoff, 11, 7, |_| waiting(0));
        assert_eq!(rest(&backoff), s(1), "half the pace after seven calm looks");
        looks(&mut backoff, 18, 8, |_| waiting(0));
        assert_eq!((rest(&backoff), backoff.strain()), (s(0), None));
    }

    #[test]
    fn the_end_of_the_full_pace_is_told_once() {
        let mut backoff = Backoff::new(BOUNDS);
        let waiting = Load { waiting: 2, ..Load::default() };
        let told = backoff.look(s(0), Some(&waiting));
        assert_eq!(told.as_deref(), Some("2 sessions wait for the mover's locks"));
        assert_eq!(backoff.look(s(1), Some(&waiting)), None);
        for at in 2..30 {
            backoff.look(s(at), None);
        }
        assert_eq!(backoff.strain(), None, "a look that fails holds nobody back");
        assert!(backoff.look(s(30), Some(&waiting)).is_some());
    }

    #[test]
    fn a_replica_that_follows_within_the_bound_slows_nothing() {
        let mut backoff = Backoff::new(BOUNDS);
        // It lacks what was written since the last look but one.
        looks(&mut backoff, 0, 60, |at| replica(100 + at * 10, 95 + at * 10, Some(0)));
        assert_eq!(backoff.strain(), None);
    }

    #[test]
    fn a_replica_that_stands_still_slows_the_move_though_its_own_measure_does_not_grow() {
        let mut backoff = Backoff::new(BOUNDS);
        looks(&mut backoff, 0, 3, |at| replica(100 + at * 10, 100 + at * 10, Some(0)));
        looks(&mut backoff, 3, 2, |at| replica(100 + at * 10, 120, Some(0)));
        assert_eq!(backoff.strain(), None, "one second is within the bound");
        looks(&mut backoff, 5, 1, |at| replica(100 + at * 10, 120, Some(0)));
        assert_eq!(backoff.strain(), Some(Strain::ReplicaLag));
        looks(&mut backoff, 6, 5, |at| replica(100 + at * 10, 120, Some(0)));
        assert_eq!(rest(&backoff), s(15));
        // It catches up.
        looks(&mut backoff, 11, 15, |at| replica(100 + at * 10, 100 + at * 10, Some(9)));
        assert_eq!(backoff.strain(), None);
    }

    #[test]
    fn a_replica_is_not_behind_while_nothing_is_written() {
        let mut backoff = Backoff::new(BOUNDS);
        looks(&mut backoff, 0, 600, |_| replica(100, 100, None));
        looks(&mut backoff, 600, 1, |_| replica(110, 100, None));
        assert_eq!(backoff.strain(), None);
    }

    #[test]
    fn a_replica_that_lagged_before_slows_the_move_only_when_it_falls_further_behind() {
        let mut backoff = Backoff::new(BOUNDS);
        // A standby that is kept an hour behind, and replays all the time.
        let delayed =
            |lag: u64| move |at: u64| replica(100_000 + at * 10, 90_000 + at * 10, Some(lag));
        looks(&mut backoff, 0, 900, delayed(3600));
        assert_eq!(backoff.strain(), None);
        looks(&mut backoff, 900, 1, delayed(3602));
        assert_eq!(backoff.strain(), Some(Strain::ReplicaLag));
    }

    #[test]
    fn of_two_replicas_the_worse_counts() {
        let mut backoff = Backoff::new(BOUNDS);
        looks(&mut backoff, 0, 4, |at| {
            let still = Replica { name: "osl2".to_owned(), replayed: 100, lag: None };
            let mut load = replica(100 + at * 10, 100 + at * 10, None);
            load.replicas.push(still);
            load
        });
        assert_eq!(backoff.strain(), Some(Strain::ReplicaLag));
    }

    #[test]
    fn what_is_kept_of_the_log_does_not_grow_without_end() {
        let mut backoff = Backoff::new(BOUNDS);
        looks(&mut backoff, 0, 10_000, |at| replica(100 + at, 100, None));
        assert_eq!(backoff.written.len(), PAST);
        assert_eq!(backoff.strain(), Some(Strain::ReplicaLag));
        looks(&mut backoff, 10_000, 1, |_| Load { written: 20_000, ..Load::default() });
        assert_eq!(backoff.written.len(), 0, "nobody follows the log any more");
    }

    #[test]
    fn dead_rows_slow_the_move_when_they_grow_by_many_and_by_much_of_the_table() {
        let load = |live, dead| {
            let tables =
                vec![TableLoad { table: "posts".to_owned(), live, dead, is_vacuumed: false }];
            Load { tables, ..Load::default() }
        };
        let strained = |before: Load, after: Load| {
            let mut backoff = Backoff::new(BOUNDS);
            backoff.look(s(0), Some(&before));
            backoff.look(s(1), Some(&after));
            backoff.strain().is_some()
        };
        assert!(strained(load(5000, 0), load(3000, 2000)));
        assert!(!strained(load(5000, 0), load(4000, 1000)), "too few");
        assert!(!strained(load(50_000, 0), load(48_000, 2000)), "too little of the table");
        assert!(!strained(load(5000, 9000), load(5000, 9900)), "they were there before");
        assert!(strained(load(0, 0), load(0, 2000)), "nothing lives");
        // Vacuumed in between.
        let mut backoff = Backoff::new(BOUNDS);
        for dead in [9000, 0, 9000] {
            backoff.look(s(0), Some(&load(5000, dead)));
        }
        assert_eq!(backoff.strain(), Some(Strain::DeadRows));
    }

    #[test]
    fn dead_rows_slow_nothing_while_they_are_vacuumed_away() {
        let load = |dead, is_vacuumed| {
            // Autovacuum is at another table: it comes to this one next.
            let posts = TableLoad { table: "posts".to_owned(), live: 0, dead, is_vacuumed: false };
            let likes = TableLoad { table: "likes".to_owned(), live: 0, dead: 0, is_vacuumed };
            Load { tables: vec![posts, likes], ..Load::default() }
        };
        let mut backoff = Backoff::new(BOUNDS);
        looks(&mut backoff, 0, 5, |at| load(2000 * at, at > 0));
        assert_eq!((backoff.wants_vacuum(), backoff.strain()), (false, None), "somebody does");

        let load = |dead| load(dead, false);
        let mut backoff = Backoff::new(BOUNDS);
        backoff.vacuumed(false);
        looks(&mut backoff, 0, 1, |_| load(0));
        assert!(!backoff.wants_vacuum());
        looks(&mut backoff, 1, 5, |_| load(2000));
        assert_eq!((backoff.wants_vacuum(), backoff.strain()), (true, None));
        backoff.vacuumed(false);
        assert!(!backoff.wants_vacuum(), "until the next look");
        looks(&mut backoff, 6, 1, |_| load(2000));
        backoff.vacuumed(true);
        assert!(backoff.wants_vacuum(), "an older snapshot may be gone by then");
        looks(&mut backoff, 7, 1, |_| load(2000));
        assert_eq!(backoff.strain(), Some(Strain::DeadRows));
    }
}
