//! How the program ends: its exit codes, and errors as people read them.
//!
//! What the command line or the configuration alone is to blame for is [`Exit::Usage`]; whatever
//! a site says, be it that it does not answer or that a plan cannot work, is [`Exit::Failed`].

use domicile_store::Kind;
use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// Every exit code of `domicile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It failed, was refused, or somebody could not be moved.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage = 2,
    /// A policy denied it.
    Denied = 10,
    /// The verification found what must not be.
    Mismatch = 11,
    /// Stopped by a signal; the same command goes on from there.
    Stopped = 12,
    /// A defect of the program itself.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ended early: one sentence, what the reader can do, and what lies below.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    because: Vec<String>,
}

/// A command's result.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into(), hint: None, because: Vec::new() }
    }

    /// It was tried and did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Failure::new(Exit::Failed, message)
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, message)
    }

    /// The program itself is wrong.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Failure::new(Exit::Internal, message)
    }

    /// Adds what the reader can do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the errors below, each once: many errors repeat in their text what they wrap.
    #[must_use]
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            let known = |said: &String| said.contains(&text) || text.contains(said.as_str());
            if !text.is_empty() && !known(&self.message) && !self.because.iter().any(known) {
                self.because.push(text);
            }
            next = error.source();
        }
        self
    }

    /// The code to end with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

/// `error:`, `hint:`, `because:`, each on lines of its own and without anybody's password.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", without_passwords(&self.message))?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", without_passwords(hint))?;
        }
        for text in &self.because {
            write!(f, "\nbecause: {}", without_passwords(text))?;
        }
        Ok(())
    }
}

impl From<domicile_mover::Error> for Failure {
    fn from(error: domicile_mover::Error) -> Self {
        if let domicile_mover::Error::Denied { message, hint } = error {
            return Failure::new(Exit::Denied, message).hint(hint);
        }
        of_site(error.kind(), error.hint_text(), &error)
    }
}

impl From<domicile_store::Error> for Failure {
    fn from(error: domicile_store::Error) -> Self {
        of_site(error.kind(), error.hint_text(), &error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::failed("reading or writing a stream failed").because(&error)
    }
}

fn of_site(kind: Kind, hint: Option<&str>, error: &dyn Error) -> Failure {
    let failure = Failure::failed(error.to_string()).because(error);
    match (hint, kind) {
        (Some(hint), _) => failure.hint(hint),
        (None, Kind::RetryNow) => failure.hint("somebody else was faster; run it again"),
        (None, Kind::RetryLater) => failure.hint("run it again when the site answers"),
        (None, Kind::Never | Kind::Operator) => failure,
    }
}

/// Blanks the password of every URL in a text. Nothing here prints one on purpose; a library's
/// error might.
fn without_passwords(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let name = user.split(':').next().unwrap_or_default();
                let secret = if user.contains(':') { ":***" } else { "" };
                safe.push_str(&format!("{name}{secret}@{host}"));
            }
            None => safe.push_str(authority),
        }
        rest = tail;
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_is_said_once() {
        let inner = io::Error::other("connection refused");
        let outer = domicile_store::Error::new(Kind::RetryLater, "dub1: connection refused");
        let failure = Failure::from(outer.because(inner));
        assert_eq!(
            failure.to_string(),
            "error: dub1: connection refused\nhint: run it again when the site answers"
        );
    }

    #[test]
    fn no_password_is_printed() {
        let failure =
            Failure::failed("postgres://me:se:cret@h:1/d and postgres://me@h").hint("see sqlite:x");
        assert_eq!(
            failure.to_string(),
            "error: postgres://me:***@h:1/d and postgres://me@h\nhint: see sqlite:x"
        );
    }
}
