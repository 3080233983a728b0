//! Rust source as far as tidy must understand it: what is code, where functions begin and end,
//! where the tests begin.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Of the line with `fn`, from 1.
    pub(super) line: usize,
    /// From that line to the closing brace.
    pub(super) line_count: usize,
}

/// The source with blanks in place of comments and literals; lines and lengths stay.
pub(super) fn code_only(source: &str) -> Vec<char> {
    let chars: Vec<char> = source.chars().collect();
    let mut code = Vec::with_capacity(chars.len());
    while code.len() < chars.len() {
        let begin = code.len();
        let rest = &chars[begin..];
        let after_word = begin > 0 && is_word(chars[begin - 1]);
        match skipped_len(rest, after_word) {
            0 => code.push(rest[0]),
            len => {
                let skipped = &rest[..len.min(rest.len())];
                code.extend(skipped.iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            }
        }
    }
    code
}

/// A string literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Where it begins, in characters.
    pub(super) at: usize,
    /// What stands between the quotes, as it is written.
    pub(super) text: String,
}

/// The string literals of the source; none of its comments.
pub(super) fn literals(source: &str) -> Vec<Literal> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let len = skipped_len(rest, at > 0 && is_word(chars[at - 1])).min(rest.len());
        let quotes = |c: &char| *c == '"';
        if len > 0 && !matches!(rest[0], '/' | '\'') {
            let begin = rest.iter().position(quotes).map_or(0, |first| first + 1);
            let end = rest[..len].iter().rposition(quotes).unwrap_or(len).max(begin);
            found.push(Literal { at, text: rest[begin..end].iter().collect() });
        }
        at += len.max(1);
    }
    found
}

/// How many characters a comment or literal takes that begins here; 0 when none does.
fn skipped_len(rest: &[char], after_word: bool) -> usize {
    match rest {
        ['/', '/', ..] => rest.iter().take_while(|&&c| c != '\n').count(),
        ['/', '*', ..] => block_comment_len(rest),
        ['"', ..] => string_len(rest),
        ['\'', ..] => char_len(rest),
        ['r', ..] if !after_word => raw_string_len(rest, 1),
        ['b' | 'c', 'r', ..] if !after_word => raw_string_len(rest, 2),
        _ => 0,
    }
}

fn block_comment_len(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_len(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A character, or 0 for a lifetime.
fn char_len(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, tail @ ..] => {
            tail.iter().position(|&c| c == '\'').map_or(rest.len(), |end| end + 4)
        }
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

/// A raw string whose `r` is before `at`, or 0 for a word that begins with r.
fn raw_string_len(rest: &[char], at: usize) -> usize {
    let hashes = rest[at..].iter().take_while(|&&c| c == '#').count();
    if rest.get(at + hashes) != Some(&'"') {
        return 0;
    }
    let begin = at + hashes + 1;
    let closes = |at: &usize| {
        rest[*at] == '"'
            && rest[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (begin..rest.len()).find(closes).map_or(rest.len(), |end| end + 1 + hashes)
}

/// How many lines come before the module of the unit tests.
pub(super) fn body_line_count(code: &[char]) -> usize {
    let text: String = code.iter().collect();
    let body = text
        .match_indices("#[cfg(test)]")
        .find(|(at, mark)| begins_inline_module(&text[at + mark.len()..]))
        .map_or(&*text, |(at, _)| &text[..at]);
    body.lines().count()
}

/// Whether `mod name {` follows, perhaps after other attributes.
fn begins_inline_module(text: &str) -> bool {
    let mut text = text.trim_start();
    while let Some(attribute) = text.strip_prefix("#[") {
        let Some((_, rest)) = attribute.split_once(']') else { return false };
        text = rest.trim_start();
    }
    let Some(rest) = text.strip_prefix("mod ") else { return false };
    rest.trim_start_matches(is_word).trim_start().starts_with('{')
}

/// All functions with a body, also those within others.
pub(super) fn functions(code: &[char]) -> Vec<Function> {
    let mut functions = Vec::new();
    for at in 0..code.len() {
        let word = code[at..].starts_with(&['f', 'n', ' ']);
        if !word || at > 0 && is_word(code[at - 1]) {
            continue;
        }
        let name: String = code[at + 3..].iter().take_while(|&&c| is_word(c)).collect();
        // `fn (` is a type, not a function.
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(code, at) {
            functions.push(Function {
                name,
                line: line_of(code, at),
                line_count: lines(&code[at..end]),
            });
        }
    }
    functions
}

/// Where the body of the function ends that begins here; nothing for a mere declaration.
fn body_end(code: &[char], begin: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_body = false;
    for (at, c) in code.iter().enumerate().skip(begin) {
        match c {
            ';' if depth == 0 => return None,
            '{' if depth == 0 => (depth, in_body) = (1, true),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if in_body && depth == 0 {
            return Some(at);
        }
    }
    None
}

fn line_of(code: &[char], at: usize) -> usize {
    lines(&code[..at])
}

fn lines(code: &[char]) -> usize {
    1 + code.iter().filter(|&&c| c == '\n').count()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> String {
        code_only(source).iter().collect()
    }

    #[test]
    fn comments_and_literals_become_blanks() {
        for (source, words) in [
            ("a // {\nb", "a b"),
            ("a /* { /* */ { */ b", "a b"),
            (r#"a "{\"{" b"#, "a b"),
            (r##"a r#"{"{"# b"##, "a b"),
            ("a br\"{\\\" b", "a b"),
            (r"a '{' '\'' '\\' b", "a b"),
            (r"a '\u{7b}' b", "a b"),
            ("fn a<'x>(r: &'x str)", "fn a<'x>(r: &'x str)"),
            ("r#type a_r\"{\"", "r#type a_r"),
            ("a \"{ not closed", "a"),
        ] {
            let code = code(source);
            assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), words, "{source}");
            assert_eq!(code.chars().count(), source.chars().count(), "{source}");
            assert_eq!(code.lines().count(), source.lines().count(), "{source}");
        }
    }

    #[test]
    fn literals_are_found_with_their_places() {
        let source = "a(\"one \\\" two\", 'x', r#\"three\"#); // \"not\"\n\"\"";
        let found = literals(source);
        let found: Vec<_> = found.iter().map(|l| (l.at, l.text.as_str())).collect();
        assert_eq!(found, [(2, "one \\\" two"), (21, "three"), (43, "")]);
    }

    #[test]
    fn functions_are_measured_from_fn_to_the_closing_brace() {
        let source = "\
#[test]
fn one() {}
trait T {
    fn declared(&self);
    fn two(&self, at: [u8; 3])
    where
        Self: Sized,
    {
        let text = \"}\";
        call(|| { 1 });
    }
}
type F = fn (u8) -> u8;
";
        let found = functions(&code_only(source));
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.line_count)).collect();
        assert_eq!(found, [("one", 2, 1), ("two", 5, 7)]);
    }

    #[test]
    fn the_body_ends_where_an_inline_test_module_begins() {
        let inline = "//! a\nfn a() {}\n\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n";
        assert_eq!(body_line_count(&code_only(inline)), 3);
        let sibling = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(body_line_count(&code_only(sibling)), 3);
        let quoted = "//! `#[cfg(test)] mod tests {`\nfn a() {}\n";
        assert_eq!(body_line_count(&code_only(quoted)), 2);
    }
}
