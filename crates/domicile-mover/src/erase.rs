//! Erasing behind: what was decided and settled is deleted at its source, later and throttled.

mod quiet;

use crate::drive::{Clock, Stop};
use crate::error::Result;
use crate::pace::Pacer;
use crate::people::Platform;
use crate::recover::Erasure;
use crate::report::Failure;
use domicile_model::Subject;
use domicile_store::{Departure, Engine, Erased, Kind};
use quiet::{Quiet, Reading};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// Rows deleted in one commit at most: the application's own commits come in between. At SQLite
/// nobody else writes meanwhile.
pub(crate) const fn rows_at_once(engine: Engine) -> u64 {
    match engine {
        Engine::Postgres => 30_000,
        Engine::Sqlite => 500,
    }
}

/// How many quiet periods long an erasure waits, from when its people settled, for one without
/// refusals before it goes on anyway.
const QUIET_AT_MOST: u32 = 20;

/// People to erase, and the time on the clock when they could have been.
pub(crate) type Due = (Erasure, Duration);
/// How often a busy database is asked again.
const RETRIES: u32 = 50;

/// What was erased.
#[derive(Debug, Default)]
pub(crate) struct ErasureReport {
    /// Rows deleted, per announcement.
    pub(crate) rows: BTreeMap<domicile_model::MoveId, u64>,
    /// Whose rows could not be erased.
    pub(crate) failures: Vec<Failure>,
    pub(crate) seconds: f64,
}

impl ErasureReport {
    /// Adds a later round's. Whose rows cannot be erased, every round says anew.
    pub(crate) fn add(&mut self, later: ErasureReport) {
        for (move_id, rows) in later.rows {
            *self.rows.entry(move_id).or_insert(0) += rows;
        }
        self.failures = later.failures;
        self.seconds += later.seconds;
    }
}

pub(crate) struct Eraser<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) clock: Clock,
    pub(crate) quiet: Duration,
    /// What has been seen of each source's refusals, by place.
    pub(crate) refusals: BTreeMap<usize, Quiet>,
    pub(crate) pacer: Pacer,
    /// Where rows were deleted last, and how long it took.
    pub(crate) worked: Option<(usize, Duration)>,
    pub(crate) stop: Stop,
    pub(crate) departures: BTreeMap<usize, Box<dyn Departure>>,
    pub(crate) has_warned: bool,
}

/// How long rows that somebody holds are left alone.
const LEFT_ALONE: Duration = Duration::from_millis(50);

/// Gives whoever holds the rows that are left the time to let them go.
pub(crate) async fn let_go(erased: &Erased) {
    if erased.rows == 0 && !erased.finished {
        tokio::time::sleep(LEFT_ALONE).await;
    }
}

/// An error with what it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(source) = below {
        text.push_str(": ");
        text.push_str(&source.to_string());
        below = source.source();
    }
    text
}

impl Eraser<'_> {
    /// Erases what comes until nothing more comes or a stop is called for.
    pub(crate) async fn run(mut self, mut due: UnboundedReceiver<Due>) -> Result<ErasureReport> {
        let mut report = ErasureReport::default();
        while let Some((erasure, since)) = due.recv().await {
            if *self.stop.borrow_and_update() {
                // The journals say what is left; the next run erases it.
                continue;
            }
            if !self.await_quiet(erasure.source, since).await? {
                continue;
            }
            let started = (self.clock)();
            let done = self.erase(&erasure).await;
            if done.is_err() {
                // Its connection may be gone.
                self.departures.remove(&erasure.source);
            }
            match done {
                Ok(rows) => *report.rows.entry(erasure.move_id).or_insert(0) += rows,
                Err(error) if error.kind() == Kind::Operator => {
                    let reason = format!("decided and settled, but not erased: {}", chain(&error));
                    report.failures.extend(erasure.subjects.iter().take(1).map(|subject| {
                        Failure { subject: subject.clone(), reason: reason.clone() }
                    }));
                }
                Err(error) => return Err(error),
            }
            report.seconds += ((self.clock)() - started).as_secs_f64();
        }
        Ok(report)
    }

    /// Waits for a period in which the fences refused nobody: whoever is refused still writes to
    /// the old home, and after erasure an UPDATE there would match nothing without an error.
    /// Says whether to erase: not after a stop.
    async fn await_quiet(&mut self, source: usize, since: Duration) -> Result<bool> {
        let site = &self.platform.sites[source];
        if self.quiet.is_zero() {
            return Ok(true);
        }
        loop {
            let asked = (self.clock)();
            let Some(refusals) = site.refusals().await? else { return Ok(true) };
            let reading = Reading { refusals, asked, answered: (self.clock)() };
            let seen = self.refusals.entry(source).or_default();
            let missing = seen.missing(reading, since, self.quiet);
            if missing.is_zero() {
                return Ok(true);
            }
            if asked.saturating_sub(since) >= self.quiet * QUIET_AT_MOST {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(missing) => {}
                _ = self.stop.changed() => return Ok(!*self.stop.borrow()),
            }
        }
        if !self.has_warned {
            self.has_warned = true;
            let site = site.name();
            tracing::warn!(%site, "clients still write to the old home; erasing anyway");
        }
        Ok(true)
    }

    /// Erases people, so many at a time that one commit most likely takes all their rows: what a
    /// commit leaves is looked for again among what is dead by then.
    async fn erase(&mut self, erasure: &Erasure) -> Result<u64> {
        let site = &self.platform.sites[erasure.source];
        let limit = self.pacer.rows_at_once(rows_at_once(site.engine()));
        let (mut rows, mut left) = (0, &erasure.subjects[..]);
        while !left.is_empty() {
            let people = self.pacer.people_with(limit / 3 * 2).min(left.len());
            let (now, later) = left.split_at(people);
            rows += self.erase_group(erasure, now, limit).await?;
            left = later;
        }
        Ok(rows)
    }

    async fn erase_group(
        &mut self,
        erasure: &Erasure,
        group: &[Subject],
        limit: u64,
    ) -> Result<u64> {
        let departure = match self.departures.entry(erasure.source) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let site = &self.platform.sites[erasure.source];
                place.insert(site.departure(self.platform.closure.clone()).await?)
            }
        };
        let mut rows = 0;
        let mut tries = 0;
        loop {
            if let Some((at, worked)) = self.worked.take() {
                self.pacer.rest(worked, &[at], &mut self.stop).await;
            }
            self.pacer.wait(&mut self.stop).await;
            if *self.stop.borrow() {
                // The journals say what is left; the next run erases it.
                return Ok(rows);
            }
            let began = (self.clock)();
            match departure.erase(erasure.move_id, group, limit).await {
                Ok(erased) => {
                    rows += erased.rows;
                    tries = 0;
                    let worked = (self.clock)() - began;
                    self.worked = Some((erasure.source, worked));
                    let people = if erased.finished { group.len() as u64 } else { 0 };
                    self.pacer.spend(erased.rows, 0, people, worked);
                    if erased.finished {
                        return Ok(rows);
                    }
                    let_go(&erased).await;
                }
                Err(error) if error.kind() == Kind::RetryNow && tries < RETRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
