//! Where a person lives, from what is known about them: an ISO code or the text of a profile.
//!
//! The last segment that says anything decides ("city, region, country"). Whatever contradicts it
//! is kept as a conflict. What cannot be told is `unknown`, and an unknown person is held at the
//! most protective home; so this module would rather abstain than guess.

mod names;
mod reading;

#[cfg(test)]
mod tests;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::territory::{self, Regime, Territory};
use reading::{Reading, Standing};

/// Below this confidence a residence is unknown.
pub const THRESHOLD: f64 = 0.5;

/// Nothing that people typed about themselves is surer than this.
const CONFIDENCE_MAX: f64 = 0.98;
/// What a further segment that agrees adds.
const AGREEMENT: f64 = 0.03;
/// What remains of the confidence after each conflict.
const AFTER_CONFLICT: f64 = 0.8;
/// The country stands before a segment that nobody understands.
const NOT_LAST: f64 = 0.7;
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
    /// It names nothing that is known here.
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
        None => from_text([Some(text)], on),
    }
}

/// Reads text columns from the least to the most general, such as city, state, country. Columns
/// are split further at commas, so that one column with a whole address line works as well.
pub fn from_text<'a>(segments: impl IntoIterator<Item = Option<&'a str>>, on: Date) -> Residence {
    let split = |text: Option<&'a str>| text.map(reading::split).unwrap_or_default();
    let columns: Vec<Vec<&str>> = segments.into_iter().map(split).collect();
    let pieces = columns.concat();
    let Some((last, earlier)) = pieces.split_last() else {
        return Residence::unknown(Vec::new());
    };
    // "Atlanta, Georgia" in one column does not say that its last word is meant as a country.
    let standing = match columns.last().map_or(0, Vec::len) {
        0 => Standing::BeforeCountry,
        1 => Standing::Country,
        _ => Standing::Address,
    };
    decide(last, standing, earlier, on)
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

impl EvidenceKind {
    /// How far a segment read in this way is believed when nothing else speaks for or against it.
    fn confidence(self) -> f64 {
        match self {
            EvidenceKind::Name => 0.95,
            EvidenceKind::Alias => 0.9,
            EvidenceKind::Code | EvidenceKind::Subdivision => 0.7,
            EvidenceKind::Typo => 0.65,
            EvidenceKind::SharedName => 0.6,
        }
    }
}

/// Lets the last piece decide, or, where nobody understands it, a country named before it.
fn decide(last: &str, standing: Standing, earlier: &[&str], on: Date) -> Residence {
    let useless = |kind| vec![Conflict { kind, segment: excerpt(last), names: None }];
    match reading::read(last, standing) {
        Reading::Place(kind, names) => {
            let found = Evidence { kind, segment: excerpt(last), names };
            settle(kind.confidence(), found, Vec::new(), earlier, on)
        }
        Reading::Ambiguous => Residence::unknown(useless(ConflictKind::Ambiguous)),
        Reading::Dissolved => Residence::unknown(useless(ConflictKind::Dissolved)),
        Reading::Nothing | Reading::NotRecognised => {
            let conflicts = useless(ConflictKind::NotRecognised);
            let country = (0..earlier.len()).rev().find_map(|at| {
                let (before, piece) = (earlier.get(..at)?, earlier.get(at)?);
                named_exactly(piece).map(|found| (before, found))
            });
            match country {
                Some((before, found)) => {
                    settle(NOT_LAST * AFTER_CONFLICT, found, conflicts, before, on)
                }
                None => Residence::unknown(conflicts),
            }
        }
    }
}

fn named_exactly(piece: &str) -> Option<Evidence> {
    let (kind, names) = reading::read_earlier(piece)?;
    let exactly = matches!(kind, EvidenceKind::Name | EvidenceKind::Alias);
    exactly.then(|| Evidence { kind, segment: excerpt(piece), names })
}

/// Weighs the earlier pieces against what was decided. They change the confidence, never the place.
fn settle(
    start: f64,
    found: Evidence,
    mut conflicts: Vec<Conflict>,
    earlier: &[&str],
    on: Date,
) -> Residence {
    let (decided, shared) = (found.names, found.kind == EvidenceKind::SharedName);
    let mut confidence = start;
    let mut evidence = vec![found];
    for (index, piece) in earlier.iter().enumerate().rev() {
        let Some((kind, names)) = reading::read_earlier(piece) else { continue };
        let confirmed = evidence.len() > 1;
        if same_country(names, decided) {
            confidence += AGREEMENT;
            evidence.push(Evidence { kind, segment: excerpt(piece), names });
        } else if index == 0 && confirmed {
            // Towns borrow names (Holland, Michigan; Ontario, California): no contradiction once
            // the region between has confirmed the country.
        } else {
            confidence *= AFTER_CONFLICT;
            let kind = ConflictKind::OtherTerritory;
            conflicts.push(Conflict { kind, segment: excerpt(piece), names: Some(names) });
        }
    }
    if shared && !conflicts.is_empty() {
        return Residence::unknown(conflicts);
    }
    let hundredths = (confidence.clamp(THRESHOLD, CONFIDENCE_MAX) * 100.0).round();
    Residence::known(hundredths / 100.0, evidence, conflicts, on)
}

/// A region with a code of its own and the state it belongs to do not contradict each other.
fn same_country(one: Territory, other: Territory) -> bool {
    let state = |place: Territory| match place.as_str() {
        "AS" | "GU" | "MP" | "PR" | "UM" | "VI" => "US",
        code => territory::parent(place).map_or(code, Territory::as_str),
    };
    state(one) == state(other)
}

fn excerpt(text: &str) -> String {
    let quotes: &[char] = &['"', '\'', '`'];
    let bare = text.trim_matches(|letter: char| letter.is_whitespace() || quotes.contains(&letter));
    bare.chars().take(EXCERPT_CHARS_MAX).collect()
}
