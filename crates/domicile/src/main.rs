//! `domicile`: moves each person's rows to a data centre under the law of the place they live in.
//!
//! This file is the table of contents; [`commands`] has one file per command.

mod ambient;
mod cli;
mod commands;
mod config;
mod demo;
mod document;
mod exit;
mod key_script;
mod platform;
mod screen;
mod sites;
mod stop;

use clap::Parser as _;
use cli::{Cli, Command};
use exit::{Exit, Failure, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return cli::answer(&told).into(),
    };
    screen::start_logging(cli.global.verbose);
    let ended = catch_unwind(AssertUnwindSafe(|| run_to_end(cli)));
    let exit = ended.unwrap_or_else(|_| {
        let defect = Failure::internal("domicile met a defect of its own and ended");
        Err(defect.hint("report it with what stands above; migrate can be run again"))
    });
    match exit {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen::tell(&failure);
            failure.exit().into()
        }
    }
}

fn run_to_end(cli: Cli) -> Result<Exit> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::failed("the runtime does not start").because(&error))?;
    let ended = runtime.block_on(run(cli));
    // After a second signal blocking work may still be under way; the journals allow for that.
    runtime.shutdown_background();
    ended
}

async fn run(cli: Cli) -> Result<Exit> {
    let global = &cli.global;
    match cli.command {
        Command::Init(args) => commands::init::run(global, args).await,
        Command::Plan(args) => commands::plan::run(global, &args).await,
        Command::Prepare(args) => commands::prepare::run(global, &args).await,
        Command::Migrate(args) => commands::migrate::run(global, &args).await,
        Command::Status(args) => commands::status::run(global, &args).await,
        Command::Route(args) => commands::route::run(global, &args).await,
        Command::Move(args) => commands::move_one::run(global, args).await,
        Command::Hold(args) => commands::hold::run(global, args).await,
        Command::Locate(args) => commands::locate::run(global, args).await,
        Command::Verify => commands::verify::run(global).await,
        Command::Erasure => commands::erasure::run(global).await,
        Command::Residence(args) => commands::residence::run(&args),
        Command::Serve => commands::serve::run(global).await,
        Command::Demo(args) => demo::run(args, global).await,
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man(args) => commands::man::run(&args),
    }
}
