//! Digests: what a site says of rows it read by itself.

use crate::digest::Sum;
use crate::error::Result;
use crate::site::Engine;
use crate::sqlite::connection::Doing;
use crate::sqlite::{copy, rows};
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Error};
use sha2::{Digest, Sha256};

/// The SQL function that digests its arguments.
const FUNCTION: &str = "domicile_digest";

/// SQLite's own limit on a function's arguments is 127 in older builds.
const ARGUMENTS_MAX: usize = 100;

/// Gives a connection the digest function.
///
/// The canonical form of a row is that of [`rows`]: each value with its storage class, its length
/// and every bit. 1, 1.0 and '1' differ, as do NULL and '', and 0.0 and -0.0.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(FUNCTION, -1, flags, |context| {
        let mut canonical = Vec::new();
        for at in 0..context.len() {
            rows::encode(&mut canonical, context.get_raw(at))
                .map_err(|error| Error::UserFunctionError(Box::new(error)))?;
        }
        Ok(Sha256::digest(&canonical).to_vec())
    })
}

/// The expression that digests a row, in one engine's form.
pub(super) fn of_row(
    form: Engine,
    alias: &str,
    columns: &[String],
    types: &[String],
    generated: &[String],
) -> String {
    match form {
        Engine::Sqlite => own(alias, &[columns, generated].concat()),
        Engine::Postgres => copy::digest(alias, columns, types, generated),
    }
}

/// The same of as many parameters as there are columns.
pub(super) fn of_parameters(columns: usize) -> String {
    let places: Vec<String> = (1..=columns).map(|place| format!("?{place}")).collect();
    over(&places)
}

fn own(alias: &str, columns: &[String]) -> String {
    let named: Vec<String> =
        columns.iter().map(|column| format!("{alias}.{}", crate::sql::ident(column))).collect();
    over(&named)
}

fn over(values: &[String]) -> String {
    let call = |values: &[String]| format!("{FUNCTION}({})", values.join(", "));
    if values.len() <= ARGUMENTS_MAX {
        return call(values);
    }
    let parts: Vec<String> = values.chunks(ARGUMENTS_MAX).map(call).collect();
    format!("{FUNCTION}({})", parts.join(", "))
}

/// Adds up the row digests that a query gives.
pub(super) fn sum(connection: &Connection, select: &str) -> Result<Sum> {
    let doing = "digesting rows";
    let mut statement = connection.prepare_cached(select).doing(doing)?;
    let mut rows = statement.query([]).doing(doing)?;
    let mut sum = Sum::default();
    while let Some(row) = rows.next().doing(doing)? {
        sum.add(row.get(0).doing(doing)?);
    }
    Ok(sum)
}
