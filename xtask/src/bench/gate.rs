//! `cargo xtask bench gate`: what an address in front of the sites costs a statement: none,
//! PgBouncer, and `domicile serve`, in turns, with pgbench as the client.
//!
//! Everybody is at home at the first site and nobody moves, so that what is compared is the way
//! there. Fences are on for all contenders.

mod front;
mod pgbench;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use domicile_testkit::connect;

use super::figures::{Figures, head, row};
use super::pair::{DATABASE, Pair};
use super::program::Program;
use front::{Fronts, NAMES};
use pgbench::{MODES, Ran, Run, SCRIPTS};

/// Connections to the site, for whoever pools them.
const POOL: u32 = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_value = "1,10,50,250")]
    clients: Vec<u32>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often each case runs.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Clients that are let in, ask once and then do nothing, for the memory that they take.
    #[arg(long, default_value_t = 10_000)]
    idle: u32,
    /// Only cases whose names contain this, as in `select; prepared`.
    #[arg(long)]
    only: Option<String>,
}

/// People, and rows of those whose rows are read together.
const TABLES: &str = "
create table users (id bigint primary key, country text not null, balance bigint not null,
    bio text not null);
create table history (id uuid primary key default gen_random_uuid(),
    user_id bigint not null references users (id), delta int not null);
create index on history (user_id);
create table events (user_id bigint not null references users (id), at bigint not null,
    body text not null, primary key (user_id, at));
insert into users select n, 'US', 0, repeat('b', 100) from generate_series(1, 10000) n;
insert into events select u, n, repeat(md5(n::text), 3) from generate_series(1, 10) u,
    generate_series(1, 10000) n;
";

/// What was measured of a contender in a case.
#[derive(Default)]
struct Measured {
    per_second: Figures,
    p99: Figures,
    /// Microseconds of the contender's own processor time for each transaction.
    processor: Figures,
}

type Case = (&'static str, &'static str, u32);

pub(super) async fn measure(arguments: &Arguments, program: &Program) -> Result<String> {
    ensure!(arguments.rounds > 0 && arguments.seconds > 0, "nothing to measure");
    ensure!(crate::run::succeeds("pgbouncer", &["--version"]), "pgbouncer is missing");
    let pair = Pair::start(&[("max_connections", "800"), ("synchronous_commit", "off")])?;
    for cluster in [&pair.source, &pair.target] {
        let server = connect(&cluster.superuser_url("postgres")).await?;
        server.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER app")).await?;
    }
    connect(&pair.source.app_url(DATABASE)).await?.batch_execute(TABLES).await?;
    let analyst = connect(&pair.source.superuser_url(DATABASE)).await?;
    analyst.batch_execute("VACUUM ANALYZE").await?;
    let prepared =
        program.prepare(&pair.source.url(DATABASE), &pair.target.url(DATABASE), true).await?;
    let fronts = Fronts::start(&pair, &prepared, POOL).await?;
    // Whose home is not known is asked for once.
    let warming = Run { script: SCRIPTS[0], mode: MODES[2], clients: 10, seconds: 10 };
    warming.against(fronts.get(2, false)).await?;

    let mut found: BTreeMap<(usize, usize, u32), [Measured; 3]> = BTreeMap::new();
    for round in 0..arguments.rounds {
        for (at, run) in runs(arguments) {
            for (contender, front_name) in NAMES.into_iter().enumerate() {
                let front = fronts.get(contender, run.mode == "prepared");
                let ran = run.against(front).await?;
                eprintln!(
                    "round {}: {}, {}: {:.0} a second",
                    round + 1,
                    name(&run),
                    front_name,
                    ran.per_second
                );
                found.entry((at.0, at.1, run.clients)).or_default()[contender].add(&ran);
            }
        }
    }
    let cases = found.iter().map(|((script, mode, clients), measured)| {
        ((SCRIPTS[*script].name, MODES[*mode], *clients), measured)
    });
    let mut text = tables(arguments, cases.collect());
    if arguments.idle > 0 {
        text += &idle(&fronts, arguments.idle).await?;
    }
    Ok(text)
}

/// What clients that do nothing take.
async fn idle(fronts: &Fronts, count: u32) -> Result<String> {
    let mut text =
        format!("\nMemory with {count} clients that have asked once and do nothing, MB:\n\n");
    text += &head(&["", "before", "with them"]);
    for (contender, name) in NAMES.into_iter().enumerate().skip(1) {
        let front = fronts.get(contender, false);
        let before = front.memory_mb()?;
        let clients = front.clients(count).await?;
        text +=
            &row(&[name.to_owned(), format!("{before:.0}"), format!("{:.0}", front.memory_mb()?)]);
        drop(clients);
    }
    Ok(text)
}

/// Each run that was asked for, with the places of its script and mode.
fn runs(arguments: &Arguments) -> Vec<((usize, usize), Run)> {
    let mut runs = Vec::new();
    for (script_at, script) in SCRIPTS.into_iter().enumerate() {
        for (mode_at, mode) in MODES.into_iter().enumerate() {
            for clients in &arguments.clients {
                let run = Run { script, mode, clients: *clients, seconds: arguments.seconds };
                let is_wanted =
                    arguments.only.as_ref().is_none_or(|part| name(&run).contains(part));
                // A megabyte each: the links are full with few of them.
                if is_wanted && (script.name != "wide" || *clients <= 10) {
                    runs.push(((script_at, mode_at), run));
                }
            }
        }
    }
    runs
}

fn name(run: &Run) -> String {
    format!("{}; {}; {} clients", run.script.name, run.mode, run.clients)
}

impl Measured {
    fn add(&mut self, ran: &Ran) {
        self.per_second.add(ran.per_second);
        self.p99.add(ran.p99_us);
        self.processor.add(ran.processor_us);
    }
}

fn ratios(of: &Figures, to: &Figures) -> Figures {
    of.clone().into_iter().zip(to.clone()).map(|(of, to)| of / to).collect()
}

fn tables(arguments: &Arguments, cases: Vec<(Case, &[Measured; 3])>) -> String {
    let mut text = format!(
        "{} rounds of {} s for each case, in turns; {POOL} connections to the site, and \
        as many as clients with prepared statements. Median with the \
        least and the most; ratios are of each round. Processor time is that of the contender's own \
        process, user and system.\n\n",
        arguments.rounds, arguments.seconds
    );
    text += &head(&[
        "transactions; protocol",
        "clients",
        "direct, a second",
        "PgBouncer to direct",
        "domicile to direct",
        "domicile to PgBouncer",
        "PgBouncer, µs of processor",
        "domicile, µs of processor",
    ]);
    for ((script, mode, clients), [direct, bouncer, domicile]) in &cases {
        text += &row(&[
            format!("{script}; {mode}"),
            clients.to_string(),
            direct.per_second.spread(0),
            ratios(&bouncer.per_second, &direct.per_second).spread(2),
            ratios(&domicile.per_second, &direct.per_second).spread(2),
            ratios(&domicile.per_second, &bouncer.per_second).spread(2),
            bouncer.processor.spread(1),
            domicile.processor.spread(1),
        ]);
    }
    text += "\nLatency with one client, microseconds at p99:\n\n";
    text += &head(&["transactions; protocol", "direct", "PgBouncer", "domicile"]);
    for ((script, mode, _), measured) in cases.iter().filter(|((_, _, clients), _)| *clients == 1) {
        let cells = measured.iter().map(|measured| measured.p99.spread(0));
        text += &row(&[vec![format!("{script}; {mode}")], cells.collect()].concat());
    }
    text
}
