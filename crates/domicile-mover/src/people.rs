//! Everybody at every site, with the home each must have.

use crate::error::{Error, Result};
use crate::plan::crossing::is_only_left;
use domicile_model::residence::{Residence, from_code, from_text};
use domicile_model::{Homes, Placement, SiteName, Subject};
use domicile_store::{Closure, Directive, Person, Site};
use futures_util::StreamExt as _;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How residence is read from the root table's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResidenceColumns {
    /// One column of ISO codes.
    Code(String),
    /// Columns of text, from the narrowest to the widest: city, state, country.
    Text(Vec<String>),
}

impl ResidenceColumns {
    /// The columns' names.
    pub fn names(&self) -> Vec<String> {
        match self {
            ResidenceColumns::Code(column) => vec![column.clone()],
            ResidenceColumns::Text(columns) => columns.clone(),
        }
    }

    /// A person's residence on a date.
    pub fn residence(&self, person: &Person, on: Date) -> Residence {
        match self {
            ResidenceColumns::Code(_) => {
                from_code(person.residence.first().and_then(|c| c.as_deref()), on)
            }
            ResidenceColumns::Text(_) => {
                from_text(person.residence.iter().map(Option::as_deref), on)
            }
        }
    }
}

/// The platform: its sites, what belongs to a person, and where people must live.
#[derive(Clone)]
pub struct Platform {
    /// The sites, in the order the user wrote them.
    pub sites: Vec<Arc<dyn Site>>,
    /// What belongs to a person.
    pub closure: Arc<Closure>,
    /// Where people must live.
    pub homes: Homes,
    /// How residence is read.
    pub residence: ResidenceColumns,
    /// The place of the site where reference tables are written.
    pub reference_site: usize,
    /// The date whose law applies.
    pub on: Date,
    /// What is directed about single people, as last read.
    pub directives: Directives,
}

/// What is directed about single people at any site, shared by those who look at it.
#[derive(Clone, Debug, Default)]
pub struct Directives(Arc<RwLock<BTreeMap<Subject, Directive>>>);

impl Directives {
    /// What is directed about a person.
    pub fn about(&self, subject: &Subject) -> Option<Directive> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(subject).cloned()
    }

    /// Whether a person must neither move nor be erased.
    pub fn is_on_hold(&self, subject: &Subject) -> bool {
        let directives = self.0.read().unwrap_or_else(PoisonError::into_inner);
        directives.get(subject).is_some_and(|directive| directive.hold.is_some())
    }

    fn home(&self, subject: &Subject) -> Option<SiteName> {
        let directives = self.0.read().unwrap_or_else(PoisonError::into_inner);
        directives.get(subject).and_then(|directive| directive.home.clone())
    }
}

impl Platform {
    /// The place of a site in the list.
    pub fn place_of(&self, name: &SiteName) -> Option<usize> {
        self.sites.iter().position(|site| site.name() == name)
    }

    /// The place of a person's home, with their residence; `None` where no rule gives one.
    pub fn home_of(&self, person: &Person) -> (Residence, Option<usize>) {
        let residence = self.residence.residence(person, self.on);
        // Where residence has changed since, a directive that no rule allows any more is void.
        let directed = self.directives.home(&person.subject);
        let directed = directed.filter(|site| self.homes.allows(&residence, site));
        let home = match self.homes.place(&person.subject, &residence) {
            Placement::At(name) => self.place_of(directed.as_ref().unwrap_or(&name)),
            Placement::Nowhere => None,
        };
        (residence, home)
    }

    /// Reads anew what every site has been told about single people. What any site was told
    /// holds; for homes the first site's word.
    pub async fn read_directives(&self) -> Result<()> {
        let mut all: BTreeMap<Subject, Directive> = BTreeMap::new();
        for site in &self.sites {
            for told in site.directives().await? {
                let known = all.entry(told.subject.clone()).or_insert_with(|| Directive {
                    subject: told.subject.clone(),
                    hold: None,
                    home: None,
                });
                known.hold = known.hold.take().or(told.hold);
                known.home = known.home.take().or(told.home);
            }
        }
        *self.directives.0.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// Whether people can come to a site. Nobody comes to one on SQLite among sites on PostgreSQL.
    pub fn takes_people(&self, site: usize) -> bool {
        !is_only_left(self.sites[site].as_ref())
    }

    /// Calls `visit` for everybody whose root row stands at a site.
    pub async fn visit(&self, site: usize, mut visit: impl FnMut(Person)) -> Result<()> {
        let mut people = self.sites[site].people(&self.closure).await?;
        while let Some(person) = people.next().await {
            visit(person?);
        }
        Ok(())
    }

    /// A site's error for a name that is not configured.
    pub(crate) fn configured(&self, name: &SiteName) -> Result<usize> {
        self.place_of(name).ok_or_else(|| {
            Error::refused(
                format!("people are under way to or from site {name}, which is not configured"),
                format!("put [sites.{name}] back until migrate has finished their moves"),
            )
        })
    }
}
