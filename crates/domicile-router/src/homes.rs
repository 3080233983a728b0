//! Where people are at home, as far as it is known here, and who can say more.
//!
//! One map for all threads: what one session has learnt of a move, every other knows from then on,
//! so that nobody reads at the old home what somebody has already changed at the new one.

use crate::error::Result;
use crate::metrics::Metrics;
use crate::schema::Place;
use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::Cache;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A site's place in the configuration.
pub type SiteAt = usize;

/// Where a person is at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The site.
    pub site: SiteAt,
    /// Whether they are about to leave it, or have been decided to live there and are not settled
    /// yet.
    pub is_under_way: bool,
}

/// Asks the sites themselves.
#[async_trait]
pub trait Sites: Send + Sync {
    /// Where a person is at home; `None` where no site knows them.
    async fn home(&self, subject: &str) -> Result<Option<Home>>;

    /// Who owns rows of a table with these values, at any site; each once. The values are texts
    /// that the columns' types read.
    async fn owners(
        &self,
        table: Place,
        columns: &[String],
        values: &[String],
    ) -> Result<Vec<String>>;

    /// Where a new person of this row is to live: columns of the root table with their texts, as
    /// far as they are known.
    fn place(&self, row: &[(String, Option<String>)]) -> SiteAt;

    /// Makes somebody who was decided to live at a site a resident there.
    async fn settle(&self, subject: &str, site: SiteAt) -> Result<()>;
}

/// The homes that are known.
pub struct Homes {
    known: Cache<String, Home>,
    sites: Box<dyn Sites>,
    /// How many sites' news are not heard: while there are any, what is known may be old.
    unheard: AtomicUsize,
    /// How often everything was forgotten.
    forgotten: AtomicU64,
    lookups: Counter,
}

impl Homes {
    /// Keeps at most so many people in mind. The news of so many sites are not heard yet.
    pub fn new(
        people_max: usize,
        sites: Box<dyn Sites>,
        unheard: usize,
        metrics: &Metrics,
    ) -> Homes {
        Homes {
            known: Cache::new(people_max),
            sites,
            unheard: AtomicUsize::new(unheard),
            forgotten: AtomicU64::new(0),
            lookups: metrics.lookups.clone(),
        }
    }

    /// One more site's news are not heard from now on: nobody's home is taken as known.
    pub fn loses_a_site(&self) {
        self.unheard.fetch_add(1, Ordering::SeqCst);
    }

    /// One more site's news are heard from now on. What was known before is not.
    pub fn hears_a_site(&self) {
        self.forget_all();
        self.unheard.fetch_sub(1, Ordering::SeqCst);
    }

    fn is_sure(&self) -> bool {
        self.unheard() == 0
    }

    /// How many sites' news are not heard.
    pub fn unheard(&self) -> usize {
        self.unheard.load(Ordering::SeqCst)
    }

    /// How many people's homes are kept in mind.
    pub fn known_count(&self) -> usize {
        self.known.len()
    }

    async fn ask(&self, subject: &str) -> Result<Option<Home>> {
        self.lookups.inc();
        self.sites.home(subject).await
    }

    /// Who can be asked.
    pub fn sites(&self) -> &dyn Sites {
        &*self.sites
    }

    /// A person's home, where it is known.
    pub fn known(&self, subject: &str) -> Option<Home> {
        if self.is_sure() { self.known.get(subject) } else { None }
    }

    /// A person's home, asked for where it is not known.
    pub async fn find(&self, subject: &str) -> Result<Option<Home>> {
        if !self.is_sure() {
            return self.ask(subject).await;
        }
        loop {
            match self.known.get_value_or_guard_async(subject).await {
                Ok(home) => return Ok(Some(home)),
                Err(guard) => {
                    let forgotten = self.forgotten.load(Ordering::SeqCst);
                    let Some(home) = self.ask(subject).await? else { return Ok(None) };
                    // Refused where somebody has told better while the sites answered.
                    let is_kept = guard.insert(home).is_ok();
                    if is_kept && self.forgotten.load(Ordering::SeqCst) == forgotten {
                        return Ok(Some(home));
                    }
                    self.forget(subject);
                }
            }
        }
    }

    /// Takes in what a site tells of somebody, if it matters here; who is being asked about is asked
    /// about again.
    pub fn hear(&self, subject: &str, home: Home) {
        match self.known.get(subject) {
            Some(_) => self.known.insert(subject.to_owned(), home),
            None => self.forget(subject),
        }
    }

    /// Forgets a person, so that the sites are asked anew.
    pub fn forget(&self, subject: &str) {
        self.known.remove(subject);
    }

    /// Forgets everybody.
    pub fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.clear();
    }
}
