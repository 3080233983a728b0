//! What somebody has directed about single people.

use crate::error::{Error, Kind, Result};
use crate::site::Directive;
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
    let sql = "SELECT subject, hold, home FROM domicile_directive ORDER BY subject";
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
pub(super) fn write(connection: &Connection, directive: &Directive) -> Result<()> {
    if !install::has_journal(connection)? {
        return Err(Error::new(Kind::Operator, "nothing is installed here that could keep it")
            .hint("run domicile prepare"));
    }
    let doing = "keeping a directive";
    let Directive { subject, hold, home } = directive;
    writing(connection, doing, || {
        let sql = "DELETE FROM domicile_directive WHERE subject = ?1";
        connection.execute(sql, [subject.as_str()]).doing(doing)?;
        if hold.is_some() || home.is_some() {
            let sql = format!(
                "INSERT INTO domicile_directive (subject, hold, home, since)
                 VALUES (?1, ?2, ?3, {})",
                journal::NOW
            );
            let line = (subject.as_str(), hold, home.as_ref().map(SiteName::as_str));
            connection.execute(&sql, line).doing(doing)?;
        }
        Ok(())
    })
}
