//! PostgreSQL's types and the values that are easily lost on the way.

use super::dialect::{Columns, Dialect, KeyType};

pub(crate) static POSTGRES: Dialect = Dialect {
    at_sqlite: false,
    schemas: &["public", "Mixed Case", "two"],
    moods: "two.moods",
    keys: KEYS,
    second_keys: SECOND_KEYS,
    exact_second_keys: 2,
    columns: COLUMNS,
    strict_columns: COLUMNS,
    large: LARGE,
    generated: GENERATED,
};

/// Types of the platform's own, in a schema that holds no table as well.
pub(crate) const TYPES: &str = r#"
create schema "Mixed Case"; create schema "types";
create type "Mixed Case"."Mood" as enum ('', 'so so', 'it''s "fine"', 'GRÜN');
create domain "types".short as varchar(40) default 'x' check (value <> 'forbidden');
create domain "Mixed Case"."Count" as bigint check (value >= 0);
create type "types".floats as range (subtype = double precision, subtype_diff = float8mi,
    multirange_type_name = "types"."many floats");
create type "types"."Counts" as range (subtype = "Mixed Case"."Count");
create domain "types".span as "types".floats check (not isempty(value));
create type "types"."Point, or so" as ("X" int, "why?" text, mood "Mixed Case"."Mood");
"#;

const KEYS: &[KeyType] = &[
    KeyType::Identity,
    KeyType::Given,
    KeyType::Serial,
    KeyType::Int,
    KeyType::Text,
    KeyType::Uuid,
];

const SECOND_KEYS: &[KeyType] = &[
    KeyType::Int,
    KeyType::Text,
    KeyType::Bytes,
    KeyType::Day,
    KeyType::One("numeric", &["NaN", "1.10", "1.1000", "Infinity", "0.00"]),
    KeyType::One("interval", &["1 mon", "30 days", "720:00:00"]),
    KeyType::One("boolean", &["true", "false"]),
    KeyType::One("timestamptz", &["infinity", "-infinity", "2024-12-31 23:59:59.999999+00"]),
    KeyType::One("\"Mixed Case\".\"Mood\"", &["", "so so", "it's \"fine\"", "GRÜN"]),
    KeyType::One("\"types\".short", &["", "y", "NULL"]),
    KeyType::One("int4range", &["empty", "(,)", "[1,2)"]),
    KeyType::One("\"types\".floats", &["[-0,NaN)", "(,)", "empty"]),
    KeyType::One("text[]", &["{}", "{NULL}", "{\"\",\"a\\\"b,\"}"]),
    KeyType::One("\"types\".\"Point, or so\"", &["(,,)", "(-1,\"a\"\"b,c\",\"so so\")"]),
    KeyType::One("inet", &["10.0.0.1/8", "::1/128"]),
    KeyType::One("character(5)", &["ab", ""]),
];

