//! Data categories: what a column says of a person.
//!
//! The keys are those of fideslang 3.1 (Ethyca, CC-BY-4.0) under `user.` and `system.`, and two of
//! our own, `user.biometric.face` and `user.biometric.keystroke_dynamics`. No other key exists.
//!
//! [`value`] reads single values, [`mod@column`] judges a column from its name, type and a sample.

pub mod column;
mod keys;
mod names;
pub mod value;
pub mod words;

#[cfg(test)]
mod tests;

use keys::KEYS;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A data category, such as `user.contact.email`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(&'static str);

/// A text that is no category.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a data category of fideslang 3.1")]
pub struct UnknownCategory {
    /// What was written.
    pub given: String,
    /// The category that was probably meant.
    pub nearest: Category,
}

impl Category {
    /// Every category, sorted by key.
    pub fn all() -> impl Iterator<Item = Category> {
        KEYS.iter().map(|key| Category(key))
    }

    /// The key.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether this is `other` or lies below it: `user.contact.email` is within `user.contact`.
    pub fn is_within(self, other: Category) -> bool {
        let rest = self.0.strip_prefix(other.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Whether data of this category are of a special category in the sense of GDPR Art. 9(1), or
    /// about criminal convictions (Art. 10): health, genetics, biometrics, race, politics, belief,
    /// sex life. A reading of the articles against the names of the keys; data of other categories
    /// can be special by what they say.
    pub fn is_special(self) -> bool {
        let within = |key: &str| {
            self.0.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        keys::SPECIAL.iter().any(|key| within(key))
    }
}

/// The category of a key that stands in the code; the tests look each of them up.
pub(crate) const fn known(key: &'static str) -> Category {
    Category(key)
}

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Category, UnknownCategory> {
        if let Ok(at) = KEYS.binary_search(&text)
            && let Some(key) = KEYS.get(at)
        {
            return Ok(Category(key));
        }
        // A slip in the last word is nearer than another branch with as many letters in common.
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let distance = |category: &Category| {
            let whole = crate::nearness(category.0, text);
            whole.min(crate::nearness(&last(category.0), &last(text)) + 1)
        };
        let nearest = Category::all().min_by_key(distance).unwrap_or(known("user"));
        Err(UnknownCategory { given: text.chars().take(80).collect(), nearest })
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Category {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Category, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
