//! Shared rows as they arrive.

use crate::closure::OwnedTable;
use crate::error::{Error, Kind, Result};
use crate::site::Engine;
use crate::sql::ident;
use crate::sqlite::connection::Doing;
use crate::sqlite::load::Loader;
use crate::sqlite::rows::Cell;
use crate::sqlite::{digest, notes};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

const DOING: &str = "putting shared rows in place";

/// Puts shared rows in place: one that is missing comes, one that stands as a move brought it is
/// brought up to date, and any other must be equal already.
pub(in crate::sqlite) struct Putter<'c> {
    connection: &'c Connection,
    table: OwnedTable,
    loader: Loader<'c>,
    /// The places of the key's columns among the copied ones.
    key: Vec<usize>,
}

impl<'c> Putter<'c> {
    /// For rows of this table.
    pub(in crate::sqlite) fn new(
        connection: &'c Connection,
        table: &OwnedTable,
    ) -> Result<Putter<'c>> {
        let place = |name: &String| table.columns.iter().position(|column| column == name);
        let key = table.key.iter().filter_map(place).collect();
        let loader = Loader::new(connection, &table.name, &table.columns)?;
        Ok(Putter { connection, table: table.clone(), loader, key })
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
        let brought = "SELECT digest FROM domicile_brought WHERE tbl = ?1 AND key = ?2";
        let brought: Option<Vec<u8>> = self
            .connection
            .query_row(brought, [&self.table.name.name, &key], |line| line.get(0))
            .optional()
            .doing(DOING)?;
        if brought != Some(here) {
            return Err(self.differs(row));
        }
        self.update(row)?;
        self.note_brought(row)
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
        let sql = "INSERT OR REPLACE INTO domicile_brought (tbl, key, digest) VALUES (?1, ?2, ?3)";
        self.connection.execute(sql, (&self.table.name.name, &key, &digest)).doing(DOING).map(drop)
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
