use super::column::{ColumnFacts, Context, Judgement, judge};
use super::value::{DETECTORS, contact, dates, finance, national, network};
use super::words::{singular_name, words};
use super::*;
use proptest::prelude::*;

type Specimen = (&'static str, fn(&str) -> bool, bool);

/// Published specimens, each with the detector that must take it, and whether the algorithm finds
/// every single wrong digit.
const SPECIMENS: &[Specimen] = &[
    ("GB82 WEST 1234 5698 7654 32", finance::is_iban, true),
    ("DE89370400440532013000", finance::is_iban, true),
    ("FR14 2004 1010 0505 0001 3M02 606", finance::is_iban, true),
    ("PT50000201231234567890154", finance::is_iban, true),
    ("4111 1111 1111 1111", finance::is_card, true),
    ("378282246310005", finance::is_card, true),
    ("2 55 08 14 168 025 38", national::is_fr_nir, true),
    ("12345678Z", national::is_es_dni, true),
    ("X1234567L", national::is_es_dni, true),
    ("RSSMRA85T10A562S", national::is_it_codice_fiscale, true),
    ("86095742719", national::is_de_steuer_id, true),
    ("65929970489", national::is_de_steuer_id, true),
    ("44051401359", national::is_pl_pesel, true),
    ("811218-9876", national::is_se_personnummer, true),
    ("131052-308T", national::is_fi_hetu, true),
    ("111222333", national::is_nl_bsn, true),
    ("85.07.30-033.28", national::is_be_national, false),
    ("123456789", national::is_pt_nif, false),
    ("943 476 5919", national::is_gb_nhs, true),
    ("AB 12 34 56 C", national::is_gb_nino, false),
    ("123-45-6789", national::is_us_ssn, false),
    ("15076500565", national::is_no_fodselsnummer, true),
    ("756.9217.0769.85", national::is_ch_ahv, true),
];

#[test]
fn specimens_are_read_and_one_wrong_digit_is_found() {
    for (text, is, finds) in SPECIMENS {
        assert!(is(text), "{text}");
        for (at, letter) in text.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
            for other in ('0'..='9').filter(|other| *other != letter) {
                let mut wrong = (*text).to_owned();
                wrong.replace_range(at..=at, &other.to_string());
                assert!(!finds || !is(&wrong), "{wrong} for {text}");
            }
        }
    }
}

#[test]
fn a_number_of_corsica() {
    // 2A counts as 19: the key is 97 minus 1850819 + "033048" modulo 97.
    let key = 97 - 1_850_819_033_048_u64 % 97;
    assert!(national::is_fr_nir(&format!("185082A033048{key:02}")));
    assert!(!national::is_fr_nir(&format!("185082B033048{key:02}")));
}

/// Bodies of numbers, and the length of the check that completes them.
fn body() -> impl Strategy<Value = (usize, String)> {
    let kinds = [("[1-4][0-9]{2}0[1-9]0[1-9][0-9]{6}", 2), ("[0-9]{8}", 1), ("[1-9][0-9]{8}", 1)];
    prop_oneof![
        kinds[0].0.prop_map(|text| (0, text)),
        kinds[1].0.prop_map(|text| (1, text)),
        kinds[2].0.prop_map(|text| (2, text)),
    ]
}

fn completed(kind: usize, body: &str) -> Vec<String> {
    let checks: Vec<String> = match kind {
        0 => (0..100).map(|check| format!("{check:02}")).collect(),
        1 => ('A'..='Z').map(String::from).collect(),
        _ => (0..10).map(|check| check.to_string()).collect(),
    };
    let is = [national::is_fr_nir, national::is_es_dni, national::is_gb_nhs][kind];
    checks.iter().map(|check| format!("{body}{check}")).filter(|text| is(text)).collect()
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,40}", name in "\\PC{0,20}") {
        for detector in DETECTORS {
            let _ = (detector.is)(&text);
        }
        let _ = contact::telephone_territories(&text);
        let _ = (words(&name), singular_name(&name));
        let _ = name.parse::<Category>();
        for type_name in ["text", "integer", "", "point"] {
            let facts = ColumnFacts { name: &name, type_name, context: Context::Person, values: &[&text] };
            let _ = judge(facts);
        }
    }

    #[test]
    fn digits_and_signs_are_read_without_a_panic(text in "[-+ .0-9A-Z:/@]{0,30}") {
        for detector in DETECTORS {
            let _ = (detector.is)(&text);
        }
    }

    #[test]
    fn one_check_fits_at_most((kind, body) in body()) {
        let fitting = completed(kind, &body);
        // The NHS number leaves out bodies whose check would be 10.
        prop_assert!(fitting.len() == 1 || (kind == 2 && fitting.is_empty()), "{:?}", fitting);
    }

    #[test]
    fn a_changed_digit_of_an_iban_is_found(account in "[0-9]{18}", at in 0usize..18, step in 1u8..10) {
        let of = |account: &str| {
            (0..100).map(|check| format!("DE{check:02}{account}")).find(|text| finance::is_iban(text))
        };
        let whole = of(&account).unwrap();
        let mut bytes = whole.clone().into_bytes();
        bytes[4 + at] = b'0' + (bytes[4 + at] - b'0' + step) % 10;
        prop_assert!(!finance::is_iban(&String::from_utf8(bytes).unwrap()));
    }
}

