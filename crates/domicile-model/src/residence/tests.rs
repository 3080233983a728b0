//! Profile texts as people write them, and what must come of them.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::names::*;
use super::regions::*;
use super::*;

const TODAY: Date = date(2026, 11, 21);

fn read(columns: &[&str]) -> Residence {
    let residence = from_text(columns.iter().map(|&text| Some(text)), TODAY);
    assert_sound(&residence);
    residence
}

/// The code a reader gets, or "?" for unknown.
fn place(columns: &[&str]) -> &'static str {
    read(columns).territory.map_or("?", Territory::as_str)
}

fn code(text: &str) -> &'static str {
    from_code(Some(text), TODAY).territory.map_or("?", Territory::as_str)
}

/// What holds of every residence.
fn assert_sound(residence: &Residence) {
    let confidence = residence.confidence;
    match residence.territory {
        None => assert!(confidence == 0.0 && residence.regimes.is_empty(), "{residence:?}"),
        Some(_) => {
            assert!((THRESHOLD..=CONFIDENCE_MAX).contains(&confidence), "{residence:?}");
            assert!(!residence.regimes.is_empty(), "{residence:?}");
            assert_eq!(residence.evidence.first().map(|first| first.names), residence.territory);
        }
    }
}

#[test]
fn tables_are_sorted_folded_and_name_known_codes() {
    for table in [COUNTRIES, IN_OTHER_LANGUAGES, SUBDIVISIONS] {
        assert!(table.is_sorted_by(|one, other| one.0 < other.0));
        for (name, code) in table {
            assert_eq!(fold::fold(name), *name);
            assert!(code.parse::<Territory>().is_ok(), "{code}");
        }
    }
    for table in [SHARED, REGION_CODES] {
        assert!(table.is_sorted_by(|one, other| one.0 < other.0));
        for (name, codes) in table {
            assert_eq!(fold::fold(name), *name);
            assert!(codes.split(' ').all(|code| code.parse::<Territory>().is_ok()), "{codes}");
        }
    }
    for list in [DISSOLVED, NOTHING] {
        assert!(list.is_sorted_by(|one, other| one < other));
        assert!(list.iter().all(|name| fold::fold(name) == *name));
    }
    let shared = SHARED.iter().map(|(name, _)| name);
    for name in shared.chain(DISSOLVED).chain(NOTHING) {
        assert!(!COUNTRIES.iter().any(|(known, _)| known == name), "{name}");
    }
}

#[test]
fn every_territory_is_found_by_its_name_and_codes() {
    for territory in Territory::all() {
        let ambiguous = ["GE", "MF"].contains(&territory.as_str());
        if !ambiguous {
            assert_eq!(place(&["x", territory.name()]), territory.as_str());
            assert_eq!(place(&[territory.name()]), territory.as_str());
        }
        assert_eq!(code(territory.as_str()), territory.as_str());
    }
}

#[test]
fn the_last_segment_decides_for_every_european_country() {
    let europe = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE \
                  IS LI NO CH GB AL BA ME MK RS XK UA MD BY RU TR MC SM VA AD JE GG IM GI FO AX GP";
    for code in europe.split_whitespace() {
        let name = code.parse::<Territory>().unwrap().name().to_lowercase();
        assert_eq!(place(&["paris", "texas", &format!(" {name}\"")]), code);
        assert_eq!(place(&["ontario", "", &name.to_uppercase()]), code);
        assert_eq!(place(&[&format!("Sydney, Australia, {name}.")]), code);
    }
}

#[test]
fn spellings_of_real_profiles() {
    let spellings = "usa:US u.s.a.:US u.s>:US u.s.a>:US us:US u.s. of a.:US america:US \
        united state:US united staes:US los estados unidos de norte america:US \
        united states of america:US u.k.:GB uk:GB england:GB scotland:GB wales:GB \
        united kindgonm:GB great britain:GB northern ireland:GB netherlands:NL the netherlands:NL \
        holland:NL deutschland:DE españa:ES catalunya:ES catalonia:ES euskal herria:ES italia:IT \
        l`italia:IT l’italia:IT la france:FR u.a.e:AE burma:MM cananda:CA ca:CA canada:CA \
        phillipines:PH nz:NZ ua:UA urugua:UY republic of panama:PA st. helena:SH alderney:GG \
        czech republic:CZ macedonia:MK kosovo:XK hong kong:HK taiwan:TW laos:LA viet nam:VN \
        côte d'ivoire:CI korea (republic of):KR republic of ireland:IE Ελλάδα:GR österreich:AT \
        ÖSTERREICH:AT suisse:CH schweiz:CH éire:IE ΕΛΛΆΣ:GR българия:BG";
    let mut rest = spellings.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut count = 0;
    while let Some((text, after)) = rest.split_once(':') {
        let (expected, after) = after.split_at(2);
        assert_eq!(place(&["some town", "", &format!(" {text}\"")]), expected, "{text}");
        count += 1;
        rest = after.trim_start().to_owned();
    }
    assert_eq!(count, 61);
}

