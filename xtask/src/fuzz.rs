//! `cargo xtask fuzz`: what reads bytes and texts from outside, by libFuzzer, for as long as somebody
//! wants to wait.
//!
//! What the fuzzer has found interesting stays under `target/fuzz`. The texts it has found for
//! `classify` are then run by PostgreSQL, as the test `whom` does with its own: whom each concerns, and
//! whether that is so.

use std::path::Path;

use anyhow::Result;
use domicile_testkit::TEST_SERVERS_ENV;

use crate::{run, setup, test};

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Target {
    /// Messages of clients and sites, and what is passed on of them.
    Frames,
    /// Texts of statements.
    Classify,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is fuzzed.
    target: Target,
    /// Minutes, without building and without what PostgreSQL does afterwards.
    #[arg(long)]
    minutes: u64,
}

/// Statements to begin with, one a line.
const STATEMENTS: &str = "fuzz/statements.sql";
/// The words of SQL.
const WORDS: &str = "fuzz/sql.dict";

/// Where a test looks for texts instead of drawing them.
const CORPUS_ENV: &str = "DOMICILE_CORPUS";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    if !run::succeeds("cargo", &["fuzz", "--version"]) {
        run::run(&mut run::cargo(["install", "cargo-fuzz", "--locked"])?)?;
    }
    let name = match arguments.target {
        Target::Frames => "frames",
        Target::Classify => "classify",
    };
    let corpus = run::top()?.join("target/fuzz").join(name);
    std::fs::create_dir_all(&corpus)?;
    let mut command = run::cargo(["fuzz", "run", "--target-dir", "target/fuzz/build", name])?;
    command.arg(&corpus).arg("--").arg(format!("-max_total_time={}", arguments.minutes * 60));
    command.args(["-print_final_stats=1", "-max_len=2000", "-timeout=20"]);
    if let Target::Classify = arguments.target {
        sow(&corpus)?;
        command.arg(format!("-dict={WORDS}"));
    }
    // The sanitizers are not stable; the compiler has them all the same.
    run::run(command.env("RUSTC_BOOTSTRAP", "1"))?;
    match arguments.target {
        Target::Frames => Ok(()),
        Target::Classify => judge(&corpus),
    }
}

/// Puts each statement into a file of its own.
fn sow(corpus: &Path) -> Result<()> {
    let statements = std::fs::read_to_string(run::top()?.join(STATEMENTS))?;
    for (at, line) in statements.lines().enumerate() {
        std::fs::write(corpus.join(format!("sown-{at}")), line)?;
    }
    Ok(())
}

/// Has PostgreSQL run the texts.
fn judge(corpus: &Path) -> Result<()> {
    let clusters = test::start_clusters()?;
    let list =
        ["nextest", "run", "--profile", "soak", "--package", "domicile-router", "--test", "whom"];
    let mut command = run::cargo(list)?;
    run::run(command.env(TEST_SERVERS_ENV, test::server_list(&clusters)).env(CORPUS_ENV, corpus))
}
