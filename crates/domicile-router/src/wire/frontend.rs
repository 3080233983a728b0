//! What a client says.

use super::frame::put_text;
use super::{Body, Broken, Frame, frame};

/// `Q`: one text of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The text.
    pub text: &'a str,
}

/// `P`: a text becomes a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the one without.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// The count of parameter types and the types' identifiers, as they were sent.
    pub types: &'a [u8],
}

/// `B`: a prepared statement gets values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name.
    pub portal: &'a str,
    /// The statement's name.
    pub statement: &'a str,
    /// What follows the names, as it was sent.
    pub values: &'a [u8],
    formats: &'a [u8],
    parameters: &'a [u8],
}

/// `E`: a portal runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name.
    pub portal: &'a str,
    /// How many rows at most; 0 for all.
    pub rows_max: i32,
}

/// A statement or a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A prepared statement.
    Statement(&'a str),
    /// A portal.
    Portal(&'a str),
}

/// `D`: what a statement or portal takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Describe<'a>(pub Named<'a>);

/// `C`: a statement or portal is not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a>(pub Named<'a>);

impl<'a> Query<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let text = body.text()?;
        body.end().map(|()| Query { text })
    }

    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        frame(to, b'Q', |to| put_text(to, self.text));
    }
}

impl<'a> Parse<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let (name, text) = (body.text()?, body.text()?);
        let types = body.rest;
        let count = body.count()?;
        body.bytes(4 * count)?;
        body.end().map(|()| Parse { name, text, types })
    }

    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        frame(to, b'P', |to| {
            put_text(to, self.name);
            put_text(to, self.text);
            to.extend(self.types);
        });
    }

    /// The identifier of a parameter's type, from 1; 0 where the server is to find it.
    pub fn type_of(types: &[u8], parameter: usize) -> u32 {
        let at = 2 + 4 * parameter.saturating_sub(1);
        let bytes = types.get(at..at + 4).unwrap_or(&[0; 4]);
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

impl<'a> Bind<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let (portal, statement) = (body.text()?, body.text()?);
        let values = body.rest;
        let count = body.count()?;
        let formats = body.bytes(2 * count)?;
        let parameters = body.rest;
        let parameter_count = body.count()?;
        if count > 1 && count != parameter_count {
            return Err(body.bad());
        }
        for _ in 0..parameter_count {
            skip_value(&mut body)?;
        }
        let results = body.count()?;
        body.bytes(2 * results)?;
        body.end().map(|()| Bind { portal, statement, values, formats, parameters })
    }

    /// Appends the message for another statement's name.
    pub fn write_for(&self, statement: &str, to: &mut Vec<u8>) {
        frame(to, b'B', |to| {
            put_text(to, self.portal);
            put_text(to, statement);
            to.extend(self.values);
        });
    }

    /// How many parameters have values.
    pub fn parameter_count(&self) -> usize {
        Body::new(b'B', self.parameters).count().unwrap_or_default()
    }

    /// A parameter's value, from 1: its bytes, `None` for NULL, and whether they are binary.
    pub fn parameter(&self, number: usize) -> Option<(Option<&'a [u8]>, bool)> {
        if number == 0 || number > self.parameter_count() {
            return None;
        }
        let mut body = Body::new(b'B', self.parameters);
        body.count().ok()?;
        for _ in 1..number {
            skip_value(&mut body).ok()?;
        }
        let value = skip_value(&mut body).ok()?;
        // No format is text for all; one is for all; else each has its own.
        let at = if self.formats.len() <= 2 { 0 } else { 2 * (number - 1) };
        let is_binary = self.formats.get(at..at + 2).is_some_and(|format| format == [0, 1]);
        Some((value, is_binary))
    }
}

/// A value with its length before it; -1 is NULL.
fn skip_value<'a>(body: &mut Body<'a>) -> Result<Option<&'a [u8]>, Broken> {
    match body.i32()? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| body.bad())?;
            body.bytes(length).map(Some)
        }
    }
}

impl<'a> Execute<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let (portal, rows_max) = (body.text()?, body.i32()?);
        body.end().map(|()| Execute { portal, rows_max })
    }
}

impl<'a> Named<'a> {
    fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let (kind, name) = (body.byte()?, body.text()?);
        let named = match kind {
            b'S' => Named::Statement(name),
            b'P' => Named::Portal(name),
            _ => return Err(body.bad()),
        };
        body.end().map(|()| named)
    }

    fn write(self, tag: u8, to: &mut Vec<u8>) {
        let (kind, name) = match self {
            Named::Statement(name) => (b'S', name),
            Named::Portal(name) => (b'P', name),
        };
        frame(to, tag, |to| {
            to.push(kind);
            put_text(to, name);
        });
    }
}

impl<'a> Describe<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        Named::read(frame).map(Describe)
    }

    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        self.0.write(b'D', to);
    }
}

impl<'a> Close<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        Named::read(frame).map(Close)
    }

    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        self.0.write(b'C', to);
    }
}
