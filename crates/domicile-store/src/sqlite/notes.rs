//! Notes of rows that changed, as the fences write them and as the mover reads them.
//!
//! The fences write a key as its values joined by commas: `i` and the number, `t` and the text's
//! bytes in hexadecimal, `b` and the blob's. JSON would read better, but a library of 3.35 may
//! have been built without it, and hexadecimal keeps every byte.
//!
//! In [`Touched::key`] a value of an INTEGER or TEXT column is its plain text, which converts back
//! by the column's affinity; a value of any other column keeps its mark (`i7`, `t6162`, `b00ff`),
//! because such a column tells 7 from '7'.

use crate::error::{Error, Kind, Result};
use crate::site::Touched;
use crate::sql::ident;
use crate::sqlite::catalog::Affinity;
use crate::sqlite::connection::Doing;
use crate::sqlite::rows::Cell;
use domicile_model::Subject;
use rusqlite::Connection;

/// Every note about these people, by number. `affinities` are those of each owned table's key.
pub(super) fn read(
    connection: &Connection,
    subjects: &[Subject],
    affinities: &[Vec<Affinity>],
) -> Result<Vec<Touched>> {
    let doing = "reading notes of changed rows";
    let sql = "SELECT seq, tbl, key, below FROM domicile_touched WHERE subject = ?1 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql).doing(doing)?;
    let mut notes = Vec::new();
    for subject in subjects {
        let mut lines = statement.query([subject.as_str()]).doing(doing)?;
        while let Some(line) = lines.next().doing(doing)? {
            let seq: i64 = line.get(0).doing(doing)?;
            let place: i64 = line.get(1).doing(doing)?;
            let written: String = line.get(2).doing(doing)?;
            let table = usize::try_from(place).unwrap_or(usize::MAX);
            let columns = affinities.get(table).map(Vec::as_slice).unwrap_or_default();
            let key = told(&written, columns).ok_or_else(|| {
                Error::new(Kind::Never, format!("a note about {subject} names no row: {written:?}"))
                    .hint("keys must be numbers, blobs, or text in UTF-8")
            })?;
            let below: bool = line.get(3).doing(doing)?;
            notes.push(Touched { seq, subject: subject.clone(), table, key, below });
        }
    }
    notes.sort_by_key(|note| note.seq);
    Ok(notes)
}

/// The key of a note, from what the trigger wrote.
pub(super) fn told(written: &str, columns: &[Affinity]) -> Option<Vec<String>> {
    let parts: Vec<&str> = written.split(',').collect();
    if parts.len() != columns.len() {
        return None;
    }
    let part = |(part, affinity): (&&str, &Affinity)| {
        if !affinity.is_plain() {
            return marked(part).map(|_| (*part).to_owned());
        }
        match marked(part)? {
            Cell::Integer(number) => Some(number.to_string()),
            Cell::Text(text) => String::from_utf8(text.to_vec()).ok(),
            _ => None,
        }
    };
    parts.iter().zip(columns).map(part).collect()
}

/// The SQL expression by which a trigger writes down the key of `row` (NEW, OLD or an alias).
pub(super) fn written(row: &str, key: &[String]) -> String {
    let parts: Vec<String> = key
        .iter()
        .map(|column| {
            let value = format!("{row}.{}", ident(column));
            format!(
                "CASE typeof({value}) WHEN 'integer' THEN 'i' || {value} \
                 WHEN 'text' THEN 't' || hex({value}) ELSE 'b' || hex({value}) END"
            )
        })
        .collect();
    format!("({})", parts.join(" || ',' || "))
}

/// A note's key as values to compare with.
pub(super) fn values(key: &[String], columns: &[Affinity]) -> Result<Vec<Cell>> {
    let value = |(text, affinity): (&String, &Affinity)| {
        if affinity.is_plain() {
            Some(Cell::Text(text.clone().into_bytes().into()))
        } else {
            marked(text)
        }
    };
    let cells: Option<Vec<Cell>> = key.iter().zip(columns).map(value).collect();
    cells.filter(|cells| cells.len() == columns.len()).ok_or_else(|| {
        Error::new(Kind::Never, format!("{key:?} is not a key here"))
            .hint("notes are read at a site and only passed on")
    })
}

fn marked(text: &str) -> Option<Cell> {
    let rest = text.get(1..)?;
    match text.as_bytes().first()? {
        b'i' => rest.parse().ok().map(Cell::Integer),
        b't' => Some(Cell::Text(unhex(rest)?.into())),
        b'b' => Some(Cell::Blob(unhex(rest)?.into())),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_by_the_columns_affinity() {
        let plain = [Affinity::Integer, Affinity::Text];
        assert_eq!(told("i-7,tC3A92C", &plain).unwrap(), ["-7", "é,"]);
        assert_eq!(told("i7,tff", &plain), None, "not UTF-8");
        assert_eq!(told("i7", &plain), None, "a part is missing");
        assert_eq!(told("b00FF", &[Affinity::Blob]).unwrap(), ["b00FF"]);
        assert_eq!(marked("b00FF"), Some(Cell::Blob(vec![0, 255].into())));
        assert_eq!(marked("b0"), None);
    }
}
