//! Rows on their way between two SQLite sites.
//!
//! # The form
//!
//! A stream is `DMSL1\n`, the number of columns (2 bytes), rows, and an end. A row is `R` and one
//! value per column; the end is `E` and the number of rows (8 bytes), so that a stream cut short
//! is never taken for a whole one. A value is a tag and what follows it:
//!
//! | tag | storage class | follows |
//! |---|---|---|
//! | 0 | NULL | nothing |
//! | 1 | INTEGER | 8 bytes, two's complement |
//! | 2 | REAL | 8 bytes, the bits of the number |
//! | 3 | TEXT | length (4 bytes), the bytes, UTF-8 or not |
//! | 4 | BLOB | length (4 bytes), the bytes |
//!
//! Numbers are big-endian. The storage class travels with the value because SQLite keeps it with
//! the value, not with the column.

use crate::error::{Error, Kind, Result};
use bytes::{Buf, Bytes, BytesMut};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

const MAGIC: &[u8] = b"DMSL1\n";
const ROW: u8 = b'R';
const END: u8 = b'E';

/// One value with its storage class; text is bytes, since SQLite does not promise UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT, as its bytes.
    Text(Bytes),
    /// BLOB.
    Blob(Bytes),
}

impl Cell {
    /// The value as SQLite gave it.
    pub(super) fn of(value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(text) => Cell::Text(Bytes::copy_from_slice(text)),
            ValueRef::Blob(blob) => Cell::Blob(Bytes::copy_from_slice(blob)),
        }
    }

    /// The value as SQLite takes and gives it.
    pub(super) fn as_value(&self) -> ValueRef<'_> {
        match self {
            Cell::Null => ValueRef::Null,
            Cell::Integer(number) => ValueRef::Integer(*number),
            Cell::Real(number) => ValueRef::Real(*number),
            Cell::Text(text) => ValueRef::Text(text),
            Cell::Blob(blob) => ValueRef::Blob(blob),
        }
    }
}

/// Text goes back as the bytes it was read as; SQLite does not look at them.
impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_value()))
    }
}

/// Writes a stream.
pub(super) struct Writer {
    buffer: Vec<u8>,
    rows: u64,
}

impl Writer {
    /// A stream of rows of this many columns.
    pub(super) fn new(columns: usize) -> Result<Writer> {
        let columns = u16::try_from(columns)
            .map_err(|_| Error::new(Kind::Never, "a table has more than 65535 columns"))?;
        let mut buffer = MAGIC.to_vec();
        buffer.extend(columns.to_be_bytes());
        Ok(Writer { buffer, rows: 0 })
    }

    /// Begins a row; its values follow.
    pub(super) fn row(&mut self) {
        self.buffer.push(ROW);
        self.rows += 1;
    }

    /// Adds a value.
    pub(super) fn value(&mut self, value: ValueRef<'_>) -> Result<()> {
        encode(&mut self.buffer, value)
    }

    /// How much waits to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Takes what was written so far.
    pub(super) fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.buffer))
    }

    /// Ends the stream, and gives what was not taken yet.
    pub(super) fn end(mut self) -> Bytes {
        self.buffer.push(END);
        self.buffer.extend(self.rows.to_be_bytes());
        Bytes::from(self.buffer)
    }
}

/// Appends a value's tag, length and bytes.
pub(super) fn encode(buffer: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    let (tag, bytes) = match value {
        ValueRef::Null => {
            buffer.push(0);
            return Ok(());
        }
        ValueRef::Integer(number) => {
            buffer.push(1);
            buffer.extend(number.to_be_bytes());
            return Ok(());
        }
        ValueRef::Real(number) => {
            buffer.push(2);
            buffer.extend(number.to_bits().to_be_bytes());
            return Ok(());
        }
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(blob) => (4, blob),
    };
    let length = u32::try_from(bytes.len())
        .map_err(|_| Error::new(Kind::Never, "a value is longer than SQLite can hold"))?;
    buffer.push(tag);
    buffer.extend(length.to_be_bytes());
    buffer.extend(bytes);
    Ok(())
}

/// Reads a stream that comes in pieces of any length. Refuses whatever no writer writes.
pub(super) struct Reader {
    buffer: BytesMut,
    columns: usize,
    rows: u64,
    at: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Rows,
    Ended,
}