#[test]
fn formal_names_with_a_comma_stay_whole() {
    assert_eq!(place(&["Seoul", "Korea, Republic of"]), "KR");
    assert_eq!(place(&["Taiwan, Province of China"]), "TW");
    assert_eq!(code("Moldova, Republic of"), "MD");
    assert_eq!(place(&["moscow, yukon territory, russia"]), "RU");
}

#[test]
fn words_that_say_nothing_count_as_empty() {
    for nothing in
        ["", " ", "n/a", "\"", "unknown", "universe", "everywhere and anywhere", "far away..."]
    {
        assert_eq!(place(&["weston", "", nothing]), "?", "{nothing}");
        assert_eq!(place(&["toronto", "ontario", nothing]), "CA", "{nothing}");
        assert_eq!(place(&["london, england", nothing]), "GB", "{nothing}");
        assert_eq!(code(nothing), "?");
    }
    assert_eq!(from_text([None, None], TODAY), from_text([], TODAY));
    assert_eq!(from_code(None, TODAY).territory, None);
}

#[test]
fn what_cannot_be_told_is_unknown() {
    for text in [
        "yugoslavia",
        "ussr",
        "csa",
        "caribbean sea",
        "petrolwar nation",
        "lkjlj",
        "c",
        "ysa",
        "morgan",
        "worcester",
        "orange co",
        "k1c7b1",
        "congo",
        "st. martin",
        "francis",
        "virgin islands",
        "victoria",
        "limburg",
    ] {
        assert_eq!(place(&["town", "", text]), "?", "{text}");
    }
    let kinds = |text| read(&["pristina", "kosovo", text]).conflicts.remove(0).kind;
    assert_eq!(kinds("yugoslavia"), ConflictKind::Dissolved);
    assert_eq!(read(&["x", "congo"]).conflicts.remove(0).kind, ConflictKind::Ambiguous);
    assert_eq!(read(&["x", "lkjlj"]).conflicts.remove(0).kind, ConflictKind::NotRecognised);
}

#[test]
fn georgia_is_a_country_only_where_one_is_expected() {
    assert_eq!(place(&["tbilisi", "", "georgia"]), "GE");
    assert_eq!(place(&["georgia"]), "GE");
    assert_eq!(place(&["xyzzy", "georgia", ""]), "?");
    assert_eq!(place(&["Xyzzy, Georgia"]), "?");
    assert_eq!(place(&["lyon", "georgia"]), "?", "neither of the two has a Lyon");
    assert_eq!(place(&["xyzzy", "usa", "georgia"]), "US");
    assert_eq!(read(&["atlanta", "georgia", "usa"]).conflicts, []);
    assert_eq!(place(&["x", "republic of georgia"]), "GE");
}

#[test]
fn codes_are_believed_only_in_a_country_column() {
    assert_eq!(place(&["xyzzy", "ca", ""]), "?");
    assert_eq!(place(&["Xyzzy, CA"]), "?");
    assert_eq!(place(&["toronto", "ca"]), "CA");
    assert_eq!(place(&["Auckland, NZ"]), "NZ");
    assert_eq!(place(&["wien", "", "aut"]), "AT");
}

#[test]
fn subdivisions_name_their_country_with_less_confidence() {
    for (text, country) in [
        ("california", "US"),
        ("Hawai'i", "US"),
        ("nova scotia", "CA"),
        ("baden-württemberg", "DE"),
        ("baden-wuerttemberg", "DE"),
        ("a coruña", "ES"),
        ("zuid-holland", "NL"),
        ("lombardia", "IT"),
    ] {
        let residence = read(&["town", text, ""]);
        assert_eq!(residence.territory.map(Territory::as_str), Some(country), "{text}");
        assert_eq!(residence.evidence[0].kind, EvidenceKind::Subdivision);
        assert!(residence.confidence < read(&["town", "spain"]).confidence);
    }
}

