//! Where a person lives, from what is known about them: an ISO code or the text of a profile.
//!
//! The last segment that says anything decides ("city, region, country"). Whatever contradicts it
//! is kept as a conflict. What cannot be told is `unknown`, and an unknown person is held at the
//! most protective home; so this module would rather abstain than guess.

mod cities;
mod fold;
mod names;
mod reading;
mod regions;
mod weighing;

#[cfg(test)]
mod city_tests;
#[cfg(test)]
mod tests;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::territory::{self, Regime, Territory};
use reading::{Piece, Standing};

pub use fold::fold_town;

/// Below this confidence a residence is unknown.
pub const THRESHOLD: f64 = 0.5;

/// Nothing that people typed about themselves is surer than this.
const CONFIDENCE_MAX: f64 = 0.98;
/// An excerpt in evidence is enough to recognise the text by.
const EXCERPT_CHARS_MAX: usize = 80;

/// The territory a subject lives in, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residence {
    /// The territory; none (null in JSON) means unknown.
    pub territory: Option<Territory>,
    /// The regimes that apply there on the day asked about; empty when unknown.
    pub regimes: Vec<Regime>,
    /// From 0 to 1; 0 when unknown, otherwise at least [`THRESHOLD`].
    pub confidence: f64,
    /// What speaks for the territory, the deciding piece first.
    pub evidence: Vec<Evidence>,
    /// What speaks against it; when unknown, why it could not be told.
    pub conflicts: Vec<Conflict>,
}

/// A piece of text that speaks for the territory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How the text was understood.
    pub kind: EvidenceKind,
    /// The text, trimmed and cut to a readable length.
    pub segment: String,
    /// The territory it names.
    pub names: Territory,
}

/// How a text was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// An ISO 3166-1 code.
    Code,
    /// The English name.
    Name,
    /// A name in another language, a formal name or a common alias.
    Alias,
    /// A name that a part of another country shares, where a country is expected.
    SharedName,
    /// The name of a state, province or region of the territory.
    Subdivision,
    /// A name with one or two slips of the keyboard.
    Typo,
    /// The name of a city. All cities of the name are in the territory, or the rest of the text
    /// says that this one is meant.
    City,
    /// The name of cities in several territories; nearly all who live in one live in this one's.
    LargestCity,
}

/// A piece of text that speaks against the territory, or that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// What is wrong with it.
    pub kind: ConflictKind,
    /// The text, trimmed and cut to a readable length.
    pub segment: String,
    /// The other territory that it names, if it names one.
    pub names: Option<Territory>,
}

/// What is wrong with a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// It names another territory.
    OtherTerritory,
    /// It names several territories.
    Ambiguous,
    /// It names a state that is no more.
    Dissolved,
    /// It names cities in several territories, this one among them.
    SharedCity,
    /// It names nothing that is known here, or, where a country belongs, a small town that nothing
    /// else confirms.
    NotRecognised,
}

/// Reads a column of country codes: alpha-2, alpha-3 or numeric-3, in either case. What is no code
/// is read as the name of a country.
pub fn from_code(code: Option<&str>, on: Date) -> Residence {
    let Some(text) = code else { return Residence::unknown(Vec::new()) };
    let bare = text.trim_matches(|letter: char| !letter.is_alphanumeric());
    let known = Territory::from_alpha2(bare)
        .or_else(|| Territory::from_alpha3(bare))
        .or_else(|| Territory::from_numeric(bare));
    match known {
        Some(names) => {
            let kind = EvidenceKind::Code;
            let evidence = vec![Evidence { kind, segment: excerpt(text), names }];
            Residence::known(CONFIDENCE_MAX, evidence, Vec::new(), on)
        }
        // As the last of several columns: a country belongs there, not any town.
        None => from_text([None, Some(text)], on),
    }
}

/// Reads text columns from the least to the most general, such as city, state, country. Columns
/// are split further at commas, so that one column with a whole address line works as well.
pub fn from_text<'a>(segments: impl IntoIterator<Item = Option<&'a str>>, on: Date) -> Residence {
    let split = |text: Option<&'a str>| text.map(reading::split).unwrap_or_default();
    let columns: Vec<Vec<Piece<'a>>> = segments.into_iter().map(split).collect();
    let pieces: Vec<&Piece<'a>> = columns.iter().flatten().collect();
    let Some((last, earlier)) = pieces.split_last() else {
        return Residence::unknown(Vec::new());
    };
    // "Atlanta, Georgia" in one column does not say that its last word is meant as a country.
    let standing = match columns.last().map_or(0, Vec::len) {
        0 => Standing::BeforeCountry,
        1 if columns.len() == 1 => Standing::Only,
        1 => Standing::Country,
        _ => Standing::Address,
    };
    weighing::decide(last, standing, earlier, on)
}

/// The territories that have a city of a name, with the people there, in hundreds, who live in one,
/// the most first. In one territory only, fewer than 15,000 people are 0.
pub fn cities_named(text: &str) -> Vec<(Territory, u32)> {
    cities::Cities::named(&fold::fold(text))
        .map(|cities| cities.iter().collect())
        .unwrap_or_default()
}

impl Residence {
    fn unknown(conflicts: Vec<Conflict>) -> Residence {
        let (regimes, evidence) = (Vec::new(), Vec::new());
        Residence { territory: None, regimes, confidence: 0.0, evidence, conflicts }
    }

    /// The first piece of evidence is the one that decided.
    fn known(
        confidence: f64,
        evidence: Vec<Evidence>,
        conflicts: Vec<Conflict>,
        on: Date,
    ) -> Residence {
        let Some(first) = evidence.first() else { return Residence::unknown(conflicts) };
        if confidence < THRESHOLD {
            return Residence::unknown(conflicts);
        }
        let territory = Some(first.names);
        let regimes = territory::regimes(first.names, on);
        Residence { territory, regimes, confidence, evidence, conflicts }
    }
}

fn excerpt(text: &str) -> String {
    let quotes: &[char] = &['"', '\'', '`'];
    let bare = text.trim_matches(|letter: char| letter.is_whitespace() || quotes.contains(&letter));
    bare.chars().take(EXCERPT_CHARS_MAX).collect()
}
