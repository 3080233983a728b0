//! `cargo xtask bench fence`: what the fences cost an update about somebody who does not move.
//!
//! Three databases of one cluster: without fences, with fences while nobody moves, and with fences
//! while others move. Updates are prepared and commit without waiting for the disk, one after the
//! other on one connection to each, in short turns.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use domicile_testkit::connect;

use super::application::{Application, Outcome, UPDATED};
use super::figures::{Figures, head, row};
use super::pair::{DATABASE, Pair, copy};
use super::program::Program;
use super::world::{Size, Template};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// People to whom updates go; as many move in the third database.
    #[arg(long, default_value_t = 2000)]
    pub(super) people: u32,
    /// Updates in a turn.
    #[arg(long, default_value_t = 1000)]
    pub(super) updates: u32,
    /// Turns of each database and table.
    #[arg(long, default_value_t = 60)]
    pub(super) rounds: usize,
}

const STATES: [&str; 3] = ["no fence", "fence, nobody moves", "fence, others move"];

/// What one update took, in microseconds.
#[derive(Clone, Copy)]
struct Cost {
    /// For the client, the round trip included.
    seen: f64,
    /// On the server's processor.
    server: f64,
}

/// One connection, and the process that serves it.
struct Session {
    application: Application,
    process: i32,
}

pub(super) async fn measure(arguments: &Arguments, program: &Program) -> Result<String> {
    ensure!(arguments.rounds > 0 && arguments.updates > 0, "no update, no figure");
    // Nothing may run beside the updates that does not belong to them.
    let pair = Pair::start(&[("autovacuum", "off"), ("checkpoint_timeout", "1h")])?;
    let size = Size { is_light: true, ..Size::of(arguments.people) };
    let template = Template::make(&pair.source, &pair.target, size).await?;
    let mut sessions = Vec::new();
    for name in states(&pair, &template, program).await? {
        sessions.push(Session::open(&pair.source.app_url(&name), size).await?);
    }
    let mut costs: Vec<Vec<Vec<Cost>>> = vec![vec![Vec::new(); STATES.len()]; UPDATED.len()];
    // A round before the first warms caches up and is not counted.
    for round in 0..=arguments.rounds {
        for (table, costs) in costs.iter_mut().enumerate() {
            for at in 0..STATES.len() {
                let at = (at + round) % STATES.len();
                let cost = sessions[at].turn(table, arguments.updates).await?;
                if round > 0 {
                    costs[at].push(cost);
                }
            }
        }
    }
    Ok(tables(arguments, &costs))
}

/// Makes the three databases; returns their names, in the order of [`STATES`].
async fn states(pair: &Pair, template: &Template, program: &Program) -> Result<[String; 3]> {
    pair.renew(template, false).await?;
    program.prepare(&pair.source.url(DATABASE), &pair.target.url(DATABASE), true).await?;
    copy(&pair.source, "bench_moving", DATABASE).await?;
    let moving = connect(&pair.source.url("bench_moving")).await?;
    // As an announcement does it.
    moving
        .batch_execute(
            "SELECT setval('domicile.flag', 1, true);
            INSERT INTO domicile.subject (subject, state, fenced, move_id, peer)
                SELECT id::text, 'moving', true, 1, 'dub1' FROM users WHERE country = 'FR'",
        )
        .await?;
    copy(&pair.source, "bench_bare", &template.name).await?;
    Ok(["bench_bare".to_owned(), DATABASE.to_owned(), "bench_moving".to_owned()])
}

impl Session {
    async fn open(url: &str, size: Size) -> Result<Session> {
        let application = Application::open(url, size).await?;
        application.client().batch_execute("SET synchronous_commit = off").await?;
        let process = application.client().query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        Ok(Session { application, process })
    }

    /// Updates rows of one table, each of another person who stays.
    async fn turn(&self, table: usize, updates: u32) -> Result<Cost> {
        let before = self.on_processor()?;
        let began = Instant::now();
        for at in 0..updates {
            let person = i64::from(at % self.application.size().leaving) * 2 + 1;
            let turn = table + UPDATED.len() * at as usize;
            ensure!(self.application.update(person, turn).await? == Outcome::Done);
        }
        let seen = began.elapsed().as_secs_f64();
        let server = self.on_processor()? - before;
        let each = 1e6 / f64::from(updates);
        Ok(Cost { seen: seen * each, server: server * each })
    }

    /// Seconds that the server's process has been on a processor.
    fn on_processor(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.process))?;
        let nanos = text.split_whitespace().next().context("an empty schedstat")?;
        Ok(nanos.parse::<f64>()? / 1e9)
    }
}

fn tables(arguments: &Arguments, costs: &[Vec<Vec<Cost>>]) -> String {
    let mut text = format!(
        "{} turns of {} updates for each database and table. Microseconds an update: median of the \
        turns with the least and the most; ratios are to the turn without fence of the same round, \
        from the fifth to the ninety-fifth of a hundred.\n\n",
        arguments.rounds, arguments.updates
    );
    text +=
        &head(&["table", "state", "for the client", "ratio", "on the server's processor", "ratio"]);
    for (table, states) in UPDATED.iter().zip(costs) {
        for (state, turns) in STATES.iter().zip(states) {
            let mut cells = vec![(*table).to_owned(), (*state).to_owned()];
            for part in [|cost: &Cost| cost.seen, |cost: &Cost| cost.server] {
                let ratios: Figures = turns
                    .iter()
                    .zip(&states[0])
                    .map(|(turn, bare)| part(turn) / part(bare))
                    .collect();
                let [low, middle, high] = [5, 50, 95].map(|percent| ratios.percentile(percent));
                cells.push(turns.iter().map(part).collect::<Figures>().spread(1));
                cells.push(format!("{middle:.3} ({low:.2}–{high:.2})"));
            }
            text += &row(&cells);
        }
    }
    text
}
