//! Digesting rows as a server sends them.
//!
//! A row's digest is SHA-256 over what the server's `record_send` would write of it. Binary `COPY`
//! sends the same values with less work for the server, and what leaves a source on the way to a
//! target is digested in passing.

use super::session::Session;
use super::text::compared;
use crate::closure::{Closure, OwnedTable};
use crate::digest::Sum;
use crate::error::{Error, Kind, Result};
use crate::site::{ByteStream, TableDigest};
use bytes::{Buf as _, BytesMut};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a binary `COPY` begins with, before its flags and the length of its extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const HEAD_BYTES: usize = SIGNATURE.len() + 4 + 4;

/// The numbers of the types that are compared, by table, each asked for once.
#[derive(Default)]
pub(super) struct Types(BTreeMap<usize, Arc<[u32]>>);

impl Types {
    pub(super) async fn of(
        &mut self,
        session: &Session,
        closure: &Closure,
        at: usize,
    ) -> Result<Arc<[u32]>> {
        if let Some(types) = self.0.get(&at) {
            return Ok(types.clone());
        }
        let table = closure.at(at);
        let select = format!("SELECT {} FROM {} AS t0", all(table), table.name.sql());
        let types = types_of(session, &select).await?;
        self.0.insert(at, types.clone());
        Ok(types)
    }
}

/// What is compared of a table's rows `t0`.
pub(super) fn all(table: &OwnedTable) -> String {
    compared("t0", &table.columns, &table.user_types, &table.generated)
}

/// Whether rows travel in the very form in which they are compared.
pub(super) fn travels_as_compared(table: &OwnedTable) -> bool {
    table.generated.is_empty() && !table.user_types.contains(&true)
}

/// The numbers of the types of what a query gives.
pub(super) async fn types_of(session: &Session, select: &str) -> Result<Arc<[u32]>> {
    let statement = session.client.prepare(select).await.map_err(|e| session.failed(e))?;
    Ok(statement.columns().iter().map(|column| column.type_().oid()).collect())
}

/// Digests what a query gives, which has no parameters.
pub(super) async fn read(session: &Session, select: &str, types: Arc<[u32]>) -> Result<Sum> {
    let statement = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
    let mut rows = session.client.copy_out(&statement).await.map_err(|e| session.failed(e))?;
    let mut reading = Reading::new(types);
    while let Some(piece) = rows.next().await {
        reading.feed(&piece.map_err(|e| session.failed(e))?)?;
    }
    reading.finish()
}

/// Digests of tables whose rows have passed by.
pub(super) type Passed = Arc<Mutex<BTreeMap<usize, TableDigest>>>;

/// The same stream; at its end the table's digest is in `passed`.
pub(super) fn in_passing<'a>(
    rows: ByteStream<'a>,
    types: Arc<[u32]>,
    table: usize,
    passed: Passed,
) -> ByteStream<'a> {
    let begin = (rows, Reading::new(types), passed);
    stream::try_unfold(begin, move |(mut rows, mut reading, passed)| async move {
        let Some(piece) = rows.next().await else {
            let digest = reading.finish()?.of_table(table);
            passed.lock().unwrap_or_else(PoisonError::into_inner).insert(table, digest);
            return Ok(None);
        };
        let piece = piece?;
        reading.feed(&piece)?;
        Ok(Some((piece, (rows, reading, passed))))
    })
    .boxed()
}

/// Reads a binary `COPY` that comes in pieces of any length.
struct Reading {
    types: Arc<[u32]>,
    waiting: BytesMut,
    place: Place,
    sum: Sum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Rows,
    Ended,
}

impl Reading {
    fn new(types: Arc<[u32]>) -> Reading {
        Reading { types, waiting: BytesMut::new(), place: Place::Head, sum: Sum::default() }
    }

    fn feed(&mut self, piece: &[u8]) -> Result<()> {
        // A server sends whole rows; only what is not is kept.
        if self.waiting.is_empty() {
            let taken = self.take(piece)?;
            self.waiting.extend_from_slice(&piece[taken..]);
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(piece);
        let taken = self.take(&waiting)?;
        waiting.advance(taken);
        self.waiting = waiting;
        Ok(())
    }

    /// Ends the reading; nothing at all is no rows.
    fn finish(self) -> Result<Sum> {
        match self.place {
            Place::Ended if self.waiting.is_empty() => Ok(self.sum),
            Place::Head if self.waiting.is_empty() => Ok(self.sum),
            _ => Err(malformed("it ends early")),
        }
    }

    /// Takes what is whole in `bytes`; returns how much that is.
    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut rest = bytes;
        while let Some(length) = self.take_one(rest)? {
            rest = &rest[length..];
        }
        Ok(bytes.len() - rest.len())
    }

