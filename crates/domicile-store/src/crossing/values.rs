//! One value of SQLite as PostgreSQL's binary form of a type, or why it has none.

use super::decimal::Decimal;
use super::{PgType, moments};
use rusqlite::types::ValueRef;

/// The largest row that crosses, in bytes of its binary form. PostgreSQL builds a whole row in
/// memory, of which it takes no more than 1 GiB, doubling as it grows.
pub(crate) const ROW_BYTES_MAX: usize = 256 << 20;

/// The integers around zero that a double holds each and all.
const EXACT_MAX: u64 = 1 << 53;

/// Why a value cannot arrive with the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The reason, as the end of a sentence about the value.
    pub why: &'static str,
    /// What the reader can do.
    pub hint: &'static str,
}

const CORRECT: &str = "correct the value, or make the table at the PostgreSQL site yourself with a \
     type that takes it";

const fn misfit(why: &'static str) -> Misfit {
    Misfit { why, hint: CORRECT }
}

const NOT_UTF8: Misfit =
    Misfit { why: "is text that is not UTF-8", hint: "correct it, or keep it in a BLOB column" };
const HAS_NUL: Misfit = Misfit {
    why: "is text with a NUL character, which PostgreSQL does not hold",
    hint: "take the character out, or keep the value in a BLOB column",
};
const TOO_LONG: Misfit = misfit("has more characters than the column takes");
const OUT_OF_RANGE: Misfit = misfit("is out of the column's range");
const NO_DECIMAL: Misfit = misfit("is no decimal number that the column holds without rounding");

/// Appends a value as a field of binary COPY: its length and its bytes. A double keeps every bit;
/// a decimal from a REAL is the shortest that reads back as the same number.
pub fn encode(kind: PgType, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Misfit> {
    match (kind, value) {
        (_, ValueRef::Null) => out.extend((-1_i32).to_be_bytes()),
        (PgType::Boolean, ValueRef::Integer(bit @ (0 | 1))) => field(out, &[u8::from(bit == 1)]),
        (PgType::Boolean, _) => return Err(misfit("is neither 0 nor 1, as a boolean must be")),
        (PgType::SmallInt, value) => {
            let small = i16::try_from(integer(value)?).map_err(|_| OUT_OF_RANGE)?;
            field(out, &small.to_be_bytes());
        }
        (PgType::Integer, value) => {
            let small = i32::try_from(integer(value)?).map_err(|_| OUT_OF_RANGE)?;
            field(out, &small.to_be_bytes());
        }
        (PgType::BigInt, value) => field(out, &integer(value)?.to_be_bytes()),
        (PgType::Double, value) => field(out, &double(value)?.to_bits().to_be_bytes()),
        (PgType::Numeric(limits), value) => field(out, &decimal(value, limits)?.bytes()),
        (PgType::Text | PgType::Varchar(_) | PgType::Json, value) => {
            field(out, text(kind, value)?.as_bytes());
        }
        (PgType::Bytea, ValueRef::Blob(bytes)) => field(out, bytes),
        (PgType::Bytea, _) => return Err(misfit("is not a BLOB")),
        (PgType::Date, value) => {
            let days = moments::days(utf8(value)?);
            field(out, &days.ok_or(misfit("is not a date as YYYY-MM-DD"))?.to_be_bytes());
        }
        (PgType::Time | PgType::Timestamp | PgType::TimestampTz, value) => {
            field(out, &micros(kind, utf8(value)?)?.to_be_bytes());
        }
        (PgType::Uuid, value) => field(out, &uuid(value)?),
    }
    Ok(())
}

/// A key's value as the text that PostgreSQL casts to the column's type, and prints in UTC.
pub fn key_text(kind: PgType, value: ValueRef<'_>) -> Result<String, Misfit> {
    // What cannot arrive names no row there either.
    encode(kind, value, &mut Vec::new())?;
    Ok(match (kind, value) {
        (PgType::Numeric(limits), value) => decimal(value, limits)?.text(),
        (PgType::Boolean, ValueRef::Integer(bit)) => (bit == 1).to_string(),
        (PgType::Bytea, ValueRef::Blob(bytes)) => format!("\\x{}", hex(bytes)),
        (PgType::Uuid, ValueRef::Blob(_)) => {
            let digits = hex(&uuid(value)?);
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
            parts.map(|part| digits.get(part).unwrap_or_default()).join("-")
        }
        (_, ValueRef::Integer(number)) => number.to_string(),
        (PgType::Time, value) => moments::print_time(micros(kind, utf8(value)?)?),
        (PgType::Timestamp | PgType::TimestampTz, value) => {
            let zone = if kind == PgType::TimestampTz { "+00" } else { "" };
            let printed = moments::print_timestamp(micros(kind, utf8(value)?)?);
            format!("{}{zone}", printed.ok_or(OUT_OF_RANGE)?)
        }
        (_, value) => utf8(value)?.to_owned(),
    })
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    // A longer one makes the row too large, which is refused before it is sent.
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn integer(value: ValueRef<'_>) -> Result<i64, Misfit> {
    const NO_INTEGER: Misfit = misfit("is not an integer");
    match value {
        ValueRef::Integer(number) => Ok(number),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| NO_INTEGER)?;
            text.parse::<i64>().ok().filter(|n| n.to_string() == text).ok_or(NO_INTEGER)
        }
        _ => Err(NO_INTEGER),
    }
}

