//! What a column holds, from its name, its type, and a sample of its values.

use super::names::{ABOUT, RULES, Rule};
use super::value::{DETECTORS, Detector};
use super::words::words;
use super::{Category, known};
use std::collections::BTreeSet;

/// What kind of table a column stands in; the later, the more names mean a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// Nobody's table: values, settings, logs.
    Other,
    /// Its rows belong to people.
    Owned,
    /// One row stands for one person.
    Person,
}

/// What values a type can hold, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Text of any length.
    Text,
    /// Whole and broken numbers.
    Number,
    /// Dates and times.
    Date,
    /// True or false.
    Truth,
    /// Network addresses.
    Net,
    /// UUIDs.
    Uuid,
    /// JSON, hstore, XML.
    Json,
    /// Bytes.
    Bytes,
    /// Points and shapes.
    Place,
    /// No type, or one the user made.
    Unknown,
}

impl Family {
    /// The family of a type as PostgreSQL or SQLite prints it.
    pub fn of(type_name: &str) -> Family {
        let lower = type_name.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        if has(&["point", "geometry", "geography", "polygon", "circle"]) {
            Family::Place
        } else if has(&["bool"]) || lower == "tinyint(1)" || lower == "bit(1)" {
            Family::Truth
        } else if has(&["json", "hstore", "xml"]) {
            Family::Json
        } else if has(&["uuid", "uniqueidentifier"]) {
            Family::Uuid
        } else if has(&["inet", "cidr", "macaddr"]) {
            Family::Net
        } else if has(&["date", "time", "interval"]) {
            Family::Date
        } else if has(&["char", "text", "clob", "string"]) {
            Family::Text
        } else if has(&["bytea", "blob", "binary"]) {
            Family::Bytes
        } else if has(&["int", "numeric", "decimal", "real", "double", "float", "serial", "money"])
        {
            Family::Number
        } else {
            Family::Unknown
        }
    }
}

/// A column as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct ColumnFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type as the engine prints it.
    pub type_name: &'a str,
    /// The table it stands in.
    pub context: Context,
    /// A sample of its values, NULL left out.
    pub values: &'a [&'a str],
}

/// What a column holds, and why it is believed. The reason holds no value of the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The category.
    pub category: Category,
    /// Why, a few words.
    pub reason: String,
    /// Whether somebody should look: the name and the values disagree, or the name says nothing.
    pub doubtful: bool,
}

/// A sample with fewer different values says nothing where the name is silent.
const DISTINCT_MIN: usize = 5;
/// The same for detectors that pass one text in a thousand or more by chance.
const DISTINCT_MIN_WEAK: usize = 20;
/// From this chance on a detector counts as weak.
const WEAK_CHANCE: f64 = 1e-3;
/// The share of a sample that a detector must recognise where the name is silent.
const SHARE_ALONE: f64 = 0.9;
/// The same where the name speaks for it.
const SHARE_NAMED: f64 = 0.6;
/// Below this share the values contradict what the name says.
const SHARE_CONTRADICTS: f64 = 0.2;

/// Judges a column; none where nothing says that it is about a person.
pub fn judge(column: ColumnFacts<'_>) -> Option<Judgement> {
    let words = words(column.name);
    let values: Vec<&str> =
        column.values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    let family = Family::of(column.type_name);
    let named = RULES.iter().find(|rule| fits(rule, &words, family, column.context));
    let seen = DETECTORS.iter().find_map(|detector| {
        let agrees = named.is_some_and(|rule| agree(rule, detector));
        let share = recognised(detector, &words, &values, family, agrees)?;
        Some((detector, share))
    });
    match (named, seen) {
        (Some(rule), Some((detector, share))) if agree(rule, detector) => Some(Judgement {
            category: finer(known(rule.key), detector.category),
            reason: format!("by its name; {share} of its values fit"),
            doubtful: false,
        }),
        // A detector that leans on the name says less than what the name itself says.
        (Some(rule), seen) if seen.as_ref().is_none_or(|(found, _)| !found.named.is_empty()) => {
            Some(by_name(rule, &values))
        }
        (_, Some((detector, share))) => Some(Judgement {
            category: detector.category,
            reason: format!("{share} of its values read as {}", detector.what),
            doubtful: detector.named.is_empty(),
        }),
        (_, None) => None,
    }
}

