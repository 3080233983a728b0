//! The one place where text becomes part of an SQL statement.
//!
//! Parameters are never concatenated into SQL; only identifiers and, where a statement takes no
//! parameters (function bodies, trigger conditions), literals quoted here.

/// An identifier, quoted as both engines read it.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal as standard SQL writes it; for statements that take no parameters.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Identifiers, quoted, separated by commas, each behind `prefix` (an alias with its dot, or "").
pub fn idents<S: AsRef<str>>(prefix: &str, names: &[S]) -> String {
    let quoted: Vec<String> =
        names.iter().map(|name| format!("{prefix}{}", ident(name.as_ref()))).collect();
    quoted.join(", ")
}

/// `a.x = b.y AND …` for two lists of columns of equal length.
pub fn equal<S: AsRef<str>, T: AsRef<str>>(left: &str, x: &[S], right: &str, y: &[T]) -> String {
    let pairs: Vec<String> = x
        .iter()
        .zip(y)
        .map(|(x, y)| format!("{left}.{} = {right}.{}", ident(x.as_ref()), ident(y.as_ref())))
        .collect();
    pairs.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(ident("a\"; drop table x; --"), "\"a\"\"; drop table x; --\"");
        assert_eq!(literal("o'clock"), "'o''clock'");
    }

    #[test]
    fn lists_keep_their_order() {
        assert_eq!(idents("t.", &["b", "a"]), "t.\"b\", t.\"a\"");
        assert_eq!(equal("c", &["p"], "r", &["id"]), "c.\"p\" = r.\"id\"");
    }
}
