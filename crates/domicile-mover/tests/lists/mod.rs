//! One round: writers, a mover that crashes, and what became of the lists.

#[path = "../let_in/mod.rs"]
mod let_in;
pub mod platform;
pub mod postgres;
pub mod sqlite;
pub mod writer;

use domicile_model::MoveId;
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::Platform;
use domicile_mover::plan::plan;
use domicile_mover::prepare::prepare;
use domicile_mover::report::MigrateReport;
use domicile_mover::verify::verify;
use domicile_sim::history::{Action, Isolation, Operation, Outcome, check};
use domicile_store::faulty::{FAULTS, Faults};
use domicile_store::{Closure, Kind};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::civil::date;
use let_in::when_let_in;
use platform::{Database, homes, wishes};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use writer::write_until;

pub const PEOPLE: u64 = 6;
const WRITERS: u64 = 4;
const RUNS: u32 = 9;
/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all writers have been told.
#[derive(Default)]
pub struct Journal {
    counter: AtomicU64,
    operations: Mutex<Vec<Operation>>,
    pub is_over: AtomicBool,
}

impl Journal {
    pub fn tick(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn note(&self, operation: Operation) {
        self.operations.lock().unwrap().push(operation);
    }
}

/// What was done in rounds.
#[derive(Default)]
pub struct Totals {
    first: Option<u64>,
    rounds: u64,
    counts: Counts,
}

#[derive(Debug, Default)]
pub struct Counts {
    operations: u64,
    /// Acknowledged, refused and unknown appends.
    appends: [u64; 3],
    runs: u64,
    pub moves: u64,
    /// Runs that crashed, were dropped, or saw something else break.
    pub crashes: u64,
    dropped: u64,
    pub broken: u64,
}

impl Totals {
    pub fn add(&mut self, seed: u64, counts: &Counts) {
        assert!(counts.appends[0] > 20 && counts.moves > 0, "seed {seed}: too little: {counts:?}");
        self.first.get_or_insert(seed);
        self.rounds += 1;
        self.counts.operations += counts.operations;
        for (sum, count) in self.counts.appends.iter_mut().zip(counts.appends) {
            *sum += count;
        }
        self.counts.runs += counts.runs;
        self.counts.moves += counts.moves;
        self.counts.crashes += counts.crashes;
        self.counts.dropped += counts.dropped;
        self.counts.broken += counts.broken;
    }

    /// Says what was done; `broke` names what breaks besides the mover.
    pub fn tell(&self, test: &str, broke: &str) {
        let Counts { operations, appends: [acknowledged, refused, unknown], .. } = self.counts;
        let Counts { runs, moves, crashes, dropped, broken, .. } = self.counts;
        eprintln!(
            "{test}: {} histories from seed {}, {operations} operations, {acknowledged} appends \
             acknowledged, {refused} refused, {unknown} unknown; {runs} runs, {moves} moves, \
             {crashes} crashes, {dropped} runs dropped, {broken} {broke}; 0 anomalies",
            self.rounds,
            self.first.unwrap_or(0)
        );
    }
}

/// Surroundings that count people who were settled.
fn surroundings(moved: &Arc<AtomicU64>) -> (Surroundings, tokio::sync::watch::Sender<bool>) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (sender, stop) = tokio::sync::watch::channel(false);
    let started = Instant::now();
    let base = i64::from(std::process::id()) << 32;
    let moved = moved.clone();
    let surroundings = Surroundings {
        clock: Arc::new(move || started.elapsed()),
        now: Arc::new(jiff::Timestamp::now),
        move_id: Arc::new(move || MoveId(base + NEXT.fetch_add(1, Ordering::Relaxed))),
        progress: Arc::new(move |progress| moved.store(progress.moved, Ordering::Relaxed)),
        stop,
    };
    (surroundings, sender)
}

/// What happens to one run.
enum Trouble<'a> {
    None,
    Crash,
    /// It is dropped where it stands, with all its connections.
    Drop(Duration),
    /// Something else breaks.
    Break(BoxFuture<'a, Option<String>>),
}