const COLUMNS: Columns = &[
    ("text", &["", " ", "NULL", "\\N", "\\.", "a\tb\nc\r", "'\"", "é e\u{301} 𝄞", "(,)", "{}"]),
    ("varchar(9)", &["", "ends in ", "NULL"]),
    ("char(5)", &["", "ab", "abcde"]),
    ("\"char\"", &["", "a"]),
    ("boolean", &["t", "f"]),
    ("smallint", &["-32768", "32767"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807", "0"]),
    ("real", &["-0", "NaN", "Infinity", "-Infinity", "1e-45", "0.1", "3.4028235e38"]),
    ("double precision", &["-0", "0", "NaN", "-Infinity", "4.9e-324", "0.30000000000000004"]),
    ("numeric", &["NaN", "Infinity", "-Infinity", "1.10", "1.1000", "1e-200", "-0.0", "1e300"]),
    ("numeric(12,4)", &["NaN", "-0.0001", "99999999.9999"]),
    ("money", &["-1.05", "92233720368547758.07"]),
    ("date", &["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2024-02-29"]),
    ("timestamp", &["infinity", "-infinity", "0044-03-15 12:00 BC", "2024-12-31 23:59:59.999999"]),
    ("timestamptz", &["infinity", "-infinity", "1883-11-18 12:03:58-05", "294276-12-31 23:00Z"]),
    ("time", &["24:00", "00:00:00.000001"]),
    ("timetz", &["24:00+15:59", "00:00-15:59"]),
    ("interval", &["1 mon -1 day 00:00:00.000001", "-178000000 years", "30 days", "720:00"]),
    ("json", &["{\"b\": 1,  \"a\":2, \"a\": 3}", " null ", "\"\""]),
    ("jsonb", &["{\"b\": 1, \"a\": [1.10, null, \"\"]}", "null", "\"\\u00e9\"", "-0.0"]),
    ("bytea", &["", "\\x00", "\\x5c5c00ff0a0d", "\\xdeadbeef"]),
    ("uuid", &["00000000-0000-0000-0000-000000000000"]),
    ("inet", &["10.0.0.1/8", "::1", "fe80::1/64"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("bit(3)", &["101", "000"]),
    ("varbit", &["", "1", "00000000001"]),
    ("int4range", &["empty", "(,)", "[1,2)", "[,5)"]),
    ("numrange", &["(1.10,1.2]", "[NaN,NaN]", "empty"]),
    ("tstzrange", &["[-infinity,infinity]", "(,)", "[2024-01-01Z,2024-01-01 00:00:00.000001Z)"]),
    ("int4multirange", &["{}", "{[1,2),[5,9)}"]),
    ("point", &["(-0,NaN)", "(1e-300,Infinity)"]),
    ("path", &["[(0,0),(1,-0)]", "((0,0),(1,1))"]),
    ("tsvector", &["", "'a':1A 'it''s':2"]),
    ("xml", &["<a b=\"c\"> </a>", "plain"]),
    ("int[]", &["{}", "{NULL}", "[0:1]={1,2}", "{{1,2},{3,NULL}}"]),
    ("text[]", &["{}", "{\"\",NULL,\"NULL\"}", "{\"\\\\\",\"\\\"\",\",\"}"]),
    ("float8[]", &["{-0,NaN,Infinity}"]),
    ("bytea[]", &["{\"\\\\x00\",NULL}"]),
    ("\"Mixed Case\".\"Mood\"", &["", "so so", "it's \"fine\"", "GRÜN"]),
    ("\"Mixed Case\".\"Mood\"[]", &["{}", "{\"\",\"so so\",NULL}"]),
    ("\"types\".short", &["", "y", "NULL"]),
    ("\"types\".short[]", &["{\"\",NULL,a}"]),
    ("\"Mixed Case\".\"Count\"", &["0", "9223372036854775807"]),
    ("\"types\".floats", &["[-0,NaN)", "(,)", "empty", "[1e-300,Infinity]"]),
    ("\"types\".\"many floats\"", &["{}", "{[-0,1),[2,NaN)}"]),
    ("\"types\".\"Counts\"", &["empty", "[0,9223372036854775807)"]),
    ("\"types\".span[]", &["{\"(,)\",NULL,\"[-0,1]\"}"]),
    ("\"types\".\"Point, or so\"", &["(,,)", "(1,\"\",)", "(-1,\"a\"\"b,c\\\\\",\"so so\")"]),
    ("\"types\".\"Point, or so\"[]", &["{}", "{NULL,\"(,,)\",\"(1,\\\"\\\",GRÜN)\"}"]),
];

/// Values of about a megabyte, which are stored out of line: compressible and not.
const LARGE: &[(&str, &str)] = &[
    ("text", "(select string_agg(md5(n::text), '') from generate_series(1, 32768) n)"),
    ("text", "repeat('long ', 220000)"),
    ("bytea", "(select string_agg(sha256(n::text::bytea), '') from generate_series(1, 33000) n)"),
    ("jsonb", "(select jsonb_agg(md5(n::text)) from generate_series(1, 28000) n)"),
];

/// Expressions for generated columns over a text column of that name.
const GENERATED: &[&str] = &[
    "length(@)",
    "upper(coalesce(@, 'none'))",
    "(@ || '-0')::text",
    "case when @ = '' then '-0'::float8 else 'NaN'::float8 end",
];
