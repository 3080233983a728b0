//! A site: one data centre, its territory, its operator, and whose law can compel that operator.

use crate::territory::Territory;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a site: lower-case letters, digits, `-` and `_`, starting with a letter, at most 32.
///
/// The alphabet is narrow on purpose: a name stands in error texts that other systems parse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(String);

/// Why a text is not a site name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a site name: use lower-case letters, digits, - and _, starting with a letter, at most 32"
)]
pub struct BadSiteName(String);

impl SiteName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SiteName {
    type Err = BadSiteName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if starts && plain && text.len() <= 32 {
            Ok(SiteName(text.to_owned()))
        } else {
            Err(BadSiteName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for SiteName {
    type Error = BadSiteName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SiteName> for String {
    fn from(name: SiteName) -> String {
        name.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who runs a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// The operator's name.
    pub name: String,
    /// Whether the operator is somebody other than the platform.
    pub third_party: bool,
    /// The territory whose law can compel the operator.
    pub control: Territory,
}

/// What is known of a site apart from how to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteSpec {
    /// The site's name.
    pub name: SiteName,
    /// Where it stands.
    pub territory: Territory,
    /// Its share of people among the sites of one home, by rendezvous hashing.
    pub weight: u32,
    /// Who runs it, where the platform says so.
    pub operator: Option<Operator>,
}

impl SiteSpec {
    /// The territory whose law can compel whoever runs this site.
    pub fn control(&self) -> Territory {
        self.operator.as_ref().map_or(self.territory, |operator| operator.control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_names_are_plain() {
        assert!("dub1".parse::<SiteName>().is_ok());
        for bad in ["", "1dub", "Dub1", "dub 1", "dub'1", "a".repeat(33).as_str()] {
            assert!(bad.parse::<SiteName>().is_err(), "{bad}");
        }
    }
}
