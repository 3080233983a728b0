//! Residence texts of real readers, read whole, with the country cut away, and from the city alone.
//!
//! The texts are found as `$DOMICILE_DATA/book-crossing/BX-Users.csv`, by default in
//! `../shared/data` beside the checkout. Without them the tests say that they were left out.
//!
//! `book_crossing_labels.csv` says where 300 of these readers live, by number: those whose number
//! has the smallest SHA-256 with `2026-11-22:` before it. A person read the 300 texts and wrote the
//! labels before the program had read them. An empty label is what a careful reader cannot tell.
//!
//! `cargo nextest run -p domicile --test book_crossing --no-capture` prints what was measured.

use std::collections::HashMap;
use std::path::PathBuf;

use domicile_model::residence::{Residence, cities_named, from_text};
use domicile_model::territory::Territory;
use jiff::civil::{Date, date};

const LABELS: &str = include_str!("book_crossing_labels.csv");
const TODAY: Date = date(2026, 11, 22);

struct Reader {
    id: String,
    city: String,
    state: String,
    country: String,
}

/// How much of a text is read.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    NoCountry,
    CityAlone,
}

impl Reader {
    fn residence(&self, cut: Cut) -> Residence {
        let (city, state) = (Some(self.city.as_str()), Some(self.state.as_str()));
        match cut {
            Cut::Whole => from_text([city, state, Some(self.country.as_str())], TODAY),
            Cut::NoCountry => from_text([city, state, None], TODAY),
            Cut::CityAlone => from_text([city], TODAY),
        }
    }
}

/// How often there was an answer, and how often it was wrong.
#[derive(Debug, Default)]
struct Tally {
    texts: u32,
    answered: u32,
    wrong: u32,
}

impl Tally {
    fn of(answers: impl Iterator<Item = (Option<Territory>, Option<Territory>)>) -> Tally {
        let mut tally = Tally::default();
        for (answer, truth) in answers {
            tally.texts += 1;
            tally.answered += u32::from(answer.is_some());
            tally.wrong += u32::from(answer.is_some() && answer != truth);
        }
        tally
    }

    fn answered_share(&self) -> f64 {
        f64::from(self.answered) / f64::from(self.texts.max(1))
    }

    fn right_share(&self) -> f64 {
        1.0 - f64::from(self.wrong) / f64::from(self.answered.max(1))
    }

    fn print(&self, name: &str) {
        println!(
            "{name:28} {:6} texts, answered {:6} = {:5.1} %, wrong {:4}: {:5.2} % right",
            self.texts,
            self.answered,
            100.0 * self.answered_share(),
            self.wrong,
            100.0 * self.right_share()
        );
    }
}

/// The readers in the order of the file, or none, said aloud, where the file is not there.
fn readers() -> Option<Vec<Reader>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("DOMICILE_DATA").map_or(beside, PathBuf::from);
    let path = data.join("book-crossing/BX-Users.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("left out: {} cannot be read", path.display());
        return None;
    };
    Some(text.lines().skip(1).filter_map(reader).collect())
}

fn reader(line: &str) -> Option<Reader> {
    let mut fields = fields(line).into_iter();
    let mut next = || fields.next();
    Some(Reader { id: next()?, city: next()?, state: next()?, country: next()? })
}

/// The fields of one line of CSV; a quote within quotes is doubled.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

#[test]
fn three_hundred_labelled_texts() {
    let Some(readers) = readers() else { return };
    let by_id: HashMap<&str, &Reader> = readers.iter().map(|it| (it.id.as_str(), it)).collect();
    let labels: Vec<(&Reader, Option<Territory>)> = LABELS
        .lines()
        .skip(1)
        .map(|line| {
            let (id, label) = line.split_once(',').unwrap();
            (by_id[id], (!label.is_empty()).then(|| label.parse().unwrap()))
        })
        .collect();
    assert_eq!(labels.len(), 300);
    let tally = |cut: Cut| {
        let answers =
            labels.iter().map(|&(reader, truth)| (reader.residence(cut).territory, truth));
        let tally = Tally::of(answers);
        tally.print(&format!("labelled, {cut:?}"));
        for (reader, truth) in &labels {
            let answer = reader.residence(cut).territory;
            if answer.is_some() && answer != *truth {
                println!("    reader {}: {answer:?} instead of {truth:?}", reader.id);
            }
        }
        tally
    };
    let whole = tally(Cut::Whole);
    assert!(whole.answered >= 297 && whole.wrong <= 1, "{whole:?}");
    let cut = tally(Cut::NoCountry);
    assert!(cut.answered >= 294 && cut.wrong <= 3, "{cut:?}");
    let city = tally(Cut::CityAlone);
    assert!(city.answered >= 215 && city.wrong <= 12, "{city:?}");
}

#[test]
fn every_text_that_names_a_country() {
    let Some(readers) = readers() else { return };
    let known: Vec<(&Reader, Option<Territory>)> = readers
        .iter()
        .filter_map(|reader| {
            let alone = from_text([Some(reader.country.as_str())], TODAY);
            alone.territory.map(|territory| (reader, Some(territory)))
        })
        .collect();
    let tally = |name: &str, answer: &dyn Fn(&Reader) -> Option<Territory>| {
        let tally = Tally::of(known.iter().map(|&(reader, truth)| (answer(reader), truth)));
        tally.print(name);
        tally
    };
    println!("the name of the city alone, by rule:");
    tally("in one territory only", &|reader| largest(&reader.city, u32::MAX));
    for factor in [20, 10, 7, 5, 3, 2, 1] {
        tally(&format!("{factor} times the next"), &|reader| largest(&reader.city, factor));
    }
    println!("as the program reads:");
    let whole = tally("whole", &|reader| reader.residence(Cut::Whole).territory);
    let cut = tally("country cut away", &|reader| reader.residence(Cut::NoCountry).territory);
    let city = tally("city alone", &|reader| reader.residence(Cut::CityAlone).territory);
    assert!(whole.answered_share() > 0.999 && whole.right_share() > 0.999, "{whole:?}");
    assert!(cut.answered_share() > 0.98 && cut.right_share() > 0.994, "{cut:?}");
    assert!(city.answered_share() > 0.77 && city.right_share() > 0.97, "{city:?}");
}

/// The territory with at least so many times the people in cities of the name as the next.
fn largest(city: &str, factor: u32) -> Option<Territory> {
    let cities = cities_named(city);
    let ((territory, most), next) = (cities.first()?, cities.get(1));
    next.is_none_or(|(_, people)| *most >= people.saturating_mul(factor)).then_some(*territory)
}
