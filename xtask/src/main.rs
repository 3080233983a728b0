//! The development commands: `cargo xtask <command>`.

mod bench;
mod cities;
mod docs;
mod fuzz;
mod mutants;
mod run;
mod setup;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The development commands of domicile.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the project needs on this machine; does nothing when all is there.
    Setup,
    /// Everything that a change must pass: setup, lints, tidy, docs, tests, the examples.
    Test(test::Arguments),
    /// Run the tests with random input for minutes: faults, schemas, histories.
    Soak(soak::Arguments),
    /// Run a fuzzer on what reads bytes and texts from outside.
    Fuzz(fuzz::Arguments),
    /// Take each rule of the move out of the code and look whether its test notices.
    Mutants(mutants::Arguments),
    /// Measure beside the floor and beside what people would do otherwise.
    Bench(bench::Arguments),
    /// Check the house's own rules: edges between crates, sizes, names, dependencies.
    Tidy(tidy::Arguments),
    /// Build the book and the documentation of the crates; broken links and warnings are errors.
    Docs,
    /// Derive the table of cities from GeoNames' data, which the file's own words say how to get.
    Cities(cities::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Setup => setup::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Tidy(arguments) => tidy::run(&arguments),
        Command::Docs => docs::run(),
        Command::Cities(arguments) => cities::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
