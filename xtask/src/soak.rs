//! `cargo xtask soak`: the tests with random input, for as long as somebody wants to wait.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use domicile_testkit::{SEED_ENV, SOAK_SECONDS_ENV, TEST_SERVERS_ENV};

use crate::{run, setup, test};

/// Every test whose name begins so goes on until its time is over.
const SOAKED: &str = "test(/(^|::)soak_/)";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Minutes in all, shared equally by the tests.
    #[arg(long)]
    minutes: u64,
    /// The seed of each test's first round; from the clock without it.
    #[arg(long)]
    seed: Option<u64>,
    /// Optimised, as users have the program.
    #[arg(long)]
    release: bool,
    /// Only tests whose names contain this.
    filter: Option<String>,
}

/// Runs each soaked test in its turn. Their last lines say how much was done.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let chosen = match &arguments.filter {
        Some(part) => format!("{SOAKED} and test({part})"),
        None => SOAKED.to_owned(),
    };
    let count = count(&chosen)?;
    ensure!(count > 0, "no soaked test is called so");
    let seconds = arguments.minutes * 60 / count;
    if seconds == 0 {
        bail!("{} minutes are too few for {count} tests", arguments.minutes);
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    eprintln!("{count} tests, {seconds} s each, from seed {seed}");
    let clusters = test::start_clusters()?;
    let mut command = run::cargo(["nextest", "run", "--workspace", "--profile", "soak"])?;
    if arguments.release {
        command.args(["--cargo-profile", "release"]);
    }
    run::run(
        command
            .arg("-E")
            .arg(&chosen)
            .env(TEST_SERVERS_ENV, test::server_list(&clusters))
            .env(SOAK_SECONDS_ENV, seconds.to_string())
            .env(SEED_ENV, seed.to_string()),
    )
}

fn count(chosen: &str) -> Result<u64> {
    let list = ["nextest", "list", "--workspace", "--message-format", "oneline", "-E", chosen];
    let text = run::output(&mut run::cargo(list)?)?;
    Ok(text.lines().filter(|line| line.contains("soak_")).count() as u64)
}
