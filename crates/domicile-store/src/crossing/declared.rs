//! What a column of SQLite becomes, from what it was declared as.

use crate::sql::literal;
use crate::sqlite::Affinity;

/// The type of PostgreSQL for a declared type; `None` where the declaration says too little.
///
/// SQLite enforces neither lengths nor precisions, so none is carried: what stands there must fit.
pub(super) fn type_of(declared: &str) -> Option<&'static str> {
    let upper = declared.to_ascii_uppercase();
    let base = upper.split('(').next().unwrap_or_default().trim();
    if matches!(base, "BOOLEAN" | "BOOL") {
        return Some("boolean");
    }
    match Affinity::of(declared) {
        Affinity::Integer => Some("bigint"),
        Affinity::Text => Some("text"),
        Affinity::Real => Some("double precision"),
        Affinity::Blob if base == "BLOB" || base.contains("BLOB") => Some("bytea"),
        Affinity::Blob => None,
        Affinity::Numeric => match base {
            "NUMERIC" | "DECIMAL" | "DEC" | "NUMBER" => Some("numeric"),
            "DATE"
            | "DATETIME"
            | "TIME"
            | "TIMESTAMP"
            | "TIMESTAMPTZ"
            | "TIMESTAMP WITH TIME ZONE"
            | "TIMESTAMP WITHOUT TIME ZONE"
            | "JSON"
            | "UUID"
            | "GUID"
            | "STRING" => Some("text"),
            _ => None,
        },
    }
}

/// What becomes of a column's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// This expression at PostgreSQL.
    Carried(String),
    /// NULL, which needs no words.
    Nothing,
    /// Nothing that PostgreSQL would understand in the same way.
    LeftOut,
}

/// A default as PostgreSQL writes it: literals, and the time now.
pub(super) fn default(expression: &str, kind: &str) -> Default {
    let text = expression.trim();
    let upper = text.to_ascii_uppercase();
    let plain = unquoted(text);
    let number = plain.as_deref().unwrap_or(text);
    let carried = match (upper.as_str(), kind) {
        ("NULL", _) => return Default::Nothing,
        ("TRUE", "boolean" | "bigint") | ("1", "boolean") => {
            Some(if kind == "boolean" { "true" } else { "1" }.to_owned())
        }
        ("FALSE", "boolean" | "bigint") | ("0", "boolean") => {
            Some(if kind == "boolean" { "false" } else { "0" }.to_owned())
        }
        ("CURRENT_TIMESTAMP", "text") => Some(now("YYYY-MM-DD HH24:MI:SS")),
        ("CURRENT_DATE", "text") => Some(now("YYYY-MM-DD")),
        ("CURRENT_TIME", "text") => Some(now("HH24:MI:SS")),
        (_, "text") if without_blanks(&upper) == "DATETIME('NOW')" => {
            Some(now("YYYY-MM-DD HH24:MI:SS"))
        }
        (_, "text") => plain
            .clone()
            .or_else(|| text.parse::<i64>().ok().map(|number| number.to_string()))
            .filter(|text| !text.contains('\0'))
            .map(|text| literal(&text)),
        (_, "bigint") => number.parse::<i64>().ok().map(|number| number.to_string()),
        (_, "numeric" | "double precision") => {
            let is_number = super::decimal::Decimal::read(number).is_some();
            is_number.then(|| number.to_owned())
        }
        _ => None,
    };
    carried.map_or(Default::LeftOut, Default::Carried)
}

/// SQLite's words for the time now, in UTC, as text of this shape.
fn now(shape: &str) -> String {
    format!(
        "pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.statement_timestamp()), {})",
        literal(shape)
    )
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The text of a string literal, if the expression is one and nothing else.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let lonely = inner.replace("''", "").contains('\'');
    (!lonely).then(|| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_become_what_the_documentation_says() {
        let table = [
            ("INTEGER", "bigint"),
            ("tinyint(1)", "bigint"),
            ("UNSIGNED BIG INT", "bigint"),
            ("VARCHAR(255)", "text"),
            ("CLOB", "text"),
            ("BLOB", "bytea"),
            ("DOUBLE PRECISION", "double precision"),
            ("REAL", "double precision"),
            ("bool", "boolean"),
            ("BOOLEAN", "boolean"),
            ("DECIMAL(10,2)", "numeric"),
            ("DATETIME", "text"),
            ("JSON", "text"),
        ];
        for (declared, kind) in table {
            assert_eq!(type_of(declared), Some(kind), "{declared}");
        }
        for declared in ["", "ANY", "MONEY", "GEOMETRY", "JSONB"] {
            assert_eq!(type_of(declared), None, "{declared}");
        }
    }

    #[test]
    fn defaults_are_carried_as_literals_or_left_out() {
        let carried = |text: &str| Default::Carried(text.to_owned());
        assert_eq!(default("0", "bigint"), carried("0"));
        assert_eq!(default("'7'", "bigint"), carried("7"));
        assert_eq!(default("1", "boolean"), carried("true"));
        assert_eq!(default("FALSE", "bigint"), carried("0"));
        assert_eq!(default("'it''s'", "text"), carried("'it''s'"));
        assert_eq!(default("-1.5", "double precision"), carried("-1.5"));
        assert_eq!(default("NULL", "bytea"), Default::Nothing);
        assert!(matches!(default("datetime( 'now' )", "text"), Default::Carried(_)));
        for (text, kind) in [
            ("random()", "bigint"),
            ("'a' || 'b'", "text"),
            ("x'00'", "bytea"),
            ("2", "boolean"),
            ("1); DROP TABLE users; --", "numeric"),
        ] {
            assert_eq!(default(text, kind), Default::LeftOut, "{text}");
        }
    }
}