#[test]
fn the_vocabulary_is_sorted_and_every_key_in_the_code_is_in_it() {
    let all: Vec<&str> = Category::all().map(Category::as_str).collect();
    assert!(all.is_sorted());
    assert_eq!(all.len(), 87);
    for key in
        DETECTORS.iter().map(|d| d.category.as_str()).chain(names::RULES.iter().map(|r| r.key))
    {
        assert!(key.parse::<Category>().is_ok(), "{key}");
    }
    for key in keys::SPECIAL {
        assert!(key.parse::<Category>().unwrap().is_special(), "{key}");
    }
    assert!(!"user.contact.email".parse::<Category>().unwrap().is_special());
}

#[test]
fn an_unknown_category_names_the_nearest() {
    for (given, near) in [
        ("user.contact.emial", "user.contact.email"),
        ("user.email", "user.contact.email"),
        ("user.contact.adress.city", "user.contact.address.city"),
        ("user.finanical", "user.financial"),
    ] {
        let error = given.parse::<Category>().unwrap_err();
        assert_eq!((error.given.as_str(), error.nearest.as_str()), (given, near));
    }
}

#[test]
fn names_are_taken_apart() {
    assert_eq!(words("BillingPostalCode"), ["billing", "postal", "code"]);
    assert_eq!(words("HTTPServer_ip4"), ["http", "server", "ip4"]);
    assert_eq!(words("address1"), ["address1"]);
    for (many, one) in [
        ("user_profiles", "user_profile"),
        ("People", "person"),
        ("categories", "category"),
        ("addresses", "address"),
        ("status", "status"),
        ("InvoiceLines", "invoice_line"),
        ("boxes", "box"),
    ] {
        assert_eq!(singular_name(many), one);
    }
}

#[test]
fn telephone_numbers_and_their_countries() {
    let countries = |text: &str| -> Vec<&str> {
        contact::telephone_territories(text).iter().map(|found| found.as_str()).collect()
    };
    assert_eq!(countries("+44 20 7946 0958"), ["GB", "GG", "IM", "JE"]);
    assert_eq!(countries("+44 (0)20 7946 0958"), ["GB", "GG", "IM", "JE"]);
    assert_eq!(countries("00351 912 345 678"), ["PT"]);
    assert_eq!(countries("+590 590 12 34 56"), ["GP", "MF", "BL"]);
    assert_eq!(countries("+47 22 12 34 56"), ["NO", "SJ"]);
    assert!(countries("+1 (780) 428-9482").contains(&"CA"));
    assert!(countries("020 7946 0958").is_empty(), "no country is said");
    assert!(contact::is_telephone("(555) 123-4567 ext. 12"));
    for wrong in ["+999 123456789", "12345", "+44", "1234567890123456", "call me", "+1 2 3 four"] {
        assert!(!contact::is_telephone(wrong), "{wrong}");
    }
    for (code, territories) in contact::calling_codes() {
        assert!(code.bytes().all(|byte| byte.is_ascii_digit()) && code.len() <= 3);
        for territory in territories.split(' ') {
            assert!(territory.parse::<crate::territory::Territory>().is_ok(), "{territory}");
        }
    }
}

#[test]
fn addresses_of_people_and_machines() {
    for right in ["a@b.co", "luis.goncalves+x@embraer.com.br", "åsa@exämple.se"] {
        assert!(contact::is_email(right), "{right}");
    }
    for wrong in ["a@b", "@b.co", "a b@c.de", "a@b..co", "a@10.0.0.1", "a..b@c.de", "a@-b.co"] {
        assert!(!contact::is_email(wrong), "{wrong}");
    }
    for right in ["192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32", "::1"] {
        assert!(network::is_ip(right), "{right}");
    }
    for wrong in ["1.2.3", "256.1.1.1", "1.2.3.4/33", "1.2.3.4.5", ""] {
        assert!(!network::is_ip(wrong), "{wrong}");
    }
    assert!(contact::is_url("https://user@example.org:8080/x?y"));
    assert!(!contact::is_url("ftp://example.org") && !contact::is_url("https://exa mple.org"));
    assert!(network::is_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));
    assert!(network::is_mac("00:00:5E:00:53:af") && !network::is_mac("00:00:5E:00:53"));
    assert!(dates::is_calendar_day("1962-02-18 00:00:00") && dates::is_calendar_day("18.02.1962"));
    assert!(dates::is_calendar_day("02/18/1962") && !dates::is_calendar_day("1962-02-30"));
    assert!(dates::is_position("48.2082, 16.3738") && dates::is_position("(16.37,48.20)"));
    assert!(!dates::is_position("1, 2") && !dates::is_position("118.5, 191.2"));
}

