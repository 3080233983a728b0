//! `domicile verify`: scans every site for strays, doubles, orphans and reference drift.

use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::verify::{VerifyReport, verify};
use indicatif::HumanCount;
use std::fmt::Write as _;

/// How many findings of each sort the text names; JSON names more.
const NAMED: usize = 20;

/// Scans; anything found ends with the code of a mismatch.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    let waiting = screen::spinner(global.quiet, "scanning every site");
    let report = verify(&platform).await?;
    waiting.finish_and_clear();
    screen::show(global.json, &report, text)?;
    Ok(if report.is_clean() { Exit::Ok } else { Exit::Mismatch })
}

fn text(report: &VerifyReport) -> String {
    let count = |number: u64| HumanCount(number).to_string();
    let mut rows = vec![vec![
        "site".to_owned(),
        "people".to_owned(),
        "rows".to_owned(),
        "pending erasure".to_owned(),
    ]];
    rows.extend(report.sites.iter().map(|site| {
        vec![site.site.clone(), count(site.subjects), count(site.rows), count(site.pending_erasure)]
    }));
    let mut text = aligned(&rows);
    text.push('\n');
    let row = |name: &str, number: u64| vec![name.to_owned(), count(number)];
    let mut rows = vec![
        row("strays", report.strays),
        row("doubles", report.doubles),
        row("orphans", report.orphans),
        row("reference drift", report.reference_drift),
    ];
    // Told where there is something to tell.
    let seldom = [
        ("  changes refused", report.reference_refused),
        ("  rows kept (no fault)", report.reference_kept),
        ("  changes to carry (no fault)", report.reference_waiting),
    ];
    let seldom = seldom.into_iter().filter(|(_, number)| *number > 0);
    rows.extend(seldom.map(|(name, number)| row(name, number)));
    rows.push(row("open nowhere", report.without_home));
    rows.push(row("unknown residence (no fault)", report.unknown_residence));
    text.push_str(&aligned(&rows));
    // Writing to a String cannot fail.
    for stray in report.strays_found.iter().take(NAMED) {
        let _ = writeln!(text, "stray: {} in {} at {}", stray.subject, stray.table, stray.site);
    }
    for subject in report.doubles_found.iter().take(NAMED) {
        let _ = writeln!(text, "double: {subject}");
    }
    for drift in report.drift_found.iter().take(NAMED) {
        let _ = writeln!(text, "drift: {} at {}", drift.table, drift.site);
    }
    let verdict = if report.is_clean() { "every row is at home" } else { "not every row is home" };
    let _ = writeln!(text, "\n{verdict}");
    text
}
