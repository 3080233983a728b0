//! The table, asked as its users ask it.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;

const TODAY: Date = date(2026, 11, 21);

fn at(code: &str) -> Territory {
    code.parse().unwrap()
}

fn law(code: &str, on: Date) -> Vec<&'static str> {
    regimes(at(code), on).into_iter().map(Regime::as_str).collect()
}

fn each(codes: &'static str) -> impl Iterator<Item = &'static str> {
    codes.split(' ')
}

#[test]
fn the_27_members_are_in_the_union_and_count() {
    let members =
        "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE";
    assert_eq!(each(members).count(), 27);
    for code in each(members) {
        assert_eq!(law(code, TODAY), ["EU", "EEA"], "{code}");
        assert!(counts_for_dsa(at(code), TODAY), "{code}");
    }
    let counted = Territory::all().filter(|&place| counts_for_dsa(place, TODAY)).count();
    assert_eq!(counted, 27 + 9, "members, GP MQ GF RE YT MF IC, AX EA");
}

#[test]
fn codes_that_a_naive_test_misses_are_inside() {
    for (code, state) in each("GP MQ GF RE YT MF").map(|code| (code, "FR")).chain([
        ("IC", "ES"),
        ("EA", "ES"),
        ("AX", "FI"),
    ]) {
        assert_eq!(law(code, TODAY), ["EU", "EEA"], "{code}");
        assert!(counts_for_dsa(at(code), TODAY), "{code}");
        assert_eq!(parent(at(code)), Some(at(state)), "{code}");
    }
}

#[test]
fn overseas_countries_and_territories_are_outside() {
    for code in each("GL NC PF WF PM BL TF AW CW SX BQ FO") {
        assert_eq!(law(code, TODAY), [code]);
        assert!(!counts_for_dsa(at(code), TODAY), "{code}");
    }
}

#[test]
fn iceland_liechtenstein_norway_have_the_gdpr_but_no_dsa_count() {
    for code in each("IS LI NO") {
        assert_eq!(law(code, TODAY), ["EEA"]);
        assert!(!counts_for_dsa(at(code), TODAY), "{code}");
    }
    assert_eq!(law("SJ", TODAY), ["SJ"], "Svalbard is outside the EEA");
}

#[test]
fn others_have_a_regime_of_their_own() {
    for code in each("GB GI CH JE GG IM AD MC SM VA XK US CN BR JP") {
        assert_eq!(law(code, TODAY), [code]);
        assert!(!counts_for_dsa(at(code), TODAY), "{code}");
    }
}

#[test]
fn britain_left_after_january_2020() {
    for code in ["GB", "GI"] {
        assert_eq!(law(code, date(2020, 1, 30)), ["EU", "EEA"]);
        assert_eq!(law(code, date(2020, 1, 31)), ["EU", "EEA"]);
        assert_eq!(law(code, date(2020, 2, 1)), [code]);
        assert!(!counts_for_dsa(at(code), date(2020, 2, 1)));
        let during = row(at(code), date(2020, 12, 31)).unwrap();
        assert!(during.note.contains("until 2020-12-31"), "{during:?}");
        assert!(!row(at(code), date(2021, 1, 1)).unwrap().source.contains("Withdrawal"));
    }
}

#[test]
fn accessions_and_departures_by_date() {
    let changes = [
        ("DK", date(1973, 1, 1)),
        ("GR", date(1981, 1, 1)),
        ("ES", date(1986, 1, 1)),
        ("PL", date(2004, 5, 1)),
        ("RO", date(2007, 1, 1)),
        ("HR", date(2013, 7, 1)),
        ("YT", date(2014, 1, 1)),
    ];
    for (code, from) in changes {
        assert_eq!(law(code, from.yesterday().unwrap()), [code]);
        assert_eq!(law(code, from), ["EU", "EEA"], "{code}");
    }
    assert_eq!(law("AT", date(1994, 12, 31)), ["EEA"]);
    assert_eq!(law("AT", date(1995, 1, 1)), ["EU", "EEA"]);
    assert_eq!(law("BL", date(2011, 12, 31)), ["EU", "EEA"]);
    assert_eq!(law("BL", date(2012, 1, 1)), ["BL"]);
    assert_eq!(law("GL", date(1985, 1, 31)), ["EU", "EEA"]);
    assert_eq!(law("GL", date(1985, 2, 1)), ["GL"]);
}

#[test]
fn doubtful_rows_keep_their_mark() {
    for code in each("AX EA NC PF WF PM BL TF FO CH JE GG IM AD") {
        assert!(row(at(code), TODAY).unwrap().needs_lawyer, "{code}");
    }
    for code in each("DE FR IE GB IS NO GP IC GL AW MC") {
        assert!(!row(at(code), TODAY).unwrap().needs_lawyer, "{code}");
    }
    let north = rows().iter().find(|row| row.part == Some("Northern Cyprus")).unwrap();
    assert!(north.needs_lawyer && north.territory == at("CY"));
}

#[test]
fn every_row_is_cited_and_no_two_hold_at_once() {
    for (index, row) in rows().iter().enumerate() {
        assert!(!row.source.is_empty() && !row.regimes.is_empty(), "{row:?}");
        assert!(Territory::all().any(|place| place == row.territory), "{row:?}");
        assert!(row.valid_from.zip(row.valid_to).is_none_or(|(from, to)| from < to), "{row:?}");
        for other in rows().iter().skip(index + 1) {
            let same = row.territory == other.territory && row.part == other.part;
            let apart = |a: &Row, b: &Row| {
                a.valid_to.zip(b.valid_from).is_some_and(|(to, from)| to <= from)
            };
            assert!(!same || apart(row, other) || apart(other, row), "{row:?} {other:?}");
        }
    }
    assert!(TABLE_VERSION.parse::<Date>().is_ok());
}

#[test]
fn all_codes_are_known_and_sorted() {
    assert_eq!(CODES.len(), 249 + 3);
    assert!(CODES.is_sorted_by(|a, b| a.alpha2 < b.alpha2));
    assert_eq!(at("ie").name(), "Ireland");
    assert_eq!(at(" cz ").name(), "Czechia");
    assert_eq!(at("XK").name(), "Kosovo");
}

#[test]
fn codes_in_their_other_forms() {
    assert_eq!(at("UK"), at("GB"));
    assert_eq!(at("EL"), at("GR"));
    assert_eq!(Territory::from_alpha3("deu"), Some(at("DE")));
    assert_eq!(Territory::from_numeric("4"), Some(at("AF")));
    assert_eq!(Territory::from_numeric("276"), Some(at("DE")));
    assert_eq!(Territory::from_numeric("+49"), None);
    assert_eq!(Territory::from_alpha3(""), None);
}

#[test]
fn a_wrong_code_is_answered_with_the_nearest() {
    let message = |text: &str| text.parse::<Territory>().unwrap_err().to_string();
    assert_eq!(
        message("FE"),
        "`FE` is not a territory code (ISO 3166-1 alpha-2); did you mean `FR`?"
    );
    assert!(message("GBR").ends_with("`GB`?"));
    assert!(message("Germny").ends_with("`DE`?"));
    assert!(message("DX").ends_with("`DE`?"), "{}", message("DX"));
    assert!(message("12345").ends_with("alpha-2)"));

    let message = |text: &str| text.parse::<Regime>().unwrap_err().to_string();
    assert_eq!(
        message("EUU"),
        "`EUU` is not a regime (EU, EEA or a territory code); did you mean `EU`?"
    );
    assert!(message("EEE").ends_with("`EEA`?"));
    assert!(message("GDPR").ends_with("`EU`?"));
    assert!(message("USA").ends_with("`US`?"));
}

#[test]
fn configuration_reads_and_writes_them_as_text() {
    let regimes: Vec<Regime> = serde_json::from_str(r#"["EU","eea","UK","US"]"#).unwrap();
    assert_eq!(serde_json::to_string(&regimes).unwrap(), r#"["EU","EEA","GB","US"]"#);
    let place: Territory = serde_json::from_str(r#""el""#).unwrap();
    assert_eq!(serde_json::to_string(&place).unwrap(), r#""GR""#);
    let refused = serde_json::from_str::<Territory>(r#""FE""#).unwrap_err();
    assert!(refused.to_string().contains("did you mean `FR`?"), "{refused}");
    assert_eq!(format!("{place} {:>4}|{:?}", Regime::EU, Regime::EEA), "GR   EU|EEA");
}

proptest! {
    #[test]
    fn any_text_is_a_code_or_an_error(text in any::<String>()) {
        let _ = text.parse::<Territory>();
        let _ = text.parse::<Regime>();
        let _ = (Territory::from_alpha3(&text), Territory::from_numeric(&text));
    }

    #[test]
    fn the_law_is_never_empty(index in 0usize..252, year in -9999i16..=9999, month in 1i8..=12) {
        let place = Territory::all().nth(index).unwrap();
        let on = date(year, month, 1);
        prop_assert!(!regimes(place, on).is_empty());
        prop_assert_eq!(counts_for_dsa(place, on), regimes(place, on).contains(&Regime::EU));
    }
}