#[expect(clippy::cast_precision_loss, reason = "only integers that a double holds are cast")]
fn double(value: ValueRef<'_>) -> Result<f64, Misfit> {
    match value {
        ValueRef::Real(number) => Ok(number),
        ValueRef::Integer(number) if number.unsigned_abs() <= EXACT_MAX => Ok(number as f64),
        ValueRef::Integer(_) => Err(misfit("is an integer that a double would round")),
        _ => Err(misfit("is not a number")),
    }
}

fn decimal(value: ValueRef<'_>, limits: Option<(usize, usize)>) -> Result<Decimal, Misfit> {
    let number = match value {
        ValueRef::Integer(number) => Decimal::read(&number.to_string()),
        ValueRef::Real(number) => Decimal::of_real(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(Decimal::read),
        ValueRef::Blob(_) | ValueRef::Null => None,
    };
    let limited = match limits {
        Some(limits) => number.and_then(|number| number.within(limits)),
        None => number,
    };
    limited.ok_or(NO_DECIMAL)
}

fn utf8(value: ValueRef<'_>) -> Result<&str, Misfit> {
    let text = match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)?,
        ValueRef::Blob(_) => return Err(misfit("is a BLOB and not text")),
        _ => return Err(misfit("is a number and not text")),
    };
    if text.contains('\0') { Err(HAS_NUL) } else { Ok(text) }
}

fn text(kind: PgType, value: ValueRef<'_>) -> Result<&str, Misfit> {
    let text = utf8(value)?;
    match kind {
        PgType::Varchar(Some(limit)) if text.chars().count() > limit => Err(TOO_LONG),
        PgType::Json if serde_json::from_str::<serde_json::Value>(text).is_err() => {
            Err(misfit("is not JSON"))
        }
        _ => Ok(text),
    }
}

fn micros(kind: PgType, text: &str) -> Result<i64, Misfit> {
    let (found, why) = match kind {
        PgType::Time => (moments::time(text), "is not a time as HH:MM:SS"),
        PgType::Timestamp => {
            (moments::timestamp(text), "is not a date and time as YYYY-MM-DD HH:MM:SS")
        }
        _ => (moments::moment(text), "is not a date and time as YYYY-MM-DD HH:MM:SS+HH:MM"),
    };
    found.ok_or(misfit(why))
}

/// A UUID is read where PostgreSQL prints it back as it stands, or from its 16 bytes.
fn uuid(value: ValueRef<'_>) -> Result<[u8; 16], Misfit> {
    const NO_UUID: Misfit = misfit("is not a UUID in lower case with hyphens, nor its 16 bytes");
    let text = match value {
        ValueRef::Blob(bytes) => return bytes.try_into().map_err(|_| NO_UUID),
        value => utf8(value).map_err(|_| NO_UUID)?,
    };
    let is_hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let is_written_so = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match byte {
            b'-' => is_hyphen(at),
            byte => !is_hyphen(at) && matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    let number = u128::from_str_radix(&text.replace('-', ""), 16).ok();
    number.filter(|_| is_written_so).map(u128::to_be_bytes).ok_or(NO_UUID)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
