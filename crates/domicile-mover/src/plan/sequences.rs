//! Columns that every site numbers for itself: whether two sites would give one number twice, and
//! the statements that keep them apart.

use super::Draft;
use domicile_store::catalog::Counter;
use domicile_store::{Catalog, Closure, Site, TableName};
use serde::Serialize;
use std::sync::Arc;

/// A numbered column of an owned table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedSequence {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Where each site stands that has the table.
    pub at: Vec<SequenceAt>,
    /// Whether two sites would give the same number.
    pub collides: bool,
    /// What keeps them apart, per site; empty where nothing collides or no statement can.
    pub statements: Vec<SequenceStatement>,
    /// What to do where no statement can; empty otherwise.
    pub advice: String,
}

/// One site's counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SequenceAt {
    /// The site.
    pub site: String,
    /// The next number it gives.
    pub next: i64,
    /// From one number to the next.
    pub step: i64,
}

/// A statement for one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SequenceStatement {
    /// The site.
    pub site: String,
    /// The statement.
    pub statement: String,
}

/// What the warnings about numbered columns say of them.
pub const NUMBERED: &str = "each site numbers them for itself, and once the application inserts at \
    several sites, equal numbers collide when people move";

const ROWID: &str = "SQLite gives one more than the largest number there, so no range holds once \
    people with larger numbers have moved in: let the application give the numbers, random ones \
    of 63 bits or each site every N-th";

/// Every numbered column of an owned or shared table. A column of a foreign key takes its numbers from the
/// parent, also where SQLite would number it.
pub(super) fn list(
    sites: &[Arc<dyn Site>],
    catalogs: &[Catalog],
    template: usize,
    closure: &Closure,
) -> Vec<PlannedSequence> {
    let is_owned = |counter: &&Counter| {
        let name = counter.table.to_string();
        let owned = closure.tables().any(|table| table.name.is_called(&name));
        let table = catalogs[template].find(&name);
        owned
            && !table.is_some_and(|table| {
                table.foreign_keys.iter().any(|key| key.columns.contains(&counter.column))
            })
    };
    let counters = catalogs[template].counters.iter().filter(is_owned);
    counters.map(|counter| of_column(sites, catalogs, counter)).collect()
}

fn of_column(sites: &[Arc<dyn Site>], catalogs: &[Catalog], counter: &Counter) -> PlannedSequence {
    let here: Vec<Option<&Counter>> = catalogs
        .iter()
        .map(|catalog| {
            let is = |name: &TableName| name.is_called(&counter.table.to_string());
            catalog.counters.iter().find(|c| is(&c.table) && c.column == counter.column)
        })
        .collect();
    // A site without the table gets a counter that begins like a new one.
    let fresh = Counter { next: 1, ..counter.clone() };
    let known: Vec<&Counter> = here.iter().map(|found| found.unwrap_or(&fresh)).collect();
    let collides = (0..known.len())
        .any(|a| (0..a).any(|b| known[a].alter.is_none() || known[a].meets(known[b])));
    let can = known.iter().all(|counter| counter.alter.is_some());
    let statements = if collides && can { apart(sites, &known) } else { Vec::new() };
    let advice = match (collides, can, statements.is_empty()) {
        (true, false, _) => ROWID,
        (true, true, true) => "the column's type has no room for ranges of their own: widen it",
        _ => "",
    };
    let at = |(site, found): (&Arc<dyn Site>, &Option<&Counter>)| {
        let found = (*found)?;
        Some(SequenceAt { site: site.name().to_string(), next: found.next, step: found.step })
    };
    PlannedSequence {
        table: counter.table.to_string(),
        column: counter.column.clone(),
        at: sites.iter().zip(&here).filter_map(at).collect(),
        collides,
        statements,
        advice: advice.to_owned(),
    }
}

/// How far above the numbers that were given the new ones begin: the application goes on meanwhile.
const HEADROOM_MIN: i64 = 1_000;

/// Each site every n-th number, all of them above what any site has given or will soon.
fn apart(sites: &[Arc<dyn Site>], known: &[&Counter]) -> Vec<SequenceStatement> {
    let Ok(step) = i64::try_from(sites.len()) else { return Vec::new() };
    let above = known.iter().map(|counter| counter.next).max().unwrap_or(1).max(1);
    let above = above.saturating_add(HEADROOM_MIN.max(above / 10));
    let statement = |(place, (site, counter)): (usize, (&Arc<dyn Site>, &&Counter))| {
        let next = above.checked_add(i64::try_from(place).ok()?)?;
        let fits = next <= counter.max;
        let statement = counter.restart(next, step).filter(|_| fits)?;
        Some(SequenceStatement { site: site.name().to_string(), statement })
    };
    let found: Option<Vec<_>> = sites.iter().zip(known).enumerate().map(statement).collect();
    found.unwrap_or_default()
}

/// The same in sentences: one for each column, and one for all that no statement can keep apart.
pub(super) fn warn(sequences: &[PlannedSequence], draft: &mut Draft) {
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for found in sequences.iter().filter(|sequence| sequence.collides) {
        let at = |s: &SequenceStatement| format!("{}: {}", s.site, s.statement);
        let todo = if found.advice.is_empty() {
            let all: Vec<String> = found.statements.iter().map(at).collect();
            format!("run at {}", all.join("; at "))
        } else {
            found.advice.clone()
        };
        let column = format!("{}.{}", found.table, found.column);
        match said.iter_mut().find(|(known, _)| *known == todo) {
            Some((_, columns)) => columns.push(column),
            None => said.push((todo, vec![column])),
        }
    }
    for (todo, columns) in said {
        draft.warnings.push(format!("{}: {NUMBERED}; {todo}", columns.join(", ")));
    }
}
