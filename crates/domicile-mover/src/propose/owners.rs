//! Whose rows are whose: by foreign keys, and by columns named like a person.

use super::kinds::Kinds;
use super::names::{self, Relation};
use super::{Accepted, Look, TableProposal, subjects};
use crate::plan::TableKind;
use domicile_model::category::column::{Family, percent};
use domicile_model::category::words::{singular_name, words};
use domicile_store::catalog::{Column, ForeignKey, Table};
use domicile_store::{Catalog, TableName};

/// The share, in hundredths, of sampled values that must be keys of the subject table before a
/// column without a foreign key is believed.
const KNOWN_PERCENT_MIN: usize = 95;

/// One way from a row towards its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The row's columns.
    pub(super) columns: Vec<String>,
    /// The table they lead to.
    pub(super) to: TableName,
    /// Whether a foreign key declares it.
    pub(super) declared: bool,
    /// What the columns' name says.
    pub(super) relation: Relation,
    /// Whether a row can be without.
    pub(super) nullable: bool,
    /// How many of the sampled values are keys of the subject table, of how many; for ways that no
    /// foreign key declares.
    pub(super) known: Option<(usize, usize)>,
}

/// A table that belongs to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    /// The table.
    pub(super) name: TableName,
    /// The way chosen; none for the root.
    pub(super) way: Option<Way>,
    /// The other ways that lead to a person as directly.
    pub(super) others: Vec<Way>,
    /// Whether a plan would choose the same way by itself.
    pub(super) is_plain: bool,
}

impl Owned {
    /// Whether the row is handled rather than had by the person it leads to.
    pub(super) fn is_weak(&self) -> bool {
        self.way.as_ref().is_some_and(is_weak)
    }
}

/// The tables that belong to people, the root first, parents before their children.
pub(super) fn find(look: &Look, root: &Table) -> Vec<Owned> {
    let first = Owned { name: root.name.clone(), way: None, others: Vec::new(), is_plain: true };
    let mut owned = vec![first];
    // Ways that only say who handled a row come last: a better one may lead elsewhere.
    for accept_weak in [false, true] {
        let mut level_start = 0;
        loop {
            let before = owned.len();
            for table in subjects::standing(&look.catalog) {
                if let Some(found) =
                    hang(look, root, &owned, level_start..before, table, accept_weak)
                {
                    owned.push(found);
                }
            }
            if owned.len() == before {
                break;
            }
            // What was accepted late hangs from any level.
            level_start = if accept_weak { 0 } else { before };
        }
    }
    owned
}

fn hang(
    look: &Look,
    root: &Table,
    owned: &[Owned],
    level: std::ops::Range<usize>,
    table: &Table,
    accept_weak: bool,
) -> Option<Owned> {
    let is_taken = owned.iter().any(|found| found.name == table.name);
    if is_taken || names::is_bookkeeping(&table.name.name) || is_staff_list(look, table) {
        return None;
    }
    let at_root = level.contains(&0);
    let parents = owned.get(level)?;
    let mut ways: Vec<Way> = declared_ways(root, table)
        .filter(|way| parents.iter().any(|parent| parent.name == way.to))
        .collect();
    if at_root {
        ways.extend(guesses(look, root, table).into_iter().filter(is_believed));
    }
    // Of ways that are alike, the one that leads the key says what the row is a part of.
    let in_key = |way: &Way| {
        let places =
            way.columns.iter().filter_map(|c| table.primary_key.iter().position(|k| k == c));
        places.min().unwrap_or(usize::MAX)
    };
    ways.sort_by_key(|way| (is_weak(way), way.nullable, way.relation, !way.declared, in_key(way)));
    let strong = ways.first().filter(|way| accept_weak || !is_weak(way))?.clone();
    let others: Vec<Way> = ways.iter().skip(1).cloned().collect();
    // A plan follows declared keys only, and refuses two of one level.
    let by_plan: Vec<Way> =
        first_level(root, owned, table).into_iter().filter(|way| way.declared).collect();
    let is_plain = strong.declared && by_plan.len() == 1 && by_plan.first() == Some(&strong);
    Some(Owned { name: table.name.clone(), way: Some(strong), others, is_plain })
}

/// The declared ways that a plan would see first.
fn first_level(root: &Table, owned: &[Owned], table: &Table) -> Vec<Way> {
    let ways: Vec<Way> = declared_ways(root, table).collect();
    let depth = |name: &TableName| depth(owned, name);
    let least = ways.iter().filter_map(|way| depth(&way.to)).min();
    ways.into_iter().filter(|way| depth(&way.to).is_some() && depth(&way.to) == least).collect()
}

/// How many steps a table is from the root.
fn depth(owned: &[Owned], name: &TableName) -> Option<usize> {
    let mut at = owned.iter().find(|found| &found.name == name)?;
    let mut steps = 0;
    while let Some(way) = &at.way {
        at = owned.iter().find(|found| found.name == way.to)?;
        steps += 1;
    }
    Some(steps)
}

fn is_weak(way: &Way) -> bool {
    way.nullable && matches!(way.relation, Relation::Other | Relation::Handler)
}

/// Staff are no subjects, even where their table refers to the subjects' own.
fn is_staff_list(look: &Look, table: &Table) -> bool {
    names::is_staff(&table.name.name) && super::kinds::is_personal(look, table)
}

fn declared_ways<'a>(root: &'a Table, table: &'a Table) -> impl Iterator<Item = Way> + 'a {
    let subject = singular_name(&root.name.name);
    table.foreign_keys.iter().filter(|key| key.parent != table.name).map(move |key| Way {
        columns: key.columns.clone(),
        to: key.parent.clone(),
        declared: true,
        relation: relation(key, &subject),
        nullable: is_nullable(table, &key.columns),
        known: None,
    })
}

