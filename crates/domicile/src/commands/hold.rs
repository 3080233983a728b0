//! `domicile hold SUBJECT`: nothing of theirs moves or is erased.

use super::locate::text;
use crate::cli::{Global, HoldArgs};
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen;
use crate::sites;
use domicile_model::Subject;
use domicile_mover::direct::hold;

/// Tells every site, and prints where the person is.
pub(crate) async fn run(global: &Global, args: HoldArgs) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    let reason = (!args.end).then_some(args.reason);
    let location = hold(&platform, &Subject::new(args.subject), reason).await?;
    screen::show(global.json, &location, text)?;
    Ok(Exit::Ok)
}
