//! `domicile completions`: what a shell needs to complete the command line. Needs no configuration.

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::{Exit, Result};
use crate::screen;
use clap::CommandFactory as _;

/// Prints the shell's script.
pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "domicile", &mut script);
    screen::print(&script)?;
    Ok(Exit::Ok)
}
