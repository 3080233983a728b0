//! `cargo xtask bench`: what moving costs, beside what it cannot be cheaper than and beside what
//! people would do otherwise. Whatever is compared runs in turn on one pair of clusters, so that the
//! ratios mean something on any machine; the seconds alone do not.

mod application;
mod contenders;
mod fence;
mod figures;
mod gate;
mod load;
mod moving;
mod pair;
mod pause;
mod program;
#[cfg(test)]
mod tests;
mod world;

use std::path::PathBuf;

use anyhow::Result;

use crate::run;
use program::Program;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Where the tables are written; on the screen only without it.
    #[arg(long, global = true)]
    write: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Move people from one PostgreSQL site to another, beside the floor and other tools.
    Move(moving::Arguments),
    /// What writers feel when the person they write about moves: near, far, and with a million rows.
    Pause(pause::Arguments),
    /// What an application feels that reads and writes at a fixed rate while people move.
    Load(load::Arguments),
    /// What `serve` adds to a statement, beside no pooler and beside PgBouncer.
    Gate(gate::Arguments),
    /// What the fences cost a write about somebody who does not move.
    Fence(fence::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if cfg!(debug_assertions) {
        // The floor's streams, the clients and the proxy are in this program: unoptimised they
        // would take the cores from what is measured.
        let again = ["run", "--release", "--quiet", "--package", "xtask", "--"];
        return run::run(run::cargo(again)?.args(std::env::args_os().skip(1)));
    }
    run::run(&mut run::cargo(["build", "--release", "--package", "domicile"])?)?;
    let program = Program { path: run::top()?.join("target/release/domicile") };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let text = runtime.block_on(arguments.what.measure(&program))?;
    if let Some(path) = &arguments.write {
        std::fs::write(run::top()?.join(path), &text)?;
    }
    println!("{text}");
    Ok(())
}

impl What {
    /// Measures, and returns tables.
    async fn measure(&self, program: &Program) -> Result<String> {
        match self {
            What::Move(arguments) => moving::measure(arguments, program).await,
            What::Pause(arguments) => pause::measure(arguments, program).await,
            What::Load(arguments) => load::measure(arguments, program).await,
            What::Gate(arguments) => gate::measure(arguments, program).await,
            What::Fence(arguments) => fence::measure(arguments, program).await,
        }
    }
}
