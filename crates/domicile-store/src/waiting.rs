//! What a changed plan may not do to people who have left a site and wait to be erased there.

use crate::error::{Error, Kind};
use domicile_model::SiteName;

/// Why another plan cannot be installed yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ForbiddenChange {
    /// Newly owned tables have rows of theirs: erasing would delete what was never copied.
    Uncopied(Vec<String>),
    /// Tables are no longer owned: what was copied from them would stay behind.
    Unerased(Vec<String>),
}

impl ForbiddenChange {
    /// The first that holds.
    pub(crate) fn of(uncopied: Vec<String>, unerased: Vec<String>) -> Option<Self> {
        if !uncopied.is_empty() {
            Some(ForbiddenChange::Uncopied(uncopied))
        } else if !unerased.is_empty() {
            Some(ForbiddenChange::Unerased(unerased))
        } else {
            None
        }
    }

    /// What the operator is told.
    pub(crate) fn refusal(self, site: Option<&SiteName>) -> Error {
        let site = site.map(|site| format!(" site {site}")).unwrap_or_default();
        let message = match self {
            ForbiddenChange::Uncopied(tables) => format!(
                "people who have left{site} still have rows in {}, which was not part of their move",
                tables.join(", ")
            ),
            ForbiddenChange::Unerased(tables) => format!(
                "people who have left{site} are not erased yet in {}, which is owned no longer",
                tables.join(", ")
            ),
        };
        Error::new(Kind::Operator, message).hint(
            "let migrate erase them under the former configuration, or move those rows yourself",
        )
    }
}
