//! `domicile status`: how far along everybody is.

use crate::ambient;
use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::locate::{Status, status};
use indicatif::{HumanCount, HumanDuration};
use std::time::Duration;

/// The time between two looks, from which the rate comes.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Counts once, and while people move once more a second later.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    let clock = ambient::clock();
    let first = status(&platform).await?;
    let found = if first.under_way == 0 {
        first
    } else {
        let counted = clock();
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let second = status(&platform).await?;
        second.with_rate(&first, (clock() - counted).as_secs_f64())
    };
    screen::show(global.json, &found, text)?;
    Ok(Exit::Ok)
}

fn text(status: &Status) -> String {
    let count = |number: u64| HumanCount(number).to_string();
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut text = aligned(&[
        row("people", count(status.subjects)),
        row("at home", count(status.at_home)),
        row("to move", count(status.to_move)),
        row("under way", count(status.under_way)),
        row("pending erasure", count(status.pending_erasure)),
        row("on hold", count(status.on_hold)),
        row("reference rows behind", count(status.reference_behind)),
    ]);
    super::migrate::set_aside(&mut text, &status.reference_refused);
    if let Some(rate) = status.people_per_second {
        text.push_str(&format!("\n{rate:.0} people a second"));
        if let Some(left) = status.seconds_left.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
            text.push_str(&format!(", about {} left", HumanDuration(left)));
        }
        text.push('\n');
    }
    text.push_str("\nstanding at\n");
    let sites = status.by_site.iter();
    text.push_str(&aligned(&sites.map(|(site, n)| row(site, count(*n))).collect::<Vec<_>>()));
    text
}
