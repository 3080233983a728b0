//! Watching what the sites bear while people move, so that the pace gives way.

use super::backoff::{Backoff, Bounds};
use crate::drive::Clock;
use crate::report::{Rested, Strain};
use domicile_store::{Gauge, Load, Result, Site};
use futures_util::future;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time from one look at a site to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of the sites, by place.
pub(crate) struct Manners {
    clock: Clock,
    sites: Mutex<Vec<Known>>,
}

struct Known {
    backoff: Backoff,
    looked_at: Option<Duration>,
    /// For how long work rested, for its sake.
    rested: BTreeMap<Strain, Duration>,
    has_warned: bool,
}

impl Manners {
    pub(crate) fn new(clock: Clock, bounds: Bounds, sites: usize) -> Manners {
        let known = |_| Known {
            backoff: Backoff::new(bounds),
            looked_at: None,
            rested: BTreeMap::new(),
            has_warned: false,
        };
        Manners { clock, sites: Mutex::new((0..sites).map(known).collect()) }
    }

    fn sites(&self) -> MutexGuard<'_, Vec<Known>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every site, again and again. What cannot be looked at holds nobody back.
    pub(crate) async fn watch(&self, sites: &[Arc<dyn Site>]) -> Infallible {
        let watched = sites.iter().enumerate().map(|(at, site)| self.watch_site(at, site.as_ref()));
        future::join_all(watched).await;
        future::pending().await
    }

    async fn watch_site(&self, at: usize, site: &dyn Site) {
        let mut gauge = None;
        loop {
            let looked_at = self.sites()[at].looked_at;
            let due = looked_at.map_or(Duration::ZERO, |looked_at| looked_at + LOOK_EVERY);
            tokio::time::sleep(due.saturating_sub((self.clock)())).await;
            let load = match read(&mut gauge, site).await {
                Ok(Some(load)) => Some(load),
                Ok(None) => return,
                Err(error) => {
                    gauge = None;
                    let first = !std::mem::replace(&mut self.sites()[at].has_warned, true);
                    if first {
                        let site = site.name();
                        tracing::warn!(%site, %error, "its load cannot be read, and slows nothing");
                    }
                    None
                }
            };
            tracing::debug!(site = %site.name(), ?load, "load");
            if let Some(why) = self.look(at, load.as_ref()) {
                tracing::warn!(site = %site.name(), why, "resting between batches");
            }
        }
    }

    /// Takes in one look at a site.
    pub(super) fn look(&self, at: usize, load: Option<&Load>) -> Option<String> {
        let now = (self.clock)();
        let known = &mut self.sites()[at];
        known.looked_at = Some(now);
        known.backoff.look(now, load)
    }

    /// Whether a table at this site has so many dead rows that a vacuum should come.
    pub(crate) fn wants_vacuum(&self, at: usize) -> bool {
        self.sites()[at].backoff.wants_vacuum()
    }

    /// Takes in whether vacuums come to this site, and are not in vain.
    pub(crate) fn vacuumed(&self, at: usize, in_vain: bool) {
        self.sites()[at].backoff.vacuumed(in_vain);
    }

    /// At which of these sites to rest for longest after so much work, why, and for how long.
    pub(super) fn rest(
        &self,
        worked: Duration,
        ends: &[usize],
    ) -> Option<(usize, Strain, Duration)> {
        let sites = self.sites();
        let strained = ends.iter().filter_map(|at| {
            let backoff = &sites[*at].backoff;
            backoff.strain().map(|strain| (*at, strain, backoff.rest(worked)))
        });
        strained.max_by_key(|(_, _, rest)| *rest)
    }

    /// Accounts for a rest.
    pub(super) fn rested(&self, at: usize, strain: Strain, rested: Duration) {
        *self.sites()[at].rested.entry(strain).or_default() += rested;
    }

    /// Hands over the rests so far.
    pub(crate) fn take_rests(&self, names: &[Arc<dyn Site>]) -> Vec<Rested> {
        let mut sites = self.sites();
        let taken = sites.iter_mut().zip(names).flat_map(|(known, site)| {
            let rests = std::mem::take(&mut known.rested).into_iter();
            rests.map(|(why, rested)| Rested {
                site: site.name().to_string(),
                why,
                seconds: rested.as_secs_f64(),
            })
        });
        taken.collect()
    }
}

async fn read(gauge: &mut Option<Box<dyn Gauge>>, site: &dyn Site) -> Result<Option<Load>> {
    if gauge.is_none() {
        *gauge = site.gauge().await?;
    }
    match gauge {
        Some(gauge) => gauge.read().await.map(Some),
        None => Ok(None),
    }
}
