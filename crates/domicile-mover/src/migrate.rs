//! The whole migration: recover, list, move in lanes, erase behind.

mod lanes;
mod listing;
mod queue;
mod totals;
mod vacuum;
mod watch;
mod withdraw;

use crate::drive::{Clock, Stop, take_back};
use crate::erase::{Due, Eraser, let_go, rows_at_once};
use crate::error::{Error, Result};
use crate::pace::{Bounds, Limits, Manners, Pacer};
use crate::people::{Directives, Platform};
use crate::prepare::installation;
use crate::recover::{self, Found};
use crate::reference::{Carrier, standing, told};
use crate::report::{Failure, MigrateReport};
use domicile_model::{MoveId, State, Subject};
use domicile_store::{Claim, Engine};
use futures_util::future;
use jiff::{SignedDuration, Timestamp};
use lanes::{Shared, run_lanes};
use listing::list;
use queue::{Work, queue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use totals::Tally;
use vacuum::Vacuums;

pub use watch::watch;
pub use withdraw::{WithdrawReport, withdraw};

/// How a migration is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Batches under way at once.
    pub lanes: usize,
    /// People per batch; `None` for what suits the engine.
    pub batch: Option<usize>,
    /// How long decided rows stay, fenced, before they are deleted.
    pub erase_after: Duration,
    /// How long no refusal must have been given before rows are deleted.
    pub quiet: Duration,
    /// How long tombstones stand.
    pub keep_tombstones: Duration,
    /// Whether tables of which much was erased are vacuumed and analyzed.
    pub vacuum: bool,
    /// How many rows may be copied in a second, and how many erased; `None` for no limit.
    pub rows_per_second: Option<u64>,
    /// How many bytes may be copied in a second; `None` for no limit.
    pub bytes_per_second: Option<u64>,
    /// By how much a replica of a site may fall behind, beyond the least it was behind in this run,
    /// before work rests.
    pub max_replica_lag: Duration,
    /// By how many dead rows a table may grow before work rests, where they are also more than two
    /// fifths of the living.
    pub max_dead_rows: u64,
    /// Announce this person and nobody else; what is under way is finished all the same.
    pub only: Option<Subject>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lanes: 2,
            batch: None,
            erase_after: Duration::ZERO,
            quiet: Duration::from_millis(200),
            keep_tombstones: Duration::from_secs(30 * 24 * 3600),
            vacuum: false,
            rows_per_second: None,
            bytes_per_second: None,
            max_replica_lag: Duration::from_secs(1),
            max_dead_rows: 1_000_000,
            only: None,
        }
    }
}

/// What a migration takes from its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// Time since a fixed moment.
    pub clock: Clock,
    /// The date and time, to tell which erasures are due.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// A new, never used id for each announcement.
    pub move_id: Arc<dyn Fn() -> MoveId + Send + Sync>,
    /// Told after every batch.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
    /// Called for from outside.
    pub stop: Stop,
}

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// People to move in this run, those of interrupted batches included.
    pub to_move: u64,
    /// People settled so far.
    pub moved: u64,
    /// Rows that arrived so far.
    pub rows: u64,
}

/// Runs a migration to its end, or to the next safe point after a stop.
pub async fn migrate(
    platform: &Platform,
    options: &Options,
    surroundings: &Surroundings,
) -> Result<MigrateReport> {
    let started = (surroundings.clock)();
    let mut tally = Tally::default();
    let run = Run::begin(platform, options, surroundings).await?;
    let vacuums = Vacuums::default();
    vacuums.beside(&run, None, run.round(&mut tally)).await?;
    drop(run);
    if options.vacuum {
        vacuums.behind(platform, surroundings).await;
    }
    report(platform, tally, vacuums, surroundings, started).await
}

/// Puts together what rounds have done, and what is left.
async fn report(
    platform: &Platform,
    tally: Tally,
    vacuums: Vacuums,
    surroundings: &Surroundings,
    started: Duration,
) -> Result<MigrateReport> {
    let mut report = tally.report();
    report.pending_erasure = count_pending(platform).await?;
    report.reference_refused = told(&platform.closure, standing(platform).await?.refused);
    report.vacuumed = vacuums.told();
    report.stopped = *surroundings.stop.borrow();
    report.seconds = ((surroundings.clock)() - started).as_secs_f64();
    Ok(report)
}

