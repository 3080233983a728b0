//! Texts without a country: what a city tells, and where it must not be believed.

use jiff::civil::{Date, date};

use super::cities::{Cities, choose};
use super::*;

const TODAY: Date = date(2026, 11, 22);

fn read(columns: &[&str]) -> Residence {
    from_text(columns.iter().map(|&text| Some(text)), TODAY)
}

/// The code a reader gets, or "?" for unknown.
fn place(columns: &[&str]) -> &'static str {
    read(columns).territory.map_or("?", Territory::as_str)
}

fn assert_places(texts: &[(&[&str], &str)]) {
    for (columns, expected) in texts {
        assert_eq!(place(columns), *expected, "{columns:?}: {:?}", read(columns));
    }
}

#[test]
fn the_table_is_sorted_folded_and_names_known_territories() {
    let table = include_str!("cities.tsv");
    let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 150_000);
    assert!(table.len() < 5 << 20, "at most 5 MB in the program: {}", table.len());
    assert!(table.starts_with("# ") && table.contains("GeoNames") && table.contains("CC BY 4.0"));
    let split: Vec<(&str, &str)> =
        lines.iter().map(|line| line.split_once('\t').unwrap()).collect();
    assert!(split.is_sorted_by(|one, other| one.0 < other.0));
    for (name, territories) in split {
        assert_eq!(fold_town(name), name);
        let mut people = Vec::new();
        for entry in territories.split(' ') {
            let (code, count) = entry.split_at(2);
            assert!(code.parse::<Territory>().is_ok(), "{name}: {code}");
            people.push(if count.is_empty() { 0 } else { count.parse::<u32>().unwrap() });
        }
        assert!(people.is_sorted_by(|one, other| one >= other), "{name}");
        assert!(people.len() == 1 || !people.contains(&0), "{name}");
    }
}

#[test]
fn every_line_is_found_and_nothing_between() {
    let table = include_str!("cities.tsv");
    for line in table.lines().step_by(97).filter(|line| !line.starts_with('#')) {
        let name = line.split('\t').next().unwrap();
        assert!(Cities::named(name).is_some(), "{name}");
        assert_eq!(Cities::named(&format!("{name}~")), None);
    }
    let last = table.lines().last().unwrap().split('\t').next().unwrap();
    assert!(Cities::named(last).is_some());
    for nothing in ["", "#", "\u{10ffff}", "a\tb", "\n"] {
        assert_eq!(Cities::named(nothing), None);
    }
}

#[test]
fn a_city_of_one_territory_or_of_nearly_all_the_people_is_enough() {
    let (unique, largest, named) =
        (read(&["Tübingen"]), read(&["London"]), read(&["Tübingen", "Germany"]));
    assert_eq!(unique.evidence[0].kind, EvidenceKind::City);
    assert_eq!(largest.evidence[0].kind, EvidenceKind::LargestCity);
    assert!(largest.confidence < unique.confidence && unique.confidence < named.confidence);
    assert_places(&[
        (&["köln"], "DE"),
        (&["koeln"], "DE"),
        (&["cologne"], "DE"),
        (&["Roma"], "IT"),
        (&["den haag"], "NL"),
        (&["The Hague"], "NL"),
        (&["Αθήνα"], "GR"),
        (&["Пловдив"], "BG"),
        (&["paris", "", ""], "FR"),
        (&["St. Gallen", "", ""], "CH"),
        (&["Sankt Gallen"], "CH"),
        (&["kajang", "selangor"], "MY"),
        (&["nantes", "xyzzy", ""], "FR"),
    ]);
}

#[test]
fn the_gap_decides_at_ten_times_the_people_and_not_below() {
    let territories =
        |most, next| [("GB", most), ("US", next)].map(|(code, it)| (code.parse().unwrap(), it));
    assert_eq!(
        choose(territories(1_000, 100).into_iter()).map(|it| it.0),
        Some(EvidenceKind::LargestCity)
    );
    assert_eq!(choose(territories(999, 100).into_iter()), None);
    assert_eq!(choose(territories(u32::MAX, u32::MAX / 2).into_iter()), None);
    assert_eq!(choose([].into_iter()), None);
}

#[test]
fn a_name_that_several_share_is_unknown_with_the_candidates() {
    let residence = read(&["Birmingham"]);
    assert_eq!(residence.territory, None);
    let candidates: Vec<&str> =
        residence.conflicts.iter().filter_map(|it| it.names.map(Territory::as_str)).collect();
    assert_eq!(candidates, ["GB", "US"]);
    assert!(residence.conflicts.iter().all(|it| it.kind == ConflictKind::SharedCity));
    assert!(read(&["San Pedro"]).conflicts.len() <= 5);
    assert_places(&[
        (&["san jose"], "?"),
        (&["victoria", ""], "?"),
        (&["barcelona", "barcelona", ""], "?"),
    ]);
}

