//! Territories, the law that applies in them, and since when.
//!
//! The table answers "which law protects a person who is *there* on that date". The legal test is
//! presence, not nationality: GDPR Art. 3(2) ("in the Union"), DSA Art. 2(1) ("located in the
//! Union"). Rows carry their source; rows that want a lawyer's eye say so ([`Row::needs_lawyer`]).
//! A territory without a row has one regime named after its own code, at every date.

mod codes;
mod table;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use codes::{CODES, Code};

/// The day on which the table was last changed; a new row or date means a new version.
pub const TABLE_VERSION: &str = "2026-11-21";

/// A place with a code of its own: ISO 3166-1 alpha-2, or one of `IC`, `EA`, `XK`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Territory(&'static str);

/// The law that applies to a person's data: `EU`, `EEA`, or a territory's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Regime(&'static str);

/// One line of the table: what holds in a territory from one day until another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Where.
    pub territory: Territory,
    /// A part of the territory that has no code of its own. Such rows are for readers and lawyers:
    /// [`regimes`] knows codes only and does not use them.
    pub part: Option<&'static str>,
    /// The regimes that apply, strongest tie first.
    pub regimes: &'static [Regime],
    /// Whether people there are "located in the Union" in the sense of DSA Art. 2(1).
    pub counts_for_dsa: bool,
    /// The state that an outermost region or the like belongs to.
    pub parent: Option<Territory>,
    /// The first day on which the row holds; none means since ever.
    pub valid_from: Option<Date>,
    /// The first day on which the row no longer holds; none means until further notice.
    pub valid_to: Option<Date>,
    /// The legal source.
    pub source: &'static str,
    /// What a reader should know besides; empty if nothing.
    pub note: &'static str,
    /// The row is a reading of the law that a lawyer should confirm.
    pub needs_lawyer: bool,
}

/// All rows of the table, grouped as in the sources.
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// The row that decides for a territory on a day, if it has one.
pub fn row(territory: Territory, on: Date) -> Option<&'static Row> {
    rows().iter().find(|row| row.territory == territory && row.part.is_none() && row.holds(on))
}

/// The regimes that apply in a territory on a day; never empty.
///
/// A member state has both `EU` and `EEA` for its whole membership. (Strictly the EEA Agreement
/// dates from 1994, and new members entered it some months after the Union.)
pub fn regimes(territory: Territory, on: Date) -> Vec<Regime> {
    row(territory, on).map_or_else(|| vec![Regime::of(territory)], |row| row.regimes.to_vec())
}

/// Whether people there are "located in the Union" on a day (DSA Art. 2(1)), and so belong in the
/// count of Art. 24(2). Asks where they are, not whether the DSA was already in force that day.
pub fn counts_for_dsa(territory: Territory, on: Date) -> bool {
    row(territory, on).is_some_and(|row| row.counts_for_dsa)
}

/// The member state that a region with a code of its own belongs to: GP, MQ, GF, RE, YT, MF → FR;
/// IC, EA → ES; AX → FI.
pub fn parent(territory: Territory) -> Option<Territory> {
    rows().iter().filter(|row| row.territory == territory).find_map(|row| row.parent)
}

impl Row {
    /// Whether the row holds on a day.
    pub fn holds(&self, on: Date) -> bool {
        self.valid_from.is_none_or(|from| from <= on) && self.valid_to.is_none_or(|to| on < to)
    }
}

impl Territory {
    /// Every territory, by code.
    pub fn all() -> impl Iterator<Item = Territory> {
        CODES.iter().map(|code| Territory(code.alpha2))
    }

    /// The alpha-2 code.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The English short name.
    pub fn name(self) -> &'static str {
        find(self.0).map_or(self.0, |code| code.name)
    }

    /// Reads an alpha-3 code, in either case.
    pub fn from_alpha3(text: &str) -> Option<Territory> {
        let text = text.trim();
        let known = |code: &&Code| text.len() == 3 && code.alpha3.eq_ignore_ascii_case(text);
        CODES.iter().find(known).map(|code| Territory(code.alpha2))
    }

    /// Reads a numeric-3 code; leading zeros may be missing, as spreadsheets drop them.
    pub fn from_numeric(text: &str) -> Option<Territory> {
        let text = text.trim();
        if text.is_empty() || text.len() > 3 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let padded = format!("{text:0>3}");
        CODES.iter().find(|code| code.numeric == padded).map(|code| Territory(code.alpha2))
    }

    /// Reads an alpha-2 code without the search for a suggestion that the error of `FromStr` needs.
    pub(crate) fn from_alpha2(text: &str) -> Option<Territory> {
        let upper = text.trim().to_ascii_uppercase();
        // The European Commission's own codes for two states; UK is also what people write.
        let code = match upper.as_str() {
            "UK" => "GB",
            "EL" => "GR",
            other => other,
        };
        find(code).map(|code| Territory(code.alpha2))
    }
}

impl Regime {
    /// Union law.
    pub const EU: Regime = Regime("EU");
    /// The law of the European Economic Area; the GDPR is part of it.
    pub const EEA: Regime = Regime("EEA");