fn relation(key: &ForeignKey, subject: &str) -> Relation {
    // Of several columns the last one tells them apart: (tenant_id, author_id).
    let named = key.columns.last().and_then(|column| names::relation(column, subject));
    named.unwrap_or(Relation::Somebody)
}

fn is_nullable(table: &Table, columns: &[String]) -> bool {
    columns.iter().any(|name| table.column(name).is_some_and(|column| !column.not_null))
}

/// Columns that are named like a person and are in no foreign key.
pub(super) fn guesses(look: &Look, root: &Table, table: &Table) -> Vec<Way> {
    let [key] = root.primary_key.as_slice() else { return Vec::new() };
    let Some(key) = root.column(key) else { return Vec::new() };
    if table.name == root.name {
        return Vec::new();
    }
    let subject = singular_name(&root.name.name);
    table
        .columns
        .iter()
        .filter(|column| is_comparable(column, key) && !is_polymorphic(table, column))
        .filter(|column| !table.foreign_keys.iter().any(|key| key.columns.contains(&column.name)))
        .filter_map(|column| {
            let relation = names::relation(&column.name, &subject)?;
            if names_another_table(&look.catalog, root, column) {
                return None;
            }
            let known = look.known.get(&(table.name.clone(), column.name.clone())).copied();
            Some(Way {
                columns: vec![column.name.clone()],
                to: root.name.clone(),
                declared: false,
                relation,
                nullable: !column.not_null,
                known: Some(known.unwrap_or_default()),
            })
        })
        .collect()
}

/// `account_id` names a row of `accounts` where there is such a table.
fn names_another_table(catalog: &Catalog, root: &Table, column: &Column) -> bool {
    let mut role = words(&column.name);
    role.pop();
    let role = role.join("_");
    !role.is_empty()
        && catalog
            .tables
            .iter()
            .any(|table| table.name != root.name && singular_name(&table.name.name) == role)
}

/// `owner_id` beside `owner_type` names a row of any table.
pub(super) fn is_polymorphic(table: &Table, column: &Column) -> bool {
    let name = column.name.as_str();
    ["_id", "Id"].iter().zip(["_type", "Type"]).any(|(id, kind)| {
        name.strip_suffix(id).is_some_and(|stem| table.column(&format!("{stem}{kind}")).is_some())
    })
}

fn is_comparable(column: &Column, key: &Column) -> bool {
    let (one, other) = (Family::of(&column.type_name), Family::of(&key.type_name));
    one == other && !matches!(one, Family::Truth | Family::Date | Family::Json | Family::Bytes)
}

/// Whether the values bear out what the name says. A column without values is believed.
pub(super) fn is_believed(way: &Way) -> bool {
    way.known.is_none_or(|(known, of)| known * 100 >= of * KNOWN_PERCENT_MIN)
}

/// What the chosen way is founded on.
pub(super) fn why(way: &Way) -> String {
    let columns = way.columns.join(", ");
    match way.known {
        None => format!("{columns} refers to {}", way.to),
        Some((_, 0)) => {
            format!("{columns} is named like one of {}, though no foreign key says so", way.to)
        }
        Some((known, of)) => format!(
            "{} of {of} sampled values of {columns} are keys of {}, though no foreign key says so",
            percent(known, of),
            way.to
        ),
    }
}

/// Writes owner and soft edges of one table.
pub(super) fn write(
    look: &Look,
    root: &Table,
    owned: &[Owned],
    kinds: &Kinds,
    table: &Table,
    proposal: &mut TableProposal,
) {
    let Some(found) = owned.iter().find(|found| found.name == table.name) else { return };
    if let Some(way) = &found.way {
        proposal.reasons.push(why(way));
        if !found.is_plain {
            proposal.owner = way.columns.clone();
        }
    }
    for key in &table.foreign_keys {
        if found.way.as_ref().is_some_and(|way| way.declared && way.columns == key.columns) {
            continue;
        }
        if let Some(reason) = soft_reason(look, root, owned, kinds, table, key) {
            proposal.soft.push(Accepted { names: key.columns.clone(), reason });
        }
    }
    let chosen = found.way.as_ref().map(|way| &way.columns);
    for way in guesses(look, root, table).into_iter().filter(is_believed) {
        if Some(&way.columns) != chosen && way.known.is_some_and(|(_, of)| of > 0) {
            let reason = format!("names another person: {}", why(&way));
            proposal.soft.push(Accepted { names: way.columns, reason });
        }
    }
}

/// Why a foreign key of an owned table cannot hold once people live at several sites; none where it
/// can.
fn soft_reason(
    look: &Look,
    root: &Table,
    owned: &[Owned],
    kinds: &Kinds,
    table: &Table,
    key: &ForeignKey,
) -> Option<String> {
    let to = &key.parent;
    if kinds.of(to) == Some(TableKind::Internal) && !kinds.is_open(to) {
        return Some(format!("{to} does not move; the value is kept"));
    }
    if !owned.iter().any(|found| &found.name == to) {
        return None;
    }
    let crossing = look.crossing.get(&(table.name.clone(), key.columns.clone())).copied().flatten();
    match crossing {
        Some(0) if table.rows > 0 => None,
        Some(rows) if rows > 0 => Some(format!(
            "{rows} rows name a row of {to} that is somebody else's; the value is kept"
        )),
        _ if to == &root.name => Some(format!("names another of {to}; the value is kept")),
        _ => None,
    }
}
