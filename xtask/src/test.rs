//! `cargo xtask test`: everything that a change must pass.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use domicile_testkit::{Cluster, Options, TEST_SERVERS_ENV};

use crate::{docs, run, setup, tidy};

/// As many as a test moves people between at most.
const CLUSTER_COUNT: usize = 4;

/// Each has a script `run` in `examples/`, and finds its data under its own name.
const EXAMPLES: &[&str] = &["book-crossing", "chinook"];

/// Tells an example where the built `domicile` is.
const PROGRAM_ENV: &str = "DOMICILE_BIN";

const DATA_ENV: &str = "DOMICILE_DATA";
/// Where the data are without the variable, seen from the top.
const DATA_DEFAULT: &str = "../shared/data";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave out fmt, clippy, tidy and docs.
    #[arg(long)]
    no_lint: bool,
    /// Handed to `cargo nextest run`: names or parts of names of tests, or its options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    filter: Vec<String>,
}

/// Runs all stages; stops at the first that fails and names it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut stages = Stages::default();
    let result = run_stages(arguments, &mut stages);
    eprint!("{}", stages.table());
    result
}

fn run_stages(arguments: &Arguments, stages: &mut Stages) -> Result<()> {
    stages.run("setup", setup::run)?;
    if arguments.no_lint {
        stages.leave_out("fmt, clippy, tidy, docs", "--no-lint");
    } else {
        stages.run("fmt", || cargo(&["fmt", "--all", "--check"]))?;
        stages.run("tidy", || tidy::run(&tidy::Arguments::default()))?;
        stages.run("clippy", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        })?;
        stages.run("docs", docs::run)?;
    }
    // One build for the tests and for the program that some of them and the examples start.
    stages.run("build", || cargo(&["build", "--workspace", "--all-targets"]))?;
    let clusters = stages.run("postgresql", start_clusters)?;
    stages.run("tests", || run_tests(&clusters, &arguments.filter))?;
    run_examples(arguments, &clusters, stages)?;
    stages.run("stop postgresql", || {
        drop(clusters);
        Ok(())
    })
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run::run(&mut run::cargo(arguments)?)
}

/// At once, because most of a start is waiting.
pub(crate) fn start_clusters() -> Result<Vec<Cluster>> {
    thread::scope(|scope| {
        let starts: Vec<_> = (0..CLUSTER_COUNT)
            .map(|_| scope.spawn(|| Cluster::start(Options::for_tests())))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().map_err(|_| anyhow!("the start of a cluster panicked"))?)
            .collect()
    })
}

fn run_tests(clusters: &[Cluster], filter: &[String]) -> Result<()> {
    let mut command = run::cargo(["nextest", "run", "--workspace"])?;
    run::run(command.args(filter).env(TEST_SERVERS_ENV, server_list(clusters)))
}

pub(crate) fn server_list(clusters: &[Cluster]) -> String {
    clusters.iter().map(Cluster::base_url).collect::<Vec<_>>().join(",")
}

fn run_examples(arguments: &Arguments, clusters: &[Cluster], stages: &mut Stages) -> Result<()> {
    let top = run::top()?;
    // A path in the variable is seen from where the user is, as the shell would.
    let data = std::env::var_os(DATA_ENV).map_or_else(|| top.join(DATA_DEFAULT), PathBuf::from);
    for name in EXAMPLES {
        let script = format!("examples/{name}/run");
        if !arguments.filter.is_empty() {
            stages.leave_out(name, "only some tests were asked for");
        } else if !top.join(&script).is_file() {
            stages.leave_out(name, &format!("{script} does not exist"));
        } else if !data.join(name).is_dir() {
            stages.leave_out(name, &format!("no {name} in {}", data.display()));
        } else {
            // Cargo puts all programs of one build into one directory.
            let program = std::env::current_exe()?.with_file_name("domicile");
            stages.run(name, || {
                let mut command = run::command(top.join(&script), [""; 0])?;
                command
                    .env(DATA_ENV, data.canonicalize().context("the example's data")?)
                    .env(PROGRAM_ENV, program)
                    .env(TEST_SERVERS_ENV, server_list(clusters));
                run::run(&mut command)
            })?;
        }
    }
    Ok(())
}

/// What was run so far, for the table at the end.
#[derive(Debug, Default)]
struct Stages {
    rows: Vec<(String, Outcome)>,
}

#[derive(Debug)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    LeftOut(String),
}

impl Stages {
    fn run<T>(&mut self, name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("== {name}");
        let began = Instant::now();
        let result = stage();
        let took = began.elapsed();
        let outcome = if result.is_ok() { Outcome::Passed(took) } else { Outcome::Failed(took) };
        self.rows.push((name.to_owned(), outcome));
        result.with_context(|| format!("stage `{name}` failed"))
    }

    fn leave_out(&mut self, name: &str, reason: &str) {
        eprintln!("== {name}: left out: {reason}");
        self.rows.push((name.to_owned(), Outcome::LeftOut(reason.to_owned())));
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::from("\n");
        for (name, outcome) in &self.rows {
            // Writing to a String cannot fail.
            let _ = match outcome {
                Outcome::Passed(took) => {
                    writeln!(text, "{name:width$}  {:7.1} s", took.as_secs_f64())
                }
                Outcome::Failed(took) => {
                    writeln!(text, "{name:width$}  {:7.1} s  FAILED", took.as_secs_f64())
                }
                Outcome::LeftOut(reason) => writeln!(text, "{name:width$}  left out: {reason}"),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failing_stage_is_named_and_later_ones_are_not_run() {
        let mut stages = Stages::default();
        let result = stages
            .run("fmt", || Ok(()))
            .and_then(|()| stages.run("clippy", || Err::<(), _>(anyhow!("a lint"))))
            .and_then(|()| stages.run("tests", || Ok(())));
        assert_eq!(format!("{:#}", result.unwrap_err()), "stage `clippy` failed: a lint");
        let table = stages.table();
        assert!(table.contains("FAILED") && !table.contains("tests"), "{table}");
    }

    #[test]
    fn what_was_left_out_is_said_with_the_reason() {
        let mut stages = Stages::default();
        stages.leave_out("example", "no data");
        assert_eq!(stages.table(), "\nexample  left out: no data\n");
    }
}
