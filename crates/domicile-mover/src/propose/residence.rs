//! Which columns of the subject table say where somebody lives, judged from their values.

use super::{Look, Residence};
use domicile_model::category::column::Family;
use domicile_model::category::words::words;
use domicile_model::residence::{EvidenceKind, from_code, from_text};
use domicile_store::Sample;
use domicile_store::catalog::{Column, Table};
use jiff::civil::Date;

const COUNTRY: &[&str] = &[
    "country",
    "nation",
    "land",
    "pays",
    "pais",
    "paese",
    "nazione",
    "staat",
    "countrycode",
    "kraj",
    "maa",
];
const STATE: &[&str] = &["state", "province", "region", "county", "bundesland", "provincia"];
const CITY: &[&str] = &[
    "city", "town", "locality", "ville", "stadt", "ort", "ciudad", "cidade", "citta", "kaupunki",
    "stad", "miasto", "wohnort",
];
const PLACE: &[&str] =
    &["location", "residence", "place", "wohnort", "lives", "hometown", "address"];
/// Two letters that look like a country and are a language, a currency, or a part of one.
const NOT_A_COUNTRY: &[&str] = &[
    "language",
    "locale",
    "lang",
    "currency",
    "state",
    "province",
    "gender",
    "sex",
    "status",
    "type",
    "theme",
    "birth",
    "origin",
    "nationality",
    "shipping",
    "phone",
];
/// The share of values that must be codes.
const CODES_MIN: f64 = 0.9;
/// The share of texts that must be understood where the name says country or place.
const TEXTS_MIN: f64 = 0.5;
/// The same where the name says nothing.
const TEXTS_ALONE_MIN: f64 = 0.8;

/// Judges; nothing is chosen where no column says where people live.
pub(super) fn judge(look: &Look, root: &Table, on: Date) -> Residence {
    let empty = Sample::default();
    let sample = look.samples.get(&root.name).unwrap_or(&empty);
    let sampled = sample.rows.len();
    let mut chosen = Residence { sampled, ..Residence::default() };
    if let Some(code) = code_column(root, sample, on) {
        chosen.code = Some(code.clone());
    } else {
        chosen.text = text_columns(root, sample, on);
    }
    let columns: Vec<&String> = chosen.code.iter().chain(&chosen.text).collect();
    if columns.is_empty() {
        return chosen;
    }
    let places: Vec<Option<usize>> =
        columns.iter().map(|name| sample.columns.iter().position(|c| c == *name)).collect();
    let mut answered = 0;
    for row in &sample.rows {
        let values = places.iter().map(|at| at.and_then(|at| row.get(at)?.as_deref()));
        let found = match &chosen.code {
            Some(_) => from_code(values.clone().next().flatten(), on),
            None => from_text(values, on),
        };
        answered += usize::from(found.territory.is_some());
        let regime = found.regimes.first().map_or("unknown", |regime| regime.as_str());
        *chosen.regimes.entry(regime.to_owned()).or_insert(0) += 1;
    }
    chosen.answered = answered;
    chosen
}

fn has(column: &Column, list: &[&str]) -> bool {
    words(&column.name).iter().any(|word| list.contains(&word.as_str()))
}

fn texts(root: &Table) -> impl Iterator<Item = &Column> {
    root.columns
        .iter()
        .filter(|column| matches!(Family::of(&column.type_name), Family::Text | Family::Unknown))
        // An e-mail or web address is no place to live.
        .filter(|column| !has(column, &["email", "mail", "ip", "url", "web", "token"]))
}

/// Values with something in them.
fn filled<'a>(sample: &'a Sample, column: &Column) -> Vec<&'a str> {
    sample.values(&column.name).into_iter().filter(|value| !value.trim().is_empty()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "samples are small")]
fn share(values: &[&str], is: impl Fn(&str) -> bool) -> f64 {
    let hits = values.iter().filter(|value| is(value)).count();
    if values.is_empty() { 0.0 } else { hits as f64 / values.len() as f64 }
}

fn code_column<'a>(root: &'a Table, sample: &Sample, on: Date) -> Option<&'a String> {
    let is_code = |value: &str| {
        let found = from_code(Some(value), on).evidence;
        matches!(value.trim().len(), 2 | 3)
            && found.first().is_some_and(|found| found.kind == EvidenceKind::Code)
    };
    texts(root)
        .filter(|column| has(column, COUNTRY) && !has(column, NOT_A_COUNTRY))
        .find(|column| {
            let values = filled(sample, column);
            // Without values the name decides, where it says that these are codes.
            if values.is_empty() {
                has(column, &["code", "iso", "iso2", "countrycode"])
            } else {
                share(&values, is_code) >= CODES_MIN
            }
        })
        .map(|column| &column.name)
}

fn text_columns(root: &Table, sample: &Sample, on: Date) -> Vec<String> {
    let tells = |column: &Column| {
        share(&filled(sample, column), |value| from_text([Some(value)], on).territory.is_some())
    };
    // Where the name is silent only countries count: a first name can be a town.
    let names_countries = |column: &Column| {
        let exact = [EvidenceKind::Name, EvidenceKind::Alias];
        share(&filled(sample, column), |value| {
            let found = from_text([Some(value)], on).evidence;
            found.first().is_some_and(|found| exact.contains(&found.kind))
        })
    };
    let first = |list: &[&str]| {
        texts(root)
            .find(|column| has(column, list) && !has(column, &["birth", "shipping", "code"]))
            .map(|column| column.name.clone())
    };
    let country = texts(root)
        .filter(|column| has(column, COUNTRY) && !has(column, &["birth", "origin", "phone"]))
        .find(|column| filled(sample, column).is_empty() || tells(column) >= TEXTS_MIN)
        .map(|column| column.name.clone());
    if let Some(country) = country {
        let narrower = [first(CITY), first(STATE)].into_iter().flatten();
        let mut columns: Vec<String> = narrower.chain([country]).collect();
        columns.dedup();
        return columns;
    }
    let place = texts(root)
        .filter(|column| has(column, PLACE))
        .find(|column| tells(column) >= TEXTS_MIN)
        .or_else(|| texts(root).find(|column| names_countries(column) >= TEXTS_ALONE_MIN));
    if let Some(place) = place {
        return vec![place.name.clone()];
    }
    // A state or a city alone still tells many; the share is said.
    let narrower: Vec<String> = [first(CITY), first(STATE)].into_iter().flatten().collect();
    let widest = narrower.last().and_then(|name| root.column(name));
    match widest {
        Some(widest) if tells(widest) >= TEXTS_MIN => narrower,
        _ => Vec::new(),
    }
}
