//! Detectors: what a single value is, by its form and its check digits.
//!
//! Each detector says how often text of its form passes by chance, so that a column of plain
//! numbers does not become a list of identity cards: see [`Detector::chance`].

pub mod contact;
pub mod dates;
pub mod finance;
pub mod national;
pub mod network;

use super::{Category, known};

/// Reads one kind of value.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// What it recognises, as people say it.
    pub what: &'static str,
    /// The category of such values.
    pub category: Category,
    /// Whether a text is one. Any text may be given.
    pub is: fn(&str) -> bool,
    /// The share of texts of the same length and alphabet that pass without being one: 0.1 for a
    /// Luhn digit, 1 where the form says nothing by itself.
    pub chance: f64,
    /// Words of which one must stand in the column's name; empty where the values speak for
    /// themselves.
    pub named: &'static [&'static str],
}

const fn detector(
    what: &'static str,
    key: &'static str,
    is: fn(&str) -> bool,
    chance: f64,
    named: &'static [&'static str],
) -> Detector {
    Detector { what, category: known(key), is, chance, named }
}

const NATIONAL: &str = "user.government_id.national_identification_number";
const ID_WORDS: &[&str] = &[
    "national",
    "identity",
    "identification",
    "personal",
    "person",
    "citizen",
    "social",
    "security",
    "insurance",
    "tax",
    "taxpayer",
    "fiscal",
    "ssn",
    "sin",
    "nin",
    "nino",
    "nir",
    "insee",
    "secu",
    "dni",
    "nie",
    "nif",
    "codice",
    "cf",
    "steuer",
    "idnr",
    "tin",
    "pesel",
    "personnummer",
    "pnr",
    "hetu",
    "henkilotunnus",
    "bsn",
    "rrn",
    "niss",
    "insz",
    "rijksregisternummer",
    "nhs",
    "ahv",
    "avs",
    "fodselsnummer",
    "fnr",
    "vat",
    "document",
    "doc",
];
const BIRTH_WORDS: &[&str] = &[
    "birth",
    "birthdate",
    "birthday",
    "dob",
    "born",
    "geburtsdatum",
    "geburtstag",
    "naissance",
    "nascita",
    "nacimiento",
    "nascimento",
    "geboortedatum",
    "fodelsedatum",
    "urodzenia",
];
const PHONE_WORDS: &[&str] = &[
    "phone",
    "phones",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "cellphone",
    "msisdn",
    "whatsapp",
    "sms",
    "fax",
    "telefon",
    "handy",
    "telefono",
    "telefone",
    "celular",
    "portable",
    "movil",
    "cellulare",
    "telefoon",
    "puhelin",
];

/// All detectors, the surest first.
pub const DETECTORS: &[Detector] = &[
    detector("e-mail address", "user.contact.email", contact::is_email, 1e-6, &[]),
    detector("IBAN", "user.financial.bank_account", finance::is_iban, 1e-4, &[]),
    detector("French NIR", NATIONAL, national::is_fr_nir, 1e-3, &[]),
    detector("Italian codice fiscale", NATIONAL, national::is_it_codice_fiscale, 1e-6, &[]),
    detector("Spanish DNI or NIE", NATIONAL, national::is_es_dni, 0.04, &[]),
    detector("Finnish HETU", NATIONAL, national::is_fi_hetu, 1e-3, &[]),
    detector("Swiss AHV number", NATIONAL, national::is_ch_ahv, 1e-4, &[]),
    detector("British NINO", NATIONAL, national::is_gb_nino, 1e-2, &[]),
    detector("US SSN", NATIONAL, national::is_us_ssn, 0.9, ID_WORDS),
    detector("German Steuer-ID", NATIONAL, national::is_de_steuer_id, 1e-2, ID_WORDS),
    detector("Polish PESEL", NATIONAL, national::is_pl_pesel, 0.01, ID_WORDS),
    detector("Swedish personnummer", NATIONAL, national::is_se_personnummer, 0.01, ID_WORDS),
    detector("Norwegian fødselsnummer", NATIONAL, national::is_no_fodselsnummer, 1e-3, ID_WORDS),
    detector("Belgian national number", NATIONAL, national::is_be_national, 1e-3, ID_WORDS),
    detector("Dutch BSN", NATIONAL, national::is_nl_bsn, 0.1, ID_WORDS),
    detector("Portuguese NIF", NATIONAL, national::is_pt_nif, 0.1, ID_WORDS),
    detector("NHS number", NATIONAL, national::is_gb_nhs, 0.1, ID_WORDS),
    detector("payment card number", "user.financial.credit_card", finance::is_card, 0.03, &[]),
    detector("IP address", "user.device.ip_address", network::is_ip, 1e-3, &[]),
    detector("hardware address", "user.device.device_id", network::is_mac, 1e-6, &[]),
    detector(
        "telephone number",
        "user.contact.phone_number",
        contact::is_international_telephone,
        0.01,
        &[],
    ),
    detector(
        "telephone number",
        "user.contact.phone_number",
        contact::is_telephone,
        1.0,
        PHONE_WORDS,
    ),
    detector(
        "date of birth",
        "user.demographic.date_of_birth",
        dates::is_calendar_day,
        1.0,
        BIRTH_WORDS,
    ),
    detector(
        "web address",
        "user.contact.url",
        contact::is_url,
        1e-6,
        &["website", "homepage", "site", "web", "blog", "url", "profile"],
    ),
    detector(
        "device id",
        "user.device.device_id",
        network::is_uuid,
        1e-6,
        &["device", "idfa", "gaid", "aaid", "idfv", "advertising", "udid", "imei", "installation"],
    ),
    detector(
        "position",
        "user.location.precise",
        dates::is_position,
        1e-3,
        &["location", "position", "geo", "coordinates", "coords", "latlng", "latlon", "point"],
    ),
];

/// The digits of a text whose other characters are all among `separators`; none when it holds
/// anything else.
fn digits(text: &str, separators: &[char]) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for letter in text.trim().chars() {
        match letter.to_digit(10) {
            Some(digit) => found.push(digit),
            None if separators.contains(&letter) => {}
            None => return None,
        }
    }
    Some(found)
}

/// The number that decimal digits write.
fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

/// The sum of digits, each times its weight.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Luhn's check (ISO/IEC 7812-1, annex B): finds every single wrong digit.
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ if *digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}
