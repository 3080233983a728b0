//! What the router knows of the application's tables.

mod of_catalog;

use crate::homes::SiteAt;
use crate::key::KeyType;
use std::collections::HashMap;

/// A table's place in [`Schema::tables`].
pub type Place = usize;

/// What a table is to the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The table with one row per person.
    Root,
    /// Its rows belong to people.
    Owned(Edge),
    /// Its rows belong to nobody and stand wherever somebody who refers to them lives.
    Shared(Vec<Referrer>),
    /// The same rows at every site.
    Reference,
    /// Stays at one site; no personal data.
    Internal,
}

/// How a row finds its owner one level up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The table above.
    pub parent: Place,
    /// The child's columns.
    pub columns: Vec<String>,
    /// The columns above that they equal.
    pub parent_columns: Vec<String>,
}

/// How rows of a table that belongs to people refer to rows of a shared one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The referring table.
    pub table: Place,
    /// Its columns.
    pub columns: Vec<String>,
    /// The shared table's columns that they equal.
    pub shared_columns: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Every column, generated ones included, in the table's order.
    pub columns: Vec<String>,
    /// Each column's type as PostgreSQL prints it.
    pub types: Vec<String>,
    /// The columns of its primary key, then those of other unique keys.
    pub keys: Vec<Vec<String>>,
    /// Where statements run that do not say whose rows they mean; `None` where they run nowhere.
    pub undecided: Option<SiteAt>,
}

impl Table {
    /// How values of a column are told apart.
    pub fn key_type(&self, column: &str) -> KeyType {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| self.types.get(at)).map_or(KeyType::Other, |name| KeyType::of(name))
    }

    /// The primary key's columns.
    pub fn primary_key(&self) -> &[String] {
        self.keys.first().map_or(&[], Vec::as_slice)
    }
}

/// Every table of the application, by name.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    tables: Vec<Table>,
    by_name: HashMap<(String, String), Place>,
    /// Functions of the application's own that read and write nothing, as `schema.name`.
    functions: Vec<String>,
}

impl Schema {
    /// Puts tables together; edges name their places in this list. Partitions, listed with their
    /// schema and name, stand for the table that they are part of.
    pub fn new(
        tables: Vec<Table>,
        partitions: impl IntoIterator<Item = (String, String, Place)>,
        functions: Vec<String>,
    ) -> Schema {
        let names = tables.iter().enumerate();
        let names = names.map(|(at, table)| ((table.schema.clone(), table.name.clone()), at));
        let partitions =
            partitions.into_iter().map(|(schema, name, table)| ((schema, name), table));
        let by_name = names.chain(partitions).collect();
        Schema { tables, by_name, functions }
    }

    /// The table at a place.
    pub fn table(&self, place: Place) -> &Table {
        &self.tables[place]
    }

    /// Every table.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The root table's place.
    pub fn root(&self) -> Place {
        self.tables.iter().position(|table| table.kind == Kind::Root).unwrap_or_default()
    }

    /// The table that a statement means by a name, seen along a search path where it names no
    /// schema.
    pub fn find(&self, schema: &str, name: &str, search_path: &[String]) -> Option<Place> {
        let named = |schema: &str| self.by_name.get(&(schema.to_owned(), name.to_owned())).copied();
        if !schema.is_empty() {
            return named(schema);
        }
        search_path.iter().find_map(|schema| named(schema))
    }

    /// Has statements that do not say whose rows of a table they mean run at a site. The table is
    /// named with its schema where that is not `public`; says whether there is such a table whose
    /// rows belong to people.
    pub fn runs_undecided(&mut self, name: &str, site: SiteAt) -> bool {
        let (schema, name) = name.split_once('.').unwrap_or(("public", name));
        let Some(place) = self.find(schema, name, &[]) else { return false };
        let table = &mut self.tables[place];
        let is_of_people = matches!(table.kind, Kind::Root | Kind::Owned(_) | Kind::Shared(_));
        if is_of_people {
            table.undecided = Some(site);
        }
        is_of_people
    }

    /// Whether a function of the application's own was declared to read and write nothing.
    pub fn allows_function(&self, schema: &str, name: &str) -> bool {
        let full = format!("{schema}.{name}");
        self.functions.contains(&full)
    }

    /// The columns by which a row's own values name its owner, in the order of the root's key;
    /// `None` where the owner is found only through another row.
    pub fn owner_columns(&self, place: Place) -> Option<Vec<String>> {
        let table = self.table(place);
        match &table.kind {
            Kind::Root => Some(table.primary_key().to_vec()),
            Kind::Owned(edge) if self.table(edge.parent).kind == Kind::Root => {
                let key = self.table(edge.parent).primary_key();
                let column = |part: &String| {
                    let at = edge.parent_columns.iter().position(|column| column == part)?;
                    edge.columns.get(at).cloned()
                };
                let columns: Option<Vec<String>> = key.iter().map(column).collect();
                columns.filter(|columns| columns.len() == edge.columns.len())
            }
            _ => None,
        }
    }
}