    fn take_one(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        match self.place {
            Place::Head if bytes.len() < HEAD_BYTES => Ok(None),
            Place::Head => {
                // Neither flags nor an extension have ever been defined that we would understand.
                let (signature, others) = bytes[..HEAD_BYTES].split_at(SIGNATURE.len());
                if signature != SIGNATURE || others.iter().any(|byte| *byte != 0) {
                    return Err(malformed("it does not begin as one"));
                }
                self.place = Place::Rows;
                Ok(Some(HEAD_BYTES))
            }
            Place::Rows => self.take_row(bytes),
            Place::Ended if bytes.is_empty() => Ok(None),
            Place::Ended => Err(malformed("something follows its end")),
        }
    }

    fn take_row(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let mut rest = bytes;
        let Ok(fields) = rest.try_get_i16() else { return Ok(None) };
        if fields == -1 {
            self.place = Place::Ended;
            return Ok(Some(2));
        }
        if usize::try_from(fields) != Ok(self.types.len()) {
            return Err(malformed("a row has another number of columns"));
        }
        let mut hash = Sha256::new();
        hash.update(i32::from(fields).to_be_bytes());
        for kind in self.types.iter() {
            let Some((head, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            let length = i32::from_be_bytes(*head);
            // NULL is a length of its own, without bytes.
            let length = if length == -1 { Ok(0) } else { usize::try_from(length) };
            let length = length.map_err(|_| malformed("a value has no length"))?;
            let Some((value, after)) = after.split_at_checked(length) else { return Ok(None) };
            hash.update(kind.to_be_bytes());
            hash.update(head);
            hash.update(value);
            rest = after;
        }
        self.sum.add(hash.finalize().into());
        Ok(Some(bytes.len() - rest.len()))
    }
}

fn malformed(why: &str) -> Error {
    Error::new(Kind::Never, format!("a server sent no whole binary COPY: {why}"))
        .hint("something between domicile and the server changes what it sends; connect directly")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two columns, an integer and a text.
    const TYPES: [u32; 2] = [23, 25];

    type Row = (Option<i32>, Option<Vec<u8>>);

    fn sent(rows: &[Row]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for (number, text) in rows {
            bytes.extend(2_i16.to_be_bytes());
            for value in [number.map(|n| n.to_be_bytes().to_vec()), text.clone()] {
                let length = value.as_ref().map_or(-1, |v| i32::try_from(v.len()).unwrap());
                bytes.extend(length.to_be_bytes());
                bytes.extend(value.unwrap_or_default());
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    fn read_in(pieces: &[&[u8]]) -> Result<Sum> {
        let mut reading = Reading::new(TYPES.into());
        for piece in pieces {
            reading.feed(piece)?;
        }
        reading.finish()
    }

    #[test]
    fn null_and_empty_differ() {
        let null = read_in(&[&sent(&[(None, None)])]).unwrap();
        let empty = read_in(&[&sent(&[(None, Some(Vec::new()))])]).unwrap();
        assert_eq!((null.rows(), empty.rows()), (1, 1));
        assert_ne!(null, empty);
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let whole = sent(&[(Some(1), Some(b"one".to_vec()))]);
        for end in 1..whole.len() {
            assert!(read_in(&[&whole[..end]]).is_err(), "{end} bytes");
        }
        assert_eq!(read_in(&[]).unwrap(), Sum::default());
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_are_one_stream(
            rows in prop::collection::vec(any::<Row>(), 0..8), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)
        ) {
            let whole = sent(&rows);
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len())).collect();
            places.extend([0, whole.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            let sum = read_in(&pieces).unwrap();
            prop_assert_eq!(sum, read_in(&[&whole]).unwrap());
            prop_assert_eq!(sum.rows(), rows.len() as u64);
        }

        #[test]
        fn anything_else_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), keep in 0_usize..40) {
            let mut pieces = sent(&[(Some(1), None)]);
            pieces.truncate(keep);
            pieces.extend(bytes);
            let _ = read_in(&[&pieces]);
        }
    }
}
