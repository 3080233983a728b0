//! `domicile locate SUBJECT`: where somebody is.

use crate::cli::{Global, LocateArgs};
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_model::Subject;
use domicile_mover::locate::{Location, locate};

/// Asks every site.
pub(crate) async fn run(global: &Global, args: LocateArgs) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    let location = locate(&platform, &Subject::new(args.subject)).await?;
    screen::show(global.json, &location, text)?;
    Ok(Exit::Ok)
}

/// Where somebody is, for people to read.
pub(super) fn text(location: &Location) -> String {
    let residence = &location.residence;
    let territory = residence.territory.map_or_else(
        || "unknown".to_owned(),
        |territory| format!("{territory} ({})", territory.name()),
    );
    let joined = |words: Vec<String>| words.join(", ");
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("subject", location.subject.to_string()),
        row("home", location.home.clone().unwrap_or_else(|| "none".to_owned())),
        row("state", location.state.to_owned()),
        row("rows stand at", location.standing_at.join(", ")),
        row("lives in", territory),
        row("regimes", joined(residence.regimes.iter().map(ToString::to_string).collect())),
        row("confidence", format!("{:.2}", residence.confidence)),
    ];
    rows.extend(location.hold.iter().map(|reason| row("on hold", reason.clone())));
    let directed = location.directed_home.iter();
    rows.extend(directed.map(|site| row("home chosen", site.to_string())));
    for evidence in &residence.evidence {
        rows.push(row("because of", format!("“{}”, read as {}", evidence.segment, evidence.names)));
    }
    for conflict in &residence.conflicts {
        let read_as = conflict.names.map(|names| format!(", read as {names}")).unwrap_or_default();
        rows.push(row("in spite of", format!("“{}”{read_as}", conflict.segment)));
    }
    aligned(&rows)
}
