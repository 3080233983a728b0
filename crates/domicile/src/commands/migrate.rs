//! `domicile migrate`: moves everybody to their home, or goes on where an earlier run stopped.

use crate::ambient;
use crate::cli::{Global, MigrateArgs};
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use crate::stop::Signals;
use domicile_mover::migrate::{Options, Surroundings, WithdrawReport, migrate, watch, withdraw};
use domicile_mover::people::Platform;
use domicile_mover::report::{Failure, MigrateReport, Percentiles, RefusedChange, Strain};
use indicatif::{HumanBytes, HumanCount};
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

/// How many failures the text names; JSON has them all.
const NAMED: usize = 10;

/// Moves; the first signal stops it at the next safe point, the second at once. Neither loses
/// anything.
pub(crate) async fn run(global: &Global, args: &MigrateArgs) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let stop = signals.stop();
    tokio::select! {
        ended = move_everybody(global, args, stop) => ended,
        () = signals.second() => {
            screen::say("hint: run domicile migrate again; it goes on where this one stopped");
            Ok(Exit::Stopped)
        }
    }
}

async fn move_everybody(
    global: &Global,
    args: &MigrateArgs,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let sites = sites::open(&config).await?;
    let plan = platform::plan_schema(&config, &sites).await?;
    platform::demand_accepted(&plan)?;
    let platform = platform::of_plan(&config, sites, &plan)?;
    let options = Options {
        lanes: args.lanes.get(),
        batch: args.batch.map(NonZeroUsize::get),
        rows_per_second: args.max_rows_per_second.map(NonZeroU64::get),
        bytes_per_second: args.max_bytes_per_second.map(NonZeroU64::get),
        max_replica_lag: args.max_replica_lag,
        max_dead_rows: args.max_dead_rows,
        ..config.options()
    };
    let bar = screen::bar(global.quiet);
    let shown = bar.clone();
    let surroundings = Surroundings {
        clock: ambient::clock(),
        now: Arc::new(ambient::now),
        move_id: ambient::move_ids(),
        progress: Arc::new(move |progress| {
            shown.set_length(progress.to_move);
            shown.set_position(progress.moved);
            shown.set_message(format!("{} rows", HumanCount(progress.rows)));
        }),
        stop,
    };
    if args.withdraw {
        let report = withdraw(&platform, &options, &surroundings).await;
        bar.finish_and_clear();
        let report = report?;
        screen::show(global.json, &report, withdrawn)?;
        return Ok(if report.failures.is_empty() { Exit::Ok } else { Exit::Failed });
    }
    let report = if args.watch {
        watch(&platform, &options, &surroundings, args.every).await
    } else {
        migrate(&platform, &options, &surroundings).await
    };
    bar.finish_and_clear();
    let report = report?;
    screen::show(global.json, &report, text)?;
    if report.stopped && !args.watch {
        screen::say("stopped, and nothing is half-done");
        screen::say("hint: run domicile migrate again; it goes on where this one stopped");
        return Ok(Exit::Stopped);
    }
    Ok(exit(&report))
}

