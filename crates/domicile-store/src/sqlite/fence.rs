//! The fences: triggers that look at every write about somebody who is moving.
//!
//! Applications run them with their own SQLite library, from 3.35 on. They use nothing younger:
//! RAISE takes a literal, so there is one refusal per configured site.
//!
//! Unlike PostgreSQL's they need no flag: SQLite has one writer at a time, and its snapshot is
//! the newest one, so the WHEN clause's look at the journal's primary key is always right.

use crate::catalog::TableName;
use crate::closure::{Closure, OwnedTable};
use crate::sql::{ident, literal};
use crate::sqlite::catalog::Affinity;
use crate::sqlite::install::FENCE_PREFIX;
use crate::sqlite::{notes, owner};
use domicile_model::SiteName;

/// A unique key of a table, by which one row can replace another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UniqueKey {
    /// The key's columns or expressions, each with its collation.
    pub(super) terms: Vec<(Term, String)>,
    /// The condition of a partial index.
    pub(super) predicate: Option<String>,
}

/// What a unique key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// A column.
    Column(String),
    /// An expression over the table's columns.
    Expression(String),
}

/// What fences need to know of a table beyond the closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fenced {
    /// All its columns.
    pub(super) columns: Vec<String>,
    /// Its unique keys, the primary one included.
    pub(super) uniques: Vec<UniqueKey>,
    /// The affinities of the primary key's columns.
    pub(super) key: Vec<Affinity>,
    /// Whether the primary key is the rowid, which is always an integer.
    pub(super) rowid_alias: bool,
}

impl Fenced {
    /// Whether the row `x` stands under the same key as NEW.
    pub(super) fn stands(&self, unique: &UniqueKey) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|c| format!("NEW.{0} AS {0}", ident(c))).collect();
        let mut terms: Vec<String> = unique
            .terms
            .iter()
            .map(|(term, collation)| {
                let collation = ident(collation);
                match term {
                    Term::Column(column) => {
                        format!("x.{0} = NEW.{0} COLLATE {collation}", ident(column))
                    }
                    // Names without a prefix mean the innermost query's columns: x's on the left,
                    // NEW's on the right.
                    Term::Expression(text) => format!(
                        "({text}) = (SELECT {text} FROM (SELECT {})) COLLATE {collation}",
                        columns.join(", ")
                    ),
                }
            })
            .collect();
        terms.extend(unique.predicate.iter().map(|text| format!("({text})")));
        terms.join(" AND ")
    }
}

/// A trigger: its name, and the statement that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    /// Its name.
    pub(super) name: String,
    /// The statement, as SQLite keeps it.
    pub(super) sql: String,
}

/// Everybody somebody must look at.
pub(super) const ANYBODY: &str = "EXISTS (SELECT 1 FROM domicile_subject WHERE fenced = 1)";

/// The fences of one owned table.
pub(super) fn of_table(
    closure: &Closure,
    at: usize,
    sites: &[SiteName],
    fenced: &Fenced,
) -> Vec<Fence> {
    let writer = Writer { closure, at, sites, fenced };
    let mut fences = vec![writer.insert(), writer.update(), writer.delete()];
    if !fenced.uniques.is_empty() {
        fences.push(writer.replace_by_insert());
        fences.push(writer.replace_by_update());
    }
    fences
}

struct Writer<'a> {
    closure: &'a Closure,
    at: usize,
    sites: &'a [SiteName],
    fenced: &'a Fenced,
}

