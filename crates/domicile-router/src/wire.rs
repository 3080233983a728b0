//! PostgreSQL's protocol, version 3: frames, and the bodies that a router must understand.
//!
//! Pure: bytes in, bytes out. Lengths are checked before they are believed, every body is consumed
//! to its last byte, and nothing is allocated for what has not arrived.

mod backend;
mod frame;
mod frontend;
mod startup;

#[cfg(test)]
mod tests;

pub use backend::{
    Notice, ParameterStatus, command_complete, error_response, parameter_status, ready_for_query,
};
pub use frame::{Frame, Frames, HEADER_BYTES, frame};
pub use frontend::{Bind, Close, Describe, Execute, Named, Parse, Query};
pub use startup::{Cancel, Startup, StartupMessage, negotiate, read_startup};

/// What of a connection's bytes breaks the protocol; after it nothing that follows can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A length below the least or above the most.
    #[error("a message of type {tag:?} says that it has {length} bytes")]
    Length {
        /// The type's letter.
        tag: char,
        /// What the message says.
        length: u32,
    },
    /// A body that ends too early, too late, or holds what it must not.
    #[error("a message of type {tag:?} is malformed")]
    Body {
        /// The type's letter.
        tag: char,
    },
    /// A letter that begins no message.
    #[error("no message has the type {tag:?}")]
    Unknown {
        /// The letter.
        tag: char,
    },
    /// The first message of a connection is none of those that can be.
    #[error("the connection does not begin as PostgreSQL's protocol does")]
    Startup,
}

/// Reads the parts of a body in turn.
pub(crate) struct Body<'a> {
    tag: u8,
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    pub(crate) fn new(tag: u8, body: &'a [u8]) -> Self {
        Body { tag, rest: body }
    }

    pub(crate) fn bad(&self) -> Broken {
        Broken::Body { tag: char::from(self.tag) }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.bad())?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Broken> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Broken> {
        self.bytes(2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Broken> {
        self.bytes(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A count of two bytes; PostgreSQL reads it as unsigned.
    pub(crate) fn count(&mut self) -> Result<usize, Broken> {
        self.i16().map(|count| usize::from(count.cast_unsigned()))
    }

    /// Text up to a zero byte.
    pub(crate) fn text(&mut self) -> Result<&'a str, Broken> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or_else(|| self.bad())?;
        let text = std::str::from_utf8(&self.rest[..end]).map_err(|_| self.bad())?;
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn end(self) -> Result<(), Broken> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.bad()) }
    }
}