#[test]
fn a_country_before_an_unknown_word_is_taken_with_a_conflict() {
    let residence = read(&["richmond", "united kingdom", "richmond country"]);
    assert_eq!(residence.territory.map(Territory::as_str), Some("GB"));
    assert_eq!(residence.conflicts[0].kind, ConflictKind::NotRecognised);
    assert_eq!(residence.conflicts[0].segment, "richmond country");
    assert!(residence.confidence < 0.6);
    assert_eq!(place(&["xyzzy", "arizona", "ysa"]), "?", "a state is not a country");
}

#[test]
fn contradictions_are_kept_and_lower_the_confidence() {
    let (plain, crossed) =
        (read(&["moscow", "russia"]), read(&["moscow", "yukon territory", "russia"]));
    assert_eq!(crossed.territory, plain.territory);
    assert!(crossed.confidence < plain.confidence);
    let expected = Conflict {
        kind: ConflictKind::OtherTerritory,
        segment: "yukon territory".to_owned(),
        names: "CA".parse().ok(),
    };
    assert_eq!(crossed.conflicts, [expected]);
    assert_eq!(read(&["germany", "canada", "spain", "italy", "ua"]).confidence, THRESHOLD);

    assert_eq!(
        read(&["holland", "michigan", "usa"]).conflicts,
        [],
        "a town that borrowed its name"
    );
    assert_eq!(read(&["holland", "", "usa"]).conflicts.len(), 1);
    for (part, state) in
        [("guadeloupe", "france"), ("puerto rico", "usa"), ("tenerife, canarias", "spain")]
    {
        let residence = read(&[part, state]);
        assert!(residence.conflicts.is_empty() && residence.evidence.len() > 1, "{part}");
    }
    assert_eq!(read(&["new caledonia", "france"]).conflicts.len(), 1, "outside the Union");
}

#[test]
fn slips_are_corrected_only_for_one_near_long_name() {
    let residence = read(&["manila", "phillipines"]);
    assert_eq!(residence.evidence[0].kind, EvidenceKind::Typo);
    for text in ["irak", "nigera", "ieland", "austrlia", "perru", "francis", "roland", "polando x"]
    {
        assert_eq!(place(&["x", text]), "?", "{text}");
    }
}

#[test]
fn code_columns_take_every_form_of_code_and_names() {
    for (text, expected) in [
        (" de ", "DE"),
        ("\"DEU\"", "DE"),
        ("276", "DE"),
        ("4", "AF"),
        ("UK", "GB"),
        ("el", "GR"),
        ("NA", "NA"),
        ("Germany", "DE"),
        ("U.S.", "US"),
        ("n/a", "?"),
        ("EU", "?"),
        ("FE", "?"),
        ("999", "?"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
}

#[test]
fn the_law_is_that_of_the_day() {
    let on = |day| from_code(Some("GB"), day).regimes;
    assert_eq!(on(date(2020, 1, 31)), [Regime::EU, Regime::EEA]);
    assert_eq!(on(date(2020, 2, 1)).len(), 1);
    assert_eq!(read(&["Saint-Denis", "Réunion"]).regimes, [Regime::EU, Regime::EEA]);
}

#[test]
fn json_has_five_fields() {
    let text = serde_json::to_string(&read(&["Moscow", "Yukon Territory", "russia\""])).unwrap();
    assert_eq!(
        text,
        r#"{"territory":"RU","regimes":["RU"],"confidence":0.79,"evidence":[{"kind":"name","segment":"russia","names":"RU"},{"kind":"city","segment":"Moscow","names":"RU"}],"conflicts":[{"kind":"other_territory","segment":"Yukon Territory","names":"CA"}]}"#
    );
    let unknown = serde_json::to_string(&read(&[""])).unwrap();
    assert_eq!(
        unknown,
        r#"{"territory":null,"regimes":[],"confidence":0.0,"evidence":[],"conflicts":[]}"#
    );
    assert_eq!(serde_json::from_str::<Residence>(&text).unwrap().confidence, 0.79);
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(columns in proptest::collection::vec(any::<Option<String>>(), 0..5)) {
        assert_sound(&from_text(columns.iter().map(Option::as_deref), TODAY));
        for text in columns.iter().flatten() {
            assert_sound(&from_code(Some(text), TODAY));
            let folded = fold::fold(text);
            prop_assert_eq!(fold::fold(&folded), folded);
        }
    }

    #[test]
    fn a_named_country_in_the_last_column_always_wins(
        city in ".{0,20}", state in "[a-z ,./]{0,20}", index in 0usize..1000,
    ) {
        let (name, code) = COUNTRIES[index % COUNTRIES.len()];
        prop_assert_eq!(place(&[&city, &state, name]), code);
        prop_assert_eq!(place(&[&format!("{city},{state},{name}")]), code);
    }
}