/// Runs once, without progress on the terminal.
pub(super) async fn once(
    platform: &Platform,
    options: &Options,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Result<MigrateReport> {
    let surroundings = Surroundings {
        clock: ambient::clock(),
        now: Arc::new(ambient::now),
        move_id: ambient::move_ids(),
        progress: Arc::new(|_| {}),
        stop,
    };
    Ok(migrate(platform, options, &surroundings).await?)
}

fn withdrawn(report: &WithdrawReport) -> String {
    let row = |name: &str, value: u64| vec![name.to_owned(), HumanCount(value).to_string()];
    let mut text = aligned(&[
        row("withdrawn", report.withdrawn),
        row("decided before, and settled", report.settled),
    ]);
    list(&mut text, "not taken back", &report.failures);
    text
}

/// Names the first of those who failed.
fn list(text: &mut String, title: &str, failures: &[Failure]) {
    if failures.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    for failure in failures.iter().take(NAMED) {
        text.push_str(&format!("  {}: {}\n", failure.subject, failure.reason));
    }
    if failures.len() > NAMED {
        text.push_str(&format!("  and {} more; --json names them all\n", failures.len() - NAMED));
    }
}

/// Names the first of the reference rows that a site could not take.
pub(super) fn set_aside(text: &mut String, refused: &[RefusedChange]) {
    if refused.is_empty() {
        return;
    }
    text.push_str("\nreference rows set aside, and tried again\n");
    for change in refused.iter().take(NAMED) {
        text.push_str(&format!("  {} {}: {}\n", change.table, change.key, change.reason));
    }
    if refused.len() > NAMED {
        text.push_str("  and more; --json names a hundred\n");
    }
}

/// Whom the run gave way to, and whom it waited for.
fn manners(text: &mut String, report: &MigrateReport) {
    if !report.rested.is_empty() {
        text.push_str("\nrested between batches\n");
    }
    for rest in &report.rested {
        let why = match rest.why {
            Strain::ReplicaLag => "a replica fell behind",
            Strain::DeadRows => "dead rows piled up",
            Strain::LockWaits => "others waited for the mover's locks",
        };
        text.push_str(&format!("  {}: {why}, {:.1} s\n", rest.site, rest.seconds));
    }
    if !report.waited_for.is_empty() {
        text.push_str("\nwaited for older transactions\n");
    }
    for wait in report.waited_for.iter().take(NAMED) {
        text.push_str(&format!("  {}: {:.1} s for {}\n", wait.site, wait.seconds, wait.who));
    }
    let done = report.vacuumed.iter().map(|site| ("vacuumed", &site.site, &site.tables));
    let skipped = report.vacuumed.iter().map(|site| ("not vacuumed", &site.site, &site.skipped));
    for (what, site, tables) in done.chain(skipped).filter(|(_, _, tables)| !tables.is_empty()) {
        text.push_str(&format!("\n{what} at {site}: {}\n", tables.join(", ")));
    }
}

fn exit(report: &MigrateReport) -> Exit {
    let is_well = report.failed == 0 && report.failures.is_empty();
    if is_well { Exit::Ok } else { Exit::Failed }
}

fn text(report: &MigrateReport) -> String {
    let count = |number: u64| HumanCount(number).to_string();
    let seconds = |seconds: f64| format!("{seconds:.1} s");
    let spread = |found: Percentiles| {
        format!("{:.1} ms p50, {:.1} p99, {:.1} max", found.p50, found.p99, found.max)
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let spent = &report.spent;
    let mut rows = vec![
        row("moved", count(report.moved)),
        row("  of unknown residence", count(report.held)),
        row("already home", count(report.already_home)),
        row("on hold", count(report.on_hold)),
        row("failed", count(report.failed)),
        row("rows", count(report.rows)),
        row("rows compared", count(report.compared_rows)),
        row("  that differed", count(report.mismatches)),
        row("rows erased behind", count(report.erased_rows)),
        row("people pending erasure", count(report.pending_erasure)),
    ];
    if report.shared_rows > 0 {
        let sent = row("  shared rows beside", count(report.shared_rows));
        let at = rows.iter().position(|row| row[0] == "rows").map_or(rows.len(), |at| at + 1);
        rows.insert(at, sent);
    }
    let mut text = aligned(&rows);
    text.push('\n');
    text.push_str(&aligned(&[
        row("pause", spread(report.pause_ms)),
        row("handover", spread(report.handover_ms)),
        row("took", format!("{}, {}", seconds(report.seconds), HumanBytes(report.bytes))),
    ]));
    text.push_str("\nwhere the time went, over all lanes\n");
    text.push_str(&aligned(&[
        row("announcing", seconds(spent.announcing)),
        row("copying", seconds(spent.copying)),
        row("comparing", seconds(spent.comparing)),
        row("deciding", seconds(spent.deciding)),
        row("erasing", seconds(spent.erasing)),
        row("resting", seconds(spent.resting)),
    ]));
    manners(&mut text, report);
    list(&mut text, "not moved", &report.failures);
    set_aside(&mut text, &report.reference_refused);
    text
}
