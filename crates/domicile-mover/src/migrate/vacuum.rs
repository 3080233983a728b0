//! Vacuuming behind: tables of which much was erased, once nobody can see the erased rows.

use super::{Run, Surroundings};
use crate::error::{Error, Result};
use crate::people::Platform;
use crate::report::VacuumedSite;
use domicile_store::{Site, Vacuumed};
use futures_util::future;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a run that is over waits for the last who may still see erased rows.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The time from one look at whether dead rows have grown many to the next.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// In a watch, the time after which a site is vacuumed without being asked for.
pub(super) const WATCH_EVERY: Duration = Duration::from_secs(60);

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
            while !self.vacuum(site.as_ref()).await.too_early.is_empty()
                && (surroundings.clock)() - began < PATIENCE
            {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        let mut stop = surroundings.stop.clone();
        tokio::select! {
            _ = future::join_all(sites) => {}
            _ = stop.wait_for(|called| *called) => {}
        }
    }

    /// Goes through with the work, and vacuums meanwhile where dead rows grow many, and everywhere
    /// after so much time where one is given. Work that fails, or a stop, ends a vacuum.
    pub(super) async fn beside<T>(
        &self,
        run: &Run<'_>,
        every: Option<Duration>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !run.options.vacuum {
            return work.await;
        }
        let (over, is_over) = watch::channel(false);
        let work = async {
            let done: T = work.await?;
            over.send_replace(true);
            Ok(done)
        };
        let sites = (0..run.platform.sites.len())
            .map(|at| self.vacuum_when_asked(run, at, every, is_over.clone()));
        let mut stop = run.surroundings.stop.clone();
        let vacuuming = async {
            tokio::select! {
                _ = future::join_all(sites) => {}
                _ = stop.wait_for(|called| *called) => {}
            }
            Ok::<(), Error>(())
        };
        Ok(future::try_join(work, vacuuming).await?.0)
    }

    async fn vacuum_when_asked(
        &self,
        run: &Run<'_>,
        at: usize,
        every: Option<Duration>,
        mut over: watch::Receiver<bool>,
    ) {
        let clock = &run.surroundings.clock;
        let mut looked_at = clock();
        run.manners.vacuumed(at, false);
        while tokio::time::timeout(ASK_EVERY, over.wait_for(|over| *over)).await.is_err() {
            let is_wanted = run.manners.wants_vacuum(at);
            if is_wanted || every.is_some_and(|every| clock() - looked_at >= every) {
                let found = self.vacuum(run.platform.sites[at].as_ref()).await;
                if is_wanted {
                    run.manners.vacuumed(at, found.tables.is_empty());
                }
                looked_at = clock();
            }
        }
    }

    /// Says what was found. People have moved, whatever becomes of this.
    async fn vacuum(&self, site: &dyn Site) -> Vacuumed {
        let name = site.name();
        let found = match site.vacuum().await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(site = %name, %error, "not vacuumed");
                return Vacuumed::default();
            }
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(name.to_string()).or_default();
        for table in &found.skipped {
            if seen.skipped.insert(table.clone()) {
                let why = "only its owner may, and nobody must hold a lock on it";
                tracing::warn!(site = %name, table, why, "not vacuumed");
            }
        }
        for table in &found.tables {
            tracing::info!(site = %name, table, "vacuumed and analyzed");
            seen.skipped.remove(table);
            seen.tables.insert(table.clone());
        }
        found
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