fn judged(name: &str, type_name: &str, context: Context, values: &[&str]) -> Option<Judgement> {
    judge(ColumnFacts { name, type_name, context, values })
}

fn category(name: &str, type_name: &str, values: &[&str]) -> &'static str {
    judged(name, type_name, Context::Person, values).map_or("", |found| found.category.as_str())
}

#[test]
fn columns_by_name() {
    for (name, type_name, expected) in [
        ("FirstName", "NVARCHAR(40)", "user.name.first"),
        ("last_name", "text", "user.name.last"),
        ("name", "text", "user.name"),
        ("BillingPostalCode", "text", "user.contact.address.postal_code"),
        ("Address", "text", "user.contact.address.street"),
        ("encrypted_password", "character varying", "user.authorization.password"),
        ("pass_crypt", "character varying", "user.authorization.password"),
        ("current_sign_in_ip", "inet", "user.device.ip_address"),
        ("birth_date", "date", "user.demographic.date_of_birth"),
        ("Geburtsdatum", "date", "user.demographic.date_of_birth"),
        ("username_lower", "text", "user.account.username"),
        ("home_lat", "double precision", "user.location.precise"),
        ("email_verified", "boolean", ""),
        ("email_verified_at", "timestamp without time zone", ""),
        ("email_digest", "text", ""),
        ("is_phone", "text", ""),
        ("country_id", "integer", ""),
        ("shipping", "text", ""),
        ("created_at", "timestamp", ""),
    ] {
        assert_eq!(category(name, type_name, &[]), expected, "{name}");
    }
    assert_eq!(judged("name", "text", Context::Other, &["Rock"]), None, "a genre is nobody");
    assert_eq!(judged("city", "text", Context::Other, &["Rome"]), None);
}

#[test]
fn columns_by_values() {
    let mails = ["a@b.co", "c@d.de", "e@f.fr", "g@h.it", "i@j.pt"];
    let found = judged("contact", "text", Context::Other, &mails).unwrap();
    assert_eq!((found.category.as_str(), found.doubtful), ("user.contact.email", true));
    assert_eq!(found.reason, "100 % of its values read as e-mail address");
    let found = judged("email", "text", Context::Other, &mails).unwrap();
    assert_eq!((found.category.as_str(), found.doubtful), ("user.contact.email", false));
    let names = ["anna", "bert", "carl", "dora", "emil"];
    let found = judged("email", "text", Context::Person, &names).unwrap();
    assert!(found.doubtful, "{found:?}");
    assert!(!found.reason.contains("anna"));
    assert_eq!(judged("contact", "text", Context::Other, &mails[..2]), None, "two are no sample");
}

#[test]
fn known_mistakes_of_other_tools() {
    // Portuguese mobile numbers are nine digits, as US bank accounts and SSNs may be.
    let mobiles: Vec<String> =
        (0..40).map(|at| format!("91{:07}", 1_234_567 + at * 7919)).collect();
    let mobiles: Vec<&str> = mobiles.iter().map(String::as_str).collect();
    assert_eq!(category("telemovel_principal", "text", &mobiles), "");
    assert_eq!(category("phone", "text", &mobiles), "user.contact.phone_number");
    let with_code: Vec<String> = mobiles.iter().map(|number| format!("+351{number}")).collect();
    let with_code: Vec<&str> = with_code.iter().map(String::as_str).collect();
    assert_eq!(category("x", "text", &with_code), "user.contact.phone_number");
    assert_eq!(category("Fax", "text", &with_code), "user.contact.fax_number");
}

#[test]
fn numeric_keys_are_no_identity_cards() {
    for start in [1_u64, 100_000_000, 4_000_000_000, 10_000_000_000, 4_000_000_000_000_000] {
        for step in [1, 7, 10, 97] {
            let numbers: Vec<String> = (0..200).map(|at| (start + at * step).to_string()).collect();
            let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
            for (name, type_name) in
                [("id", "bigint"), ("isbn", "text"), ("invoice_number", "text")]
            {
                assert_eq!(
                    category(name, type_name, &numbers),
                    "",
                    "{name} from {start} by {step}"
                );
            }
        }
    }
}

#[test]
fn national_numbers_need_their_share() {
    let people: Vec<String> = (0..40_u64)
        .map(|at| format!("{:08}", 10_000_000 + at * 123_457))
        .map(|body| completed(1, &body).remove(0))
        .collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let national = "user.government_id.national_identification_number";
    assert_eq!(category("documento", "text", &people), national);
    let mut mixed = people.clone();
    mixed.extend(vec!["12345678A"; 20]);
    assert_eq!(category("documento", "text", &mixed), "", "a third is wrong");
}
