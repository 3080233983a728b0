//! `cargo xtask bench load`: an application that reads and writes at a fixed rate, about people
//! who stay and people who move.
//!
//! The load is open: a request has its time whether or not those before it have been answered, and
//! its latency begins then. A request about somebody who has moved goes to the new home in the same
//! time; the application remembers that for the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep_until};

use super::application::{Application, Outcome};
use super::figures::{Figures, head, row};
use super::pair::{DATABASE, Pair};
use super::program::Program;
use super::world::{Size, Template};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// People to move; as many again stay.
    #[arg(long, default_value_t = 20_000)]
    pub(super) people: u32,
    /// Requests a second; half of them read.
    #[arg(long, default_value_t = 400)]
    pub(super) rate: u32,
    /// Connections that share the requests.
    #[arg(long, default_value_t = 16)]
    pub(super) connections: u32,
    /// Seconds of load before people move.
    #[arg(long, default_value_t = 8)]
    pub(super) seconds: u64,
    /// Also with `migrate --max-rows-per-second`.
    #[arg(long)]
    pub(super) max_rows_per_second: Option<u64>,
    /// How often each case runs.
    #[arg(long, default_value_t = 3)]
    pub(super) rounds: usize,
}

/// One answered request.
struct Answered {
    due: Instant,
    kind: Kind,
    latency: Duration,
}

/// About whom, and what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    moves: bool,
    writes: bool,
}

impl Kind {
    fn name(self) -> &'static str {
        match (self.moves, self.writes) {
            (false, false) => "read, somebody who stays",
            (false, true) => "update, somebody who stays",
            (true, false) => "read, somebody who moves",
            (true, true) => "update, somebody who moves",
        }
    }
}

/// Latencies without and with a move, by kind.
type Latencies = BTreeMap<Kind, [Figures; 2]>;

/// What one run showed.
struct Ran {
    latencies: Latencies,
    seconds: f64,
}

pub(super) async fn measure(arguments: &Arguments, program: &Program) -> Result<String> {
    ensure!(arguments.rounds > 0 && arguments.rate > 0 && arguments.connections > 0, "no load");
    let pair = Pair::start(&[])?;
    let size = Size::of(arguments.people);
    let template = Template::make(&pair.source, &pair.target, size).await?;
    let mut limits = vec![None];
    limits.extend(arguments.max_rows_per_second.map(Some));
    let mut runs: Vec<Vec<Ran>> = limits.iter().map(|_| Vec::new()).collect();
    for round in 0..arguments.rounds {
        for (limit, runs) in limits.iter().zip(&mut runs) {
            let ran = run(arguments, &pair, &template, program, *limit).await?;
            eprintln!("round {}: limit {limit:?}: {:.2} s", round + 1, ran.seconds);
            runs.push(ran);
        }
    }
    let mut text = format!(
        "{} people move and as many stay; {} requests a second over {} connections, {} rounds. \
        Milliseconds, median of the rounds with the least and the most; ratios are of each round.\n",
        arguments.people, arguments.rate, arguments.connections, arguments.rounds
    );
    for (limit, runs) in limits.iter().zip(&runs) {
        text += &table(*limit, runs);
    }
    Ok(text)
}

