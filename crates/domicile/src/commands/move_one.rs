//! `domicile move SUBJECT --to SITE`: one person's home, by choice.

use super::locate::text;
use super::migrate::once;
use crate::cli::{Global, MoveArgs};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::platform;
use crate::screen;
use crate::sites;
use crate::stop::Signals;
use domicile_model::{SiteName, Subject};
use domicile_mover::direct::choose_home;
use domicile_mover::locate::locate;
use domicile_mover::migrate::Options;

/// Records the choice at every site, then moves this person and nobody else.
pub(crate) async fn run(global: &Global, args: MoveArgs) -> Result<Exit> {
    let signals = Signals::listen()?;
    let config = Config::read(&global.config)?;
    let sites = sites::open(&config).await?;
    let plan = platform::plan_schema(&config, &sites).await?;
    platform::demand_accepted(&plan)?;
    let platform = platform::of_plan(&config, sites, &plan)?;
    let home = args.to.map(|site| configured(&config, &site)).transpose()?;
    let subject = Subject::new(args.subject);
    choose_home(&platform, &subject, home).await?;
    let options = Options { only: Some(subject.clone()), ..config.options() };
    let report = once(&platform, &options, signals.stop()).await?;
    if let Some(failure) = report.failures.iter().find(|failure| failure.subject == subject) {
        return Err(Failure::failed(format!("{subject} has not moved: {}", failure.reason))
            .hint("the choice is kept; the next migrate tries again"));
    }
    screen::show(global.json, &locate(&platform, &subject).await?, text)?;
    Ok(if report.stopped { Exit::Stopped } else { Exit::Ok })
}

fn configured(config: &Config, written: &str) -> Result<SiteName> {
    let names = || config.sites.iter().map(|site| &site.spec.name);
    if let Some(name) = names().find(|name| name.as_str() == written) {
        return Ok(name.clone());
    }
    let near = names().min_by_key(|name| domicile_model::nearness(name.as_str(), written));
    let failure = Failure::usage(format!("there is no site {written}"));
    Err(match near {
        Some(name) => failure.hint(format!("the nearest name is {name}")),
        None => failure,
    })
}
