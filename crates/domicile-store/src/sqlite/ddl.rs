//! As much of SQLite's DDL as its catalog does not say otherwise: CHECKs, generated columns, the
//! expressions and the predicate of an index.

/// A piece of a statement: a word, a quoted name or literal, a bracket, or another sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

/// The parts of an index's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexParts {
    /// What is indexed, each an expression without its direction.
    pub(super) terms: Vec<String>,
    /// The condition of a partial index.
    pub(super) predicate: Option<String>,
}

/// Reads `CREATE [UNIQUE] INDEX name ON table (…) [WHERE …]`.
pub(super) fn index_parts(sql: &str) -> Option<IndexParts> {
    let tokens = tokens(sql);
    let open = tokens.iter().position(|t| t.text == "(")?;
    let close = closing(&tokens, open)?;
    let terms = split(&tokens[open + 1..close])
        .into_iter()
        .map(|term| match term {
            [rest @ .., last] if last.is("ASC") || last.is("DESC") => text_of(sql, rest),
            term => text_of(sql, term),
        })
        .collect();
    let predicate = match tokens.get(close + 1) {
        Some(word) if word.is("WHERE") => Some(text_of(sql, &tokens[close + 2..])),
        Some(_) => return None,
        None => None,
    };
    Some(IndexParts { terms, predicate })
}

/// What a table's definition says beyond its catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableParts {
    /// The conditions of CHECK constraints.
    pub(super) checks: Vec<String>,
    /// The expressions of generated columns, with the column's name in lower case.
    pub(super) generated: Vec<(String, String)>,
}

/// Reads `CREATE TABLE name (…)`.
pub(super) fn table_parts(sql: &str) -> TableParts {
    let tokens = tokens(sql);
    let mut parts = TableParts::default();
    let body = tokens.iter().position(|t| t.text == "(");
    let Some((open, close)) = body.and_then(|open| Some((open, closing(&tokens, open)?))) else {
        return parts;
    };
    for item in split(&tokens[open + 1..close]) {
        let mut at = 0;
        while let Some(word) = item.get(at) {
            let bracket = item.get(at + 1).is_some_and(|next| next.text == "(");
            let end = if bracket { closing(item, at + 1) } else { None };
            if let Some(end) = end {
                let inside = || text_of(sql, &item[at + 2..end]);
                if word.is("CHECK") {
                    parts.checks.push(inside());
                } else if word.is("AS")
                    && let Some(name) = item.first()
                {
                    parts.generated.push((unquoted(name.text).to_lowercase(), inside()));
                }
                at = end;
            }
            at += 1;
        }
    }
    parts
}

/// A table's definition without the foreign keys of exactly these columns, every other sign of it
/// kept. `None` where the definition is not understood.
pub(super) fn without_foreign_keys(sql: &str, keys: &[&[String]]) -> Option<String> {
    let tokens = tokens(sql);
    let open = tokens.iter().position(|t| t.text == "(")?;
    let close = closing(&tokens, open)?;
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    for item in split(&tokens[open + 1..close]) {
        let clauses = foreign_key_clauses(item)?;
        let is_meant = |columns: &[String]| {
            keys.iter().any(|key| {
                key.len() == columns.len()
                    && key.iter().zip(columns).all(|(a, b)| a.eq_ignore_ascii_case(b))
            })
        };
        let meant: Vec<&Clause> = clauses.iter().filter(|c| is_meant(&c.columns)).collect();
        let covered: usize = meant.iter().map(|clause| clause.end - clause.start).sum();
        if covered == item.len() {
            // Nothing else is said between these commas, so one of the commas goes too.
            let comma = tokens.iter().rfind(|t| t.text == "," && t.end <= item[0].start)?;
            cuts.push((comma.start, comma.end));
        }
        cuts.extend(meant.iter().map(|c| (item[c.start].start, item[c.end - 1].end)));
    }
    let mut text = String::with_capacity(sql.len());
    let mut kept = 0;
    for (start, end) in cuts {
        // The end of a line may be the end of a comment, and stays.
        text.push_str(sql.get(kept..start)?.trim_end_matches([' ', '\t']));
        kept = end;
    }
    text.push_str(sql.get(kept..)?);
    Some(text)
}

/// A foreign key within an item of a table's definition: the tokens it takes, its constraint name
/// included.
struct Clause {
    start: usize,
    end: usize,
    columns: Vec<String>,
}

/// The foreign keys in a column's definition, or among table constraints, which SQLite lets follow
/// each other without commas.
fn foreign_key_clauses(item: &[Token<'_>]) -> Option<Vec<Clause>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < item.len() {
        let is_named = item[at].is("CONSTRAINT");
        let word = at + if is_named { 2 } else { 0 };
        let says = |at: usize, text: &str| item.get(at).is_some_and(|token| token.is(text));
        let (columns, references) = if says(word, "FOREIGN") {
            let open = word + 2;
            let close = closing(item, open)?;
            let columns = split(item.get(open + 1..close)?);
            let names: Vec<String> =
                columns.iter().filter_map(|c| c.first()).map(|c| unquoted(c.text)).collect();
            (names, close + 1)
        } else if says(word, "REFERENCES") {
            (vec![unquoted(item.first()?.text)], word)
        } else if item[at].text == "(" {
            at = closing(item, at)? + 1;
            continue;
        } else {
            at = word.max(at + 1);
            continue;
        };
        let end = end_of_reference(item, references)?;
        found.push(Clause { start: at, end, columns });
        at = end;
    }
    Some(found)
}

