//! Vacuuming behind: tables of which much was erased, once nobody can see the erased rows.

use super::Surroundings;
use crate::people::Platform;
use crate::report::VacuumedSite;
use domicile_store::{Site, Vacuumed};
use futures_util::future;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a run that is over waits for the last who may still see erased rows.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The time from one look to the next while people go on moving.
const WATCH_EVERY: Duration = Duration::from_secs(60);

/// What has been vacuumed, and what was passed over, at each site.
#[derive(Default)]
pub(super) struct Vacuums(Mutex<BTreeMap<String, Seen>>);

#[derive(Default)]
struct Seen {
    tables: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

impl Vacuums {
    /// At the end of a run: every site at once, until nothing is left to do or a stop is called for.
    pub(super) async fn behind(&self, platform: &Platform, surroundings: &Surroundings) {
        let began = (surroundings.clock)();
        let sites = platform.sites.iter().map(|site| async {
            while self.vacuum(site.as_ref()).await && (surroundings.clock)() - began < PATIENCE {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        let mut stop = surroundings.stop.clone();
        tokio::select! {
            _ = future::join_all(sites) => {}
            _ = stop.wait_for(|called| *called) => {}
        }
    }

    /// Beside a watch, for as long as it lasts.
    pub(super) async fn beside(&self, platform: &Platform) -> Infallible {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            future::join_all(platform.sites.iter().map(|site| self.vacuum(site.as_ref()))).await;
        }
    }

    /// Says whether to look again soon. People have moved, whatever becomes of this.
    async fn vacuum(&self, site: &dyn Site) -> bool {
        let name = site.name();
        let Vacuumed { tables, skipped, too_early } = match site.vacuum().await {
            Ok(vacuumed) => vacuumed,
            Err(error) => {
                tracing::warn!(site = %name, %error, "not vacuumed");
                return false;
            }
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(name.to_string()).or_default();
        for table in skipped {
            if seen.skipped.insert(table.clone()) {
                let why = "only its owner may, and nobody must hold a lock on it";
                tracing::warn!(site = %name, table, why, "not vacuumed");
            }
        }
        for table in tables {
            tracing::info!(site = %name, table, "vacuumed and analyzed");
            seen.skipped.remove(&table);
            seen.tables.insert(table);
        }
        !too_early.is_empty()
    }

    pub(super) fn told(self) -> Vec<VacuumedSite> {
        let seen = self.0.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter();
        let told = seen.map(|(site, Seen { tables, skipped })| VacuumedSite {
            site,
            tables: tables.into_iter().collect(),
            skipped: skipped.into_iter().collect(),
        });
        told.filter(|site| !site.tables.is_empty() || !site.skipped.is_empty()).collect()
    }
}
