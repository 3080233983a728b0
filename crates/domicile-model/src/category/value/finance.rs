//! Bank accounts and payment cards.

use super::{digits, luhn, number};

/// Length of an IBAN by country, as registered under ISO 13616 (SWIFT, IBAN registry).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// An IBAN: the country's length, and the whole is 1 modulo 97 (ISO 13616-1, ISO/IEC 7064 MOD
/// 97-10). Finds every single wrong digit.
pub fn is_iban(text: &str) -> bool {
    let bare: Vec<char> = text.trim().chars().filter(|letter| *letter != ' ').collect();
    let Some((head, tail)) = bare.split_at_checked(4) else { return false };
    let country: String = head.iter().take(2).map(char::to_ascii_uppercase).collect();
    let is_long =
        IBAN_LENGTHS.iter().any(|(code, length)| *code == country && *length == bare.len());
    if !is_long || !head.iter().skip(2).all(char::is_ascii_digit) {
        return false;
    }
    let mut rest = 0;
    for letter in tail.iter().chain(head) {
        let Some(value) = letter.to_digit(36).filter(|_| letter.is_ascii()) else { return false };
        rest = (rest * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    rest == 1
}

/// The number of a payment card: an issuer's prefix with its length (ISO/IEC 7812-1, as the
/// networks publish their ranges) and Luhn's check. Finds every single wrong digit.
pub fn is_card(text: &str) -> bool {
    let Some(found) = digits(text, &[' ', '-']) else { return false };
    let starts = |many: usize| number(found.get(..many).unwrap_or_default());
    let is_known = match found.len() {
        14 => matches!(starts(3), 300..=305 | 309) || matches!(starts(2), 36 | 38 | 39),
        15 => matches!(starts(2), 34 | 37),
        13 => starts(1) == 4,
        16 => {
            starts(1) == 4
                || matches!(starts(2), 51..=55 | 62 | 65)
                || matches!(starts(3), 644..=649)
                || matches!(starts(4), 2221..=2720 | 3528..=3589 | 6011)
        }
        17 | 18 => starts(2) == 62,
        19 => starts(1) == 4 || starts(2) == 62,
        _ => false,
    };
    is_known && luhn(&found)
}