impl Writer<'_> {
    fn insert(&self) -> Fence {
        let new = self.owner("NEW");
        let mut body = self.refusals(&format!("subject = {new}"));
        body.extend(self.gone_refusals(&new, "1"));
        body.extend(self.unnamed("NEW", &new));
        body.push(self.note("NEW", &new, "1", "1"));
        let when = format!("{}{}", self.when(&format!("= {new}")), self.when_gone(&new, "1"));
        self.fence("insert", "AFTER INSERT", &when, &body)
    }

    fn delete(&self) -> Fence {
        let old = self.owner("OLD");
        let mut body = self.refusals(&format!("subject = {old}"));
        body.extend(self.unnamed("OLD", &old));
        body.push(self.note("OLD", &old, "1", "1"));
        self.fence("delete", "AFTER DELETE", &self.when(&format!("= {old}")), &body)
    }

    fn update(&self) -> Fence {
        let (old, new) = (self.owner("OLD"), self.owner("NEW"));
        let changed = format!("{new} IS NOT {old}");
        let mut body = self.refusals(&format!("subject IN ({old}, {new})"));
        body.extend(self.gone_refusals(&new, &changed));
        body.extend(self.unnamed("OLD", &old));
        body.extend(self.unnamed("NEW", &new));
        let below = self.changes_below();
        body.push(self.note("OLD", &old, "1", &below));
        // One note is enough unless the row changed its owner or its name.
        let moved = format!("({changed} OR {} IS NOT {})", self.key("OLD"), self.key("NEW"));
        body.push(self.note("NEW", &new, &moved, &below));
        let when = self.when(&format!("IN ({old}, {new})"));
        let when = format!("{when}{}", self.when_gone(&new, &changed));
        self.fence("update", "AFTER UPDATE", &when, &body)
    }

    /// INSERT OR REPLACE deletes the row it replaces without firing a delete trigger, and that
    /// row may be somebody else's. So the rows that stand under any of the new row's unique keys
    /// are looked at before.
    fn replace_by_insert(&self) -> Fence {
        self.replace("replace", "BEFORE INSERT", "1")
    }

    /// The same for UPDATE OR REPLACE; the row itself is no obstacle to itself.
    fn replace_by_update(&self) -> Fence {
        let key = &self.closure.owned[self.at].key;
        let same: Vec<String> = key.iter().map(|k| format!("x.{0} IS OLD.{0}", ident(k))).collect();
        let other = format!("NOT ({})", same.join(" AND "));
        self.replace("replace_by_update", "BEFORE UPDATE", &other)
    }

    fn replace(&self, kind: &str, event: &str, only: &str) -> Fence {
        let owner = self.owner("x");
        let table = ident(&self.name().name);
        let mut body = Vec::new();
        let mut when = Vec::new();
        for unique in &self.fenced.uniques {
            let rows = format!("FROM {table} AS x WHERE {} AND {only}", self.fenced.stands(unique));
            let whose = |what: &str| {
                format!("{rows} AND {owner} IN (SELECT subject FROM domicile_subject WHERE {what})")
            };
            when.push(format!("EXISTS (SELECT 1 {})", whose("fenced = 1")));
            for (text, what) in refused_states(self.sites) {
                body.push(format!("SELECT RAISE(ABORT, {}) {}", literal(&text), whose(&what)));
            }
            body.push(format!(
                "INSERT INTO domicile_touched(subject, tbl, key, below) SELECT {owner}, {}, {}, 1 {}",
                self.at,
                self.key("x"),
                whose("state IN ('moving', 'closing')")
            ));
        }
        let when = format!("{ANYBODY} AND ({})", when.join(" OR "));
        self.fence(kind, event, &when, &body)
    }

    fn name(&self) -> &TableName {
        &self.closure.owned[self.at].name
    }

    fn owner(&self, row: &str) -> String {
        owner::of_row(self.closure, self.at, row)
    }

    /// The fast path: nothing else is looked at for somebody who is not moving. A deep table asks
    /// first whether anybody is, before it looks for the owner.
    fn when(&self, owner: &str) -> String {
        let subject =
            format!("EXISTS (SELECT 1 FROM domicile_subject WHERE fenced = 1 AND subject {owner})");
        if self.closure.is_direct(self.at) { subject } else { format!("({ANYBODY} AND {subject})") }
    }

    /// Tombstones guard every table, foreign key or not: SQLite enforces foreign keys only for
    /// connections that ask for it.
    fn when_gone(&self, owner: &str, only: &str) -> String {
        format!(
            " OR ({only} AND EXISTS (SELECT 1 FROM domicile_gone WHERE {} AND suspended = 0))",
            self.whose_left(owner)
        )
    }

    /// The condition on a tombstone that it is of the new row's owner. A deep table that finds none
    /// looks whether the row above was erased here.
    fn whose_left(&self, owner: &str) -> String {
        let parent = self.closure.owned[self.at].parent.as_ref();
        match parent.filter(|_| !self.closure.is_direct(self.at)) {
            None => format!("subject = {owner}"),
            Some(edge) => format!(
                "{owner} IS NULL AND subject IN (SELECT r.subject FROM domicile_gone_row AS r \
                 WHERE r.tbl = {} AND r.key = {})",
                literal(&self.name().name),
                notes::written("NEW", &edge.columns)
            ),
        }
    }

    fn refusals(&self, subject: &str) -> Vec<String> {
        refused_states(self.sites)
            .into_iter()
            .map(|(text, what)| {
                format!(
                    "SELECT RAISE(ABORT, {}) FROM domicile_subject WHERE {subject} AND {what}",
                    literal(&text)
                )
            })
            .collect()
    }

    fn gone_refusals(&self, owner: &str, only: &str) -> Vec<String> {
        let left = self.whose_left(owner);
        let mut homes: Vec<(String, String)> = self
            .sites
            .iter()
            .map(|site| (moved_to(site), format!("home = {}", literal(site.as_str()))))
            .collect();
        homes.push((
            "DM001 moved to another site: this person's rows live there now".to_owned(),
            "1".to_owned(),
        ));
        homes
            .into_iter()
            .map(|(text, home)| {
                format!(
                    "SELECT RAISE(ABORT, {}) FROM domicile_gone WHERE {only} AND {home} \
                     AND {left} AND suspended = 0",
                    literal(&text)
                )
            })
            .collect()
    }

    /// A row whose key has no plain text cannot be named in a note, so it cannot change while its
    /// owner moves.
    fn unnamed(&self, row: &str, owner: &str) -> Vec<String> {
        let table = &self.closure.owned[self.at];
        unnamed(self.fenced, table, row, &format!("= {owner}"))
    }

    /// Whether an update may have brought or taken rows below: it changed the row's key, its way
    /// to the owner, or what rows below refer to.
    fn changes_below(&self) -> String {
        let changed: Vec<String> = self
            .closure
            .watched_columns(self.at)
            .iter()
            .map(|column| format!("OLD.{0} IS NOT NEW.{0}", ident(column)))
            .collect();
        format!("({})", changed.join(" OR "))
    }

    fn note(&self, row: &str, owner: &str, only: &str, below: &str) -> String {
        format!(
            "INSERT INTO domicile_touched(subject, tbl, key, below) SELECT subject, {}, {}, {below} \
             FROM domicile_subject \
             WHERE subject = {owner} AND state IN ('moving', 'closing') AND {only}",
            self.at,
            self.key(row)
        )
    }

    fn key(&self, row: &str) -> String {
        notes::written(row, &self.closure.owned[self.at].key)
    }

    fn fence(&self, kind: &str, event: &str, when: &str, body: &[String]) -> Fence {
        fence(&self.name().name, kind, event, when, body)
    }
}

