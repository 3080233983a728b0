//! `domicile man`: manual pages, made from the command line's own definitions. Needs no
//! configuration.

use crate::cli::{Cli, ManArgs};
use crate::exit::{Exit, Failure, Result};
use crate::screen;
use clap::CommandFactory as _;
use clap_mangen::Man;
use std::path::Path;

/// Prints the page of the program, or writes one page for each command.
pub(crate) fn run(args: &ManArgs) -> Result<Exit> {
    match &args.out {
        Some(folder) => write_all(folder)?,
        None => {
            let mut page = Vec::new();
            // As the pages of the folder are: `help` has none.
            let program = Cli::command().disable_help_subcommand(true);
            Man::new(program).render(&mut page)?;
            screen::print(&page)?;
        }
    }
    Ok(Exit::Ok)
}

fn write_all(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|error| {
            Failure::failed(format!("the pages cannot be written to {}", folder.display()))
                .hint("name a folder that can be written to")
                .because(&error)
        })
}
