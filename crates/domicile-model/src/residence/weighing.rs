//! Which piece of a piece decides, and how far it is believed.

use jiff::civil::Date;

use crate::territory::{self, Territory};

use super::cities::{self, Cities};
use super::reading::{self, Piece, Reading, Shared, Standing};
use super::{
    CONFIDENCE_MAX, Conflict, ConflictKind, Evidence, EvidenceKind, Residence, THRESHOLD, excerpt,
};

/// What a further segment that agrees adds.
const AGREEMENT: f64 = 0.03;
/// What remains of the confidence after each conflict.
const AFTER_CONFLICT: f64 = 0.8;
/// The country stands before a segment that names none.
const NOT_LAST: f64 = 0.7;
/// Of the territories that share a city's name, these many with most people are reported.
const SHARED_CITY_MAX: usize = 5;

impl EvidenceKind {
    /// How far a segment read in this way is believed when nothing else speaks for or against it.
    fn confidence(self) -> f64 {
        match self {
            EvidenceKind::Name => 0.95,
            EvidenceKind::Alias => 0.9,
            EvidenceKind::Code | EvidenceKind::Subdivision => 0.7,
            EvidenceKind::City => 0.68,
            EvidenceKind::Typo => 0.65,
            EvidenceKind::LargestCity => 0.64,
            EvidenceKind::SharedName => 0.6,
        }
    }

    /// Whether it gives way to a piece that speaks for another territory: a region only to a big
    /// city ("Barcelona, Alabama"), since small towns borrow names.
    fn gives_way_to(self, other: &Reading) -> bool {
        match self {
            EvidenceKind::SharedName | EvidenceKind::City | EvidenceKind::LargestCity => true,
            EvidenceKind::Subdivision => matches!(other, Reading::City(cities) if cities.is_big()),
            _ => false,
        }
    }
}

/// Lets the last piece decide, or, where it does not say enough, a piece before it.
pub(super) fn decide(
    last: &Piece<'_>,
    standing: Standing,
    earlier: &[&Piece<'_>],
    on: Date,
) -> Residence {
    match reading::read(last, standing) {
        Reading::Place(kind, names) => {
            settle(kind.confidence(), vec![speaks(kind, last, names)], Vec::new(), earlier, on)
        }
        Reading::Shared(shared) => decide_shared(last, shared, earlier, on),
        Reading::City(cities) => {
            let residence = decide_city(last, cities, Vec::new(), earlier, on);
            let unconfirmed = residence.territory.is_some() && residence.evidence.len() == 1;
            // Any word or surname in the column of countries is some small town's name.
            if standing == Standing::Country && unconfirmed && cities.is_small() {
                return Residence::unknown(useless(ConflictKind::NotRecognised, last));
            }
            residence
        }
        Reading::Dissolved => Residence::unknown(useless(ConflictKind::Dissolved, last)),
        Reading::Nothing | Reading::NotRecognised => {
            let conflicts = useless(ConflictKind::NotRecognised, last);
            if let Some((at, country)) = named_country(earlier) {
                let before = earlier.get(..at).unwrap_or_default();
                return settle(NOT_LAST * AFTER_CONFLICT, vec![country], conflicts, before, on);
            }
            let city = earlier.iter().enumerate().rev().find_map(|(at, piece)| {
                let Reading::City(cities) = piece.reading else { return None };
                Some((at, *piece, cities))
            });
            match city {
                Some((at, city, cities)) => {
                    decide_city(city, cities, conflicts, &without(earlier, at), on)
                }
                None => Residence::unknown(conflicts),
            }
        }
    }
}

/// The nearest piece before a shared name that says which of its territories is meant.
fn decide_shared(last: &Piece<'_>, shared: Shared, earlier: &[&Piece<'_>], on: Date) -> Residence {
    let settled = earlier.iter().enumerate().rev().find_map(|(at, piece)| {
        let (kind, names) = match piece.reading {
            Reading::Place(kind, names) => shared.may_mean(names).then_some((kind, names)),
            Reading::City(cities) => {
                cities::choose(cities.iter().filter(|(territory, _)| shared.may_mean(*territory)))
            }
            _ => None,
        }?;
        Some((at, speaks(kind, piece, names)))
    });
    match (settled, shared.expected) {
        (Some((at, found)), expected) if expected.is_none_or(|(_, it)| it != found.names) => {
            let agreeing = speaks(EvidenceKind::SharedName, last, found.names);
            let start = found.kind.confidence() + AGREEMENT;
            settle(start, vec![found, agreeing], Vec::new(), &without(earlier, at), on)
        }
        (_, Some((kind, names))) => {
            settle(kind.confidence(), vec![speaks(kind, last, names)], Vec::new(), earlier, on)
        }
        _ => Residence::unknown(useless(ConflictKind::Ambiguous, last)),
    }
}

