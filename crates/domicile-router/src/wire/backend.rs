//! What a server says.

use super::frame::put_text;
use super::{Body, Broken, Frame, frame};

/// The fields of an error or a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Each field's letter with its text, in the order in which they were sent.
    pub fields: Vec<(u8, String)>,
}

impl Notice {
    /// Reads an `E` or `N`.
    pub fn read(frame: &Frame<'_>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let mut fields = Vec::new();
        loop {
            match body.byte()? {
                0 => break,
                // A message may be in the database's own encoding.
                letter => fields.push((letter, text_up_to_zero(&mut body)?)),
            }
        }
        body.end().map(|()| Notice { fields })
    }

    /// A field's text.
    pub fn field(&self, letter: u8) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == letter).map(|(_, text)| text.as_str())
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.field(b'C').unwrap_or_default()
    }
}

fn text_up_to_zero(body: &mut Body<'_>) -> Result<String, Broken> {
    let mut bytes = Vec::new();
    loop {
        match body.byte()? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            byte => bytes.push(byte),
        }
    }
}

/// `S`: a setting that clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

impl<'a> ParameterStatus<'a> {
    /// Reads a body.
    pub fn read(frame: &Frame<'a>) -> Result<Self, Broken> {
        let mut body = Body::new(frame.tag, frame.body);
        let (name, value) = (body.text()?, body.text()?);
        body.end().map(|()| ParameterStatus { name, value })
    }
}

/// Appends a setting that clients are told.
pub fn parameter_status(to: &mut Vec<u8>, name: &str, value: &str) {
    frame(to, b'S', |to| {
        put_text(to, name);
        put_text(to, value);
    });
}

/// Appends an error: severity, SQLSTATE, message, and a hint where there is one.
pub fn error_response(
    to: &mut Vec<u8>,
    severity: &str,
    code: &str,
    message: &str,
    hint: Option<&str>,
) {
    frame(to, b'E', |to| {
        let fields = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(code)),
            (b'M', Some(message)),
            (b'H', hint),
        ];
        for (letter, text) in fields {
            let Some(text) = text else { continue };
            to.push(letter);
            put_text(to, text);
        }
        to.push(0);
    });
}

/// Appends the end of a statement.
pub fn command_complete(to: &mut Vec<u8>, tag: &str) {
    frame(to, b'C', |to| put_text(to, tag));
}

/// Appends that the next statement may come: `I`, `T` or `E`.
pub fn ready_for_query(to: &mut Vec<u8>, status: u8) {
    frame(to, b'Z', |to| to.push(status));
}
