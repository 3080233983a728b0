//! People as the root table has them.

use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::Person;
use crate::sql::{ident, idents};
use crate::sqlite::connection::Doing;
use crate::sqlite::owner;
use crate::sqlite::stream::Outlet;
use domicile_model::Subject;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params_from_iter};

const DOING: &str = "reading people";

/// Gives everybody, ascending by the bytes of their key.
pub(super) fn all(
    connection: &Connection,
    closure: &Closure,
    outlet: &Outlet<Person>,
) -> Result<()> {
    let sql = format!("{} ORDER BY 1 COLLATE BINARY", select(closure));
    let mut statement = connection.prepare(&sql).doing(DOING)?;
    let mut rows = statement.query([]).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        if outlet.give(person(closure, row)?).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// One person's root row, if it stands here.
pub(super) fn one(
    connection: &Connection,
    closure: &Closure,
    subject: &Subject,
) -> Result<Option<Person>> {
    let key = &closure.root().key;
    // Somebody who cannot be named here is not here.
    let Ok(texts) = owner::key_of(subject.as_str(), key.len()) else {
        return Ok(None);
    };
    let matches: Vec<String> = key
        .iter()
        .enumerate()
        .map(|(at, column)| format!("\"t\".{} = ?{}", ident(column), at + 1))
        .collect();
    let sql = format!(
        "{} WHERE {} AND {} = ?{} COLLATE BINARY",
        select(closure),
        matches.join(" AND "),
        owner::name_of("\"t\"", key),
        key.len() + 1
    );
    let mut statement = connection.prepare(&sql).doing(DOING)?;
    let values = texts.iter().map(String::as_str).chain([subject.as_str()]);
    let mut rows = statement.query(params_from_iter(values)).doing(DOING)?;
    rows.next().doing(DOING)?.map(|row| person(closure, row)).transpose()
}

fn select(closure: &Closure) -> String {
    let root = closure.root();
    let mut columns = vec![owner::name_of("\"t\"", &root.key)];
    if !closure.residence.is_empty() {
        columns.push(idents("\"t\".", &closure.residence));
    }
    format!("SELECT {} FROM {} AS \"t\"", columns.join(", "), root.name.sql())
}

fn person(closure: &Closure, row: &Row<'_>) -> Result<Person> {
    let root = &closure.root().name;
    let key = row.get_ref(0).doing(DOING)?;
    let subject = match text(key) {
        Ok(Some(key)) => Subject::new(key),
        Ok(None) => {
            return Err(Error::new(Kind::Never, format!("a row of {root} has NULL in its key"))
                .hint("give it a key; somebody without one cannot be placed"));
        }
        Err(shown) => {
            return Err(Error::new(
                Kind::Never,
                format!("the key {shown:?} of a row of {root} is not UTF-8"),
            )
            .hint("keys name people in logs and at other sites; they must be UTF-8"));
        }
    };
    let mut residence = Vec::with_capacity(closure.residence.len());
    for (at, column) in closure.residence.iter().enumerate() {
        let value = text(row.get_ref(at + 1).doing(DOING)?).map_err(|_| {
            Error::new(Kind::Never, format!("column {column} of {subject} in {root} is not UTF-8"))
                .hint("residence is read from this column; write it in UTF-8")
        })?;
        residence.push(value);
    }
    Ok(Person { subject, residence })
}

/// A value's text as SQLite casts it; the error shows what is not UTF-8.
pub(super) fn text(value: ValueRef<'_>) -> Result<Option<String>, String> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number.to_string())),
        ValueRef::Real(number) => Ok(Some(format!("{number:?}"))),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => std::str::from_utf8(bytes)
            .map(|text| Some(text.to_owned()))
            .map_err(|_| String::from_utf8_lossy(bytes).into_owned()),
    }
}