/// A city never overrides a country that is named. Where there is none, the rest of the text may
/// say which of several cities is meant; otherwise nearly all people of that name must live in one
/// territory.
fn decide_city(
    city: &Piece<'_>,
    cities: Cities,
    mut conflicts: Vec<Conflict>,
    rest: &[&Piece<'_>],
    on: Date,
) -> Residence {
    if let Some((at, country)) = named_country(rest) {
        let mut others = without(rest, at);
        others.push(city);
        return settle(NOT_LAST, vec![country], conflicts, &others, on);
    }
    let mut candidates: Vec<(Territory, u32)> = cities.iter().collect();
    for piece in rest.iter().rev() {
        let meant: Vec<(Territory, u32)> = match piece.reading {
            Reading::Place(_, names) => {
                candidates.iter().copied().filter(|(it, _)| *it == names).collect()
            }
            Reading::Shared(shared) => {
                candidates.iter().copied().filter(|(it, _)| shared.may_mean(*it)).collect()
            }
            Reading::City(other) => {
                candidates.iter().copied().filter(|(it, _)| other.has(*it)).collect()
            }
            _ => continue,
        };
        if !meant.is_empty() {
            candidates = meant;
        }
    }
    let Some((kind, names)) = cities::choose(candidates.iter().copied()) else {
        conflicts.extend(candidates.iter().take(SHARED_CITY_MAX).map(|(territory, _)| Conflict {
            kind: ConflictKind::SharedCity,
            segment: excerpt(city.text),
            names: Some(*territory),
        }));
        return Residence::unknown(conflicts);
    };
    let start = if conflicts.is_empty() { 1.0 } else { AFTER_CONFLICT } * kind.confidence();
    settle(start, vec![speaks(kind, city, names)], conflicts, rest, on)
}

/// The last piece that names a country outright, and where it stands.
fn named_country(pieces: &[&Piece<'_>]) -> Option<(usize, Evidence)> {
    pieces.iter().enumerate().rev().find_map(|(at, piece)| match piece.reading {
        Reading::Place(kind @ (EvidenceKind::Name | EvidenceKind::Alias), names) => {
            Some((at, speaks(kind, piece, names)))
        }
        _ => None,
    })
}

/// Weighs the other pieces against what was decided, the first of the evidence. They change the
/// confidence, never the place.
fn settle(
    start: f64,
    mut evidence: Vec<Evidence>,
    mut conflicts: Vec<Conflict>,
    rest: &[&Piece<'_>],
    on: Date,
) -> Residence {
    let Some(found) = evidence.first() else { return Residence::unknown(conflicts) };
    let (decided, decided_by) = (found.names, found.kind);
    let (mut confidence, mut gives_way) = (start, false);
    for (index, piece) in rest.iter().enumerate().rev() {
        let reading = piece.reading;
        let (kind, names) = match reading {
            Reading::Place(kind, names) => (kind, Some(names)),
            Reading::City(cities) => (EvidenceKind::City, meant(cities, decided)),
            _ => continue,
        };
        match names.filter(|names| same_country(*names, decided)) {
            Some(names) => {
                confidence += AGREEMENT;
                evidence.push(speaks(kind, piece, names));
            }
            // Towns borrow names (Holland, Michigan; Ontario, California): no contradiction once
            // the region between has confirmed the country.
            None if index == 0 && evidence.len() > 1 => {}
            None => {
                confidence *= AFTER_CONFLICT;
                gives_way |= decided_by.gives_way_to(&reading);
                let kind = ConflictKind::OtherTerritory;
                conflicts.push(Conflict { kind, segment: excerpt(piece.text), names });
            }
        }
    }
    if gives_way {
        return Residence::unknown(conflicts);
    }
    let hundredths = (confidence.clamp(THRESHOLD, CONFIDENCE_MAX) * 100.0).round();
    Residence::known(hundredths / 100.0, evidence, conflicts, on)
}

/// Which territory a city speaks for beside what was decided: the decided one's, if it can.
fn meant(cities: Cities, decided: Territory) -> Option<Territory> {
    if cities.has(decided) {
        return Some(decided);
    }
    let related = cities.iter().map(|(it, _)| it).find(|it| same_country(*it, decided));
    related.or_else(|| cities::choose(cities.iter()).map(|(_, names)| names))
}

/// A region with a code of its own and the state it belongs to do not contradict each other.
fn same_country(one: Territory, other: Territory) -> bool {
    state(one) == state(other)
}

fn state(place: Territory) -> &'static str {
    match place.as_str() {
        "AS" | "GU" | "MP" | "PR" | "UM" | "VI" => "US",
        code => territory::parent(place).map_or(code, Territory::as_str),
    }
}

fn speaks(kind: EvidenceKind, piece: &Piece<'_>, names: Territory) -> Evidence {
    Evidence { kind, segment: excerpt(piece.text), names }
}

fn useless(kind: ConflictKind, piece: &Piece<'_>) -> Vec<Conflict> {
    vec![Conflict { kind, segment: excerpt(piece.text), names: None }]
}

fn without<'a>(pieces: &[&'a Piece<'a>], at: usize) -> Vec<&'a Piece<'a>> {
    let others = pieces.iter().enumerate().filter(|(index, _)| *index != at);
    others.map(|(_, piece)| *piece).collect()
}
