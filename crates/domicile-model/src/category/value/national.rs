//! National identification numbers, by the published rules of each state.
//!
//! Every function takes any text, with the separators people write, and says whether it can be
//! such a number. "Finds a wrong digit" means: whatever single digit is changed, the result is
//! refused.

use super::dates::is_day;
use super::{digits, luhn, number, weighted};

/// The letters and digits of a text in upper case, blanks, dots and hyphens left out.
fn bare(text: &str) -> Vec<char> {
    let signs = [' ', '.', '-'];
    text.trim().chars().filter(|c| !signs.contains(c)).map(|c| c.to_ascii_uppercase()).collect()
}

fn to_digits(letters: &[char]) -> Option<Vec<u32>> {
    letters.iter().map(|letter| letter.to_digit(10)).collect()
}

/// France, numéro d'inscription au répertoire (INSEE): 13 characters and a key of two digits,
/// 97 minus the number modulo 97; Corsica's 2A and 2B count as 19 and 18. Finds a wrong digit.
pub fn is_fr_nir(text: &str) -> bool {
    let letters = bare(text);
    let (Some(body), Some(key)) = (letters.get(..13), letters.get(13..15)) else { return false };
    let corsica = match body {
        [.., '2', 'A', _, _, _, _, _, _] => Some('9'),
        [.., '2', 'B', _, _, _, _, _, _] => Some('8'),
        _ => None,
    };
    let body: Vec<char> = match corsica {
        Some(digit) => {
            body.iter().take(5).chain(&['1', digit]).chain(body.iter().skip(7)).copied().collect()
        }
        None => body.to_vec(),
    };
    let (Some(body), Some(key)) = (to_digits(&body), to_digits(key)) else { return false };
    let month = number(body.get(3..5).unwrap_or_default());
    let is_month = matches!(month, 1..=12 | 20..=42 | 50..=99);
    let is_sex = matches!(body.first(), Some(1..=4 | 7 | 8));
    letters.len() == 15 && is_month && is_sex && number(&key) == 97 - number(&body) % 97
}

/// Spain, DNI and NIE (Ministerio del Interior, cálculo del dígito de control): eight digits, or X,
/// Y or Z and seven, and a letter chosen by the number modulo 23. Finds a wrong digit.
pub fn is_es_dni(text: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let mut letters = bare(text);
    let Some(check) = letters.pop() else { return false };
    if let Some(first) = letters.first_mut() {
        *first = match *first {
            'X' => '0',
            'Y' => '1',
            'Z' => '2',
            other => other,
        };
    }
    let Some(body) = to_digits(&letters).filter(|body| body.len() == 8) else { return false };
    let letter = usize::try_from(number(&body) % 23).ok().and_then(|at| LETTERS.get(at));
    letter.is_some_and(|letter| char::from(*letter) == check)
}

/// Italy, codice fiscale (Ministero delle finanze, decree of 23 December 1976): 16 characters,
/// the last a sum over tables for odd and even places modulo 26; digits replaced by letters where
/// two people would share a code (omocodia). Finds a wrong digit.
pub fn is_it_codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    const OMOCODIA: &str = "LMNPQRSTUV";
    let letters = bare(text);
    if letters.len() != 16 || !letters.iter().all(char::is_ascii_alphanumeric) {
        return false;
    }
    let digit_at = |at: usize| {
        let letter = letters.get(at).copied()?;
        letter.to_digit(10).or_else(|| OMOCODIA.find(letter).and_then(|at| u32::try_from(at).ok()))
    };
    let two = |at: usize| Some(digit_at(at)? * 10 + digit_at(at + 1)?);
    let is_letter = |at: usize| letters.get(at).is_some_and(char::is_ascii_alphabetic);
    let is_day = two(9).is_some_and(|day| matches!(day, 1..=31 | 41..=71));
    let is_formed = (0..6).chain([8, 11, 15]).all(is_letter)
        && letters.get(8).is_some_and(|month| "ABCDEHLMPRST".contains(*month))
        && two(6).is_some()
        && is_day
        && (12..15).all(|at| digit_at(at).is_some());
    let value = |letter: char| letter.to_digit(10).or_else(|| Some(letter.to_digit(36)? - 10));
    let sum: u32 = letters
        .iter()
        .take(15)
        .enumerate()
        .filter_map(|(at, letter)| {
            let value = value(*letter)?;
            // Places are counted from one, so the first is odd.
            if at % 2 == 0 { ODD.get(usize::try_from(value).ok()?).copied() } else { Some(value) }
        })
        .sum();
    is_formed && letters.get(15).and_then(|letter| value(*letter)) == Some(sum % 26)
}

