//! What somebody has directed about single people.

use crate::error::{Error, Kind, Result};
use crate::site::{Change, Directive};
use crate::sqlite::catalog::list;
use crate::sqlite::connection::{Doing, writing};
use crate::sqlite::{install, journal};
use domicile_model::{SiteName, Subject};
use rusqlite::Connection;

/// The condition that a person called `subject` is not on hold.
pub(super) const NOT_ON_HOLD: &str =
    "subject NOT IN (SELECT subject FROM domicile_directive WHERE hold IS NOT NULL)";

pub(super) fn read(connection: &Connection) -> Result<Vec<Directive>> {
    if !install::has_journal(connection)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT subject, hold, home FROM domicile_directive
               WHERE hold IS NOT NULL OR home IS NOT NULL ORDER BY subject";
    let lines = list(connection, sql, [], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    lines
        .into_iter()
        .map(|(subject, hold, home)| {
            let home: Option<SiteName> = home.map(|home| home.parse()).transpose().map_err(
                |error: domicile_model::site::BadSiteName| {
                    Error::new(Kind::Operator, format!("a directive names no site: {error}"))
                        .hint("correct domicile_directive")
                },
            )?;
            Ok(Directive { subject: Subject::new(subject), hold, home })
        })
        .collect()
}

/// Nobody erases or decides meanwhile: there is one writer at a time.
pub(super) fn write(connection: &Connection, subject: &Subject, change: &Change) -> Result<()> {
    if !install::has_journal(connection)? {
        return Err(Error::new(Kind::Operator, "nothing is installed here that could keep it")
            .hint("run domicile prepare"));
    }
    let doing = "keeping a directive";
    let (column, value) = match change {
        Change::Hold(hold) => ("hold", hold.as_deref()),
        Change::Home(home) => ("home", home.as_ref().map(SiteName::as_str)),
    };
    writing(connection, doing, || {
        let sql = format!(
            "INSERT INTO domicile_directive (subject, {column}, since) VALUES (?1, ?2, {now})
             ON CONFLICT (subject) DO UPDATE SET {column} = excluded.{column}, since = excluded.since",
            now = journal::NOW
        );
        connection.execute(&sql, (subject.as_str(), value)).doing(doing).map(drop)
    })
}
