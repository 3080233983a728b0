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
    ("serve", SERVE),
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
    ("vacuum", Shape::Value),
    ("archive_days", Shape::Value),
    ("backup_days", Shape::Value),
]);

const SERVE: Shape = Shape::Table(&[
    ("listen", Shape::Value),
    ("database", Shape::Value),
    ("nearest", Shape::Value),
    ("connections", Shape::Value),
    ("threads", Shape::Value),
    ("drain_seconds", Shape::Value),
    ("metrics", Shape::Value),
    ("search_path", Shape::Value),
    ("functions", Shape::Value),
    ("certificate", Shape::Value),
    ("key", Shape::Value),
    ("client_authorities", Shape::Value),
    ("undecided", Shape::Named(&Shape::Value)),
    ("users", Shape::Named(&USER)),
]);
const USER: Shape = Shape::Table(&[("password", Shape::Value), ("certificate", Shape::Value)]);

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

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/configuration.md");

    /// Every key under a path, as the page writes it: `NAME` for what the user chooses.
    fn keys(shape: &Shape, path: &str, found: &mut Vec<String>) {
        match shape {
            Shape::Value => found.push(path.to_owned()),
            Shape::Table(known) => {
                for (key, below) in *known {
                    let dot = if path.is_empty() { "" } else { "." };
                    keys(below, &format!("{path}{dot}{key}"), found);
                }
            }
            Shape::Named(Shape::Value) => found.push(path.to_owned()),
            Shape::Named(below) => keys(below, &format!("{path}.NAME"), found),
            Shape::List(below) => keys(below, &format!("{path}[]"), found),
        }
    }

    /// The line of the table for a key.
    fn line(key: &str) -> Option<&'static str> {
        PAGE.lines().find(|line| line.starts_with(&format!("| `{key}` |")))
    }

    /// Whether a key has a line of its own, or stands in the line of the inline table it is in.
    fn is_told(key: &str) -> bool {
        let in_table = |(table, key): (&str, &str)| {
            let words = |text: &str| {
                text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key)
            };
            line(table).is_some_and(words)
        };
        line(key).is_some() || key.rsplit_once('.').is_some_and(in_table)
    }

    #[test]
    fn the_page_tells_of_every_key_and_of_no_other() {
        let mut known = Vec::new();
        keys(&ROOT, "", &mut known);
        assert!(known.len() > 15, "{known:?}");
        let untold: Vec<&String> = known.iter().filter(|key| !is_told(key)).collect();
        assert!(untold.is_empty(), "docs/configuration.md has no line for {untold:?}");
        let told = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let table = told.map(|(key, _)| key).filter(|key| key.contains('.'));
        let stands = |key: &str| {
            known.iter().any(|known| known == key || known.starts_with(&format!("{key}.")))
        };
        let stale: Vec<&str> = table.filter(|key| !stands(key)).collect();
        assert!(stale.is_empty(), "docs/configuration.md tells of {stale:?}, which are no keys");
    }
}
