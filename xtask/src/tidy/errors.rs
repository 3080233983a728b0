//! Every error that a user can meet has its remedy in docs/errors.md.
//!
//! A message is found by the call that makes the error: the literals in the argument, or in the
//! `let` that the argument names. What SQL raises is found by its `MESSAGE`. Values in a message
//! are `…` in the document.

use std::collections::BTreeSet;

use super::File;
use super::rust_text::{Literal, body_line_count, code_only, literals};

const DOCUMENT: &str = "docs/errors.md";

/// What makes an error, and which of the arguments that follow is the message.
const MAKERS: &[(&str, usize)] = &[
    ("Failure::failed(", 0),
    ("Failure::usage(", 0),
    ("Failure::internal(", 0),
    ("Error::refused(", 0),
    ("Error::denied(", 0),
    ("Error::new(", 1),
    ("#[error(", 0),
    (".wrong(", 1),
    (".refuse(", 1),
    (" refuse(", 0),
    ("obstacles.push(", 0),
    ("misfit(", 0),
    ("Misfit { why:", 0),
];

/// The same where a file has a way of its own.
const MAKERS_OF: &[(&str, &str, usize)] = &[
    ("crates/domicile-mover/src/drive.rs", "let reason =", 0),
    ("crates/domicile-mover/src/drive/patience.rs", "let reason =", 0),
    ("crates/domicile-mover/src/drive/ship.rs", "return Some(", 0),
    ("crates/domicile-mover/src/erase.rs", "let reason =", 0),
    ("crates/domicile-mover/src/migrate/listing.rs", "let reason =", 0),
    ("crates/domicile-mover/src/plan/soft_keys.rs", " why:", 0),
    ("crates/domicile-mover/src/plan/tables.rs", "let why =", 0),
    ("crates/domicile-mover/src/step.rs", "let reason =", 0),
    ("crates/domicile-mover/src/step/apply.rs", "let reason =", 0),
    ("crates/domicile-store/src/crossing/agree.rs", "found.push(format!(", 0),
    ("crates/domicile-store/src/crossing/agree.rs", "found.push((", 0),
    ("crates/domicile-store/src/crossing/agree.rs", "Some((", 0),
    ("crates/domicile-store/src/crossing/agree.rs", "missing(", 1),
    ("crates/domicile-store/src/crossing/values.rs", "(moments::", 1),
    ("crates/domicile-store/src/crossing/values.rs", " why:", 0),
    ("crates/domicile-store/src/postgres/arrival.rs", "found.push(", 0),
    ("crates/domicile-store/src/postgres/erase.rs", "(count > 0).then(", 0),
    ("crates/domicile-store/src/sqlite/catalog.rs", ".push(", 0),
    ("crates/domicile-store/src/sqlite/connection.rs", "(Kind::", 1),
    ("crates/domicile-store/src/sqlite/connection.rs", " Kind::", 1),
    ("crates/domicile-store/src/sqlite/integrity.rs", "found.push(", 0),
    ("crates/domicile-store/src/sqlite/integrity.rs", "Ok(format!(", 0),
];

/// Sources whose errors users meet. The faulty site is for tests.
fn is_source(path: &str) -> bool {
    let in_house =
        ["domicile", "domicile-mover", "domicile-router", "domicile-store", "domicile-model"]
            .iter()
            .any(|name| path.starts_with(&format!("crates/{name}/src/")));
    let is_test = path.ends_with("tests.rs") || path.contains("/faulty");
    in_house && (path.ends_with(".rs") || path.ends_with(".sql")) && !is_test
}

/// Every message has an entry, and every entry its message.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else {
        return vec![format!("{DOCUMENT} does not exist")];
    };
    let told: BTreeSet<&str> = entries(&document.text).collect();
    let mut problems = Vec::new();
    let mut said = BTreeSet::new();
    for file in files.iter().filter(|file| is_source(&file.path)) {
        for message in messages(&file.path, &file.text) {
            if !told.contains(message.as_str()) {
                problems.push(format!("{}: {DOCUMENT} has no entry `{message}`", file.path));
            }
            said.insert(message);
        }
    }
    let stale = told.iter().filter(|entry| !said.contains(**entry));
    problems.extend(stale.map(|entry| format!("{DOCUMENT}: nothing says `{entry}`")));
    problems
}

