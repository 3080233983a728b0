//! SQLite's declared types and the values that are easily lost on the way, each an expression: a
//! column takes values of every type unless its table is STRICT.

use super::dialect::{Columns, Dialect, KeyType};

pub(crate) static SQLITE: Dialect = Dialect {
    at_sqlite: true,
    schemas: &[""],
    moods: "moods",
    keys: &[KeyType::Identity, KeyType::Given, KeyType::Int, KeyType::Text, KeyType::Uuid],
    second_keys: &[
        KeyType::Int,
        KeyType::Text,
        KeyType::Bytes,
        KeyType::One("TEXT COLLATE NOCASE", &["Aa", "é", "", "zZ"]),
        KeyType::One("", &["", "1", "x"]),
        KeyType::One("NUMERIC", &["2", "abc", "x y"]),
    ],
    exact_second_keys: 2,
    columns: COLUMNS,
    strict_columns: STRICT,
    large: &[
        ("TEXT", "replace(hex(zeroblob(100000)), '00', 'long é')"),
        ("BLOB", "zeroblob(1000000)"),
        ("BLOB", "CAST(replace(hex(zeroblob(60000)), '0', 'x''y') AS BLOB)"),
    ],
    generated: &["length(@)", "upper(coalesce(@, 'none'))", "typeof(@) || '-0'", "nullif(@, '')"],
};

const COLUMNS: Columns = &[
    ("INTEGER", &["-9223372036854775808", "9007199254740993", "0", "''", "'1.5x'", "x'00'", "0.5"]),
    ("TEXT", &["''", "' '", "'NULL'", "'é e\u{301} 𝄞'", "x''", "'0'", "'a' || char(0) || 'b'"]),
    ("TEXT", &["CAST(x'ff00fe' AS TEXT)", "'it''s'", "'\\N'", "char(0)", "1e300", "12"]),
    ("VARCHAR(3)", &["'longer than that'", "''", "5"]),
    ("TEXT COLLATE NOCASE", &["'Aa'", "'aA'", "''"]),
    ("TEXT COLLATE RTRIM", &["'a  '", "'a'", "''"]),
    ("BLOB", &["x''", "x'00'", "'text'", "1", "-0.0", "9e999", "x'deadbeef'"]),
    (
        "REAL",
        &["-0.0", "0.0", "9e999", "-9e999", "4.9e-324", "0.1", "1", "9007199254740993", "'x'"],
    ),
    ("DOUBLE PRECISION", &["1.7976931348623157e308", "0.30000000000000004", "x'00'"]),
    (
        "NUMERIC",
        &["1.10", "'1.10'", "1e300", "9223372036854775807", "'0x10'", "''", "-0.0", "9e999"],
    ),
    ("DECIMAL(10,2)", &["0.1", "'12.340'", "-1"]),
    ("", &["1", "1.0", "'1'", "x'31'", "''", "-0.0", "-9e999", "'a' || char(0)"]),
    ("BOOLEAN", &["0", "1", "2", "'t'", "TRUE"]),
    ("DATETIME", &["'2024-02-29 12:00:00'", "1709208000", "2460369.5", "'infinity'"]),
    ("JSON", &["'{\"b\": 1,  \"a\":2}'", "'null'"]),
    ("ANY", &["'007'", "7", "x''", "1.5"]),
];

const STRICT: Columns = &[
    ("INTEGER", &["-9223372036854775808", "9007199254740993", "0"]),
    ("INT", &["9223372036854775807", "-1"]),
    ("REAL", &["-0.0", "0.0", "9e999", "-9e999", "4.9e-324", "0.1", "9007199254740993"]),
    ("TEXT", &["''", "'NULL'", "'𝄞'", "'a' || char(0) || 'b'", "CAST(x'ff' AS TEXT)"]),
    ("TEXT COLLATE NOCASE", &["'Aa'", "'aA'"]),
    ("BLOB", &["x''", "x'00ff'"]),
    ("ANY", &["'007'", "7", "x''", "-0.0", "1.0", "9e999", "''"]),
];