fn by_name(rule: &Rule, values: &[&str]) -> Judgement {
    let category = known(rule.key);
    let expected: Vec<&Detector> = DETECTORS.iter().filter(|d| d.category == category).collect();
    let is_any = |value: &&&str| expected.iter().any(|detector| (detector.is)(value));
    let hits = values.iter().filter(is_any).count();
    let speaks = ["user.contact.email", "user.device.ip_address"].contains(&rule.key);
    let contradicts =
        speaks && values.len() >= DISTINCT_MIN && share(hits, values.len()) < SHARE_CONTRADICTS;
    let reason = if contradicts {
        format!("by its name, but only {} of its values fit", percent(hits, values.len()))
    } else {
        "by its name".to_owned()
    };
    Judgement { category, reason, doubtful: contradicts }
}

/// Whether a name's words stand in a column's name in a row, and its type and table fit.
fn fits(rule: &Rule, words: &[String], family: Family, context: Context) -> bool {
    if !rule.types.contains(&family) || context < rule.least {
        return false;
    }
    let is_flag =
        words.first().is_some_and(|word| ["is", "has", "show", "hide"].contains(&word.as_str()));
    !is_flag
        && rule.phrases.split(", ").any(|phrase| {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            let place = words.windows(phrase.len()).position(|part| part == phrase.as_slice());
            // Where the phrase is followed by "verified" or "at", the column is about the datum.
            place.is_some_and(|at| {
                words.len() == at + phrase.len()
                    || !words.last().is_some_and(|last| ABOUT.contains(&last.as_str()))
            })
        })
}

/// Whether a name and a detector mean the same thing.
fn agree(rule: &Rule, detector: &Detector) -> bool {
    let (one, other) = (known(rule.key), detector.category);
    let is_fax =
        (rule.key, other.as_str()) == ("user.contact.fax_number", "user.contact.phone_number");
    is_fax || one.is_within(other) || other.is_within(one)
}

fn finer(one: Category, other: Category) -> Category {
    if other.is_within(one) { other } else { one }
}

/// The share of values that a detector recognises, as text, where it is enough to say so.
fn recognised(
    detector: &Detector,
    words: &[String],
    values: &[&str],
    family: Family,
    agrees: bool,
) -> Option<String> {
    let is_named = agrees
        || (!detector.named.is_empty()
            && words.iter().any(|word| detector.named.contains(&word.as_str())));
    if values.is_empty() || (!detector.named.is_empty() && !is_named) {
        return None;
    }
    if matches!(family, Family::Truth | Family::Json | Family::Bytes) {
        return None;
    }
    // What the clock writes is read as a birth only where the name says so.
    if family == Family::Date && !detector.category.as_str().ends_with("date_of_birth") {
        return None;
    }
    let hits = values.iter().filter(|value| (detector.is)(value)).count();
    let distinct: BTreeSet<&&str> = values.iter().collect();
    let (enough, needed) = if is_named {
        (1, SHARE_NAMED)
    } else if detector.chance >= WEAK_CHANCE {
        (DISTINCT_MIN_WEAK, SHARE_ALONE)
    } else {
        (DISTINCT_MIN, SHARE_ALONE)
    };
    let passes = distinct.len() >= enough && share(hits, values.len()) >= needed;
    passes.then(|| percent(hits, values.len()))
}

#[expect(clippy::cast_precision_loss, reason = "samples are small")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A share as people write it: `97 %`; only the whole is `100 %`, and only nothing is `0 %`.
pub fn percent(part: usize, whole: usize) -> String {
    let rounded = (share(part, whole) * 100.0).round();
    let honest = if part < whole { rounded.min(99.0) } else { rounded };
    let honest = if part > 0 { honest.max(1.0) } else { honest };
    format!("{honest} %")
}