/// A trigger of this table.
pub(super) fn fence(table: &str, kind: &str, event: &str, when: &str, body: &[String]) -> Fence {
    let name = format!("{FENCE_PREFIX}{table}_{kind}");
    let sql = format!(
        "CREATE TRIGGER {} {event} ON {} FOR EACH ROW WHEN {when} BEGIN {}; END",
        ident(&name),
        ident(table),
        body.join("; ")
    );
    Fence { name, sql }
}

/// The states in which a write is refused, each with the refusal's text.
pub(super) fn refused_states(sites: &[SiteName]) -> Vec<(String, String)> {
    let mut states: Vec<(String, String)> = sites
        .iter()
        .map(|site| {
            let what = format!("state = 'moved' AND peer = {}", literal(site.as_str()));
            (moved_to(site), what)
        })
        .collect();
    // Last, for a home that was taken out of the configuration since.
    states.push((
        "DM001 moved to another site: this person's rows live there now".to_owned(),
        "state = 'moved'".to_owned(),
    ));
    states.push((
        "DM002 not yet here: this person's rows are arriving, write at their old site".to_owned(),
        "state = 'arriving'".to_owned(),
    ));
    states
}

/// Refuses a change of a row whose key a note cannot name, while somebody moves of whom `subject`
/// holds.
pub(super) fn unnamed(
    fenced: &Fenced,
    table: &OwnedTable,
    row: &str,
    subject: &str,
) -> Vec<String> {
    if fenced.rowid_alias {
        return Vec::new();
    }
    let unnamed: Vec<String> = table
        .key
        .iter()
        .zip(&fenced.key)
        .map(|(column, affinity)| {
            let named =
                if affinity.is_plain() { "'integer', 'text'" } else { "'integer', 'text', 'blob'" };
            format!("typeof({row}.{}) NOT IN ({named})", ident(column))
        })
        .collect();
    let text = format!(
        "DM003 not while its owner moves: this row of {} has a key that is NULL or not exact",
        table.name
    );
    vec![format!(
        "SELECT RAISE(ABORT, {}) FROM domicile_subject \
         WHERE subject {subject} AND state IN ('moving', 'closing') AND ({})",
        literal(&text),
        unnamed.join(" OR ")
    )]
}

fn moved_to(site: &SiteName) -> String {
    format!("DM001 moved to {site}: this person's rows live there now")
}