    /// The regime named after a territory's own code.
    pub const fn of(territory: Territory) -> Regime {
        Regime(territory.0)
    }

    /// The short name, as configuration writes it.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// A text that is no territory code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a territory code (ISO 3166-1 alpha-2){}", did_you_mean(.nearest))]
pub struct UnknownTerritory {
    /// What was written.
    pub given: String,
    /// The code that was probably meant.
    pub nearest: Option<Territory>,
}

/// A text that names no regime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a regime (EU, EEA or a territory code){}", did_you_mean(.nearest))]
pub struct UnknownRegime {
    /// What was written.
    pub given: String,
    /// The regime that was probably meant.
    pub nearest: Option<Regime>,
}

fn did_you_mean(nearest: &Option<impl fmt::Display>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

impl FromStr for Territory {
    type Err = UnknownTerritory;

    /// Reads an alpha-2 code in either case, also `UK` (GB) and `EL` (GR).
    fn from_str(text: &str) -> Result<Territory, UnknownTerritory> {
        Territory::from_alpha2(text).ok_or_else(|| UnknownTerritory {
            given: shortened(text),
            nearest: nearest_territory(text),
        })
    }
}

impl FromStr for Regime {
    type Err = UnknownRegime;

    /// Reads `EU`, `EEA` or a territory code, in either case.
    fn from_str(text: &str) -> Result<Regime, UnknownRegime> {
        let upper = text.trim().to_ascii_uppercase();
        match upper.as_str() {
            "EU" => return Ok(Regime::EU),
            "EEA" => return Ok(Regime::EEA),
            _ => {}
        }
        Territory::from_alpha2(&upper).map(Regime::of).ok_or_else(|| UnknownRegime {
            given: shortened(text),
            nearest: nearest_regime(&upper),
        })
    }
}

fn find(alpha2: &str) -> Option<&'static Code> {
    CODES.binary_search_by(|code| code.alpha2.cmp(alpha2)).ok().and_then(|at| CODES.get(at))
}

/// Codes that people write for a state and that belong to nobody: from its own name or its language.
const MISTAKEN: &[(&str, &str)] = &[
    ("EN", "GB"),
    ("ENG", "GB"),
    ("FE", "FR"),
    ("GER", "DE"),
    ("HOL", "NL"),
    ("JA", "JP"),
    ("POR", "PT"),
    ("SP", "ES"),
    ("SPA", "ES"),
    ("SUI", "CH"),
    ("SW", "SE"),
    ("UAE", "AE"),
];

/// No code and no name is longer; comparing a longer text would only cost time.
const SUGGESTION_CHARS_MAX: usize = 48;

/// The territory that was probably meant: by a known slip, alpha-3 or name; otherwise the code one
/// edit away, where states of the table and an equal first letter come first.
fn nearest_territory(text: &str) -> Option<Territory> {
    let upper = text.trim().to_ascii_uppercase();
    let slip = MISTAKEN.iter().find(|(wrong, _)| *wrong == upper).map(|(_, right)| *right);
    if let Some(code) = slip.and_then(find) {
        return Some(Territory(code.alpha2));
    }
    let length = upper.chars().count();
    if length > SUGGESTION_CHARS_MAX {
        return None;
    }
    Territory::from_alpha3(&upper)
        .or_else(|| if length > 3 { nearest_by_name(&upper) } else { nearest_by_code(&upper) })
}

fn nearest_by_name(upper: &str) -> Option<Territory> {
    let edits = |code: &Code| strsim::damerau_levenshtein(&code.name.to_uppercase(), upper);
    let (edits, code) =
        CODES.iter().map(|code| (edits(code), code)).min_by_key(|(edits, _)| *edits)?;
    (edits <= 2).then_some(Territory(code.alpha2))
}

fn nearest_by_code(upper: &str) -> Option<Territory> {
    let first = upper.chars().next()?;
    CODES
        .iter()
        .filter(|code| strsim::damerau_levenshtein(code.alpha2, upper) == 1)
        .min_by_key(|code| {
            let in_table = rows().iter().any(|row| row.territory.0 == code.alpha2);
            (!code.alpha2.starts_with(first), !in_table, code.alpha2)
        })
        .map(|code| Territory(code.alpha2))
}

fn nearest_regime(upper: &str) -> Option<Regime> {
    let near = |regime: Regime| strsim::damerau_levenshtein(regime.0, upper) == 1;
    match upper {
        "GDPR" | "EU27" | "UNION" | "EUROPE" => Some(Regime::EU),
        "EFTA" | "EWR" => Some(Regime::EEA),
        short if short.len() == 3 && near(Regime::EEA) => Some(Regime::EEA),
        short if short.len() == 3 && near(Regime::EU) => Some(Regime::EU),
        other => nearest_territory(other).map(Regime::of),
    }
}

/// Keeps an error message readable when somebody passes a whole file.
fn shortened(text: &str) -> String {
    text.trim().chars().take(SUGGESTION_CHARS_MAX).collect()
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Territory);
as_text!(Regime);
