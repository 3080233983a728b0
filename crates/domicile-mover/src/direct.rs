//! What somebody directs about one person: a hold, or a home of their own.

use crate::error::{Error, Result};
use crate::locate::{Location, locate};
use crate::people::Platform;
use domicile_model::{SiteName, Subject};
use domicile_store::Change;

/// Puts somebody on hold, or ends it: their rows neither move nor are erased. Every site is told.
/// Returns where they are then.
pub async fn hold(
    platform: &Platform,
    subject: &Subject,
    reason: Option<String>,
) -> Result<Location> {
    change(platform, subject, &Change::Hold(reason)).await
}

/// Chooses somebody's home among the sites that the rule for their residence has, or leaves it to
/// the rule again. Moves nobody by itself.
pub async fn choose_home(
    platform: &Platform,
    subject: &Subject,
    home: Option<SiteName>,
) -> Result<Location> {
    let location = locate(platform, subject).await?;
    if let Some(site) = &home
        && !platform.homes.allows(&location.residence, site)
    {
        return Err(not_allowed(platform, &location, site));
    }
    change(platform, subject, &Change::Home(home)).await
}

fn not_allowed(platform: &Platform, location: &Location, site: &SiteName) -> Error {
    let names = platform.sites.iter().map(|site| site.name());
    let allowed: Vec<&str> = names
        .filter(|name| platform.homes.allows(&location.residence, name))
        .map(SiteName::as_str)
        .collect();
    let lives = location
        .residence
        .territory
        .map_or_else(|| "in nobody knows which territory".to_owned(), |t| format!("in {t}"));
    Error::denied(
        format!("{} lives {lives}, and no rule lets {site} be their home", location.subject),
        match allowed.as_slice() {
            [] => "no [[homes]] rule matches them".to_owned(),
            allowed => format!("their rule has {}", allowed.join(", ")),
        },
    )
}

async fn change(platform: &Platform, subject: &Subject, change: &Change) -> Result<Location> {
    // Only people who exist: a slip of the key must not look like a hold.
    locate(platform, subject).await?;
    for site in &platform.sites {
        site.direct(subject, change).await?;
    }
    locate(platform, subject).await
}
