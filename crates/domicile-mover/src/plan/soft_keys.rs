//! Declared foreign keys that the user calls soft: they stand until `prepare` drops them.

use super::{Draft, Refusal, TableKind, Wishes};
use domicile_store::{Catalog, ForeignKey, Site, Table, TableName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The command that drops them, as users type it.
const COMMAND: &str = "domicile prepare --drop-crossing-keys";

/// A declared foreign key whose columns are listed as soft, and which still stands somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CrossingKey {
    /// The referring table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub to: String,
    /// What the database calls the key, at the first of the sites.
    pub name: String,
    /// The sites where it stands.
    pub sites: Vec<String>,
    /// The columns referred to.
    #[serde(skip)]
    pub(super) to_columns: Vec<String>,
}

impl CrossingKey {
    /// Why nothing moves before it is dropped.
    pub(super) fn refusal(&self) -> Refusal {
        Refusal {
            what: self.table.clone(),
            why: format!(
                "{} → {} is soft, and its foreign key still stands at {}: to be dropped",
                self.columns.join(", "),
                self.to,
                self.sites.join(", ")
            ),
            hint: format!("{COMMAND} lists and drops it at every site; the value is kept"),
        }
    }

    fn is(&self, table: &str, key: &ForeignKey) -> bool {
        self.table == table && self.columns == key.columns && self.to == key.parent.to_string()
    }
}

/// Takes the keys out of every catalog, so that whatever is planned holds once they are dropped,
/// and a run that ended between two sites is planned like any other.
pub(super) fn take(
    sites: &[Arc<dyn Site>],
    catalogs: &mut [Catalog],
    wishes: &Wishes,
) -> Vec<CrossingKey> {
    let mut found: Vec<CrossingKey> = Vec::new();
    for (site, catalog) in sites.iter().zip(catalogs) {
        for table in &mut catalog.tables {
            let name = table.name.to_string();
            for key in take_soft(table, wishes) {
                let at = site.name().to_string();
                match found.iter_mut().find(|known| known.is(&name, &key)) {
                    Some(known) if known.sites.contains(&at) => {}
                    Some(known) => known.sites.push(at),
                    None => found.push(CrossingKey {
                        table: name.clone(),
                        columns: key.columns,
                        to: key.parent.to_string(),
                        name: key.name,
                        sites: vec![at],
                        to_columns: key.parent_columns,
                    }),
                }
            }
        }
    }
    found
}

/// The same of one catalog, where nobody asks which keys they were.
pub(super) fn without(catalog: &Catalog, wishes: &Wishes) -> Catalog {
    let mut catalog = catalog.clone();
    for table in &mut catalog.tables {
        take_soft(table, wishes);
    }
    catalog
}

fn take_soft(table: &mut Table, wishes: &Wishes) -> Vec<ForeignKey> {
    let Some(rule) = wishes.rule(&table.name).filter(|rule| !rule.soft.is_empty()) else {
        return Vec::new();
    };
    let keys = std::mem::take(&mut table.foreign_keys);
    let (soft, kept) = keys.into_iter().partition(|key| rule.soft.contains(&key.columns));
    table.foreign_keys = kept;
    soft
}

/// Says which of them need not go.
pub(super) fn note_needless(
    keys: &[CrossingKey],
    kinds: &BTreeMap<TableName, TableKind>,
    draft: &mut Draft,
) {
    for key in keys {
        let mut parents = kinds.iter().filter(|(name, _)| name.is_called(&key.to));
        if parents.any(|(_, kind)| *kind == TableKind::Reference) {
            draft.warnings.push(format!(
                "{}.{} need not be soft: {} is a reference table, whose rows stand at every site",
                key.table,
                key.columns.join(", "),
                key.to
            ));
        }
    }
}
