//! Which table has one row per person.

use super::{Asked, Candidate, Look, names};
use crate::error::{Error, Result};
use domicile_model::category::Category;
use domicile_model::category::column::{ColumnFacts, Context, judge};
use domicile_model::category::words::{singular_name, words};
use domicile_store::catalog::{Shape, Table};
use domicile_store::{Catalog, TableName};
use std::collections::BTreeSet;

/// How many candidates a proposal shows.
const SHOWN: usize = 3;
/// What a category is worth as a sign of a person.
const SIGNS: &[(&str, f64, &str)] = &[
    ("user.authorization.password", 12.0, "a password"),
    ("user.contact.email", 10.0, "an e-mail address"),
    ("user.name", 6.0, "a name"),
    ("user.account.username", 6.0, "a user name"),
    ("user.demographic.date_of_birth", 6.0, "a date of birth"),
    ("user.contact.phone_number", 4.0, "a telephone number"),
    ("user.contact.address", 4.0, "an address"),
];

/// Tables that stand for themselves: a partition's parent stands for it.
pub(super) fn standing(catalog: &Catalog) -> impl Iterator<Item = &Table> {
    catalog.tables.iter().filter(|table| !matches!(table.shape, Shape::PartitionOf { .. }))
}

/// The likeliest tables, the best first, or the one the user named before all others.
pub(super) fn rank(look: &Look, asked: &Asked) -> Result<Vec<Candidate>> {
    let mut ranked: Vec<Candidate> =
        standing(&look.catalog).map(|table| candidate(look, table)).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.table.cmp(&b.table)));
    if let Some(written) = &asked.subjects {
        let at = ranked.iter().position(|candidate| candidate.name.is_called(written));
        let Some(at) = at else {
            let near = ranked.iter().min_by_key(|c| domicile_model::nearness(&c.table, written));
            let hint = near.map_or_else(
                || "the database has no tables; is it the right one?".to_owned(),
                |near| format!("the nearest name is {}", near.table),
            );
            return Err(Error::refused(format!("there is no table {written}"), hint));
        };
        let mut named = ranked.remove(at);
        named.reasons.insert(0, "named on the command line".to_owned());
        ranked.insert(0, named);
    }
    ranked.truncate(SHOWN);
    Ok(ranked)
}

/// The table of the first candidate.
pub(super) fn chosen<'a>(look: &'a Look, candidates: &[Candidate]) -> Result<&'a Table> {
    candidates.first().and_then(|first| look.catalog.table(&first.name)).ok_or_else(|| {
        Error::refused("the database has no tables", "name the database your application uses")
    })
}

fn candidate(look: &Look, table: &Table) -> Candidate {
    let mut score = 0.0;
    let mut reasons = Vec::new();
    let mut count = |points: f64, reason: String| {
        score += points;
        reasons.push(reason);
    };
    let name = &table.name.name;
    if let Some((points, word)) = names::people(name) {
        count(f64::from(points), format!("its name says {word}"));
    } else if names::is_about_people(name) {
        count(-15.0, "its name says something people have or do".to_owned());
    }
    if names::is_staff(name) {
        count(-30.0, "its name says staff".to_owned());
    }
    if names::is_bookkeeping(name) {
        count(-60.0, "a tool keeps it for itself".to_owned());
    }
    let (direct, all) = hanging(&look.catalog, &table.name);
    if all > 0 {
        let points = (3.0 * small(direct) + 1.5 * small(all - direct)).min(40.0);
        let text =
            format!("{} from it, {direct} directly", counted(all, "table hangs", "tables hang"));
        count(points, text);
    }
    let called = called_after(&look.catalog, table);
    if called > 0 {
        let points = (2.0 * small(called)).min(30.0);
        let columns =
            counted(called, "column without a foreign key is", "columns without a foreign key are");
        count(points, format!("{columns} called after it"));
    }
    for (points, reason) in signs(look, table) {
        count(points, reason.to_owned());
    }
    match table.primary_key.len() {
        0 => count(-50.0, "no primary key".to_owned()),
        1 => count(5.0, "one key column".to_owned()),
        _ => count(-20.0, "a key of several columns".to_owned()),
    }
    let hangs_from = table.foreign_keys.iter().find(|key| {
        key.parent != table.name
            && names::people(&key.parent.name).is_some()
            && key.columns.iter().all(|c| table.column(c).is_some_and(|column| column.not_null))
    });
    if let Some(key) = hangs_from {
        count(-15.0, format!("each row hangs from one of {}", key.parent));
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let size = (table.rows as f64 + 1.0).log10().min(6.0);
    score += size;
    Candidate { table: table.name.to_string(), score, reasons, name: table.name.clone() }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of tables")]
fn small(count: usize) -> f64 {
    count as f64
}

/// How many tables hang from one by foreign keys: directly, and in all.
fn hanging(catalog: &Catalog, root: &TableName) -> (usize, usize) {
    let mut found: BTreeSet<&TableName> = BTreeSet::from([root]);
    let mut waiting = vec![root];
    let mut direct = 0;
    while let Some(parent) = waiting.pop() {
        for table in standing(catalog) {
            let hangs = table.foreign_keys.iter().any(|key| &key.parent == parent);
            if hangs && found.insert(&table.name) {
                direct += usize::from(parent == root);
                waiting.push(&table.name);
            }
        }
    }
    (direct, found.len() - 1)
}

/// Columns of other tables that are called after a table and are in no foreign key.
fn called_after(catalog: &Catalog, table: &Table) -> usize {
    let one = singular_name(&table.name.name);
    let last = words(&one).pop().unwrap_or_default();
    let called = [format!("{one}_id"), format!("{last}_id")];
    standing(catalog)
        .filter(|other| other.name != table.name)
        .flat_map(|other| other.columns.iter().map(move |column| (other, column)))
        .filter(|(other, column)| {
            called.contains(&words(&column.name).join("_"))
                && !other.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
        })
        .count()
}

/// Columns that only a list of people has.
fn signs(look: &Look, table: &Table) -> Vec<(f64, &'static str)> {
    let found: BTreeSet<Category> =
        personal(look, table, Context::Owned).into_iter().map(|(_, category)| category).collect();
    SIGNS
        .iter()
        .filter(|(key, ..)| {
            key.parse().is_ok_and(|sign| found.iter().any(|category| category.is_within(sign)))
        })
        .map(|(_, points, what)| (*points, *what))
        .collect()
}

/// The columns of a table that say something of a person, if it is such a table.
pub(super) fn personal<'a>(
    look: &Look,
    table: &'a Table,
    context: Context,
) -> Vec<(&'a str, Category)> {
    let sample = look.samples.get(&table.name);
    table
        .columns
        .iter()
        .filter_map(|column| {
            let values = sample.map(|sample| sample.values(&column.name)).unwrap_or_default();
            let (name, type_name) = (column.name.as_str(), column.type_name.as_str());
            let found = judge(ColumnFacts { name, type_name, context, values: &values })?;
            Some((name, found.category))
        })
        .collect()
}
