//! One segment of text: what it names, if anything.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

use crate::territory::Territory;

use super::EvidenceKind;
use super::cities::Cities;
use super::fold::fold;
use super::names::{COUNTRIES, DISSOLVED, IN_OTHER_LANGUAGES, NOTHING};
use super::regions::{REGION_CODES, SHARED, SUBDIVISIONS};

/// What a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing: empty, or a word such as `n/a`.
    Nothing,
    /// It names a territory.
    Place(EvidenceKind, Territory),
    /// It names several, or regions of several.
    Shared(Shared),
    /// It names a city.
    City(Cities),
    /// It names a state that is no more.
    Dissolved,
    /// It says something, but not to us.
    NotRecognised,
}

/// The territories that a shared name or code may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shared {
    /// Alpha-2 codes, with spaces between.
    codes: &'static str,
    /// What the same letters mean as an ISO code.
    iso: Option<Territory>,
    /// What it means where nothing else settles it.
    pub(super) expected: Option<(EvidenceKind, Territory)>,
}

impl Shared {
    /// Whether it may mean a territory.
    pub(super) fn may_mean(&self, territory: Territory) -> bool {
        self.iso == Some(territory) || self.codes.split(' ').any(|code| code == territory.as_str())
    }
}

/// Where the last segment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Alone in the last of several columns: a country is what is expected.
    Country,
    /// Alone in the only column: a country is what is expected, but a city may be.
    Only,
    /// At the end of an address in one column.
    Address,
    /// In a column before the last, which is empty: a state or a city is what is expected.
    BeforeCountry,
}

impl Standing {
    fn expects_country(self) -> bool {
        matches!(self, Standing::Country | Standing::Only)
    }
}

/// Names of less than this many characters are too close to each other to correct a slip.
const TYPO_CHARS_MIN: usize = 6;
/// From here on two slips are forgiven.
const TWO_TYPOS_CHARS_MIN: usize = 10;
/// The longest name in the table is shorter.
const TYPO_CHARS_MAX: usize = 60;
/// Short aliases that are written often enough to be misspelt often.
const OFTEN_MISSPELT: &[&str] = &["england", "holland", "scotland"];

/// Articles and titles that may stand before a name.
const LEADS: &[&str] = &[
    "the ",
    "republic of ",
    "islamic republic of ",
    "federal republic of ",
    "kingdom of ",
    "commonwealth of ",
    "la ",
    "le ",
    "les ",
    "los ",
    "las ",
    "l ",
    "il ",
    "el ",
];

/// A piece of a text, looked up once.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    /// As it was written.
    pub(super) text: &'a str,
    folded: String,
    /// What it says where it may only confirm or contradict: exact names, subdivisions and cities.
    pub(super) reading: Reading,
}

impl<'a> Piece<'a> {
    fn new(text: &'a str) -> Piece<'a> {
        let folded = fold(text);
        let reading = match known_folded(&folded) {
            Reading::NotRecognised if region_code(&folded).is_none() => {
                Cities::named(&folded).map_or(Reading::NotRecognised, Reading::City)
            }
            reading => reading,
        };
        Piece { text, folded, reading }
    }
}

/// Splits a column at its commas and drops the pieces that say nothing. A formal name with a comma
/// in it ("Korea, Republic of") stays whole.
pub(super) fn split(column: &str) -> Vec<Piece<'_>> {
    if column.contains(',') {
        let whole = Piece::new(column);
        if matches!(whole.reading, Reading::Place(..)) {
            return vec![whole];
        }
    }
    column.split(',').map(Piece::new).filter(|piece| piece.reading != Reading::Nothing).collect()
}

/// Reads a piece that may decide.
pub(super) fn read(piece: &Piece<'_>, standing: Standing) -> Reading {
    let folded = piece.folded.as_str();
    match piece.reading {
        Reading::Shared(shared) if folded == "georgia" && standing.expects_country() => {
            let georgia = Territory::from_alpha2("GE");
            let expected = georgia.map(|it| (EvidenceKind::SharedName, it));
            Reading::Shared(Shared { expected, ..shared })
        }
        Reading::City(_) => as_code(folded, standing).unwrap_or(piece.reading),
        Reading::NotRecognised => as_code(folded, standing)
            .or_else(|| misspelt(folded, standing).map(|it| Reading::Place(EvidenceKind::Typo, it)))
            .unwrap_or(Reading::NotRecognised),
        reading => reading,
    }
}

/// Looks a name up in all tables, then again without its article or title.
fn known_folded(folded: &str) -> Reading {
    if folded.is_empty() {
        return Reading::Nothing;
    }
    let mut rest = folded;
    loop {
        let reading = listed(rest);
        if reading != Reading::NotRecognised {
            return reading;
        }
        match LEADS.iter().find_map(|lead| rest.strip_prefix(lead)) {
            Some(shorter) => rest = shorter,
            None => break,
        }
    }
    let plain = rest.strip_suffix(" the").unwrap_or(rest);
    match plain.strip_prefix("st ") {
        Some(name) => listed(&format!("saint {name}")),
        None if plain == rest => Reading::NotRecognised,
        None => listed(plain),
    }
}

