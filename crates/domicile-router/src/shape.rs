//! Texts that differ only in their literals are read once.
//!
//! In the simple protocol every execution is another text. [`Shape::of`] takes the literals out, and
//! where what the grammar made of one text is known, [`Template::fill`] says what another of the same
//! shape is. What a small lexer might read otherwise than PostgreSQL does is left to the grammar:
//! comments, strings with a prefix or in dollars, numbers that are not plain integers, backslashes.
//! Pure.

use crate::classify::{About, Command, Operand, Statement};

#[cfg(test)]
mod tests;

/// A text without its literals, and the literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The text with a mark for each literal; of another kind for numbers than for strings.
    pub marked: String,
    /// The literals in order.
    literals: Vec<Literal>,
    /// How many bytes the text has.
    length: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Literal {
    /// Where it begins, in bytes.
    at: usize,
    /// As the grammar gives it.
    text: String,
}

/// What stands for a number, and for a string. No statement holds them.
const NUMBER: char = '\u{1}';
const STRING: char = '\u{2}';

/// More digits may be another type of number.
const DIGITS_MAX: usize = 18;

impl Shape {
    /// Takes the literals out; `None` where that is left to the grammar.
    pub fn of(text: &str) -> Option<Shape> {
        let bytes = text.as_bytes();
        let mut shape = Shape {
            marked: String::with_capacity(text.len()),
            literals: Vec::new(),
            length: text.len(),
        };
        let (mut at, mut from) = (0, 0);
        // Two strings with a line break between them are one.
        let mut is_behind_string = false;
        while let Some(&byte) = bytes.get(at) {
            let start = at;
            match byte {
                b'\'' => {
                    if is_behind_string {
                        return None;
                    }
                    let literal = string(text, &mut at)?;
                    shape.mark(text, from, start, STRING, literal);
                    from = at;
                    is_behind_string = true;
                    continue;
                }
                b'0'..=b'9' => {
                    let literal = number(text, &mut at)?;
                    shape.mark(text, from, start, NUMBER, literal);
                    from = at;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                    at = start + word(&bytes[start..]);
                    // `E'…'` and its like.
                    if matches!(bytes.get(at), Some(b'\'')) {
                        return None;
                    }
                }
                // `U&'…'` and `U&"…"`.
                b'&' if matches!(bytes.get(at + 1), Some(b'\'' | b'"')) => return None,
                b'"' => at = start + 2 + bytes[start + 1..].iter().position(|b| *b == b'"')?,
                b'$' => {
                    let digits = digits(&bytes[start + 1..]);
                    at = start + 1 + digits;
                    if digits == 0 || matches!(bytes.get(at), Some(next) if is_of_word(*next)) {
                        return None;
                    }
                }
                b'-' if bytes.get(at + 1) == Some(&b'-') => return None,
                b'/' if bytes.get(at + 1) == Some(&b'*') => return None,
                b' ' | b'\t' | b'\n' | b'\r' => {
                    at += 1;
                    continue;
                }
                b'\\' | 0..=0x1f | 0x7f => return None,
                _ => at += 1,
            }
            is_behind_string = false;
        }
        shape.marked.push_str(&text[from..]);
        Some(shape)
    }

    fn mark(&mut self, text: &str, from: usize, at: usize, mark: char, literal: String) {
        self.marked.push_str(&text[from..at]);
        self.marked.push(mark);
        self.literals.push(Literal { at, text: literal });
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// How long the word is that something begins with.
fn word(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is_of_word(*byte)).unwrap_or(bytes.len())
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// A plain integer as the grammar prints it; `at` moves behind it.
fn number(text: &str, at: &mut usize) -> Option<String> {
    let bytes = text.as_bytes();
    let start = *at;
    let end = start + digits(&bytes[start..]);
    let is_part = |byte: u8| byte == b'.' || is_of_word(byte);
    let before = start.checked_sub(1).map(|before| bytes[before]);
    let is_plain = end - start <= DIGITS_MAX
        && (bytes[start] != b'0' || end - start == 1)
        && !before.is_some_and(is_part)
        && !bytes.get(end).copied().is_some_and(is_part);
    *at = end;
    is_plain.then(|| text[start..end].to_owned())
}

/// What a string says; `at` moves behind it.
fn string(text: &str, at: &mut usize) -> Option<String> {
    let bytes = text.as_bytes();
    let mut said = String::new();
    loop {
        let start = *at + 1;
        let length =
            bytes[start..].iter().position(|byte| matches!(byte, b'\'' | b'\\' | 0..=0x1f))?;
        let end = start + length;
        if bytes[end] != b'\'' {
            return None;
        }
        said.push_str(&text[start..end]);
        *at = end + 1;
        if bytes.get(*at) != Some(&b'\'') {
            return Some(said);
        }
        said.push('\'');
    }
}

/// What the grammar made of one text, for others of its shape.
#[derive(Clone, Debug)]
pub struct Template {
    statement: Statement,
    /// How many bytes of the text come behind the statement.
    behind: usize,
    /// Where the literals were that the statement names.
    literals: Vec<usize>,
}

impl Template {
    /// What was read of a text of this shape; `None` where others cannot be told from it.
    pub fn of(shape: &Shape, read: &[Statement]) -> Option<Template> {
        let [statement] = read else { return None };
        let Command::Query(about) = &statement.command else { return None };
        if statement.subject.is_some() || statement.span.start != 0 {
            return None;
        }
        if let Ok(about) = about {
            for operand in operands(about) {
                let Operand::Constant { text, at } = operand else { continue };
                let literal = shape.literals.iter().find(|literal| literal.at == *at)?;
                if literal.text != *text {
                    return None;
                }
            }
        }
        Some(Template {
            statement: statement.clone(),
            behind: shape.length.checked_sub(statement.span.end)?,
            literals: shape.literals.iter().map(|literal| literal.at).collect(),
        })
    }

    /// What another text of the same shape is.
    pub fn fill(&self, shape: &Shape) -> Option<Statement> {
        let mut statement = self.statement.clone();
        statement.span = 0..shape.length.checked_sub(self.behind)?;
        if let Command::Query(Ok(about)) = &mut statement.command {
            for operand in operands_mut(about) {
                let Operand::Constant { text, at } = operand else { continue };
                let nth = self.literals.binary_search(at).ok()?;
                let literal = shape.literals.get(nth)?;
                text.clone_from(&literal.text);
                *at = literal.at;
            }
        }
        Some(statement)
    }
}

fn operands(about: &About) -> impl Iterator<Item = &Operand> {
    let of_people = about.people.iter().flat_map(|handle| &handle.values);
    let of_rows = about.sign_ups.iter().flat_map(|sign_up| &sign_up.row);
    of_people.chain(of_rows.map(|(_, operand)| operand))
}

fn operands_mut(about: &mut About) -> impl Iterator<Item = &mut Operand> {
    let of_people = about.people.iter_mut().flat_map(|handle| &mut handle.values);
    let of_rows = about.sign_ups.iter_mut().flat_map(|sign_up| &mut sign_up.row);
    of_people.chain(of_rows.map(|(_, operand)| operand))
}
