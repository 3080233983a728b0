//! Keys at the target: those that stand in the way of what arrives, and those that what has
//! arrived refers to.

use crate::closure::Check;
use crate::error::{Error, Kind, Result};
use crate::sql::{equal, ident};
use crate::sqlite::catalog::list;
use crate::sqlite::connection::Doing;
use crate::sqlite::extent::Selection;
use crate::sqlite::rows::Cell;
use crate::sqlite::{keys, owner};
use domicile_model::SiteName;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

/// How many violations of one key are told one by one.
const TOLD_MAX: usize = 20;

/// Rechecks the declared foreign keys of the chosen rows; each violation is one sentence.
pub(super) fn violations(connection: &Connection, selection: &Selection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for check in &selection.closure().checks {
        let Some(rows) = selection.rows(check.owned) else {
            continue;
        };
        let (lines, all) = dangling(connection, check, &rows)?;
        let more = usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(lines.len());
        found.extend(lines);
        if more > 0 {
            found.push(format!("{more} more rows of {} do the same", check.child));
        }
    }
    Ok(found)
}

fn dangling(connection: &Connection, check: &Check, rows: &str) -> Result<(Vec<String>, i64)> {
    let present: Vec<String> =
        check.columns.iter().map(|c| format!("\"t\".{} IS NOT NULL", ident(c))).collect();
    let from = format!(
        "FROM {rows} WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS \"q\" WHERE {})",
        present.join(" AND "),
        check.parent.sql(),
        equal("\"q\"", &check.parent_columns, "\"t\"", &check.columns)
    );
    let values: Vec<String> =
        check.columns.iter().map(|c| format!("quote(\"t\".{})", ident(c))).collect();
    let sql =
        format!("SELECT \"b\".subject, {} {from} LIMIT {TOLD_MAX}", values.join(" || ', ' || "));
    let lines = list(connection, &sql, [], |row| {
        let (subject, value): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(format!(
            "a row of {} of {subject} refers to a row of {} that is not here: {} = {value}",
            check.child,
            check.parent,
            check.columns.join(", ")
        ))
    })?;
    if lines.len() < TOLD_MAX {
        let all = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        return Ok((lines, all));
    }
    let sql = format!("SELECT count(*) {from}");
    let all = connection.query_row(&sql, [], |row| row.get(0)).doing("rechecking keys")?;
    Ok((lines, all))
}

/// Stale rows that stand in the way.
///
/// A row that passed from one moving person to another comes with its new owner, and may come
/// before its old owner's note is shipped: its old copy then stands under the same primary key.
/// The source has just said whose it is, so the old copy goes, with everything below it, which
/// comes again with the row. A row of anybody who is not arriving from the same site stays.
pub(super) struct Stale<'c> {
    connection: &'c Connection,
    selection: Selection,
    peer: SiteName,
    mark: Option<i64>,
    table: usize,
}

impl<'c> Stale<'c> {
    /// Looks after one table.
    pub(super) fn new(
        connection: &'c Connection,
        selection: Selection,
        (peer, mark): (SiteName, Option<i64>),
        table: usize,
    ) -> Stale<'c> {
        Stale { connection, selection, peer, mark, table }
    }

    /// Removes the row under this row's primary key if it is stale; else gives the error back.
    pub(super) fn make_way(&mut self, row: &[Cell], error: Error) -> Result<()> {
        let owned = &self.selection.closure().owned[self.table];
        let place = |name: &String| owned.columns.iter().position(|column| column == name);
        let key: Option<Vec<&Cell>> =
            owned.key.iter().map(|name| place(name).and_then(|at| row.get(at))).collect();
        let Some(key) = key else {
            return Err(error);
        };
        let subject = match self.owner_of(&owned.key, &key)? {
            Some(subject) if self.is_arriving(&subject)? => subject,
            Some(subject) if self.has_passed(&subject)? => {
                return Err(Error::new(
                    Kind::RetryNow,
                    "a row that arrives was shipped for somebody else meanwhile",
                )
                .because(error));
            }
            Some(_) => return Err(error),
            None => return Err(self.other_key(row, error)),
        };
        self.selection.pick_row(self.connection, self.table, &subject, &key)?;
        if self.selection.delete(self.connection)? == 0 {
            return Err(error);
        }
        Ok(())
    }

    /// A unique key other than the primary one passed between people who both move, and the old
    /// holder's note is still to be shipped. Nothing can be said to be stale here, but it will be
    /// gone later.
    fn other_key(&self, row: &[Cell], error: Error) -> Error {
        match self.holder(row) {
            Ok(Some(subject)) => Error::new(
                Kind::RetryNow,
                format!(
                    "a unique key that arrives is still held by {subject}, who is arriving too"
                ),
            )
            .hint("run migrate again; the next try may settle it")
            .because(error),
            Ok(None) => error,
            Err(error) => error,
        }
    }

    fn holder(&self, row: &[Cell]) -> Result<Option<String>> {
        let owned = &self.selection.closure().owned[self.table];
        let place = |name: &String| owned.columns.iter().position(|column| column == name);
        for index in keys::indexes(self.connection, &owned.name.name)? {
            let names: Option<Vec<String>> =
                index.columns.into_iter().map(|(name, _)| name).collect();
            let Some(names) = names.filter(|_| index.unique) else {
                continue;
            };
            let values: Option<Vec<&Cell>> =
                names.iter().map(|name| place(name).and_then(|at| row.get(at))).collect();
            if let Some(values) = values
                && let Some(subject) = self.owner_of(&names, &values)?
                && self.is_arriving(&subject)?
            {
                return Ok(Some(subject));
            }
        }
        Ok(None)
    }

    fn owner_of(&self, columns: &[String], key: &[&Cell]) -> Result<Option<String>> {
        let closure = self.selection.closure();
        let owned = &closure.owned[self.table];
        let matches: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, name)| format!("\"t\".{} = ?{}", ident(name), at + 1))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} AS \"t\" WHERE {}",
            owner::of_row(closure, self.table, "\"t\""),
            owned.name.sql(),
            matches.join(" AND ")
        );
        let mut statement = self.connection.prepare_cached(&sql).doing("finding an owner")?;
        let found: Option<Option<String>> = statement
            .query_row(params_from_iter(key.iter().copied()), |row| row.get(0))
            .optional()
            .doing("finding an owner")?;
        Ok(found.flatten())
    }

    /// Whether this person is arriving from the same source, and what stands here of theirs was
    /// shipped, and before the mark.
    fn is_arriving(&self, subject: &str) -> Result<bool> {
        self.find_arriving(subject, "shipped <= ?3")
    }

    /// The same, but shipped since.
    fn has_passed(&self, subject: &str) -> Result<bool> {
        self.find_arriving(subject, "shipped > ?3")
    }

    fn find_arriving(&self, subject: &str, when: &str) -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM domicile_subject
             WHERE subject = ?1 AND state = 'arriving' AND peer = ?2 AND copied = 1 AND {when})"
        );
        let mark = self.mark.unwrap_or(-1);
        self.connection
            .query_row(&sql, (subject, self.peer.as_str(), mark), |row| row.get(0))
            .doing("finding an owner")
    }
}