impl Reader {
    /// A reader of rows of this many columns.
    pub(super) fn new(columns: usize) -> Reader {
        Reader { buffer: BytesMut::new(), columns, rows: 0, at: Place::Head }
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next row, if it is there as a whole.
    pub(super) fn row(&mut self) -> Result<Option<Vec<Cell>>> {
        if self.at == Place::Head && !self.head()? {
            return Ok(None);
        }
        match (self.at, self.buffer.first().copied()) {
            (Place::Ended, Some(_)) => Err(malformed("something follows its end")),
            (_, None) => Ok(None),
            (_, Some(ROW)) => self.cells(),
            (_, Some(END)) => self.end(),
            (_, Some(_)) => Err(malformed("a row begins with neither R nor E")),
        }
    }

    /// Says that no piece follows; returns how many rows there were.
    pub(super) fn finish(self) -> Result<u64> {
        if self.at == Place::Ended && self.buffer.is_empty() {
            Ok(self.rows)
        } else {
            Err(malformed("it ends early"))
        }
    }

    fn head(&mut self) -> Result<bool> {
        let length = MAGIC.len() + 2;
        let Some(head) = self.buffer.get(..length) else {
            return Ok(false);
        };
        let (magic, columns) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(malformed("it does not begin as one"));
        }
        let told = columns.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        if told != self.columns {
            return Err(malformed(&format!("it has {told} columns, not {}", self.columns)));
        }
        self.buffer.advance(length);
        self.at = Place::Rows;
        Ok(true)
    }

    fn cells(&mut self) -> Result<Option<Vec<Cell>>> {
        let Some(length) = self.measure()? else {
            return Ok(None);
        };
        let mut row = self.buffer.split_to(length).freeze();
        row.advance(1);
        let cells = (0..self.columns).map(|_| cell(&mut row)).collect::<Result<Vec<Cell>>>()?;
        self.rows += 1;
        Ok(Some(cells))
    }

    /// The length of the row at the front, once all of it is there.
    fn measure(&self) -> Result<Option<usize>> {
        let mut at = 1;
        for _ in 0..self.columns {
            let Some(tag) = self.buffer.get(at) else {
                return Ok(None);
            };
            at += 1;
            at += match tag {
                0 => 0,
                1 | 2 => 8,
                3 | 4 => match self.buffer.get(at..).and_then(|mut rest| rest.try_get_u32().ok()) {
                    Some(length) => 4 + to_usize(length)?,
                    None => return Ok(None),
                },
                tag => return Err(malformed(&format!("{tag} is not a storage class"))),
            };
        }
        Ok((at <= self.buffer.len()).then_some(at))
    }

    fn end(&mut self) -> Result<Option<Vec<Cell>>> {
        let Some(told) = self.buffer.get(1..9).and_then(|mut rest| rest.try_get_u64().ok()) else {
            return Ok(None);
        };
        if told != self.rows {
            return Err(malformed(&format!("it names {told} rows and has {}", self.rows)));
        }
        self.buffer.advance(9);
        self.at = Place::Ended;
        if self.buffer.is_empty() { Ok(None) } else { Err(malformed("something follows its end")) }
    }
}

fn cell(row: &mut Bytes) -> Result<Cell> {
    let short = |_| malformed("a value ends early");
    let tag = row.try_get_u8().map_err(short)?;
    Ok(match tag {
        0 => Cell::Null,
        1 => Cell::Integer(row.try_get_i64().map_err(short)?),
        2 => Cell::Real(f64::from_bits(row.try_get_u64().map_err(short)?)),
        tag => {
            let length = to_usize(row.try_get_u32().map_err(short)?)?;
            if length > row.len() {
                return Err(malformed("a value ends early"));
            }
            let bytes = row.split_to(length);
            if tag == 3 { Cell::Text(bytes) } else { Cell::Blob(bytes) }
        }
    })
}

fn to_usize(length: u32) -> Result<usize> {
    usize::try_from(length).map_err(|_| malformed("a value is longer than memory"))
}

fn malformed(why: &str) -> Error {
    Error::new(Kind::Never, format!("this is not a whole stream of SQLite rows: {why}"))
        .hint("both sites must run the same version of domicile, and rows only pass between them")
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
