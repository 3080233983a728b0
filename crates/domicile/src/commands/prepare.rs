//! `domicile prepare`: schema, reference tables, journal and fences at every site.

use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::prepare::{Prepared, prepare};
use indicatif::HumanCount;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    sites: Vec<Prepared>,
}

/// Prepares; what is in place already is left alone. Database files are made only once the plan
/// has nothing against it.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let waiting = screen::spinner(global.quiet, "preparing every site");
    let glance = sites::glance(&config).await?;
    platform::demand_accepted(&platform::plan_schema(&config, &glance.sites).await?)?;
    let sites = sites::create_missing(&config).await?;
    let plan = platform::plan_schema(&config, &sites).await?;
    let report = Report { sites: prepare(&sites, &plan).await? };
    waiting.finish_and_clear();
    screen::show(global.json, &report, text)?;
    Ok(Exit::Ok)
}

fn text(report: &Report) -> String {
    aligned(&report.sites.iter().map(row).collect::<Vec<_>>())
}

fn row(prepared: &Prepared) -> Vec<String> {
    let mut done = Vec::new();
    if !prepared.tables_created.is_empty() {
        done.push(format!("made {}", prepared.tables_created.join(", ")));
    }
    if prepared.reference_rows > 0 {
        done.push(format!("copied {} reference rows", HumanCount(prepared.reference_rows)));
    }
    if prepared.fences_installed {
        done.push("put journal and fences in place".to_owned());
    }
    let done = if done.is_empty() { "was ready".to_owned() } else { done.join("; ") };
    vec![prepared.site.clone(), done]
}