/// Behind the last token of `REFERENCES parent (…) ON … MATCH … DEFERRABLE …`.
fn end_of_reference(item: &[Token<'_>], references: usize) -> Option<usize> {
    let says = |at: usize, text: &str| item.get(at).is_some_and(|token| token.is(text));
    let mut at = references + 2;
    if says(at, "(") {
        at = closing(item, at)? + 1;
    }
    loop {
        at += if says(at, "ON") {
            if says(at + 2, "SET") || says(at + 2, "NO") { 4 } else { 3 }
        } else if says(at, "MATCH")
            || says(at, "INITIALLY")
            || (says(at, "NOT") && says(at + 1, "DEFERRABLE"))
        {
            2
        } else if says(at, "DEFERRABLE") {
            1
        } else {
            break;
        };
    }
    (at <= item.len()).then_some(at)
}

fn text_of(sql: &str, tokens: &[Token<'_>]) -> String {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => sql[first.start..last.end].to_owned(),
        _ => String::new(),
    }
}

fn unquoted(name: &str) -> String {
    let inner = || name.get(1..name.len().saturating_sub(1)).unwrap_or_default();
    match name.chars().next() {
        Some('"') => inner().replace("\"\"", "\""),
        Some('`') => inner().replace("``", "`"),
        Some('\'') => inner().replace("''", "'"),
        Some('[') => inner().to_owned(),
        _ => name.to_owned(),
    }
}

/// Where the bracket at `open` closes.
fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The items between commas outside brackets.
fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut depth = 0_i32;
    tokens
        .split(|token| {
            match token.text {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            depth == 0 && token.text == ","
        })
        .collect()
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let length = match first {
            '"' | '\'' | '`' => quoted(rest, first),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |end| end + 1),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let comment = rest.starts_with("--") || rest.starts_with("/*");
        if !comment && !first.is_whitespace() {
            found.push(Token { text: &rest[..length], start: at, end: at + length });
        }
        at += length;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of what is quoted, the quotes and doubled quotes inside included.
fn quoted(text: &str, quote: char) -> usize {
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if sign == quote {
            if signs.peek().is_some_and(|(_, next)| *next == quote) {
                signs.next();
            } else {
                return at + quote.len_utf8();
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_taken_apart() {
        let sql = "CREATE UNIQUE INDEX \"a(b\" ON t (lower(a), \"b,c\" COLLATE NOCASE DESC) -- (x\n WHERE z = ')' AND (y)";
        let parts = index_parts(sql).unwrap();
        assert_eq!(parts.terms, ["lower(a)", "\"b,c\" COLLATE NOCASE"]);
        assert_eq!(parts.predicate.as_deref(), Some("z = ')' AND (y)"));
        assert_eq!(index_parts("CREATE INDEX i ON t (a").map(|p| p.terms), None);
    }

    fn without(sql: &str, keys: &[&[&str]]) -> String {
        let keys: Vec<Vec<String>> =
            keys.iter().map(|key| key.iter().map(ToString::to_string).collect()).collect();
        let keys: Vec<&[String]> = keys.iter().map(Vec::as_slice).collect();
        without_foreign_keys(sql, &keys).unwrap()
    }

    #[test]
    fn a_foreign_key_is_cut_out_and_nothing_else() {
        let sql = "CREATE TABLE \"t (\" (id INTEGER PRIMARY KEY, -- the key, REFERENCES nobody\n  \
                   a INTEGER NOT NULL CONSTRAINT fk REFERENCES p (id) ON DELETE SET NULL ON UPDATE \
                   NO ACTION MATCH FULL NOT DEFERRABLE INITIALLY DEFERRED NOT NULL CHECK (a > 0),\n  \
                   [B] INT REFERENCES \"q\" NOT NULL, c INT, d INT,\n  \
                   CONSTRAINT two FOREIGN KEY (c, \"D\") REFERENCES r (x, y) ON DELETE CASCADE,\n  \
                   FOREIGN KEY (c) REFERENCES s /* here */ UNIQUE (c)\n) STRICT";
        assert_eq!(
            without(sql, &[&["a"], &["C", "d"], &["c"]]),
            "CREATE TABLE \"t (\" (id INTEGER PRIMARY KEY, -- the key, REFERENCES nobody\n  \
             a INTEGER NOT NULL NOT NULL CHECK (a > 0),\n  \
             [B] INT REFERENCES \"q\" NOT NULL, c INT, d INT\n,\n /* here */ UNIQUE (c)\n) STRICT"
        );
        assert_eq!(without(sql, &[&["b"]]), sql.replace(" REFERENCES \"q\"", ""));
        assert_eq!(without(sql, &[&["d"], &["d", "c"]]), sql);
    }

    #[test]
    fn a_comment_before_a_key_keeps_its_line() {
        let sql = "CREATE TABLE t (a INT -- note\n REFERENCES p, b INT, -- last\n FOREIGN KEY (b) REFERENCES p)";
        assert_eq!(
            without(sql, &[&["a"], &["b"]]),
            "CREATE TABLE t (a INT -- note\n, b INT -- last\n)"
        );
    }

    #[test]
    fn a_table_is_taken_apart() {
        let sql = "CREATE TABLE t (a INTEGER CHECK (a > 0), [B] TEXT GENERATED ALWAYS AS (a || '(') \
                   STORED, d DEFAULT (1), CONSTRAINT c CHECK (a IN (1, 2)))";
        let parts = table_parts(sql);
        assert_eq!(parts.checks, ["a > 0", "a IN (1, 2)"]);
        assert_eq!(parts.generated, [("b".to_owned(), "a || '('".to_owned())]);
    }
}
