//! A subject's name inside the platform: the primary key of the root table, as text.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The key of one person's row in the root table.
///
/// A key of one column is that column's text. A key of several columns is a JSON array of their
/// texts without spaces, which is what `array_to_json(ARRAY[…])` and `json_array(…)` print, so that
/// both engines and this type agree byte for byte. Ordering is by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// A subject from the text the database prints for it.
    pub fn new(text: impl Into<String>) -> Self {
        Subject(text.into())
    }

    /// The text the database prints for this subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", self.0)
    }
}
