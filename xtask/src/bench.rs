//! `cargo xtask bench`: what moving costs, beside what it cannot be cheaper than and beside what
//! people would do otherwise. All contenders run in turn on one pair of clusters, so that their
//! ratios mean something on any machine; the seconds alone do not.

mod contenders;
mod report;
mod world;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use domicile_testkit::{Cluster, Options};

use crate::run;
use contenders::{Contender, Pair};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Move people from one PostgreSQL site to another.
    Move(MoveArguments),
}

#[derive(Debug, clap::Args)]
struct MoveArguments {
    /// People to move; as many again stay.
    #[arg(long, default_value_t = 50_000)]
    people: u32,
    /// How often each contender runs.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only contenders whose names begin so.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Lanes of `domicile migrate`; what it does by itself without.
    #[arg(long)]
    lanes: Option<usize>,
    /// Where the table is written; on the screen only without it.
    #[arg(long)]
    write: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let What::Move(arguments) = &arguments.what;
    ensure!(arguments.rounds > 0, "no round, no figure");
    run::run(&mut run::cargo(["build", "--release", "--package", "domicile"])?)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build()?.block_on(bench_move(arguments))
}

async fn bench_move(arguments: &MoveArguments) -> Result<()> {
    let options = || {
        let durable = Options::for_benchmarks();
        durable.with("shared_buffers", "512MB").with("max_wal_size", "8GB")
    };
    let (source, target) = (Cluster::start(options())?, Cluster::start(options())?);
    eprintln!("making {} people who leave and as many who stay", arguments.people);
    let template = world::make(&source, &target, arguments.people).await?;
    let pair = Pair { source: &source, target: &target, template: &template };
    let mut contenders = Contender::all(arguments.lanes);
    if !arguments.only.is_empty() {
        contenders
            .retain(|c| arguments.only.iter().any(|name| c.name().starts_with(name.as_str())));
    }
    ensure!(!contenders.is_empty(), "no contender is called so");
    let mut runs = Vec::new();
    for round in 0..arguments.rounds {
        // Nobody always comes first, when files are cold, or last, when the disk is full of logs.
        contenders.rotate_left(usize::from(round > 0));
        for contender in &contenders {
            let ran = contender.run(&pair).await?;
            eprintln!("round {}: {}: {:.2} s", round + 1, contender.name(), ran.seconds);
            runs.push((contender.name(), ran));
        }
    }
    let text = report::markdown(arguments.people, &template, &runs);
    match &arguments.write {
        Some(path) => std::fs::write(run::top()?.join(path), &text)?,
        None => println!("{text}"),
    }
    Ok(())
}