impl<'a> Trouble<'a> {
    fn drawn(draw: &mut StdRng, databases: &'a dyn Database, faults: &Faults) -> Trouble<'a> {
        let kind = draw.random_range(0..10);
        if kind == 0 {
            return Trouble::None;
        }
        if kind == 1 {
            return Trouble::Drop(Duration::from_millis(draw.random_range(5..250)));
        }
        if kind < 6
            && let Some(breakage) = databases.breakage(draw)
        {
            return Trouble::Break(breakage);
        }
        let point = PASSED[draw.random_range(0..PASSED.len())];
        let fault = FAULTS[draw.random_range(0..FAULTS.len())];
        faults.arm(point, draw.random_range(1..=2), fault);
        Trouble::Crash
    }
}

/// The points that most runs pass which move somebody.
const PASSED: [&str; 27] = [
    "site.claim",
    "site.people",
    "site.journal",
    "source.open",
    "target.open",
    "source.announce",
    "target.expect",
    "source.start_horizon",
    "source.look_at_horizon",
    "target.start_horizon",
    "target.look_at_horizon",
    "target.mark",
    "source.open_snapshot",
    "source.select",
    "target.begin",
    "source.export",
    "source.export.stream",
    "target.import",
    "source.digests",
    "target.digests",
    "target.check",
    "target.commit",
    "source.close_snapshot",
    "source.forget",
    "source.decide",
    "target.settle",
    "source.erase",
];

/// Moves people to and fro.
async fn move_about(
    databases: &dyn Database,
    closure: &Arc<Closure>,
    draw: &mut StdRng,
    seed: u64,
) -> Counts {
    let mut counts = Counts::default();
    for run in 1..=RUNS {
        let context = format!("seed {seed}, run {run}");
        for person in 1..=PEOPLE {
            if draw.random_bool(0.5) {
                databases.change_house(person).await;
            }
        }
        let faults = Faults::none();
        let quiet = Duration::from_millis(if draw.random_bool(0.5) { 0 } else { 30 });
        let options = Options { batch: Some(2), quiet, ..Options::default() };
        let platform = databases.platform(closure, &faults).await;
        let trouble = Trouble::drawn(draw, databases, &faults);
        let moved = Arc::new(AtomicU64::new(0));
        let (surroundings, _stop) = surroundings(&moved);
        let running = when_let_in(|| migrate(&platform, &options, &surroundings).boxed());
        let running = tokio::time::timeout(PATIENCE, running)
            .map(|ended| ended.unwrap_or_else(|_| panic!("{context}: no end")));
        let (ended, broke) = match trouble {
            Trouble::Drop(after) => (tokio::time::timeout(after, running).await.ok(), None),
            Trouble::Break(breakage) => {
                let (ended, broke) = tokio::join!(running, breakage);
                (Some(ended), broke)
            }
            Trouble::None | Trouble::Crash => (Some(running.await), None),
        };
        let crashed = faults.crashed_at();
        counts.runs += 1;
        counts.moves += moved.load(Ordering::Relaxed);
        counts.crashes += u64::from(crashed.is_some());
        counts.dropped += u64::from(ended.is_none());
        counts.broken += u64::from(broke.is_some());
        match ended {
            Some(Ok(report)) => {
                assert_eq!(crashed, None, "{context}: a crash goes unnoticed");
                assert_eq!(report.failed, 0, "{context}, {broke:?}: {report:?}");
            }
            Some(Err(error)) => {
                assert!(crashed.is_some() || broke.is_some(), "{context}: {error:?}");
                assert_eq!(error.kind(), Kind::RetryLater, "{context}, {broke:?}: {error:?}");
            }
            None => {}
        }
    }
    counts
}

/// Everybody goes home without a fault: a first run ends what is under way, a second one moves
/// those who have changed house since they were announced.
async fn finish(platform: &Platform, seed: u64) -> u64 {
    let options = Options { batch: Some(2), quiet: Duration::ZERO, ..Options::default() };
    let mut moves = 0;
    for _ in 0..2 {
        let moved = Arc::new(AtomicU64::new(0));
        let (surroundings, _stop) = surroundings(&moved);
        let report = when_let_in(|| migrate(platform, &options, &surroundings).boxed()).await;
        let report = report.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!((report.failed, report.pending_erasure), (0, 0), "seed {seed}: {report:?}");
        moves += moved.load(Ordering::Relaxed);
    }
    let found = verify(platform).await.unwrap();
    assert!(found.is_clean(), "seed {seed}: {found:?}");
    moves
}

async fn prepared(databases: &dyn Database) -> Arc<Closure> {
    let sites = databases.sites(&Faults::none()).await;
    let planned = plan(&sites, &homes(), &wishes(), date(2026, 11, 21)).await.unwrap();
    assert_eq!(planned.refused, []);
    prepare(&sites, &planned).await.unwrap();
    planned.closure.clone().unwrap()
}

/// Everybody changes house, nobody writes, and nothing breaks.
pub async fn report_of_one_run(
    databases: &dyn Database,
    after_preparing: impl FnOnce(),
) -> MigrateReport {
    let closure = prepared(databases).await;
    after_preparing();
    for person in 1..=PEOPLE {
        databases.change_house(person).await;
    }
    let platform = databases.platform(&closure, &Faults::none()).await;
    let (surroundings, _stop) = surroundings(&Arc::default());
    let options = Options::default();
    when_let_in(|| migrate(&platform, &options, &surroundings).boxed()).await.unwrap()
}

pub async fn round(databases: Arc<dyn Database>, seed: u64) -> Counts {
    let mut draw = StdRng::seed_from_u64(seed);
    let closure = prepared(&*databases).await;
    let journal = Arc::new(Journal::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|process| {
            let draw = StdRng::seed_from_u64(seed << 8 | (process + 1));
            let (databases, journal) = (databases.clone(), journal.clone());
            tokio::spawn(async move { write_until(&*databases, &journal, process, draw).await })
        })
        .collect();
    let mut counts = move_about(&*databases, &closure, &mut draw, seed).await;
    journal.is_over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    let platform = databases.platform(&closure, &Faults::none()).await;
    counts.moves += finish(&platform, seed).await;

    let started = journal.tick();
    let mut actions = Vec::new();
    for person in 1..=PEOPLE {
        let (list, rows) = databases.lists(person).await;
        actions.push(Action::Read { key: format!("{person} list"), observed: list });
        actions.push(Action::Read { key: format!("{person} rows"), observed: rows });
    }
    let (process, ended, outcome) = (WRITERS, journal.tick(), Outcome::Acknowledged);
    journal.note(Operation { process, started, ended, actions, outcome });
    let operations = journal.operations.lock().unwrap();
    let anomalies = check(&operations, Isolation::Serializable);
    assert!(anomalies.is_empty(), "seed {seed}: {} anomalies: {anomalies:?}", anomalies.len());
    counts.operations = operations.len() as u64;
    for operation in operations.iter() {
        let is_append = |action: &&Action| matches!(action, Action::Append { .. });
        let appends = operation.actions.iter().filter(is_append).count() as u64;
        counts.appends[operation.outcome as usize] += appends;
    }
    counts
}