/// The messages in list items that begin with one: "- `message`".
fn entries(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`'))
}

/// The constant parts of all messages of a source.
fn messages(path: &str, source: &str) -> BTreeSet<String> {
    if path.ends_with(".sql") {
        return raised(source).into_iter().collect();
    }
    let code = code_only(source);
    let body_lines = body_line_count(&code);
    let end = nth_line(&code, body_lines);
    let literals = literals(source);
    let mut found = BTreeSet::new();
    let own = MAKERS_OF
        .iter()
        .filter(|(of, ..)| *of == path)
        .map(|(_, maker, argument)| (*maker, *argument));
    for (maker, argument) in MAKERS.iter().copied().chain(own) {
        let maker: Vec<char> = maker.chars().collect();
        for at in (0..end).filter(|at| code[*at..].starts_with(&maker)) {
            let (begin, end) = argument_at(&code, at + maker.len(), argument);
            found.extend(
                said_in(&literals, begin, end).chain(said_before(&code, &literals, begin, end)),
            );
        }
    }
    for literal in literals.iter().filter(|literal| literal.at < end) {
        found.extend(raised(&literal.text));
    }
    found
}

/// Where the line after so many begins.
fn nth_line(code: &[char], lines: usize) -> usize {
    let mut ends = code.iter().enumerate().filter(|(_, c)| **c == '\n');
    lines.checked_sub(1).and_then(|last| ends.nth(last)).map_or(code.len(), |(at, _)| at)
}

/// Where an argument of a call begins and ends; the call's arguments begin at `at`.
fn argument_at(code: &[char], at: usize, number: usize) -> (usize, usize) {
    let (mut depth, mut seen, mut begin) = (0_usize, 0, at);
    for (place, c) in code.iter().enumerate().skip(at) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return (begin, place),
            ')' | ']' | '}' => depth -= 1,
            ',' | ';' if depth == 0 && seen == number => return (begin, place),
            ',' if depth == 0 => (seen, begin) = (seen + 1, place + 1),
            _ => {}
        }
    }
    (begin, code.len())
}

fn said_in(literals: &[Literal], begin: usize, end: usize) -> impl Iterator<Item = String> {
    let inside = literals.iter().filter(move |literal| (begin..end).contains(&literal.at));
    inside.map(|literal| constant(&literal.text)).filter(|text| is_sentence(text))
}

/// The same of the last `let` of the variable that an argument is.
fn said_before(code: &[char], literals: &[Literal], begin: usize, end: usize) -> Vec<String> {
    let argument: String = code[begin..end].iter().collect();
    let name = argument.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Vec::new();
    }
    let wanted: Vec<char> = format!("let {name} =").chars().collect();
    let Some(at) = (0..begin).rev().find(|at| code[*at..].starts_with(&wanted)) else {
        return Vec::new();
    };
    let mut depth = 0_i32;
    let until = code.iter().enumerate().skip(at).find(|(_, c)| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        **c == ';' && depth == 0
    });
    said_in(literals, at, until.map_or(begin, |(place, _)| place)).collect()
}

/// What a fence's SQL raises.
fn raised(text: &str) -> Vec<String> {
    let sql = text.split("MESSAGE = ").skip(1).filter_map(|rest| rest.split('\'').nth(1));
    let abort = Some(text).filter(|text| text.starts_with("DM0") && text.contains(": "));
    sql.map(|text| constant(&text.replace("%I", "{}").replace("%s", "{}")))
        .chain(abort.map(constant))
        .collect()
}

/// The message with `…` for its values, and without what Rust needs to write it down.
fn constant(written: &str) -> String {
    let mut text = String::new();
    let mut rest = written.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n')) => text.extend(rest.next().map(|_| ' ')),
            ('\\', Some(_)) | ('{', Some('{')) | ('}', Some('}')) => text.extend(rest.next()),
            ('{', _) => {
                while rest.next_if(|c| *c != '}').is_some() {}
                rest.next();
                text.push('…');
            }
            ('`', _) => text.push('\''),
            (other, _) => text.push(other),
        }
    }
    text
}

/// Two words at least: not a separator, and not a name.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    text.split_whitespace().filter(is_word).count() > 1
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn said(source: &str) -> Vec<String> {
        messages("crates/domicile/src/a.rs", source).into_iter().collect()
    }

    #[test]
    fn a_message_is_found_in_the_call_that_makes_the_error() {
        assert_eq!(said("Failure::usage(\"no such site\").hint(\"write one\")"), ["no such site"]);
        assert_eq!(
            said("Error::new(Kind::Never, format!(\"site {site} is {{not}} \\\n   there\"))"),
            ["site … is {not} there"]
        );
        assert_eq!(
            said("draft.refuse(a, format!(\"{} is wrong\", x.join(\", \")), \"right it now\")"),
            ["… is wrong"]
        );
    }

    #[test]
    fn a_message_is_found_in_the_variable_that_is_passed() {
        let source = "let text = match a { B => \"one and two\", C => format!(\"{b} and three\") };\n\
                      let hint = \"do it again\"; Error::new(kind, text).hint(hint)";
        assert_eq!(said(source), ["one and two", "… and three"]);
    }

    #[test]
    fn what_sql_raises_is_found() {
        let source = "r\"RAISE EXCEPTION USING MESSAGE = format('moved to %s', a), HINT = 'go'\"; \
                      \"DM001 moved to {site}: so\"";
        assert_eq!(said(source), ["DM001 moved to …: so", "moved to …"]);
    }

    #[test]
    fn tests_make_no_errors() {
        assert_eq!(said("\n#[cfg(test)]\nmod tests { Failure::usage(\"for a test\") }"), [""; 0]);
    }

    #[test]
    fn what_has_no_entry_and_what_nothing_says_is_found() {
        let source = file("crates/domicile/src/a.rs", "Failure::usage(\"no such site\")");
        let document = file(DOCUMENT, "- `no such person`\n  Look again.\n");
        assert_eq!(
            check(&[source, document]),
            [
                "crates/domicile/src/a.rs: docs/errors.md has no entry `no such site`",
                "docs/errors.md: nothing says `no such person`"
            ]
        );
    }
}
