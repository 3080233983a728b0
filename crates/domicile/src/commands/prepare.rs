//! `domicile prepare`: schema, reference tables, journal and fences at every site.

use crate::cli::{Global, PrepareArgs};
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::key_script;
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::plan::Plan;
use domicile_mover::prepare::{KeyDrop, Prepared, drop_keys, list_drops, prepare};
use domicile_store::Site;
use indicatif::HumanCount;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Report {
    sites: Vec<Prepared>,
    dropped_keys: Vec<Dropped>,
}

/// Keys dropped at one site.
#[derive(Serialize)]
struct Dropped {
    #[serde(flatten)]
    keys: KeyDrop,
    /// The script that makes them again.
    script: String,
}

/// Prepares; what is in place already is left alone. Database files are made only once the plan
/// has nothing against it.
pub(crate) async fn run(global: &Global, args: &PrepareArgs) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let waiting = screen::spinner(global.quiet, "preparing every site");
    let glance = sites::glance(&config).await?;
    let plan = platform::plan_schema(&config, &glance.sites).await?;
    let dropped_keys = if args.drop_crossing_keys {
        platform::demand_accepted_but_keys(&plan)?;
        drop_crossing_keys(global, &glance.sites, &plan).await?
    } else {
        platform::demand_accepted(&plan)?;
        Vec::new()
    };
    let sites = sites::create_missing(&config).await?;
    let plan = platform::plan_schema(&config, &sites).await?;
    let report = Report { sites: prepare(&sites, &plan).await?, dropped_keys };
    waiting.finish_and_clear();
    screen::show(global.json, &report, text)?;
    Ok(Exit::Ok)
}

/// Lists what will be run at every site, writes the scripts that undo it, and only then drops.
async fn drop_crossing_keys(
    global: &Global,
    sites: &[Arc<dyn Site>],
    plan: &Plan,
) -> Result<Vec<Dropped>> {
    let drops = list_drops(sites, plan).await?;
    for drop in &drops {
        screen::say(format!("site {}: dropping {}", drop.site, drop.keys.join("; ")));
        for statement in &drop.statements {
            screen::say(format!("  {statement};"));
        }
    }
    let mut dropped = Vec::new();
    for drop in &drops {
        let script = key_script::keep(&global.config, drop)?;
        screen::say(format!("site {}: {} makes them again", drop.site, script.display()));
        dropped.push(Dropped { keys: drop.clone(), script: script.display().to_string() });
    }
    drop_keys(sites, &drops).await?;
    Ok(dropped)
}

fn text(report: &Report) -> String {
    let mut rows: Vec<Vec<String>> = report.dropped_keys.iter().map(dropped_row).collect();
    rows.extend(report.sites.iter().map(row));
    aligned(&rows)
}

fn dropped_row(dropped: &Dropped) -> Vec<String> {
    vec![dropped.keys.site.clone(), format!("dropped {}", dropped.keys.keys.join("; "))]
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
