//! Shared rows as they arrive.

use crate::closure::{Closure, OwnedTable, Referrer, SharedTable};
use crate::error::{Error, Kind, Result};
use crate::site::Engine;
use crate::sql::{equal, ident};
use crate::sqlite::connection::Doing;
use crate::sqlite::load::Loader;
use crate::sqlite::rows::Cell;
use crate::sqlite::{digest, notes};
use domicile_model::SiteName;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

const DOING: &str = "putting shared rows in place";

/// Where rows come from, and what of this site their snapshot is newer than.
#[derive(Clone, Debug)]
pub(in crate::sqlite) struct Since {
    /// The peer.
    pub(in crate::sqlite) peer: SiteName,
    /// The number of the last batch that had arrived here when the mark was set.
    pub(in crate::sqlite) mark: Option<i64>,
    /// The batches of this lane since.
    pub(in crate::sqlite) own: Vec<i64>,
}

/// Puts shared rows in place: one that is missing comes; one that stands as a move from the same
/// peer brought it is brought up to date, unless that was since the mark, since this may then be an
/// older word; and any other must be equal already.
pub(in crate::sqlite) struct Putter<'c> {
    connection: &'c Connection,
    table: OwnedTable,
    loader: Loader<'c>,
    /// The places of the key's columns among the copied ones.
    key: Vec<usize>,
    since: Since,
    /// The number that the open batch will have.
    batch: i64,
    /// How rows here refer to the table beside its key: the columns, and the look for such rows.
    beside: Vec<(Vec<String>, String)>,
}