async fn run(
    arguments: &Arguments,
    pair: &Pair,
    template: &Template,
    program: &Program,
    limit: Option<u64>,
) -> Result<Ran> {
    pair.renew(template, false).await?;
    let prepared =
        program.prepare(&pair.source.url(DATABASE), &pair.target.url(DATABASE), true).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut connections = Vec::new();
    let urls = [pair.source.app_url(DATABASE), pair.target.app_url(DATABASE)];
    let period = Duration::from_secs(1) / arguments.rate;
    for at in 0..arguments.connections {
        let sites = [
            Application::open(&urls[0], template.size).await?,
            Application::open(&urls[1], template.size).await?,
        ];
        let connection = Connection { sites, size: template.size, moved: BTreeSet::new() };
        let (first, every) = (Instant::now() + period * at, period * arguments.connections);
        let is_over = is_over.clone();
        connections.push(tokio::spawn(connection.ask(u64::from(at), first, every, is_over)));
    }
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let moving = Instant::now();
    let limit = limit.map(|rows| format!("--max-rows-per-second={rows}"));
    let further: Vec<&str> = limit.iter().map(String::as_str).collect();
    let migration = prepared.migrate(&further).await?;
    is_over.store(true, Ordering::Relaxed);
    let mut latencies = Latencies::new();
    for connection in connections {
        for answered in connection.await?? {
            let both = latencies.entry(answered.kind).or_default();
            both[usize::from(answered.due >= moving)].add_time(answered.latency);
        }
    }
    let leaving = template.size.leaving_rows();
    ensure!(pair.counts().await? == [leaving; 2], "rows are missing");
    Ok(Ran { latencies, seconds: migration.seconds })
}

/// Connections to both sites, and who is known to have moved.
struct Connection {
    sites: [Application; 2],
    size: Size,
    moved: BTreeSet<i64>,
}

impl Connection {
    async fn ask(
        mut self,
        seed: u64,
        first: Instant,
        every: Duration,
        is_over: Arc<AtomicBool>,
    ) -> Result<Vec<Answered>> {
        let mut answers = Vec::new();
        let mut due = first;
        let mut draw = seed;
        while !is_over.load(Ordering::Relaxed) {
            sleep_until(due).await;
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let person = i64::try_from(draw >> 33)? % self.size.people() + 1;
            let kind = Kind { moves: person % 2 == 0, writes: draw >> 32 & 1 == 0 };
            self.request(person, kind.writes, answers.len()).await?;
            answers.push(Answered { due, kind, latency: due.elapsed() });
            due += every;
        }
        Ok(answers)
    }

    /// Asks where the person was last, and elsewhere when they are not there.
    async fn request(&mut self, person: i64, writes: bool, turn: usize) -> Result<()> {
        for _ in 0..10_000 {
            let site = &self.sites[usize::from(self.moved.contains(&person))];
            let outcome =
                if writes { site.update(person, turn).await } else { site.read(person).await };
            match outcome? {
                Outcome::Done => return Ok(()),
                Outcome::Arriving => {}
                Outcome::Refused | Outcome::NobodyHere => {
                    if !self.moved.remove(&person) {
                        self.moved.insert(person);
                    }
                }
            }
        }
        anyhow::bail!("{person} is nowhere")
    }
}

fn table(limit: Option<u64>, runs: &[Ran]) -> String {
    let seconds: Figures = runs.iter().map(|ran| ran.seconds).collect();
    let limit = limit.map(|rows| format!(", at most {rows} rows a second")).unwrap_or_default();
    let mut text = format!("\n`migrate` took {} seconds{limit}:\n\n", seconds.spread(1));
    text += &head(&[
        "request",
        "requests, without and with",
        "p50 without",
        "p50 with",
        "ratio",
        "p99 without",
        "p99 with",
        "ratio",
    ]);
    let kinds: BTreeSet<Kind> = runs.iter().flat_map(|ran| ran.latencies.keys().copied()).collect();
    for kind in kinds {
        let of: Vec<&[Figures; 2]> =
            runs.iter().filter_map(|ran| ran.latencies.get(&kind)).collect();
        let counts = [0, 1].map(|at| of.iter().map(|both| both[at].count()).sum::<usize>());
        let mut cells = vec![kind.name().to_owned(), format!("{}, {}", counts[0], counts[1])];
        for percent in [50, 99] {
            let figures = |at: usize| of.iter().map(move |both| both[at].percentile(percent));
            cells.push(figures(0).collect::<Figures>().spread(1));
            cells.push(figures(1).collect::<Figures>().spread(1));
            let ratios = figures(0).zip(figures(1)).map(|(without, with)| with / without);
            cells.push(ratios.collect::<Figures>().spread(1));
        }
        text += &row(&cells);
    }
    text
}
