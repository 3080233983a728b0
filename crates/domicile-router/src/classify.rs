//! What a statement is about: which people, which tables, and what it asks of the session.
//!
//! A statement is read once per text with PostgreSQL's own grammar. What comes of it names
//! parameters and constants by their places; whoever runs the statement fills in values.
//!
//! The reading is sound, not complete: a person is named only where every row of theirs that the
//! statement reads or writes is found by that name, and whatever the reading does not know makes
//! the statement undecided. An equality counts for the tables of its own query alone, since a
//! condition inside `EXISTS` or the `ON` of an outer join leaves the rows outside as they are.

mod change;
mod equality;
mod expression;
mod from;
mod functions;
mod owners;
mod query;
mod scope;
mod utility;

#[cfg(test)]
mod tests;

use crate::homes::SiteAt;
use crate::schema::{Place, Schema};
use pg_query::NodeEnum;
use std::ops::Range;

pub use utility::{Control, Set, Transaction};

/// Longer texts are not read: a parser can be kept busy for minutes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// A value that a statement names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// `$1` is 1.
    Parameter(usize),
    /// A constant in the text.
    Constant {
        /// Its text, without quotes.
        text: String,
        /// Where in the statement's text it begins, in bytes.
        at: usize,
    },
}

/// Rows whose owner a statement names: the rows of a table with these values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The table; the root with its primary key means the person at once, anything else must be
    /// looked up.
    pub table: Place,
    /// Its columns.
    pub columns: Vec<String>,
    /// What they equal.
    pub values: Vec<Operand>,
}

/// A new person: what is known of the row, by column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignUp {
    /// Columns and the values they get. Columns that get a computed value are missing.
    pub row: Vec<(String, Operand)>,
}

/// What a query concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Whose rows it reads or writes; several handles may mean one person.
    pub people: Vec<Handle>,
    /// People it creates.
    pub sign_ups: Vec<SignUp>,
    /// Whether it reads or writes what stands at one site and belongs to nobody.
    pub internal: bool,
    /// Whether it writes rows that are the same at every site.
    pub writes_reference: bool,
    /// Whether it writes or locks anything.
    pub writes: bool,
    /// Sites that were chosen for tables of which it does not say whose rows it means; each once.
    pub undecided: Vec<SiteAt>,
}

/// Why it cannot be told whom a statement concerns; a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecided(pub String);

impl Undecided {
    pub(crate) fn because<T>(why: impl Into<String>) -> Result<T, Undecided> {
        Err(Undecided(why.into()))
    }
}

/// What a statement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// It reads or writes rows.
    Query(Result<About, Undecided>),
    /// It begins or ends a transaction or a part of one.
    Transaction(Transaction),
    /// It changes a setting of the session or transaction.
    Set(Set),
    /// It concerns the session or an open transaction and no rows that are not open already.
    Control(Control),
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it is.
    pub command: Command,
    /// Where in the text it stands, in bytes.
    pub span: Range<usize>,
    /// The person that a comment of the form `/* domicile.subject=KEY */` names.
    pub subject: Option<String>,
}

impl Statement {
    /// Whether it ends a transaction whose changes stay.
    pub fn commits(&self) -> bool {
        matches!(self.command, Command::Transaction(Transaction::Commit { .. }))
    }

    /// Whether it ends a transaction.
    pub fn ends_transaction(&self) -> bool {
        matches!(&self.command, Command::Transaction(what) if what.ends())
    }
}

/// Why a text cannot be read at all. PostgreSQL will say more of what it refuses itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is too long to be parsed for a decision.
    #[error("the statement has more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// Its parts are nested too deeply to be read.
    #[error("the statement is nested too deeply to be read")]
    TooDeep,
    /// The grammar refuses it.
    #[error("{0}")]
    Grammar(String),
}

/// Reads a text of one or several statements. `search_path` is the session's.
pub fn classify(
    schema: &Schema,
    search_path: &[String],
    text: &str,
) -> Result<Vec<Statement>, Unreadable> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    let parsed =
        pg_query::parse(text, pg_query::ParserOptions::DEFAULT).map_err(|error| match error {
            pg_query::Error::Parse(why) => Unreadable::Grammar(why),
            _ => Unreadable::TooDeep,
        })?;
    let mut statements = Vec::new();
    let mut start = 0;
    for raw in parsed.protobuf.stmts {
        // What the grammar calls the statement leaves comments before it out.
        let location = usize::try_from(raw.stmt_location).unwrap_or_default();
        let length = usize::try_from(raw.stmt_len).unwrap_or_default();
        let end = if length == 0 { text.len() } else { location + length };
        let command = match raw.stmt.and_then(|node| node.node) {
            Some(node) => read(schema, search_path, &node),
            None => Command::Query(Ok(About::default())),
        };
        let subject = text.get(start..end).and_then(subject_in_comment);
        statements.push(Statement { command, span: start..end, subject });
        start = (end + 1).min(text.len());
    }
    Ok(statements)
}

/// The statements of a text that may be longer than [`classify`] takes; all of it where their ends
/// cannot be told.
pub fn split(text: &str) -> Vec<&str> {
    let found = pg_query::split_with_scanner(text).unwrap_or_else(|_| vec![text]);
    found.into_iter().map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

fn read(schema: &Schema, search_path: &[String], node: &NodeEnum) -> Command {
    utility::read(node).unwrap_or_else(|| {
        let mut reading = query::Reading::new(schema, search_path);
        let about = reading.statement(node).and_then(|()| reading.finish());
        Command::Query(about)
    })
}

/// What a leading or trailing comment says, as middlewares write it: `/* domicile.subject=42 */`.
/// Quotes around the key are taken off and doubled ones halved, percent signs decoded.
fn subject_in_comment(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let leading = text.strip_prefix("/*").and_then(|rest| rest.split_once("*/")).map(|(c, _)| c);
    let trailing = text.strip_suffix("*/").and_then(|rest| rest.rsplit_once("/*")).map(|(_, c)| c);
    [leading, trailing].into_iter().flatten().find_map(|comment| {
        let pairs = comment.split(',').filter_map(|pair| pair.split_once('='));
        let mut pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
        let (_, value) = pairs.find(|(name, _)| *name == "domicile.subject")?;
        let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        percent_decoded(&bare.map_or_else(|| value.to_owned(), |bare| bare.replace("\\'", "'")))
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
