//! Connections to one site as one user, kept for whoever needs one next. One thread owns a pool.

use crate::error::{Error, Kind, Result};
use crate::metrics::{AtSite, Counted};
use crate::server::{Account, Server, SiteAddress};
use crate::settings::Settings;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections to one site as one user.
pub(crate) struct Pool {
    site: Arc<SiteAddress>,
    account: Account,
    idle: RefCell<Vec<Server>>,
    /// One permit for each connection that may be in use.
    permits: Arc<Semaphore>,
    waits_at_most: Duration,
    /// What the site told of its settings when a connection was opened last.
    statuses: RefCell<Vec<(String, String)>>,
    counts: AtSite,
}

/// A connection in use. Dropping it closes the connection: only [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    pub(crate) server: Server,
    pool: Rc<Pool>,
    _permit: OwnedSemaphorePermit,
    _used: Counted,
}

impl Pool {
    pub(crate) fn new(
        site: Arc<SiteAddress>,
        account: Account,
        size: usize,
        waits: Duration,
        counts: AtSite,
    ) -> Rc<Pool> {
        Rc::new(Pool {
            site,
            account,
            idle: RefCell::default(),
            permits: Arc::new(Semaphore::new(size)),
            waits_at_most: waits,
            statuses: RefCell::default(),
            counts,
        })
    }

    /// A connection, one with these settings if there is one; else another, or a new one.
    pub(crate) async fn take(self: &Rc<Self>, wanted: &Settings) -> Result<Lease> {
        let Some(permit) = self.permit().await else {
            return Err(Error::new(
                Kind::Busy,
                format!("every connection to site {} is in use", self.site.name),
            )
            .hint("raise [serve] connections, or find out which transactions take so long"));
        };
        let idle = {
            let mut idle = self.idle.borrow_mut();
            // The last one given back is the warmest.
            let fits = idle.iter().rposition(|server| server.applied == *wanted);
            fits.map(|at| idle.remove(at)).or_else(|| idle.pop())
        };
        let used = Counted::one(&self.counts.used);
        if idle.is_some() {
            self.counts.idle.dec();
        }
        let server = match idle.filter(Server::is_quiet) {
            Some(server) => server,
            None => {
                let opened = self.site.open(&self.account).await;
                let mut server = opened.inspect_err(|_| {
                    self.counts.failed.inc();
                })?;
                self.counts.opened.inc();
                *self.statuses.borrow_mut() = std::mem::take(&mut server.statuses);
                server
            }
        };
        Ok(Lease { server, pool: self.clone(), _permit: permit, _used: used })
    }

    /// A place for one more connection; `None` where none comes free in time.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        let _waiting = Counted::one(&self.counts.waiting);
        let start = Instant::now();
        let permit = self.permits.clone().acquire_owned();
        let permit = tokio::time::timeout(self.waits_at_most, permit).await;
        self.counts.waited.inc_by(start.elapsed().as_secs_f64());
        permit.ok()?.ok()
    }

    /// What the site tells of its settings, asked for where no connection was opened yet.
    pub(crate) async fn statuses(
        self: &Rc<Self>,
        settings: &Settings,
    ) -> Result<Vec<(String, String)>> {
        if self.statuses.borrow().is_empty() {
            self.take(settings).await?.give_back();
        }
        Ok(self.statuses.borrow().clone())
    }

    /// How to reach the site.
    pub(crate) fn site(&self) -> &Arc<SiteAddress> {
        &self.site
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.idle.borrow().iter().for_each(|_| {
            self.counts.idle.dec();
        });
    }
}

impl Lease {
    /// Keeps the connection for whoever comes next. Whoever calls knows that nothing is under way
    /// on it: every message is answered, and no transaction is open.
    pub(crate) fn give_back(self) {
        let Lease { server, pool, _permit, _used } = self;
        if server.is_quiet() {
            pool.counts.idle.inc();
            pool.idle.borrow_mut().push(server);
        }
    }

    pub(crate) fn site(&self) -> &Arc<SiteAddress> {
        self.pool.site()
    }
}
