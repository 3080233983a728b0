//! What the tables are that belong to nobody.

use super::owners::{Owned, guesses, is_believed, is_polymorphic};
use super::{Look, TableProposal, names, owners, subjects};
use crate::plan::{TableKind, is_only_pointed_at};
use domicile_model::Category;
use domicile_model::category::column::Context;
use domicile_model::category::words::{singular_name, words};
use domicile_store::TableName;
use domicile_store::catalog::Table;
use std::collections::BTreeMap;

/// What makes a table personal wherever it stands; a bare name or city does not.
const STRONG: &[&str] = &[
    "user.contact.email",
    "user.contact.phone_number",
    "user.contact.address.street",
    "user.name.first",
    "user.name.last",
    "user.authorization.password",
    "user.demographic.date_of_birth",
    "user.government_id",
    "user.financial.bank_account",
    "user.financial.credit_card",
    "user.device.ip_address",
    "user.device.device_id",
    "user.health_and_medical",
    "user.biometric",
];

/// What was decided of one table.
#[derive(Clone, Debug)]
struct Decided {
    kind: Option<TableKind>,
    is_written: bool,
    /// Whether a plan refuses until somebody answers.
    open: bool,
    reason: String,
    question: Option<String>,
}

/// What every table is.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds(BTreeMap<TableName, Decided>);

impl Kinds {
    /// A table's kind.
    pub(super) fn of(&self, table: &TableName) -> Option<TableKind> {
        self.0.get(table)?.kind
    }

    /// Whether somebody must decide it before a plan is accepted.
    pub(super) fn is_open(&self, table: &TableName) -> bool {
        self.0.get(table).is_some_and(|decided| decided.open)
    }

    /// What is to be asked of a table, and whether a plan refuses until then.
    pub(super) fn question(&self, table: &TableName) -> Option<(&str, bool)> {
        let decided = self.0.get(table)?;
        Some((decided.question.as_deref()?, decided.open))
    }

    /// The beginning of a table's proposal.
    pub(super) fn proposal(&self, table: &Table) -> TableProposal {
        let decided = self.0.get(&table.name);
        TableProposal {
            table: table.name.to_string(),
            kind: decided.and_then(|decided| decided.kind),
            kind_is_written: decided.is_some_and(|decided| decided.is_written),
            reasons: decided
                .map(|decided| decided.reason.clone())
                .filter(|reason| !reason.is_empty())
                .into_iter()
                .collect(),
            owner: Vec::new(),
            soft: Vec::new(),
            unique_per_site: Vec::new(),
            categories: Vec::new(),
            rows: table.rows,
        }
    }

    fn set(&mut self, table: &TableName, kind: TableKind, reason: impl Into<String>) {
        let decided = Decided {
            kind: Some(kind),
            is_written: kind != TableKind::Owned,
            open: false,
            reason: reason.into(),
            question: None,
        };
        self.0.insert(table.clone(), decided);
    }

    fn ask(&mut self, table: &TableName, question: impl Into<String>) {
        if let Some(decided) = self.0.get_mut(table) {
            decided.question = Some(question.into());
        }
    }

    /// Leaves a table to the user: a plan refuses until they answer.
    fn leave_open(&mut self, table: &TableName, kind: Option<TableKind>, why: &str, what: &str) {
        let decided = Decided {
            kind,
            is_written: kind.is_some(),
            open: true,
            reason: why.to_owned(),
            question: Some(format!("{why}. {what}")),
        };
        self.0.insert(table.clone(), decided);
    }
}

/// Decides every table.
pub(super) fn decide(look: &Look, root: &Table, owned: &[Owned]) -> Kinds {
    let mut kinds = Kinds::default();
    for found in owned {
        kinds.set(&found.name, TableKind::Owned, "");
    }
    if let Some(decided) = kinds.0.get_mut(&root.name) {
        decided.reason = "one row per person".to_owned();
    }
    for table in subjects::standing(&look.catalog) {
        if !kinds.0.contains_key(&table.name) {
            decide_one(look, root, owned, table, &mut kinds);
        }
    }
    spread(look, &mut kinds);
    kinds
}