fn listed(name: &str) -> Reading {
    NAMES.get(name).copied().unwrap_or(Reading::NotRecognised)
}

/// All tables in one, because a text is looked up many times. The hasher has no random keys.
static NAMES: LazyLock<HashMap<&str, Reading, BuildHasherDefault<DefaultHasher>>> =
    LazyLock::new(|| {
        let mut names = HashMap::default();
        // A later table replaces what an earlier one says.
        for &(name, code) in SUBDIVISIONS {
            names.extend(place(EvidenceKind::Subdivision, name, code));
        }
        for &(name, code) in IN_OTHER_LANGUAGES {
            names.extend(place(EvidenceKind::Alias, name, code));
        }
        for &(name, code) in COUNTRIES {
            names.extend(place(EvidenceKind::Alias, name, code));
        }
        for territory in Territory::all() {
            let own = names.get_mut(fold(territory.name()).as_str());
            if let Some(reading) =
                own.filter(|it| **it == Reading::Place(EvidenceKind::Alias, territory))
            {
                *reading = Reading::Place(EvidenceKind::Name, territory);
            }
        }
        for &(name, codes) in SHARED {
            let shared = Shared { codes, iso: None, expected: None };
            names.insert(name, Reading::Shared(shared));
        }
        names.extend(DISSOLVED.iter().map(|&name| (name, Reading::Dissolved)));
        names.extend(NOTHING.iter().map(|&name| (name, Reading::Nothing)));
        names
    });

fn place(kind: EvidenceKind, name: &'static str, code: &str) -> Option<(&'static str, Reading)> {
    Some((name, Reading::Place(kind, Territory::from_alpha2(code)?)))
}

fn region_code(folded: &str) -> Option<&'static str> {
    let at = REGION_CODES.binary_search_by(|(code, _)| (*code).cmp(folded)).ok()?;
    REGION_CODES.get(at).map(|(_, codes)| *codes)
}

/// A code is believed where a country is expected; at the end of an address only a two-letter one
/// that no American, Canadian or Australian region uses as well. Where one does ("Los Angeles,
/// CA"), the town before it settles what is meant.
fn as_code(folded: &str, standing: Standing) -> Option<Reading> {
    let iso = if folded.len() == 2 { Territory::from_alpha2(folded) } else { None };
    let code = match (standing, folded.len()) {
        (Standing::Country | Standing::Only | Standing::Address, 2) => iso,
        (Standing::Country | Standing::Only, 3) => Territory::from_alpha3(folded),
        _ => None,
    };
    let code = code.map(|territory| (EvidenceKind::Code, territory));
    match region_code(folded) {
        Some(codes) => {
            let expected = code.filter(|_| standing.expects_country());
            Some(Reading::Shared(Shared { codes, iso, expected }))
        }
        None => code.map(|(kind, territory)| Reading::Place(kind, territory)),
    }
}

/// The one territory whose name is nearest, within one slip, or two for long names.
fn misspelt(folded: &str, standing: Standing) -> Option<Territory> {
    let length = folded.chars().count();
    let comparable = (TYPO_CHARS_MIN..=TYPO_CHARS_MAX).contains(&length);
    if !comparable || standing == Standing::BeforeCountry {
        return None;
    }
    let slips_max = if length < TWO_TYPOS_CHARS_MIN { 1 } else { 2 };
    let written = letters(folded);
    let mut best: Option<(usize, &str, &str)> = None;
    let mut tied = false;
    for &(name, code) in COUNTRIES {
        let apart = letters_apart(letters(name), written);
        if apart > slips_max || name.chars().count().abs_diff(length) > slips_max {
            continue;
        }
        let slips = strsim::damerau_levenshtein(name, folded);
        match best {
            Some((fewest, _, _)) if slips > fewest => {}
            Some((fewest, _, nearest)) if slips == fewest => tied |= nearest != code,
            _ => (best, tied) = (Some((slips, name, code)), false),
        }
    }
    let (slips, name, code) = best?;
    let territory = Territory::from_alpha2(code)?;
    // Short aliases in other languages are near to surnames and towns (`francia`, `francis`).
    let often = name.len() >= TWO_TYPOS_CHARS_MIN
        || OFTEN_MISSPELT.contains(&name)
        || fold(territory.name()) == name;
    let same_start = name.chars().next() == folded.chars().next();
    (slips <= slips_max && !tied && often && same_start).then_some(territory)
}

/// Which letters are in a text, as a set of bits; several letters may share one.
fn letters(text: &str) -> u32 {
    text.bytes().fold(0, |set, byte| set | 1 << (byte % 32))
}

/// No more than the slips between two texts, and much faster found: a slip brings at most one new
/// letter and loses at most one.
fn letters_apart(one: u32, other: u32) -> usize {
    let (lost, new) = (one & !other, other & !one);
    usize::try_from(lost.count_ones().max(new.count_ones())).unwrap_or(usize::MAX)
}
