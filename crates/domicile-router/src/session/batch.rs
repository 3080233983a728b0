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
    /// The statements that it prepares, by the client's names, in order.
    pub(super) prepares: Vec<String>,
    /// Whether a portal may be used after it.
    pub(super) keeps_portals: bool,
    /// Whether the router asks for the end, where the client wants only the answers so far.
    pub(super) is_closed_here: bool,
}

/// The end of the messages up to where the client waits; `None` while they are not whole. `seen` is
/// how far they were looked at before, and is moved on.
pub(super) fn end(bytes: &[u8], seen: &mut usize) -> Result<Option<usize>, Broken> {
    while let Some(frame) = Frames::Frontend.first(&bytes[*seen..])? {
        *seen += frame.whole.len();
        if matches!(frame.tag, b'Q' | b'S' | b'H' | b'X' | b'F') {
            return Ok(Some(std::mem::take(seen)));
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

/// Reads a text with its parameters' types, and whether whoever says it may say it again.
pub(super) type Reader<'a> = dyn Fn(&str, &[u8], bool) -> Rc<Prepared> + 'a;

/// The statements that a client has prepared, by its own names.
pub(super) type Statements = HashMap<String, Rc<Prepared>>;

impl Batch {
    /// Reads messages; what they prepare and close is noted in `statements`. `None` where the
    /// client takes its leave. After an error nothing of them is prepared.
    pub(super) fn read(
        bytes: &[u8],
        statements: &mut Statements,
        read: &Reader<'_>,
    ) -> Result<Option<Batch>> {
        let mut batch = Batch::default();
        let is_whole = batch.read_all(bytes, statements, read);
        if is_whole.is_err() {
            batch.take_back(statements, 0);
        }
        Ok(is_whole?.then_some(batch))
    }

    fn read_all(
        &mut self,
        bytes: &[u8],
        statements: &mut Statements,
        read: &Reader<'_>,
    ) -> Result<bool> {
        let (mut binds, mut executes) = (0, 0);
        while self.length < bytes.len() {
            let frame = Frames::Frontend.first(&bytes[self.length..]).map_err(broken)?;
            let Some(frame) = frame else { break };
            let start = self.length;
            self.length += frame.whole.len();
            match frame.tag {
                b'X' => return Ok(false),
                b'P' => {
                    let name = Parse::read(&frame).map_err(broken)?.name;
                    let part = read_part(&frame, statements, read)?;
                    self.prepares.push(name.to_owned());
                    self.parts.push((part, start..self.length));
                    continue;
                }
                b'B' => {
                    binds += 1;
                    self.keeps_portals |= !Bind::read(&frame).map_err(broken)?.portal.is_empty();
                }
                b'E' => {
                    executes += 1;
                    self.keeps_portals |= Execute::read(&frame).map_err(broken)?.rows_max > 0;
                }
                _ => {}
            }
            let part = read_part(&frame, statements, read)?;
            self.parts.push((part, start..self.length));
        }
        self.keeps_portals |= binds > executes;
        Ok(true)
    }

    /// Forgets the statements that it prepares, but for the first so many.
    pub(super) fn take_back(&self, statements: &mut Statements, but: usize) {
        for name in self.prepares.iter().skip(but) {
            statements.remove(name);
        }
    }

    /// Whether the client waits for the end, and not only for answers so far.
    pub(super) fn ends(&self) -> bool {
        matches!(self.parts.last(), Some((Part::Sync | Part::Query(_), _)))
    }

    /// Whether it runs nothing, and tells only what statements take and give.
    pub(super) fn only_prepares(&self) -> bool {
        let mut parts = self.parts.iter().map(|(part, _)| part);
        parts.all(|part| {
            matches!(
                part,
                Part::Parse(_)
                    | Part::DescribeStatement(_)
                    | Part::CloseStatement
                    | Part::ClosePortal
                    | Part::Sync
                    | Part::Flush
            )
        })
    }
}

fn read_part(frame: &Frame<'_>, statements: &mut Statements, read: &Reader<'_>) -> Result<Part> {
    let known = |statements: &Statements, name: &str| match statements.get(name) {
        Some(prepared) => Ok(prepared.clone()),
        None => {
            Err(Error::new(Kind::Client, format!("prepared statement \"{name}\" does not exist"))
                .with_code("26000"))
        }
    };
    Ok(match frame.tag {
        b'Q' => Part::Query(read(Query::read(frame).map_err(broken)?.text, &[0, 0], false)),
        b'P' => {
            let parse = Parse::read(frame).map_err(broken)?;
            if !parse.name.is_empty() && statements.contains_key(parse.name) {
                return Err(Error::new(
                    Kind::Client,
                    format!("prepared statement \"{}\" already exists", parse.name),
                )
                .with_code("42P05"));
            }
            let prepared = read(parse.text, parse.types, true);
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