/// This process's hold on all sites, for one round of moving or many.
struct Run<'a> {
    platform: &'a Platform,
    options: &'a Options,
    surroundings: &'a Surroundings,
    carrier: Arc<Carrier>,
    copying: Arc<Pacer>,
    manners: Arc<Manners>,
    _claims: Vec<Box<dyn Claim>>,
}

impl<'a> Run<'a> {
    async fn begin(
        platform: &'a Platform,
        options: &'a Options,
        surroundings: &'a Surroundings,
    ) -> Result<Run<'a>> {
        let mut claims = Vec::new();
        for site in &platform.sites {
            claims.push(site.claim().await?);
        }
        check_installed(platform).await?;
        let carrier =
            Carrier::open(&platform.sites, platform.reference_site, &platform.closure).await?;
        let bounds =
            Bounds { replica_lag: options.max_replica_lag, dead_rows: options.max_dead_rows };
        let clock = surroundings.clock.clone();
        let manners = Arc::new(Manners::new(clock.clone(), bounds, platform.sites.len()));
        let limits = Limits { rows: options.rows_per_second, bytes: options.bytes_per_second };
        let copying = Pacer::new(clock, limits, manners.clone());
        Ok(Run {
            platform,
            options,
            surroundings,
            carrier: Arc::new(carrier),
            copying: Arc::new(copying),
            manners,
            _claims: claims,
        })
    }

    /// Finishes what is under way, then moves everybody who is not at home now. Returns how long
    /// it took to look at everybody.
    async fn round(&self, tally: &mut Tally) -> Result<Duration> {
        let Run { platform, options, surroundings, .. } = self;
        let began = (surroundings.clock)();
        self.carrier.carry_all().await?;
        platform.read_directives().await?;
        let mut found = recover::find(platform).await?;
        let uncleared = clear_leftovers(platform, &found).await?;
        let mut listing = list(platform, &found).await?;
        if let Some(only) = &options.only {
            listing.candidates.values_mut().for_each(|subjects| subjects.retain(|s| s == only));
        }
        let looked = (surroundings.clock)() - began;
        erase_for_returning(platform, &mut found, &listing.returning).await?;

        let (erasures, due) = unbounded_channel();
        let (now, clock) = ((surroundings.now)(), (surroundings.clock)());
        send_due(&mut found, options, &platform.directives, now, &erasures, clock);
        tally.begin_round(&mut listing, uncleared, (surroundings.clock)());
        let batch = options.batch.unwrap_or_else(|| people_per_batch(platform)).max(1);
        let work = queue(found.resume, listing.candidates, batch);
        tally.totals.to_move += work.iter().map(Work::people).sum::<u64>();
        // Lives until the eraser has ended: a sender that is gone would look like a stop.
        let (halt, halted) = tokio::sync::watch::channel(*surroundings.stop.borrow());
        let shared = Shared {
            platform,
            options,
            surroundings,
            work: Mutex::new(work),
            totals: Mutex::new(std::mem::take(&mut tally.totals)),
            erasures,
            carrier: self.carrier.clone(),
            pacer: self.copying.clone(),
            halt: halt.clone(),
        };
        let eraser = Eraser {
            platform,
            clock: surroundings.clock.clone(),
            quiet: options.quiet,
            pacer: Pacer::new(
                surroundings.clock.clone(),
                Limits { rows: options.rows_per_second, bytes: None },
                self.manners.clone(),
            ),
            worked: None,
            stop: halted.clone(),
            departures: BTreeMap::new(),
            has_warned: false,
            refusals: BTreeMap::new(),
        };
        let working = future::join(run_lanes(shared, &listing.unknown, halted), eraser.run(due));
        let ((totals, moved), erased) = tokio::select! {
            worked = working => worked,
            never = self.manners.watch(&platform.sites) => match never {},
        };
        drop(halt);
        tally.totals = totals;
        tally.rest(self.manners.take_rests(&platform.sites));
        moved?;
        tally.erased.add(erased?);
        self.carrier.carry_all().await?;
        for site in &platform.sites {
            site.rest(options.keep_tombstones).await?;
        }
        Ok(looked)
    }
}

