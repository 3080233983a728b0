//! Made-up people: where they live, and how they wrote it down.

/// A small generator of numbers (SplitMix64): the same seed gives the same people everywhere.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// A number below `limit`, which is small against 2^64, so that the bias does not matter.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64);
        &from[usize::try_from(at).unwrap_or(0)]
    }
}

/// A place with the ways in which people write it.
struct Place {
    /// Its share among the places.
    weight: u64,
    cities: &'static [&'static str],
    countries: &'static [&'static str],
}

const fn place(
    weight: u64,
    cities: &'static [&'static str],
    countries: &'static [&'static str],
) -> Place {
    Place { weight, cities, countries }
}

/// The Union, the rest of the EEA, Switzerland, the United Kingdom: 45 of 100.
const EUROPE: &[Place] = &[
    place(70, &["Berlin", "hamburg", "München"], &["Germany", "Deutschland", "germany", "DE"]),
    place(60, &["Paris", "lyon", "Toulouse"], &["France", "FRANCE", "france"]),
    place(55, &["London", "Leeds", ""], &["United Kingdom", "England", "uk", "U.K."]),
    place(10, &["Glasgow", "edinburgh"], &["Scotland", "scotland, uk"]),
    place(45, &["Roma", "Milano", "turin"], &["Italy", "italia", "Italia"]),
    place(45, &["Madrid", "Sevilla", "barcelona"], &["Spain", "España", "espana"]),
    place(25, &["Amsterdam", "Utrecht"], &["Netherlands", "The Netherlands", "holland"]),
    place(25, &["Warszawa", "Kraków"], &["Poland", "Polska"]),
    place(12, &["Dublin", "Cork", "Galway"], &["Ireland", "ireland", "Éire"]),
    place(14, &["Wien", "Graz"], &["Austria", "Österreich"]),
    place(14, &["Lisboa", "Porto"], &["Portugal", "portugal"]),
    place(14, &["Stockholm", "Malmö"], &["Sweden", "Sverige"]),
    place(10, &["København", "Aarhus"], &["Denmark", "Danmark"]),
    place(10, &["Helsinki", ""], &["Finland", "Suomi"]),
    place(12, &["Oslo", "Bergen", "Tromsø"], &["Norway", "Norge", "NORWAY"]),
    place(2, &["Reykjavík"], &["Iceland"]),
    place(14, &["Zürich", "Genève", "Bern"], &["Switzerland", "Schweiz", "Suisse"]),
    place(13, &["Athens", "Thessaloniki"], &["Greece", "Hellas"]),
];

/// Everywhere else: 52 of 100.
const ELSEWHERE: &[Place] = &[
    place(70, &["New York", "Seattle", ""], &["usa", "USA", "United States", "U.S.A."]),
    place(60, &["portland, oregon", "Austin, Texas"], &["usa", "usa", "United States of America"]),
    place(60, &["São Paulo", "Rio de Janeiro"], &["Brazil", "Brasil"]),
    place(80, &["Mumbai", "Bengaluru", "Delhi"], &["India", "india", "INDIA"]),
    place(30, &["Toronto", "montréal"], &["Canada", "canada"]),
    place(40, &["Tokyo", "Osaka"], &["Japan", "japan"]),
    place(25, &["Sydney", "Melbourne"], &["Australia", "australia"]),
    place(35, &["Lagos", "Abuja"], &["Nigeria", "nigeria"]),
    place(35, &["Jakarta", "Surabaya"], &["Indonesia", "indonesia"]),
    place(30, &["Guadalajara", "Puebla"], &["Mexico", "México"]),
    place(15, &["Nairobi", "Mombasa"], &["Kenya"]),
    place(10, &["Nouméa"], &["New Caledonia", "Nouvelle-Calédonie"]),
];

/// Nobody can tell: 3 of 100.
const UNKNOWN: &[Place] = &[
    place(50, &["", "n/a"], &["n/a", "", "N/A"]),
    place(30, &["somewhere", ""], &["planet earth", "here and there"]),
];

/// Where somebody must live; known here because the person was made so, whatever is read from
/// what they wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// Under European law.
    Europe,
    /// Anywhere else.
    Elsewhere,
    /// Nobody can tell.
    Unknown,
}

/// What a person wrote about themselves.
pub(super) struct Written {
    /// Where they truly live.
    pub(super) region: Region,
    /// The city, as they wrote it.
    pub(super) city: &'static str,
    /// The country, as they wrote it.
    pub(super) country: &'static str,
}

/// A person from the world's mix.
pub(super) fn draw(dice: &mut Dice) -> Written {
    let (region, places) = match dice.below(100) {
        0..45 => (Region::Europe, EUROPE),
        45..97 => (Region::Elsewhere, ELSEWHERE),
        _ => (Region::Unknown, UNKNOWN),
    };
    let mut left = dice.below(places.iter().map(|place| place.weight).sum());
    let mut chosen = &places[0];
    for place in places {
        chosen = place;
        if left < place.weight {
            break;
        }
        left -= place.weight;
    }
    let (city, country) = (*dice.pick(chosen.cities), *dice.pick(chosen.countries));
    Written { region, city, country }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_model::residence::from_text;

    #[test]
    fn every_spelling_is_read_as_what_it_means() {
        let regions =
            [(EUROPE, Region::Europe), (ELSEWHERE, Region::Elsewhere), (UNKNOWN, Region::Unknown)];
        for (places, meant) in regions {
            for place in places {
                for city in place.cities {
                    for country in place.countries {
                        let date = jiff::civil::date(2026, 1, 1);
                        let found = from_text([Some(*city), Some(*country)], date);
                        let named: Vec<&str> = found.regimes.iter().map(|it| it.as_str()).collect();
                        let european =
                            ["EU", "EEA", "CH", "GB"].iter().any(|it| named.contains(it));
                        let read = match found.territory {
                            None => Region::Unknown,
                            Some(_) if european => Region::Europe,
                            Some(_) => Region::Elsewhere,
                        };
                        assert_eq!(read, meant, "{city:?}, {country:?}: {found:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_mix_is_the_worlds_and_always_the_same() {
        let count = |seed| {
            let mut dice = Dice::new(seed);
            let drawn: Vec<_> = (0..10_000).map(|_| draw(&mut dice).region).collect();
            drawn.iter().filter(|region| **region == Region::Europe).count()
        };
        assert!((4_300..4_700).contains(&count(1)), "{}", count(1));
        assert_eq!(count(1), count(1));
    }
}