impl<'c> Putter<'c> {
    /// For rows of this table.
    pub(in crate::sqlite) fn new(
        connection: &'c Connection,
        closure: &Closure,
        shared: &SharedTable,
        (since, batch): (Since, i64),
    ) -> Result<Putter<'c>> {
        let table = &shared.table;
        let place = |name: &String| table.columns.iter().position(|column| column == name);
        let key = table.key.iter().filter_map(place).collect();
        let loader = Loader::new(connection, &table.name, &table.columns)?;
        let beside = |r: &&Referrer| !r.parent_columns.iter().all(|c| table.key.contains(c));
        let look = |referrer: &Referrer| {
            let child = closure.owned[referrer.owned].name.sql();
            let on = equal("\"t\"", &referrer.parent_columns, "\"c\"", &referrer.columns);
            let look = format!("EXISTS (SELECT 1 FROM {child} AS \"c\" WHERE {on})");
            (referrer.parent_columns.clone(), look)
        };
        let beside = shared.referrers.iter().filter(beside).map(look).collect();
        Ok(Putter { connection, table: table.clone(), loader, key, since, batch, beside })
    }

    /// Puts one row.
    pub(in crate::sqlite) fn put(&mut self, row: &[Cell]) -> Result<()> {
        let Some((key, here)) = self.stands(row)? else {
            self.loader.insert(row)?;
            return self.note_brought(row);
        };
        let there = self.digest(row)?;
        if here == there {
            return Ok(());
        }
        let brought = "SELECT digest, peer, came FROM domicile_brought WHERE tbl = ?1 AND key = ?2";
        let brought: Option<(Vec<u8>, Option<String>, Option<i64>)> = self
            .connection
            .query_row(brought, [&self.table.name.name, &key], |line| {
                Ok((line.get(0)?, line.get(1)?, line.get(2)?))
            })
            .optional()
            .doing(DOING)?;
        let Some((digest, Some(peer), Some(came))) = brought else {
            return Err(self.differs(row));
        };
        if digest != here || peer != self.since.peer.as_str() || self.is_renamed(row)? {
            return Err(self.differs(row));
        }
        if self.since.mark.is_none_or(|mark| came > mark) && !self.since.own.contains(&came) {
            let text = "a shared row that arrives was brought for somebody else meanwhile";
            return Err(Error::new(Kind::RetryNow, text));
        }
        self.update(row)?;
        self.note_brought(row)
    }

    /// Whether the row would change columns by which somebody here refers to it. The mover's
    /// connection enforces no keys, and nobody's row may be left without its own.
    fn is_renamed(&self, row: &[Cell]) -> Result<bool> {
        for (columns, look) in &self.beside {
            let place = |name: &String| self.table.columns.iter().position(|c| c == name);
            let changed: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(at, column)| {
                    format!("\"t\".{} IS NOT ?{}", ident(column), self.key.len() + at + 1)
                })
                .collect();
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {} AS \"t\" WHERE {} AND ({}) AND {look})",
                self.table.name.sql(),
                self.matches(),
                changed.join(" OR ")
            );
            let mut values = self.key_of(row);
            values.extend(columns.iter().filter_map(place).filter_map(|at| row.get(at)));
            let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
            let found: bool =
                statement.query_row(params_from_iter(values), |line| line.get(0)).doing(DOING)?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches(&self) -> String {
        let parts: Vec<String> = self
            .table
            .key
            .iter()
            .enumerate()
            .map(|(at, column)| format!("\"t\".{} = ?{}", ident(column), at + 1))
            .collect();
        parts.join(" AND ")
    }

    fn key_of<'r>(&self, row: &'r [Cell]) -> Vec<&'r Cell> {
        self.key.iter().filter_map(|at| row.get(*at)).collect()
    }

    /// The key, as a note names it, and the digest of what stands under it here.
    fn stands(&self, row: &[Cell]) -> Result<Option<(String, Vec<u8>)>> {
        let table = &self.table;
        let sql = format!(
            "SELECT {}, {} FROM {} AS \"t\" WHERE {}",
            notes::written("\"t\"", &table.key),
            digest::of_row(Engine::Sqlite, "\"t\"", &table.columns, &table.types, &[]),
            table.name.sql(),
            self.matches()
        );
        let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
        let key = params_from_iter(self.key_of(row));
        statement.query_row(key, |line| Ok((line.get(0)?, line.get(1)?))).optional().doing(DOING)
    }

    fn digest(&self, row: &[Cell]) -> Result<Vec<u8>> {
        let sql = format!("SELECT {}", digest::of_parameters(row.len()));
        let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
        statement.query_row(params_from_iter(row), |line| line.get(0)).doing(DOING)
    }

    fn update(&self, row: &[Cell]) -> Result<()> {
        let table = &self.table;
        let set: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{} = ?{}", ident(column), at + 1))
            .collect();
        let found: Vec<String> = self
            .key
            .iter()
            .map(|at| format!("{} = ?{}", ident(&table.columns[*at]), at + 1))
            .collect();
        let sql = format!(
            "UPDATE OR ABORT {} SET {} WHERE {}",
            table.name.sql(),
            set.join(", "),
            found.join(" AND ")
        );
        let mut statement = self.connection.prepare_cached(&sql).doing(DOING)?;
        statement.execute(params_from_iter(row)).doing(DOING).map(drop)
    }

    fn note_brought(&self, row: &[Cell]) -> Result<()> {
        let Some((key, digest)) = self.stands(row)? else { return Err(self.differs(row)) };
        let sql = "INSERT OR REPLACE INTO domicile_brought (tbl, key, digest, peer, came) \
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let peer = self.since.peer.as_str();
        let line = (&self.table.name.name, &key, &digest, peer, self.batch);
        self.connection.execute(sql, line).doing(DOING).map(drop)
    }

    /// Two copies of a shared row that two people have changed.
    fn differs(&self, row: &[Cell]) -> Error {
        let key: Vec<String> = self
            .key_of(row)
            .into_iter()
            .map(|cell| match cell {
                Cell::Integer(number) => number.to_string(),
                Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => "(no text)".to_owned(),
            })
            .collect();
        let message = format!(
            "the shared row {} of {} stands here with other values",
            key.join(", "),
            self.table.name
        );
        Error::new(Kind::Operator, message).hint(
            "make both rows equal, or give one of the people a row of their own; nobody's was changed",
        )
    }
}
