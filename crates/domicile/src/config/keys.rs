//! The keys a configuration may have, and the nearest one to a slip.
//!
//! `document.rs` refuses unknown keys as well, so that a key missing here is noticed at once.

use crate::exit::{Failure, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What may stand in a place.
enum Shape {
    /// A value, or something whose keys are nobody's to check.
    Value,
    /// A table with these keys.
    Table(&'static [(&'static str, Shape)]),
    /// A table whose keys the user chooses.
    Named(&'static Shape),
    /// A list of such.
    List(&'static Shape),
}

const ROOT: Shape = Shape::Table(&[
    ("subjects", SUBJECTS),
    ("sites", Shape::Named(&SITE)),
    ("homes", Shape::List(&HOME)),
    ("tables", Shape::Named(&TABLE)),
    ("reference", Shape::Table(&[("site", Shape::Value)])),
    ("erase", ERASE),
]);
const SUBJECTS: Shape = Shape::Table(&[("table", Shape::Value), ("residence", RESIDENCE)]);
const RESIDENCE: Shape = Shape::Table(&[("code", Shape::Value), ("text", Shape::Value)]);
const SITE: Shape = Shape::Table(&[
    ("territory", Shape::Value),
    ("url", Shape::Value),
    ("weight", Shape::Value),
    ("operator", OPERATOR),
]);
const OPERATOR: Shape = Shape::Table(&[
    ("name", Shape::Value),
    ("third_party", Shape::Value),
    ("control", Shape::Value),
]);
const HOME: Shape = Shape::Table(&[
    ("regimes", Shape::Value),
    ("sites", Shape::Value),
    ("refuse_control", Shape::Value),
]);
const TABLE: Shape = Shape::Table(&[
    ("kind", Shape::Value),
    ("owner", Shape::Value),
    ("soft", Shape::Value),
    ("unique_per_site", Shape::Value),
    ("categories", Shape::Named(&Shape::Value)),
]);
const ERASE: Shape = Shape::Table(&[
    ("after", Shape::Value),
    ("quiet", Shape::Value),
    ("tombstone_days", Shape::Value),
]);

/// Refuses the first unknown key, with the nearest known one.
pub(super) fn check(source: &super::Source<'_>, table: &DeTable<'_>) -> Result<()> {
    check_table(source, table, &ROOT, "")
}

fn check_table(
    source: &super::Source<'_>,
    table: &DeTable<'_>,
    shape: &Shape,
    path: &str,
) -> Result<()> {
    for (key, value) in table {
        let name: &str = key.get_ref();
        let below = match shape {
            Shape::Value | Shape::List(_) => return Ok(()),
            Shape::Named(below) => below,
            Shape::Table(known) => match known.iter().find(|(known, _)| *known == name) {
                Some((_, below)) => below,
                None => return Err(unknown(source, key.span().start, name, path, known)),
            },
        };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        check_value(source, value, below, &path)?;
    }
    Ok(())
}

fn check_value(
    source: &super::Source<'_>,
    value: &Spanned<DeValue<'_>>,
    shape: &Shape,
    path: &str,
) -> Result<()> {
    match (value.get_ref(), shape) {
        (DeValue::Table(table), shape) => check_table(source, table, shape, path),
        (DeValue::Array(values), Shape::List(below)) => {
            values.iter().try_for_each(|value| check_value(source, value, below, path))
        }
        _ => Ok(()),
    }
}

fn unknown(
    source: &super::Source<'_>,
    at: usize,
    name: &str,
    path: &str,
    known: &[(&'static str, Shape)],
) -> Failure {
    let place = if path.is_empty() { String::new() } else { format!(" in [{path}]") };
    let failure = source.wrong(at, format!("unknown key `{name}`{place}"));
    let near = known.iter().min_by_key(|(known, _)| domicile_model::nearness(known, name));
    match near {
        Some((near, _)) if domicile_model::nearness(near, name) <= near.len().max(3) / 2 => {
            failure.hint(format!("did you mean `{near}`?"))
        }
        _ => {
            let known: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
            failure.hint(format!("the known keys are {}", known.join(", ")))
        }
    }
}
