//! What goes wrong, and what the client is told of it.

use std::error::Error as Cause;
use std::fmt;

/// A result of the router.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What whoever asked can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A site cannot be reached, or closed a connection: try again later.
    SiteAway,
    /// Every connection is in use: try again later.
    Busy,
    /// Whom the statement concerns cannot be told.
    Undecided,
    /// The statement concerns people who live apart, or leaves the site of its transaction.
    Apart,
    /// The person moved under the transaction: run it again.
    Moved,
    /// The client does what the protocol or the router does not allow.
    Client,
    /// The client is not let in.
    Denied,
    /// The router is being stopped.
    Stopping,
}

/// What went wrong: one sentence, and what can be done.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    code: Option<String>,
    cause: Option<Box<dyn Cause + Send + Sync>>,
    ends_session: bool,
}

impl Error {
    /// An error without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            hint: None,
            code: None,
            cause: None,
            ends_session: false,
        }
    }

    /// With what can be done.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// With what it came of; it is chained and not printed.
    #[must_use]
    pub fn because(mut self, cause: impl Cause + Send + Sync + 'static) -> Error {
        self.cause = Some(Box::new(cause));
        self
    }

    /// With the SQLSTATE that a site gave.
    #[must_use]
    pub(crate) fn with_code(mut self, code: &str) -> Error {
        self.code = (code.len() == 5).then(|| code.to_owned());
        self
    }

    /// After it the session cannot go on.
    #[must_use]
    pub(crate) fn ends_session(mut self) -> Error {
        self.ends_session = true;
        self
    }

    /// Whether the session cannot go on.
    pub(crate) fn is_end(&self) -> bool {
        self.ends_session
    }

    /// What whoever asked can do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What can be done, in words.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The SQLSTATE that tells a client's program what to do.
    pub fn code(&self) -> &str {
        match (&self.code, self.kind) {
            (Some(code), _) => code,
            (None, Kind::SiteAway) => "08006",
            (None, Kind::Busy) => "53300",
            (None, Kind::Undecided | Kind::Apart) => "0A000",
            (None, Kind::Moved) => "40001",
            (None, Kind::Client) => "08P01",
            (None, Kind::Denied) => "28P01",
            (None, Kind::Stopping) => "57P01",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Cause for Error {
    fn source(&self) -> Option<&(dyn Cause + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
