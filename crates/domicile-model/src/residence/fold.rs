//! The form in which names are compared.

use std::borrow::Cow;

/// Lowers case, drops dots and accents, turns other punctuation into single spaces.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut gap = false;
    let mut push = |part: &str| {
        for letter in part.chars() {
            if letter == ' ' {
                gap = !folded.is_empty();
                continue;
            }
            if std::mem::take(&mut gap) {
                folded.push(' ');
            }
            folded.push(letter);
        }
    };
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            '.' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{300}'..='\u{36f}' | '\u{feff}' => {}
            '&' => push(" and "),
            _ => match plain(letter) {
                Some(plain) => push(plain),
                None if letter.is_alphanumeric() => push(letter.encode_utf8(&mut [0; 4])),
                None => push(" "),
            },
        }
    }
    folded
}

/// Words that a town's name is written with in several ways, and the one that is compared.
const TOWN_WORDS: &[(&str, &str)] = &[
    ("ft", "fort"),
    ("mt", "mount"),
    ("sankt", "saint"),
    ("st", "saint"),
    ("sta", "santa"),
    ("ste", "sainte"),
    ("sto", "santo"),
];

/// The form in which names of towns are compared: folded, with the usual abbreviations written
/// out, so that "St. Paul" is "saint paul".
pub fn fold_town(text: &str) -> String {
    spell_out(&fold(text)).into_owned()
}

/// As [`fold_town`], of a text that is folded.
pub(super) fn spell_out(folded: &str) -> Cow<'_, str> {
    let whole = |word: &str| TOWN_WORDS.iter().find(|(short, _)| *short == word).map(|it| it.1);
    if !folded.split(' ').any(|word| whole(word).is_some()) {
        return Cow::Borrowed(folded);
    }
    let words: Vec<&str> = folded.split(' ').map(|word| whole(word).unwrap_or(word)).collect();
    Cow::Owned(words.join(" "))
}

/// The bare letter under an accent, for Latin letters and accented Greek.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ə' | 'ḁ' | 'ạ'..='ặ' => "a",
        'æ' => "ae",
        'ḃ'..='ḇ' => "b",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' | 'ḉ' => "c",
        'ď' | 'đ' | 'ð' | 'ḋ'..='ḓ' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ḕ'..='ḝ' | 'ẹ'..='ệ' => "e",
        'ḟ' => "f",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' | 'ḡ' => "g",
        'ĥ' | 'ħ' | 'ḣ'..='ḫ' | 'ẖ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ḭ'..='ḯ' | 'ỉ'..='ị' => "i",
        'ĵ' => "j",
        'ķ' | 'ḱ'..='ḵ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' | 'ḷ'..='ḽ' => "l",
        'ḿ'..='ṃ' => "m",
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ṅ'..='ṋ' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ơ' | 'ṍ'..='ṓ' | 'ọ'..='ợ' => "o",
        'œ' => "oe",
        'ṕ'..='ṗ' => "p",
        'ŕ' | 'ŗ' | 'ř' | 'ṙ'..='ṟ' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ṡ'..='ṩ' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' | 'ṫ'..='ṱ' | 'ẗ' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ư' | 'ṳ'..='ṻ' | 'ụ'..='ự' => {
            "u"
        }
        'ṽ'..='ṿ' => "v",
        'ŵ' | 'ẁ'..='ẉ' | 'ẘ' => "w",
        'ẋ'..='ẍ' => "x",
        'ý' | 'ÿ' | 'ŷ' | 'ẏ' | 'ẙ' | 'ỳ'..='ỹ' => "y",
        'ź' | 'ż' | 'ž' | 'ẑ'..='ẕ' => "z",
        'ά' => "α",
        'έ' => "ε",
        'ή' => "η",
        'ί' | 'ϊ' | 'ΐ' => "ι",
        'ό' => "ο",
        'ύ' | 'ϋ' | 'ΰ' => "υ",
        'ώ' => "ω",
        'ς' => "σ",
        'ё' => "е",
        _ => return None,
    })
}