fn decide_one(look: &Look, root: &Table, owned: &[Owned], table: &Table, kinds: &mut Kinds) {
    let name = &table.name;
    let is_personal = is_personal(look, table);
    if decide_by_name(look, root, owned, table, is_personal, kinds) {
        return;
    }
    if is_only_pointed_at(&look.catalog, table) && !is_personal {
        kinds.set(name, TableKind::Reference, "only pointed at: a list of values");
        if let Some(decided) = kinds.0.get_mut(name) {
            decided.is_written = false;
        }
        let said = subjects::personal(look, table, Context::Owned);
        if let Some((column, category)) =
            said.first().filter(|_| is_pointed_at_by(look, owned, table))
        {
            kinds.ask(
                name,
                format!(
                    "are its rows values that everybody shares? Then each site gets all of them; \
                     {column} looks like {category}, which would be somebody's own"
                ),
            );
        }
    } else if let Some((why, what)) = undecidable(look, root, owned, table, is_personal) {
        kinds.leave_open(name, None, &why, &what);
    } else if !table.foreign_keys.is_empty() {
        kinds.set(
            name,
            TableKind::Reference,
            "says how lists of values belong together; nothing in it is anybody's",
        );
    } else if let Some(other) = called_after(look, table) {
        kinds.set(name, TableKind::Reference, format!("{other} is called after it"));
        kinds.ask(name, "are its rows the same at every site? Else it is internal, or owned");
    } else {
        kinds.set(name, TableKind::Internal, "nothing leads from it to a person, nor to it");
        kinds.ask(
            name,
            "does it hold nothing of anybody, and may each site have its own rows? If the rows are \
             the same everywhere it is reference",
        );
    }
}

/// Decides a table whose name or values say what its rows are; whether it did.
fn decide_by_name(
    look: &Look,
    root: &Table,
    owned: &[Owned],
    table: &Table,
    is_personal: bool,
    kinds: &mut Kinds,
) -> bool {
    let name = &table.name;
    if names::is_bookkeeping(&name.name) {
        kinds.set(name, TableKind::Internal, "a framework or migration tool keeps it for itself");
    } else if names::is_staff(&name.name) && is_personal {
        let why = format!("people who work there and are none of {}; they stay", root.name);
        kinds.set(name, TableKind::Internal, why);
        kinds.ask(
            name,
            "is it staff, who stay where they are? It holds personal data, and internal tables are \
             not moved",
        );
    } else if is_shared_address(look, owned, table) {
        kinds.set(
            name,
            TableKind::Shared,
            "addresses that people's rows point at: a row goes along with whoever points at it",
        );
        kinds.ask(
            name,
            "may two people point at one row? Then each of their homes gets a copy, and the copies \
             are changed apart from each other",
        );
    } else if is_personal && is_pointed_at_by(look, owned, table) {
        kinds.leave_open(
            name,
            Some(TableKind::Internal),
            "it holds personal data, and people's rows point at it, not the other way round",
            &format!(
                "If a row is only about those who point at it, it can go along with them: kind = \
                 \"shared\". If it is a person of its own, give it a column with a foreign key to \
                 {}, or accept that it stays (soft for the columns that point at it)",
                root.name
            ),
        );
    } else {
        return false;
    }
    true
}

/// Whether one of its columns says something of a person by itself.
pub(super) fn is_personal(look: &Look, table: &Table) -> bool {
    let is_strong = |category: Category| {
        STRONG.iter().any(|key| key.parse().is_ok_and(|strong| category.is_within(strong)))
    };
    subjects::personal(look, table, Context::Owned).into_iter().any(|(_, found)| is_strong(found))
}