/// At SQLite a batch arrives under the database's only write lock, so it must be short.
fn people_per_batch(platform: &Platform) -> usize {
    match platform.sites.first().map(|site| site.engine()) {
        Some(Engine::Sqlite) => 100,
        _ => 1000,
    }
}

/// Puts back what has gone since the run began, as a trigger on a new partition: nothing moves
/// between two rounds.
async fn keep_installed(platform: &Platform) -> Result<()> {
    let installation = installation(&platform.sites, &platform.closure, platform.reference_site);
    for site in &platform.sites {
        if !site.is_installed(&installation).await? {
            tracing::warn!(site = %site.name(), "fences were missing and are put back");
            site.install(&installation).await?;
        }
    }
    Ok(())
}

async fn check_installed(platform: &Platform) -> Result<()> {
    let installation = installation(&platform.sites, &platform.closure, platform.reference_site);
    for site in &platform.sites {
        if !site.is_installed(&installation).await? {
            return Err(Error::refused(
                format!("site {} is not prepared for this plan", site.name()),
                "run domicile prepare",
            ));
        }
    }
    Ok(())
}

/// Arrivals whose departure was withdrawn are cleared; those whose departure is erased are home.
/// What cannot be cleared stays, fenced, and is named.
async fn clear_leftovers(platform: &Platform, found: &Found) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for leftover in &found.leftover {
        let site = &platform.sites[leftover.target];
        let mut arrival = site.arrival(platform.closure.clone()).await?;
        if leftover.is_home {
            arrival.settle(leftover.move_id, &leftover.subjects).await?;
            continue;
        }
        let failure = take_back(arrival.as_mut(), leftover.move_id, &leftover.subjects).await?;
        failures.extend(failure);
    }
    Ok(failures)
}

/// Erases now what would be in the way of people who come back: an old copy, which the journals
/// show to have arrived elsewhere long since.
async fn erase_for_returning(
    platform: &Platform,
    found: &mut Found,
    returning: &BTreeSet<(usize, Subject)>,
) -> Result<()> {
    for erasure in &mut found.erase {
        let (now, later): (Vec<Subject>, Vec<Subject>) = std::mem::take(&mut erasure.subjects)
            .into_iter()
            .partition(|subject| returning.contains(&(erasure.source, subject.clone())));
        erasure.subjects = later;
        if now.is_empty() {
            continue;
        }
        let site = &platform.sites[erasure.source];
        let mut departure = site.departure(platform.closure.clone()).await?;
        let limit = rows_at_once(site.engine());
        loop {
            let erased = departure.erase(erasure.move_id, &now, limit).await?;
            if erased.finished {
                break;
            }
            let_go(&erased).await;
        }
    }
    found.erase.retain(|erasure| !erasure.subjects.is_empty());
    Ok(())
}

/// Hands over what is due for erasure; the rest waits, fenced, for a later run.
fn send_due(
    found: &mut Found,
    options: &Options,
    directives: &Directives,
    now: Timestamp,
    erasures: &UnboundedSender<Due>,
    clock: Duration,
) {
    let after = SignedDuration::try_from(options.erase_after).unwrap_or(SignedDuration::MAX);
    for mut erasure in found.erase.drain(..) {
        erasure.subjects.retain(|subject| !directives.is_on_hold(subject));
        if erasure.subjects.is_empty() {
            continue;
        }
        // With nothing to wait for, no two clocks are compared.
        let is_due = options.erase_after.is_zero()
            || erasure
                .decided_at
                .is_none_or(|decided| decided.checked_add(after).is_ok_and(|due| due <= now));
        if is_due {
            // The receiver lives as long as the migration.
            let _ = erasures.send((erasure, clock));
        }
    }
}

async fn count_pending(platform: &Platform) -> Result<u64> {
    let mut pending = 0;
    for site in &platform.sites {
        let journal = site.journal().await?;
        pending += journal.iter().filter(|e| e.state == State::Moved).count() as u64;
    }
    Ok(pending)
}
