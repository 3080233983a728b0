//! Two sites with people who have lists: what is the same at either engine.

#[path = "../two_homes/mod.rs"]
mod two_homes;

use super::writer::Part;
use super::{Journal, PEOPLE};
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{TableRule, Wishes};
use domicile_store::faulty::Faults;
use domicile_store::{Closure, Site};
use futures_util::future::BoxFuture;
use jiff::civil::date;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;
pub(crate) use two_homes::{SITES, homes};

const SCHEMA: &str = "
create table users (id bigint primary key, country text, list text not null default '');
create table appends (id text primary key, user_id bigint not null references users (id),
    seq bigint not null, value bigint not null);
create index appends_user on appends (user_id);
";

/// Into the law of the other site.
pub const HOUSE: &str =
    "update users set country = case country when 'US' then 'FR' else 'US' end where id = ";
pub const LIST: &str = "select list from users where id = ";
pub const ROWS: &str = "select cast(value as text) from appends where user_id = ";

/// What a client was told of a transaction.
pub enum Told {
    /// Committed; what it read.
    Done(Vec<Vec<u64>>),
    TryAgain,
    /// This person lives elsewhere.
    NotHere(u64),
    /// The connection went while the answer was on its way.
    Lost,
}

/// The databases of a round.
pub trait Database: Send + Sync {
    fn sites<'a>(&'a self, faults: &'a Faults) -> BoxFuture<'a, Vec<Arc<dyn Site>>>;
    fn client(&self, process: u64) -> BoxFuture<'_, Box<dyn Writer>>;
    /// Somebody moves house, at the site that lets them.
    fn change_house(&self, person: u64) -> BoxFuture<'_, ()>;
    /// A person's list and rows, from all sites.
    fn lists(&self, person: u64) -> BoxFuture<'_, (Vec<u64>, Vec<u64>)>;
    /// What breaks beside the mover during a run, and is mended again; says what broke.
    fn breakage(&self, draw: &mut StdRng) -> Option<BoxFuture<'_, Option<String>>>;
}

impl dyn Database + '_ {
    pub async fn platform(&self, closure: &Arc<Closure>, faults: &Faults) -> Platform {
        Platform {
            sites: self.sites(faults).await,
            closure: closure.clone(),
            homes: homes(),
            residence: ResidenceColumns::Code("country".to_owned()),
            reference_site: 0,
            on: date(2026, 11, 21),
            directives: Directives::default(),
        }
    }
}

/// One client's connections.
pub trait Writer: Send {
    fn write<'a>(
        &'a mut self,
        at: usize,
        parts: &'a [Part],
        journal: &'a Journal,
        is_lost: bool,
    ) -> BoxFuture<'a, Told>;
}

pub fn wishes() -> Wishes {
    Wishes {
        subjects: "users".to_owned(),
        residence: ResidenceColumns::Code("country".to_owned()),
        tables: BTreeMap::from([("appends".to_owned(), TableRule::default())]),
        reference_site: None,
    }
}

pub fn start() -> String {
    let people: Vec<String> = (1..=PEOPLE).map(|id| format!("({id}, 'US', '')")).collect();
    format!("{SCHEMA} insert into users values {}", people.join(", "))
}

pub fn append(part: &Part) -> String {
    let Part { person, value, .. } = part;
    format!("update users set list = list || ' {value}' where id = {person} returning list")
}

pub fn add(part: &Part, seq: u64) -> String {
    let Part { person, value, .. } = part;
    format!("insert into appends values ('{value}', {person}, {seq}, {value})")
}

pub fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(|value| value.parse().unwrap()).collect()
}
