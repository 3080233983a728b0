//! `domicile status`: how far along everybody is.

use crate::ambient;
use crate::cli::{Global, StatusArgs};
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use crate::stop::Signals;
use domicile_mover::locate::{Status, status};
use domicile_mover::people::Platform;
use indicatif::{HumanCount, HumanDuration};
use std::io::IsTerminal as _;
use std::time::Duration;

/// The time between two looks, from which the rate comes.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Counts once, and while people move once more a second later.
pub(crate) async fn run(global: &Global, args: &StatusArgs) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    if args.watch {
        return watch(global, &platform).await;
    }
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

/// Takes a terminal's cursor home and clears what follows.
const NEW_PAGE: &str = "\x1b[H\x1b[J";

/// Counts again and again until it is told to stop. The sites rest for as long as counting took.
async fn watch(global: &Global, platform: &Platform) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let clock = ambient::clock();
    let mut before: Option<(Status, Duration)> = None;
    loop {
        let began = clock();
        let counted = tokio::select! {
            counted = status(platform) => counted,
            () = signals.next() => return Ok(Exit::Ok),
        };
        let now = clock();
        match counted {
            Ok(counted) => {
                let shown = match &before {
                    Some((earlier, at)) if counted.under_way > 0 => {
                        counted.clone().with_rate(earlier, (now - *at).as_secs_f64())
                    }
                    _ => counted.clone(),
                };
                if !global.json && std::io::stdout().is_terminal() {
                    screen::print(NEW_PAGE.as_bytes())?;
                }
                screen::show(global.json, &shown, text)?;
                before = Some((counted, now));
            }
            // A site may come back.
            Err(error) => screen::tell(&error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep((now - began).max(BETWEEN_LOOKS)) => {}
            () = signals.next() => return Ok(Exit::Ok),
        }
    }
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
