//! Everybody at every site, with the home each must have.

use crate::error::{Error, Result};
use domicile_model::residence::{Residence, from_code, from_text};
use domicile_model::{Homes, Placement, SiteName};
use domicile_store::{Closure, Person, Site};
use futures_util::StreamExt as _;
use jiff::civil::Date;
use std::sync::Arc;

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
}

impl Platform {
    /// The place of a site in the list.
    pub fn place_of(&self, name: &SiteName) -> Option<usize> {
        self.sites.iter().position(|site| site.name() == name)
    }

    /// The place of a person's home, with their residence; `None` where no rule gives one.
    pub fn home_of(&self, person: &Person) -> (Residence, Option<usize>) {
        let residence = self.residence.residence(person, self.on);
        let home = match self.homes.place(&person.subject, &residence) {
            Placement::At(name) => self.place_of(&name),
            Placement::Nowhere => None,
        };
        (residence, home)
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