/// Whether its rows are places where people live, and nothing but people's rows points at them.
fn is_shared_address(look: &Look, owned: &[Owned], table: &Table) -> bool {
    let street = "user.contact.address.street".parse::<Category>();
    let has_street = subjects::personal(look, table, Context::Owned)
        .into_iter()
        .any(|(_, found)| street.as_ref().is_ok_and(|street| found.is_within(*street)));
    let refers = |from: &Table| from.foreign_keys.iter().any(|key| key.parent == table.name);
    let is_owned = |from: &Table| owned.iter().any(|found| found.name == from.name);
    has_street
        && is_pointed_at_by(look, owned, table)
        && look.catalog.tables.iter().all(|from| is_owned(from) || !refers(from))
        && table.foreign_keys.iter().all(|key| {
            look.catalog.table(&key.parent).is_some_and(|parent| {
                is_only_pointed_at(&look.catalog, parent) && !is_personal(look, parent)
            })
        })
}

fn is_pointed_at_by(look: &Look, owned: &[Owned], table: &Table) -> bool {
    owned.iter().filter_map(|found| look.catalog.table(&found.name)).any(|owned| {
        owned.foreign_keys.iter().any(|key| key.parent == table.name && owned.name != table.name)
    })
}

/// Why nobody but the user can say what the table is, and what they can do.
fn undecidable(
    look: &Look,
    root: &Table,
    owned: &[Owned],
    table: &Table,
    is_personal: bool,
) -> Option<(String, String)> {
    let doubted = guesses(look, root, table).into_iter().find(|way| !is_believed(way));
    if let Some(way) = doubted {
        let what = format!(
            "If they do name people, correct the rows and set owner = \"{}\"; else declare it \
             internal or reference",
            way.columns.join(", ")
        );
        return Some((format!("only {}", owners::why(&way)), what));
    }
    let polymorphic = table.columns.iter().find(|column| is_polymorphic(table, column));
    if let Some(column) = polymorphic {
        return Some((
            format!(
                "{} names a row of any table, whichever the column beside it says",
                column.name
            ),
            format!(
                "Rows of people need a column that names the person: add one with a foreign key to \
                 {}, or declare the table internal if nothing in it is anybody's",
                root.name
            ),
        ));
    }
    let parent = owned.iter().skip(1).find(|found| {
        let one = singular_name(&found.name.name);
        let is_called = |name: &str| words(name).join("_") == format!("{one}_id");
        let in_key =
            |name: &String| table.foreign_keys.iter().any(|key| key.columns.contains(name));
        table.columns.iter().any(|column| is_called(&column.name) && !in_key(&column.name))
    });
    if let Some(parent) = parent {
        return Some((
            format!("its rows seem to hang from {}, but no foreign key says so", parent.name),
            "Add the foreign key, so that they move with it, or declare it internal".to_owned(),
        ));
    }
    is_personal.then(|| {
        (
            "it holds personal data, and nothing leads from it to a person".to_owned(),
            "Name the column that holds the person's key as owner, or declare it internal if these \
             are not people of yours"
                .to_owned(),
        )
    })
}

/// A column of another table that is called after this one.
fn called_after(look: &Look, table: &Table) -> Option<String> {
    let called = format!("{}_id", singular_name(&table.name.name));
    subjects::standing(&look.catalog).filter(|other| other.name != table.name).find_map(|other| {
        let column = other.columns.iter().find(|c| words(&c.name).join("_") == called)?;
        Some(format!("{}.{}", other.name, column.name))
    })
}

/// A reference table cannot refer to rows that are not at every site: it stays with them.
fn spread(look: &Look, kinds: &mut Kinds) {
    loop {
        let stuck = subjects::standing(&look.catalog).find_map(|table| {
            if kinds.of(&table.name) != Some(TableKind::Reference) {
                return None;
            }
            let to = table.foreign_keys.iter().map(|key| &key.parent).find(|parent| {
                **parent != table.name && kinds.of(parent) != Some(TableKind::Reference)
            })?;
            Some((&table.name, to.clone()))
        });
        let Some((name, to)) = stuck else { return };
        kinds.set(name, TableKind::Internal, format!("refers to {to}, which is not at every site"));
        kinds.ask(name, format!("may it stay at this site, as {to} does not go everywhere?"));
    }
}
