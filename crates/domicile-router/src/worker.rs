//! What the sessions of one thread share: connections to sites, and statements that were read.

use crate::classify::{Statement, Unreadable, classify};
use crate::homes::{Homes, SiteAt};
use crate::metrics::{AtSite, Metrics};
use crate::pool::Pool;
use crate::prepared::Prepared;
use crate::schema::Schema;
use crate::scram::Verifier;
use crate::server::{Account, SiteAddress};
use crate::shape::{Shape, Template};
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A user of the application's, as clients come and as the router goes to sites.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// How a client shows that it may come as this user.
    pub proof: Proof,
    /// As whom connections to sites are opened.
    pub account: Account,
}

/// How a client shows that it may come as a user.
#[derive(Clone)]
pub enum Proof {
    /// By a password, which is checked with this.
    Password(Verifier),
    /// By a certificate for the user's name.
    Certificate,
}

/// Everything that every thread knows.
pub struct Shared {
    /// The application's tables.
    pub schema: Schema,
    /// The sites, in the order of their places.
    pub sites: Vec<Arc<SiteAddress>>,
    /// The site that is nearest: where rows that are everywhere are read.
    pub nearest: SiteAt,
    /// The site where rows that are the same everywhere are written.
    pub reference: SiteAt,
    /// Who may come.
    pub users: Vec<User>,
    /// The database's name towards clients.
    pub database: String,
    /// Where people are at home.
    pub homes: Arc<Homes>,
    /// The schemas in which a session looks for tables at first.
    pub search_path: Vec<String>,
    /// Connections to each site for each user and thread.
    pub connections: usize,
    /// How long a statement waits for a connection.
    pub waits_for_connection: Duration,
    /// How long a statement waits for somebody who is just moving.
    pub waits_for_move: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// So many texts are kept with what they were read as, and so many bytes of them.
const TEXTS_MAX: usize = 4096;
const TEXT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the sessions of one thread share.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pools: RefCell<HashMap<(SiteAt, usize), Rc<Pool>>>,
    read: RefCell<Cache<Text, Rc<Prepared>, Length>>,
    templates: RefCell<Cache<Text, Rc<Template>, Length>>,
    last_number: Cell<u64>,
    at_sites: Vec<AtSite>,
}

/// What decides how a text is read.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Text {
    text: String,
    types: Vec<u8>,
    search_path: Vec<String>,
}

#[derive(Clone)]
struct Length;

/// The same, lent: it is looked for far more often than kept.
#[derive(Hash)]
struct Wanted<'a> {
    text: &'a str,
    types: &'a [u8],
    search_path: &'a [String],
}

impl Wanted<'_> {
    fn to_owned(&self) -> Text {
        Text {
            text: self.text.to_owned(),
            types: self.types.to_vec(),
            search_path: self.search_path.to_vec(),
        }
    }
}

impl Equivalent<Text> for Wanted<'_> {
    fn equivalent(&self, key: &Text) -> bool {
        self.text == key.text && self.types == key.types && self.search_path == key.search_path
    }
}

impl<Value> Weighter<Text, Rc<Value>> for Length {
    fn weight(&self, text: &Text, _: &Rc<Value>) -> u64 {
        // What is made of a text is about as long, and no text is shorter than this.
        u64::try_from(text.text.len()).unwrap_or(u64::MAX).max(TEXT_BYTES_MAX / TEXTS_MAX as u64)
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>) -> Rc<Worker> {
        let at_sites = shared.sites.iter().map(|site| shared.metrics.at(&site.name)).collect();
        Rc::new(Worker {
            shared,
            at_sites,
            pools: RefCell::default(),
            read: RefCell::new(Cache::with_weighter(TEXTS_MAX, TEXT_BYTES_MAX, Length)),
            templates: RefCell::new(Cache::with_weighter(TEXTS_MAX, TEXT_BYTES_MAX, Length)),
            last_number: Cell::new(0),
        })
    }

    /// The connections to a site as a user.
    pub(crate) fn pool(&self, site: SiteAt, user: usize) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let shared = &self.shared;
        let pool = pools.entry((site, user)).or_insert_with(|| {
            Pool::new(
                shared.sites[site].clone(),
                shared.users[user].account.clone(),
                shared.connections,
                shared.waits_for_connection,
                self.at_sites[site].clone(),
            )
        });
        pool.clone()
    }

    /// What is counted of a site.
    pub(crate) fn at_site(&self, site: SiteAt) -> &AtSite {
        &self.at_sites[site]
    }

    /// A text as it is read, and by what name it is prepared. A text that `recurs` is kept, since
    /// whoever prepares it again means the same statement.
    pub(crate) fn read(
        &self,
        text: &str,
        types: &[u8],
        search_path: &[String],
        recurs: bool,
    ) -> Rc<Prepared> {
        let wanted = Wanted { text, types, search_path };
        if let Some(prepared) = self.read.borrow_mut().get(&wanted) {
            return prepared.clone();
        }
        let shape = Shape::of(text);
        let known = shape.as_ref().and_then(|shape| self.fill(shape, search_path));
        let is_filled = known.is_some();
        let read = match known {
            Some(statement) => Ok(vec![statement]),
            None => self.classify(text, search_path, shape.as_ref()),
        };
        self.last_number.set(self.last_number.get() + 1);
        let prepared = Rc::new(Prepared::new(self.last_number.get(), text, types, read));
        if recurs || !is_filled {
            self.read.borrow_mut().insert(wanted.to_owned(), prepared.clone());
        }
        prepared
    }

    /// What a text is by others of its shape.
    fn fill(&self, shape: &Shape, search_path: &[String]) -> Option<Statement> {
        let wanted = Wanted { text: &shape.marked, types: &[], search_path };
        self.templates.borrow_mut().get(&wanted)?.fill(shape)
    }

    fn classify(
        &self,
        text: &str,
        search_path: &[String],
        shape: Option<&Shape>,
    ) -> Result<Vec<Statement>, Unreadable> {
        let read = classify(&self.shared.schema, search_path, text)?;
        if let Some(shape) = shape
            && let Some(template) = Template::of(shape, &read)
        {
            let wanted = Wanted { text: &shape.marked, types: &[], search_path };
            self.templates.borrow_mut().insert(wanted.to_owned(), Rc::new(template));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_found() {
        let mut cache: Cache<Text, Rc<u8>, Length> =
            Cache::with_weighter(TEXTS_MAX, TEXT_BYTES_MAX, Length);
        let search_path = ["public".to_owned(), "shop".to_owned()];
        let wanted = Wanted { text: "SELECT 1", types: &[0, 0], search_path: &search_path };
        cache.insert(wanted.to_owned(), Rc::new(7));
        assert_eq!(cache.get(&wanted).map(|found| **found), Some(7));
        let other = Wanted { search_path: &search_path[..1], ..wanted };
        assert!(cache.get(&other).is_none());
    }
}
