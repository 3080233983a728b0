//! The account of every erasure, at every site: what the databases give evidence of, and beside it
//! what the operator declares.

use crate::error::Result;
use crate::people::Platform;
use domicile_store::{ErasedMove, Rung, RungState};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// How long what is not in the databases is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How long tombstones stand.
    pub tombstones: Duration,
    /// How long archives of the log are kept, as the operator says.
    pub archives: Option<Duration>,
    /// How long backups are kept, as the operator says.
    pub backups: Option<Duration>,
}

/// One site's erasures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteAccount {
    /// The site.
    pub site: String,
    /// By announcement, oldest first.
    pub moves: Vec<ErasedMove>,
}

/// The account of all sites. JSON fields are extended, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErasureAccount {
    /// The sites, in the order of the configuration.
    pub sites: Vec<SiteAccount>,
}

/// Asks every site.
pub async fn account(
    platform: &Platform,
    keep: &Retention,
    now: Timestamp,
) -> Result<ErasureAccount> {
    let mut account = ErasureAccount::default();
    for site in &platform.sites {
        let mut moves = site.erasures().await?;
        for erased in &mut moves {
            let further = [
                declared("archives_past_retention", "archive_days", keep.archives, erased, now),
                declared("backups_past_retention", "backup_days", keep.backups, erased, now),
                identifiers(keep.tombstones, erased),
            ];
            erased.rungs.extend(further);
        }
        account.sites.push(SiteAccount { site: site.name().to_string(), moves });
    }
    Ok(account)
}

fn declared(
    rung: &'static str,
    key: &str,
    kept: Option<Duration>,
    erased: &ErasedMove,
    now: Timestamp,
) -> Rung {
    let Some(kept) = kept else {
        return Rung::new(rung, RungState::NotKnown, "no database can tell")
            .hint(format!("set [erase] {key} to what you keep"));
    };
    let days = kept.as_secs() / (24 * 3600);
    let Ok(until) = erased.erased_at.checked_add(kept) else {
        return Rung::new(
            rung,
            RungState::NotKnown,
            format!("[erase] {key} is beyond the calendar"),
        );
    };
    if erased.pending > 0 || until > now {
        let why = format!("declared by the operator: kept for {days} days from the erasure");
        return Rung::new(rung, RungState::NotYet, why).at(until);
    }
    let why = format!(
        "declared by the operator: kept for {days} days; copies of files made since may hold what \
         pages_rewritten says is left"
    );
    Rung::new(rung, RungState::Declared, why).at(until)
}

fn identifiers(keep: Duration, erased: &ErasedMove) -> Rung {
    let rung = "identifiers_expired";
    if erased.tombstones == 0 {
        let why = "no tombstone stands; whether rows of other people name theirs is not counted";
        return Rung::new(rung, RungState::NotKnown, why);
    }
    let why = format!("{} tombstones hold the keys of people", erased.tombstones);
    let rung = Rung::new(rung, RungState::NotYet, why).hint("migrate drops them after that date");
    match erased.last_tombstone_at.and_then(|at| at.checked_add(keep).ok()) {
        Some(until) => rung.at(until),
        None => rung,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_declares_is_never_called_done() {
        let erased_at: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let erased = ErasedMove {
            move_id: 1,
            home: "dub1".to_owned(),
            people: 1,
            rows: 1,
            erased_at,
            pending: 0,
            tombstones: 0,
            last_tombstone_at: None,
            rungs: Vec::new(),
        };
        let day = Duration::from_secs(24 * 3600);
        let state = |kept, days: u32| {
            let now = erased_at.checked_add(day * days).unwrap();
            declared("backups_past_retention", "backup_days", kept, &erased, now).state
        };
        assert_eq!(state(None, 9), RungState::NotKnown);
        assert_eq!(state(Some(day * 7), 6), RungState::NotYet);
        assert_eq!(state(Some(day * 7), 7), RungState::Declared);
    }
}
