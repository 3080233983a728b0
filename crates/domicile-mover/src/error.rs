//! One error for the crate.

use domicile_store::Kind;
use std::fmt;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What stopped a plan or a move.
#[derive(Debug)]
pub enum Error {
    /// A site's error, as it is.
    Site(domicile_store::Error),
    /// Something is refused before anything moves; the operator must change it first.
    Refused {
        /// One sentence.
        message: String,
        /// What the reader can do.
        hint: String,
    },
    /// The rules of the configuration do not allow what was asked for.
    Denied {
        /// One sentence.
        message: String,
        /// What the reader can do.
        hint: String,
    },
}

impl Error {
    pub(crate) fn denied(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Denied { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Refused { message: message.into(), hint: hint.into() }
    }

    /// What the caller can do.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Site(error) => error.kind(),
            Error::Refused { .. } | Error::Denied { .. } => Kind::Operator,
        }
    }

    /// What the reader can do, where known.
    pub fn hint_text(&self) -> Option<&str> {
        match self {
            Error::Site(error) => error.hint_text(),
            Error::Refused { hint, .. } | Error::Denied { hint, .. } => Some(hint),
        }
    }
}

impl From<domicile_store::Error> for Error {
    fn from(error: domicile_store::Error) -> Self {
        Error::Site(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Site(error) => error.fmt(f),
            Error::Refused { message, .. } | Error::Denied { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Site(error) => error.source(),
            Error::Refused { .. } | Error::Denied { .. } => None,
        }
    }
}
