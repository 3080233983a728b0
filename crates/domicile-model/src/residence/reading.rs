//! One segment of text: what it names, if anything.

use crate::territory::Territory;

use super::EvidenceKind;
use super::names::{
    AMBIGUOUS, COUNTRIES, DISSOLVED, IN_OTHER_LANGUAGES, NOTHING, REGION_CODES, SUBDIVISIONS,
};

/// What a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing: empty, or a word such as `n/a`.
    Nothing,
    /// It names a territory.
    Place(EvidenceKind, Territory),
    /// It names several.
    Ambiguous,
    /// It names a state that is no more.
    Dissolved,
    /// It says something, but not to us.
    NotRecognised,
}

/// Where the last segment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Alone in the last column: a country is what is expected.
    Country,
    /// At the end of an address in one column.
    Address,
    /// In a column before the last, which is empty: a state or a city is what is expected.
    BeforeCountry,
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

/// Splits a column at its commas and drops the pieces that say nothing. A formal name with a comma
/// in it ("Korea, Republic of") stays whole.
pub(super) fn split(column: &str) -> Vec<&str> {
    if column.contains(',') && matches!(known(column), Reading::Place(..)) {
        return vec![column];
    }
    column.split(',').filter(|piece| known(piece) != Reading::Nothing).collect()
}

/// Reads a piece that may decide.
pub(super) fn read(piece: &str, standing: Standing) -> Reading {
    let folded = fold(piece);
    match (known_folded(&folded), standing) {
        (Reading::Ambiguous, Standing::Country) => {
            let georgia = (folded == "georgia").then(|| Territory::from_alpha2("GE")).flatten();
            georgia.map_or(Reading::Ambiguous, |it| Reading::Place(EvidenceKind::SharedName, it))
        }
        (Reading::NotRecognised, _) => as_code(&folded, standing)
            .map(|territory| Reading::Place(EvidenceKind::Code, territory))
            .or_else(|| {
                misspelt(&folded, standing).map(|place| Reading::Place(EvidenceKind::Typo, place))
            })
            .unwrap_or(Reading::NotRecognised),
        (reading, _) => reading,
    }
}

/// Reads a piece that may only confirm or contradict: exact names and subdivisions.
pub(super) fn read_earlier(piece: &str) -> Option<(EvidenceKind, Territory)> {
    match known(piece) {
        Reading::Place(kind, territory) => Some((kind, territory)),
        _ => None,
    }
}

fn known(piece: &str) -> Reading {
    known_folded(&fold(piece))
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
        None => listed(plain),
    }
}

fn listed(name: &str) -> Reading {
    let contains = |list: &[&str]| list.binary_search(&name).is_ok();
    if contains(NOTHING) {
        return Reading::Nothing;
    }
    if contains(DISSOLVED) {
        return Reading::Dissolved;
    }
    if contains(AMBIGUOUS) {
        return Reading::Ambiguous;
    }
    if let Some(territory) = find(COUNTRIES, name) {
        let own = fold(territory.name()) == name;
        return Reading::Place(
            if own { EvidenceKind::Name } else { EvidenceKind::Alias },
            territory,
        );
    }
    if let Some(territory) = find(IN_OTHER_LANGUAGES, name) {
        return Reading::Place(EvidenceKind::Alias, territory);
    }
    find(SUBDIVISIONS, name).map_or(Reading::NotRecognised, |territory| {
        Reading::Place(EvidenceKind::Subdivision, territory)
    })
}

fn find(table: &[(&str, &str)], name: &str) -> Option<Territory> {
    let at = table.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    table.get(at).and_then(|(_, code)| Territory::from_alpha2(code))
}

/// A code is believed where a country is expected; at the end of an address only a two-letter one
/// that no American state or Canadian province uses as well ("Los Angeles, CA" is not in Canada).
fn as_code(folded: &str, standing: Standing) -> Option<Territory> {
    match (standing, folded.len()) {
        (Standing::Country, 2) => Territory::from_alpha2(folded),
        (Standing::Country, 3) => Territory::from_alpha3(folded),
        (Standing::Address, 2) if REGION_CODES.binary_search(&folded).is_err() => {
            Territory::from_alpha2(folded)
        }
        _ => None,
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
    let mut best: Option<(usize, &str, &str)> = None;
    let mut tied = false;
    for &(name, code) in COUNTRIES {
        if name.chars().count().abs_diff(length) > slips_max {
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

/// Lowers case, drops dots and accents, turns other punctuation into single spaces.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    let mut push = |part: &str| {
        for letter in part.chars() {
            if letter == ' ' {
                gap = !folded.is_empty();
                continue;
            }
            if std::mem::take(&mut gap) {
                folded.push(' ');
            }
            folded.push(letter);
        }
    };
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            '.' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{300}'..='\u{36f}' | '\u{feff}' => {}
            '&' => push(" and "),
            _ => match plain(letter) {
                Some(plain) => push(plain),
                None if letter.is_alphanumeric() => push(letter.encode_utf8(&mut [0; 4])),
                None => push(" "),
            },
        }
    }
    folded
}

/// The bare letter under an accent, for the Latin letters of Europe and accented Greek.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ə' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ệ' | 'ẽ' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'ά' => "α",
        'έ' => "ε",
        'ή' => "η",
        'ί' | 'ϊ' | 'ΐ' => "ι",
        'ό' => "ο",
        'ύ' | 'ϋ' | 'ΰ' => "υ",
        'ώ' => "ω",
        'ς' => "σ",
        'ё' => "е",
        _ => return None,
    })
}