/// Germany, steuerliche Identifikationsnummer (BZSt, § 139b AO): eleven digits, ISO/IEC 7064 MOD
/// 11,10; among the first ten one digit stands twice or three times, the others at most once.
/// Finds a wrong digit.
pub fn is_de_steuer_id(text: &str) -> bool {
    let Some(found) = digits(text, &[' ']).filter(|found| found.len() == 11) else { return false };
    let body = found.get(..10).unwrap_or_default();
    let times = |digit: u32| body.iter().filter(|other| **other == digit).count();
    let counts: Vec<usize> = (0..10).map(times).collect();
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let most = counts.iter().max().copied().unwrap_or(0);
    let mut product = 10;
    for digit in body {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        product = sum * 2 % 11;
    }
    let check = (11 - product) % 10;
    found.first() != Some(&0) && repeated == 1 && most <= 3 && found.last() == Some(&check)
}

/// Poland, PESEL (act on population registration of 2010): a day of birth with the century in the
/// month, and weights 1 3 7 9. Finds a wrong digit.
pub fn is_pl_pesel(text: &str) -> bool {
    let Some(found) = digits(text, &[]).filter(|found| found.len() == 11) else { return false };
    let part = |from: usize| number(found.get(from..from + 2).unwrap_or_default());
    let (year, month, day) = (part(0), part(2), part(4));
    let century = match month / 20 {
        4 => 1800,
        0 => 1900,
        1 => 2000,
        2 => 2100,
        _ => 2200,
    };
    let sum = weighted(&found, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    is_birth(century + year, month % 20, day) && sum.is_multiple_of(10)
}

/// Sweden, personnummer and samordningsnummer (Skatteverket, SKV 704): a day of birth (plus 60 for
/// the latter) and three digits, Luhn over the last ten. Finds a wrong digit among these.
pub fn is_se_personnummer(text: &str) -> bool {
    let Some(found) = digits(text, &['-', '+']) else { return false };
    let century = match (found.len(), number(found.get(..2).unwrap_or_default())) {
        (10, _) => None,
        (12, century @ (18..=20)) => Some(century * 100),
        _ => return false,
    };
    let ten = found.get(found.len() - 10..).unwrap_or_default();
    let part = |from: usize| number(ten.get(from..from + 2).unwrap_or_default());
    let day = if part(4) > 60 { part(4) - 60 } else { part(4) };
    // Without the century a leap day is possible if any century has it.
    let is_day = match century {
        Some(century) => is_birth(century + part(0), part(2), day),
        None => is_birth(1900 + part(0), part(2), day) || is_birth(2000 + part(0), part(2), day),
    };
    is_day && luhn(ten)
}

/// Finland, henkilötunnus (Digi- ja väestötietovirasto): day of birth, a sign for the century, three
/// digits, and a character chosen by the nine digits modulo 31. Finds a wrong digit.
pub fn is_fi_hetu(text: &str) -> bool {
    const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let letters: Vec<char> = text.trim().chars().map(|c| c.to_ascii_uppercase()).collect();
    let (Some(day), Some(sign), [one, two, three, last]) =
        (letters.get(..6), letters.get(6), letters.get(7..).unwrap_or_default())
    else {
        return false;
    };
    let century = match sign {
        '+' => 1800,
        '-' | 'U' | 'V' | 'W' | 'X' | 'Y' => 1900,
        'A' | 'B' | 'C' | 'D' | 'E' | 'F' => 2000,
        _ => return false,
    };
    let body: Vec<char> = day.iter().chain([one, two, three]).copied().collect();
    let Some(body) = to_digits(&body) else { return false };
    let part = |from: usize| number(body.get(from..from + 2).unwrap_or_default());
    let check = usize::try_from(number(&body) % 31).ok().and_then(|at| CHECKS.get(at));
    is_birth(century + part(4), part(2), part(0))
        && number(body.get(6..).unwrap_or_default()) >= 2
        && check.is_some_and(|check| char::from(*check) == *last)
}

/// Netherlands, burgerservicenummer (Rijksdienst voor Identiteitsgegevens, "elfproef"): weights 9
/// to 2 and −1, divisible by 11. Finds a wrong digit.
pub fn is_nl_bsn(text: &str) -> bool {
    let Some(found) = digits(text, &['.', ' ']).filter(|found| found.len() == 9) else {
        return false;
    };
    // −1 is 10 modulo 11.
    number(&found) > 0 && weighted(&found, &[9, 8, 7, 6, 5, 4, 3, 2, 10]).is_multiple_of(11)
}

/// Belgium, national register number (royal decree of 3 April 1984): a day of birth, three digits
/// and 97 minus the nine digits modulo 97, with a 2 before them for births since 2000. A wrong digit
/// can pass as a birth in the other century.
pub fn is_be_national(text: &str) -> bool {
    let Some(found) = digits(text, &['.', '-', ' ']).filter(|found| found.len() == 11) else {
        return false;
    };
    let body = number(found.get(..9).unwrap_or_default());
    let check = number(found.get(9..).unwrap_or_default());
    let part = |from: usize| number(found.get(from..from + 2).unwrap_or_default());
    // The bis number of non-residents adds 20 or 40 to the month; unknown days are written 00.
    let is_date = matches!(part(2) % 20, 0..=12) && part(2) < 53 && part(4) <= 31;
    is_date && (check == 97 - body % 97 || check == 97 - (body + 2_000_000_000) % 97)
}

/// Portugal, número de identificação fiscal of a natural person (decree-law 14/2013): begins with 1,
/// 2, 3 or 45, weights 9 to 2 modulo 11. Two remainders share the check digit 0.
pub fn is_pt_nif(text: &str) -> bool {
    let Some(found) = digits(text, &[' ']).filter(|found| found.len() == 9) else { return false };
    let is_person = matches!(found.as_slice(), [1..=3, ..] | [4, 5, ..]);
    let rest = weighted(&found, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    is_person && found.last() == Some(&check)
}

/// United Kingdom, National Insurance number by its form (HMRC, NIM39110): two letters, six digits,
/// A to D. There is no check digit.
pub fn is_gb_nino(text: &str) -> bool {
    let letters = bare(text);
    let [one, two, middle @ .., last] = letters.as_slice() else { return false };
    let prefix: String = [*one, *two].iter().collect();
    let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"];
    let is_first = |c: char| c.is_ascii_uppercase() && !"DFIQUV".contains(c);
    is_first(*one)
        && is_first(*two)
        && *two != 'O'
        && !never.contains(&prefix.as_str())
        && middle.len() == 6
        && middle.iter().all(char::is_ascii_digit)
        && ('A'..='D').contains(last)
}

/// England, Wales and Isle of Man, NHS number (NHS data dictionary): ten digits, weights 10 to 2
/// modulo 11. Finds a wrong digit.
pub fn is_gb_nhs(text: &str) -> bool {
    let Some(found) = digits(text, &[' ', '-']).filter(|found| found.len() == 10) else {
        return false;
    };
    number(&found) > 0 && weighted(&found, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// United States, social security number by its form (SSA, randomized assignment): AAA-GG-SSSS, no
/// part all zero, no area 666 or from 900. There is no check digit.
pub fn is_us_ssn(text: &str) -> bool {
    let text = text.trim();
    let parts: Vec<&str> = text.split('-').collect();
    let has_form = match parts.as_slice() {
        [area, group, serial] => (area.len(), group.len(), serial.len()) == (3, 2, 4),
        [whole] => whole.len() == 9,
        _ => false,
    };
    let Some(found) = digits(text, &['-']).filter(|found| found.len() == 9) else { return false };
    let part = |from: usize, to: usize| number(found.get(from..to).unwrap_or_default());
    let area = part(0, 3);
    has_form && area != 0 && area != 666 && area < 900 && part(3, 5) != 0 && part(5, 9) != 0
}

/// Norway, fødselsnummer and D-nummer (Skatteetaten): a day of birth (plus 40 for the latter) and
/// two check digits modulo 11. Finds a wrong digit.
pub fn is_no_fodselsnummer(text: &str) -> bool {
    let Some(found) = digits(text, &[' ']).filter(|found| found.len() == 11) else { return false };
    let part = |from: usize| number(found.get(from..from + 2).unwrap_or_default());
    let day = if part(0) > 40 { part(0) - 40 } else { part(0) };
    let is_date =
        [1800, 1900, 2000].iter().any(|century| is_birth(century + part(4), part(2), day));
    is_date
        && weighted(&found, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(&found, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Switzerland, AHV number (Zentrale Ausgleichsstelle): 756, nine digits and the check digit of
/// EAN-13. Finds a wrong digit.
pub fn is_ch_ahv(text: &str) -> bool {
    let Some(found) = digits(text, &['.', ' ']).filter(|found| found.len() == 13) else {
        return false;
    };
    let sum = weighted(&found, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    found.starts_with(&[7, 5, 6]) && sum.is_multiple_of(10)
}

fn is_birth(year: u64, month: u64, day: u64) -> bool {
    match (i16::try_from(year), i16::try_from(month), i16::try_from(day)) {
        (Ok(year), Ok(month), Ok(day)) => is_day(year, month, day),
        _ => false,
    }
}