#[test]
fn the_rest_of_the_text_says_which_city_is_meant() {
    assert_places(&[
        (&["portland", "oregon"], "US"),
        (&["birmingham", "alabama", ""], "US"),
        (&["birmingham", "west midlands", ""], "GB"),
        (&["california", "san jose", ""], "US"),
        (&["Los Angeles, CA"], "US"),
        (&["los angeles", "ca", ""], "US"),
        (&["San Francisco", "CA"], "US"),
        (&["Vancouver, BC"], "CA"),
        (&["Portland, ME"], "US"),
        (&["Cambridge, MA"], "US"),
        (&["Berlin, DE"], "DE"),
        (&["Wilmington, DE"], "US"),
        (&["Perth, WA"], "AU"),
        (&["Seattle, WA"], "US"),
        (&["atlanta", "georgia", ""], "US"),
        (&["Atlanta, Georgia"], "US"),
        (&["atlanta", "usa", "georgia"], "US"),
        (&["tbilisi", "georgia", ""], "GE"),
        (&["seoul", "korea"], "KR"),
        (&["kinshasa", "congo"], "CD"),
        (&["maastricht", "limburg", ""], "NL"),
        (&["hasselt", "limburg", ""], "BE"),
        (&["maidstone", "kent", ""], "GB"),
        (&["melbourne", "victoria", ""], "AU"),
    ]);
}

#[test]
fn a_city_never_overrides_a_country() {
    for (columns, country) in [
        (["tokyo", "", "france"], "FR"),
        (["france", "", "tokyo"], "FR"),
        (["tokyo, france", "", ""], "FR"),
    ] {
        let residence = read(&columns);
        assert_eq!(residence.territory.map(Territory::as_str), Some(country), "{columns:?}");
        let expected = Conflict {
            kind: ConflictKind::OtherTerritory,
            segment: "tokyo".to_owned(),
            names: "JP".parse().ok(),
        };
        assert_eq!(residence.conflicts, [expected]);
        assert!(residence.confidence < read(&["lyon", "", "france"]).confidence);
    }
    let reversed = read(&["usa", "boston"]);
    assert_eq!(reversed.territory.map(Territory::as_str), Some("US"));
    assert_eq!(reversed.conflicts, []);
}

#[test]
fn what_only_cities_say_is_unknown_when_they_contradict_each_other() {
    for columns in [["lyon", "tokyo", ""], ["tokyo", "lyon", ""], ["barcelona", "alabama", ""]] {
        let residence = read(&columns);
        assert_eq!(residence.territory, None, "{columns:?}");
        assert_eq!(residence.conflicts[0].kind, ConflictKind::OtherTerritory);
    }
    assert_eq!(place(&["holland", "michigan", ""]), "US", "a small town borrowed its name");
}

#[test]
fn a_small_town_in_the_column_of_countries_needs_support() {
    assert_places(&[
        (&["xyzzy", "", "morgan"], "?"),
        (&["mooresville", "indiana", "morgan"], "US"),
        (&["xyzzy", "", "ferrara"], "IT"),
        (&["xyzzy", "", "worcester"], "?"),
    ]);
    let code = |text| from_code(Some(text), TODAY).territory.map_or("?", Territory::as_str);
    assert_eq!([code("morgan"), code("Ferrara"), code("Korea, Republic of")], ["?", "IT", "KR"]);
    assert_eq!(place(&["morgan"]), "US", "the only column may be one of cities");
}

#[test]
fn parts_with_a_law_of_their_own() {
    assert_places(&[
        (&["las palmas de gran canaria"], "IC"),
        (&["puerto del rosario"], "IC"),
        (&["tenerife"], "IC"),
        (&["melilla"], "EA"),
        (&["funchal"], "PT"),
        (&["ponta delgada", "açores", ""], "PT"),
        (&["mariehamn"], "AX"),
        (&["nouméa"], "NC"),
        (&["fort-de-france"], "MQ"),
        (&["cayenne"], "GF"),
        (&["saint-denis"], "?"),
        (&["saint-denis", "la réunion"], "RE"),
        (&["marigot", "saint martin"], "MF"),
        (&["pristina"], "XK"),
        (&["kyrenia"], "CY"),
        (&["famagusta", "northern cyprus"], "CY"),
        (&["st. helier"], "?"), // London has one too
        (&["st. helier", "channel islands", ""], "JE"),
        (&["st. peter port"], "GG"),
        (&["longyearbyen"], "SJ"),
        (&["tórshavn"], "FO"),
        (&["gibraltar"], "GI"),
    ]);
    assert_eq!(read(&["las palmas de gran canaria", "spain"]).conflicts, []);
}

#[test]
fn cities_named_tells_the_people_of_each_territory() {
    let paris = cities_named("PARIS");
    assert_eq!(paris[0].0.as_str(), "FR");
    assert!(paris.len() > 1 && paris[0].1 > 20_000 && paris[1].1 < 1_000);
    assert_eq!(cities_named("xyzzy"), []);
}
