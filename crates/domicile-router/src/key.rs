//! Values of keys as the database prints them, whatever form a client sends them in.

use crate::wire::Parse;

/// How equal values of a key's column are told: by one text each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `smallint`, `integer`, `bigint`.
    Integer,
    /// `text`, `character varying`.
    Text,
    /// `uuid`.
    Uuid,
    /// A type that only the database can print.
    Other,
}

impl KeyType {
    /// Of a type as PostgreSQL prints it.
    pub fn of(type_name: &str) -> KeyType {
        let bare = type_name.split('(').next().unwrap_or_default().trim_end();
        match bare {
            "smallint" | "integer" | "bigint" => KeyType::Integer,
            "text" | "character varying" => KeyType::Text,
            "uuid" => KeyType::Uuid,
            _ => KeyType::Other,
        }
    }
}

/// A value in the form in which a client sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether they are the type's binary form.
    pub is_binary: bool,
    /// The identifier of the type it was declared with; 0 where it was not.
    pub type_id: u32,
}

/// What a value is as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyText {
    /// The text that the database prints for it.
    Known(String),
    /// The database must be asked what it prints for this text.
    Ask(String),
    /// A form that cannot be read here.
    Unreadable,
}

mod type_id {
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const TEXT: u32 = 25;
    pub(super) const UNKNOWN: u32 = 705;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const UUID: u32 = 2950;
}

impl<'a> Sent<'a> {
    /// A constant in a statement's text.
    pub fn constant(text: &'a str) -> Self {
        Sent { bytes: text.as_bytes(), is_binary: false, type_id: 0 }
    }

    /// A parameter's value; `types` are those of the statement's `Parse`.
    pub fn parameter(bytes: &'a [u8], is_binary: bool, types: &[u8], number: usize) -> Self {
        Sent { bytes, is_binary, type_id: Parse::type_of(types, number) }
    }

    /// What it is as a key of this type.
    pub fn as_key(&self, key: KeyType) -> KeyText {
        let is_text_type = matches!(
            self.type_id,
            type_id::TEXT | type_id::VARCHAR | type_id::BPCHAR | type_id::UNKNOWN
        );
        if self.is_binary && !is_text_type && !(key == KeyType::Text && self.type_id == 0) {
            return self.binary_as_key(key);
        }
        let Ok(text) = std::str::from_utf8(self.bytes) else { return KeyText::Unreadable };
        match key {
            KeyType::Text => KeyText::Known(text.to_owned()),
            KeyType::Integer => match text.trim_matches(is_space).parse::<i64>() {
                Ok(number) => KeyText::Known(number.to_string()),
                // PostgreSQL reads more forms than these, e.g. `0x2a`, and refuses the rest.
                Err(_) => KeyText::Ask(text.to_owned()),
            },
            KeyType::Uuid => match canonical_uuid(text) {
                Some(uuid) => KeyText::Known(uuid),
                None => KeyText::Ask(text.to_owned()),
            },
            KeyType::Other => KeyText::Ask(text.to_owned()),
        }
    }

