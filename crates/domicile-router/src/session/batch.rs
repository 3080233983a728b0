//! What a client says at a time: everything up to where it waits for an answer.

use crate::error::{Error, Kind, Result};
use crate::prepared::Prepared;
use crate::wire::{Bind, Broken, Close, Describe, Execute, Frame, Frames, Named, Parse, Query};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// One message, with what it is about.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// One text of statements.
    Query(Rc<Prepared>),
    /// A statement is prepared.
    Parse(Rc<Prepared>),
    /// A prepared statement gets values.
    Bind(Rc<Prepared>),
    /// What a statement takes and gives.
    DescribeStatement(Rc<Prepared>),
    /// What a portal gives.
    DescribePortal,
    /// A portal runs.
    Execute,
    /// A prepared statement is not needed any more.
    CloseStatement,
    /// A portal is not needed any more.
    ClosePortal,
    /// The client waits for the end of what it said.
    Sync,
    /// The client waits for the answers so far.
    Flush,
}

/// Messages up to where the client waits.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Each message, and where its bytes stand.
    pub(super) parts: Vec<(Part, Range<usize>)>,
    /// How many bytes all of them have.
    pub(super) length: usize,
}

/// The end of the messages up to where the client waits; `None` while they are not whole.
pub(super) fn end(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let mut at = 0;
    while let Some(frame) = Frames::Frontend.first(&bytes[at..])? {
        at += frame.whole.len();
        if matches!(frame.tag, b'Q' | b'S' | b'H' | b'X' | b'F') {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The letters of whole messages.
pub(super) fn tags(mut bytes: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    while let Ok(Some(frame)) = Frames::Frontend.first(bytes) {
        tags.push(frame.tag);
        bytes = &bytes[frame.whole.len()..];
    }
    tags
}

/// The statements that a client has prepared, by its own names.
pub(super) type Statements = HashMap<String, Rc<Prepared>>;

impl Batch {
    /// Reads messages; what they prepare and close is noted in `statements`. `None` where the
    /// client takes its leave.
    pub(super) fn read(
        bytes: &[u8],
        statements: &mut Statements,
        read: &dyn Fn(&str, &[u8]) -> Rc<Prepared>,
    ) -> Result<Option<Batch>> {
        let mut batch = Batch::default();
        while batch.length < bytes.len() {
            let frame = Frames::Frontend.first(&bytes[batch.length..]).map_err(broken)?;
            let Some(frame) = frame else { break };
            let start = batch.length;
            batch.length += frame.whole.len();
            if frame.tag == b'X' {
                return Ok(None);
            }
            let part = read_part(&frame, statements, read)?;
            batch.parts.push((part, start..batch.length));
        }
        Ok(Some(batch))
    }

    /// Whether the client waits for the end, and not only for answers so far.
    pub(super) fn ends(&self) -> bool {
        matches!(self.parts.last(), Some((Part::Sync | Part::Query(_), _)))
    }
}

fn read_part(
    frame: &Frame<'_>,
    statements: &mut Statements,
    read: &dyn Fn(&str, &[u8]) -> Rc<Prepared>,
) -> Result<Part> {
    let known = |statements: &Statements, name: &str| match statements.get(name) {
        Some(prepared) => Ok(prepared.clone()),
        None => {
            Err(Error::new(Kind::Client, format!("prepared statement \"{name}\" does not exist"))
                .with_code("26000"))
        }
    };
    Ok(match frame.tag {
        b'Q' => Part::Query(read(Query::read(frame).map_err(broken)?.text, &[0, 0])),
        b'P' => {
            let parse = Parse::read(frame).map_err(broken)?;
            if !parse.name.is_empty() && statements.contains_key(parse.name) {
                return Err(Error::new(
                    Kind::Client,
                    format!("prepared statement \"{}\" already exists", parse.name),
                )
                .with_code("42P05"));
            }
            let prepared = read(parse.text, parse.types);
            statements.insert(parse.name.to_owned(), prepared.clone());
            Part::Parse(prepared)
        }
        b'B' => Part::Bind(known(statements, Bind::read(frame).map_err(broken)?.statement)?),
        b'D' => match Describe::read(frame).map_err(broken)?.0 {
            Named::Statement(name) => Part::DescribeStatement(known(statements, name)?),
            Named::Portal(_) => Part::DescribePortal,
        },
        b'E' => Execute::read(frame).map(|_| Part::Execute).map_err(broken)?,
        b'C' => match Close::read(frame).map_err(broken)?.0 {
            Named::Statement(name) => {
                statements.remove(name);
                Part::CloseStatement
            }
            Named::Portal(_) => Part::ClosePortal,
        },
        b'S' => Part::Sync,
        b'H' => Part::Flush,
        b'F' => {
            return Err(Error::new(
                Kind::Client,
                "functions cannot be called by their number here",
            )
            .with_code("0A000")
            .hint("call the function in a statement"));
        }
        _ => {
            return Err(Error::new(
                Kind::Client,
                format!("a message of type {:?} comes out of turn", char::from(frame.tag)),
            ));
        }
    })
}

pub(super) fn broken(broken: Broken) -> Error {
    Error::new(Kind::Client, broken.to_string())
}