    fn binary_as_key(&self, key: KeyType) -> KeyText {
        let is_integer_type =
            matches!(self.type_id, 0 | type_id::INT2 | type_id::INT4 | type_id::INT8);
        match key {
            KeyType::Integer if is_integer_type => {
                let number = match *self.bytes {
                    [a, b] => i64::from(i16::from_be_bytes([a, b])),
                    [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
                    [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                    _ => return KeyText::Unreadable,
                };
                KeyText::Known(number.to_string())
            }
            KeyType::Uuid
                if matches!(self.type_id, 0 | type_id::UUID) && self.bytes.len() == 16 =>
            {
                let digits: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                canonical_uuid(&digits).map_or(KeyText::Unreadable, KeyText::Known)
            }
            _ => KeyText::Unreadable,
        }
    }
}

/// What PostgreSQL calls a space around a number.
fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// The usual form of a UUID that is written with hyphens or without.
fn canonical_uuid(text: &str) -> Option<String> {
    let digits: Vec<char> = text.chars().filter(|letter| *letter != '-').collect();
    let is_usual = text.len() == 32
        || (text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-'));
    if !is_usual || digits.len() != 32 || !digits.iter().all(char::is_ascii_hexdigit) {
        return None;
    }
    let mut usual = String::with_capacity(36);
    for (at, digit) in digits.into_iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            usual.push('-');
        }
        usual.push(digit.to_ascii_lowercase());
    }
    Some(usual)
}

/// A subject's text from the texts of the key's columns, as `domicile_model::Subject` has it.
pub fn subject(texts: &[String]) -> String {
    match texts {
        [text] => text.clone(),
        // What `array_to_json` prints.
        texts => serde_json::to_string(texts).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &str, key: KeyType) -> KeyText {
        Sent::constant(bytes).as_key(key)
    }

    fn binary(bytes: &[u8], type_id: u32, key: KeyType) -> KeyText {
        Sent { bytes, is_binary: true, type_id }.as_key(key)
    }

    fn known(text: &str) -> KeyText {
        KeyText::Known(text.to_owned())
    }

    #[test]
    fn every_form_of_a_number_is_one_key() {
        for form in ["42", " 42", "+42", "042", "42\n"] {
            assert_eq!(text(form, KeyType::Integer), known("42"), "{form:?}");
        }
        assert_eq!(binary(&[0, 42], 21, KeyType::Integer), known("42"));
        assert_eq!(binary(&[0, 0, 0, 42], 0, KeyType::Integer), known("42"));
        assert_eq!(binary(&[255; 8], 20, KeyType::Integer), known("-1"));
        // A text declared as one is text in the binary format too.
        assert_eq!(binary(b"42", 25, KeyType::Integer), known("42"));
        assert_eq!(text("-0", KeyType::Integer), known("0"));
        for form in ["0x2a", "4_2", "42.0", "", "9223372036854775808", "x"] {
            assert_eq!(text(form, KeyType::Integer), KeyText::Ask(form.to_owned()));
        }
        // Eight bytes of a date are no number.
        assert_eq!(binary(&[0; 8], 1114, KeyType::Integer), KeyText::Unreadable);
        assert_eq!(binary(&[0; 3], 0, KeyType::Integer), KeyText::Unreadable);
    }

    #[test]
    fn every_form_of_a_uuid_is_one_key() {
        let usual = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for form in [usual, "A0EEBC999C0B4EF8BB6D6BB9BD380A11"] {
            assert_eq!(text(form, KeyType::Uuid), known(usual));
        }
        let braced = format!("{{{usual}}}");
        assert_eq!(text(&braced, KeyType::Uuid), KeyText::Ask(braced.clone()));
        let bytes: Vec<u8> = (0..16).collect();
        let expected = known("00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(binary(&bytes, 2950, KeyType::Uuid), expected);
    }

    #[test]
    fn text_is_what_it_is_and_other_types_are_asked_about() {
        assert_eq!(text(" a ", KeyType::Text), known(" a "));
        assert_eq!(binary("ä".as_bytes(), 0, KeyType::Text), known("ä"));
        assert_eq!(binary(&[0xff], 25, KeyType::Text), KeyText::Unreadable);
        assert_eq!(text("2026-1-1", KeyType::Other), KeyText::Ask("2026-1-1".to_owned()));
        assert_eq!(binary(&[0, 0, 0, 1], 1082, KeyType::Other), KeyText::Unreadable);
        assert_eq!(KeyType::of("character varying(20)"), KeyType::Text);
        assert_eq!(KeyType::of("character(3)"), KeyType::Other);
    }

    #[test]
    fn a_key_of_several_columns_is_an_array() {
        assert_eq!(subject(&["a\"b".to_owned(), "1".to_owned()]), r#"["a\"b","1"]"#);
        assert_eq!(subject(&["a".to_owned()]), "a");
    }
}
