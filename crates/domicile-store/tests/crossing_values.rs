//! Whatever value SQLite has, PostgreSQL takes it as the same value and sends it back bit by bit
//! as we had it, or it is refused. Judged by a real server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

use domicile_store::crossing::{PgType, encode, key_text};
use domicile_testkit::tokio_postgres::Client;
use domicile_testkit::{Server, connect};
use futures_util::SinkExt as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rusqlite::types::{Value, ValueRef};

const VALUES: usize = 400;

const TYPES: [&str; 16] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "double precision",
    "numeric",
    "numeric(12,3)",
    "text",
    "character varying(5)",
    "bytea",
    "date",
    "time without time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "uuid",
    "json",
];

/// Values of every storage class, with many that nearly are a number, a date or a UUID.
fn values() -> impl Strategy<Value = Value> {
    let integer = prop_oneof![
        any::<i64>(),
        -3..3_i64,
        (0..63_u32, -1..=1_i64).prop_map(|(bit, by)| (1_i64 << bit).wrapping_add(by)),
        Just(i64::MIN),
        Just(i64::MAX),
    ];
    let real = prop_oneof![
        any::<f64>().prop_filter("SQLite has no NaN", |x| !x.is_nan()),
        (-100_000..100_000_i32, 0..5_i32).prop_map(|(n, e)| f64::from(n) / 10_f64.powi(e)),
        prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::MIN_POSITIVE, 5e-324, f64::MAX]),
    ];
    let text = prop_oneof![
        ".{0,8}",
        "-?[0-9]{1,20}(\\.[0-9]{0,25})?",
        "(0[0-9]{3}|1[0-9]{3}|20[0-2][0-9])-[01][0-9]-[0-3][0-9]",
        "[0-2][0-9]:[0-6][0-9](:[0-6][0-9](\\.[0-9]{1,7})?)?",
        "(19|20)[0-9]{2}-0[1-9]-[0-2][0-9][ T][01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]1?[0-9]:[0-5][0-9]|[+-]0[0-9]:30)?",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA]{12}",
        prop::sample::select(vec![
            "",
            "{}",
            "[1, 2.50]",
            "\"\\u00e9\"",
            "{\"a\": null, \"a\": 1}",
            "nul",
            "1e400"
        ])
        .prop_map(str::to_owned),
    ];
    let blob = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        any::<[u8; 16]>().prop_map(Vec::from)
    ];
    prop_oneof![
        1 => Just(Value::Null),
        3 => prop_oneof![Just(0_i64), Just(1)].prop_map(Value::Integer),
        4 => integer.prop_map(Value::Integer),
        4 => real.prop_map(Value::Real),
        12 => text.prop_map(Value::Text),
        3 => blob.prop_map(Value::Blob),
    ]
}

async fn copy_in(client: &Client, rows: &[(i64, Vec<u8>)]) {
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for (number, field) in rows {
        bytes.extend([0, 2, 0, 0, 0, 8]);
        bytes.extend(number.to_be_bytes());
        bytes.extend(field);
    }
    bytes.extend([255, 255]);
    let sink = client.copy_in("COPY taken FROM STDIN (FORMAT binary)").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from(bytes)).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), rows.len() as u64);
}

/// The same meaning, by what the server prints.
fn means_the_same(kind: PgType, value: &Value, printed: Option<&str>) -> bool {
    let Some(printed) = printed else { return *value == Value::Null };
    match (kind, value) {
        (PgType::Boolean, Value::Integer(bit)) => printed == (*bit == 1).to_string(),
        (PgType::Numeric(Some((_, scale))), Value::Integer(number)) => {
            printed == format!("{number}.{}", "0".repeat(scale))
        }
        (PgType::Double, Value::Integer(number)) => {
            printed.parse::<f64>().unwrap().to_string() == number.to_string()
        }
        (_, Value::Integer(number)) => printed == number.to_string(),
        (PgType::Double, Value::Real(number)) => {
            printed.parse::<f64>().unwrap().to_bits() == number.to_bits()
        }
        #[expect(clippy::float_cmp, reason = "equal is meant; the sign of zero is not kept")]
        (_, Value::Real(number)) => printed.parse::<f64>().unwrap() == *number,
        (PgType::Bytea, Value::Blob(bytes)) => {
            printed
                == format!("\\x{}", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
        }
        // What the server reads from the same text is compared by the server.
        (_, Value::Text(_)) | (PgType::Uuid, Value::Blob(_)) => true,
        _ => false,
    }
}

async fn check(client: &Client, name: &str, values: &[Value]) -> usize {
    let kind = PgType::parse(name).unwrap();
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS taken; CREATE TABLE taken (n bigint, v {name})"
        ))
        .await
        .unwrap();
    let mut rows = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let mut field = Vec::new();
        if encode(kind, ValueRef::from(value), &mut field).is_ok() {
            rows.push((i64::try_from(at).unwrap(), field));
        }
    }
    copy_in(client, &rows).await;
    let sql = "SELECT n, substr(record_send(ROW(v)), 9), v::text FROM taken ORDER BY n";
    let found = client.query(sql, &[]).await.unwrap();
    for ((number, field), row) in rows.iter().zip(&found) {
        let value = &values[usize::try_from(*number).unwrap()];
        assert_eq!(row.get::<_, i64>(0), *number);
        assert_eq!(row.get::<_, &[u8]>(1), field, "{name}: {value:?}");
        let printed = row.get(2);
        assert!(means_the_same(kind, value, printed), "{name}: {value:?} prints {printed:?}");
    }
    // A text, and the text of a key, are what the server itself makes of them.
    let mut texts: Vec<(i64, String)> = Vec::new();
    for (number, _) in &rows {
        let value = &values[usize::try_from(*number).unwrap()];
        if let Value::Text(text) = value {
            texts.push((*number, text.clone()));
        }
        if *value != Value::Null && !matches!(kind, PgType::Double | PgType::Json) {
            let key = key_text(kind, ValueRef::from(value)).unwrap();
            let at = rows.iter().position(|(other, _)| other == number).unwrap();
            assert_eq!(found[at].get::<_, &str>(2), key, "{name}: {value:?}");
            texts.push((*number, key));
        }
    }
    let (numbers, texts): (Vec<i64>, Vec<String>) = texts.into_iter().unzip();
    let sql = format!(
        "SELECT x.t FROM unnest($1::bigint[], $2::text[]) AS x(n, t) JOIN taken ON taken.n = x.n \
         WHERE record_send(ROW(x.t::{name})) <> record_send(ROW(taken.v)) LIMIT 1"
    );
    let other = client.query_opt(&sql, &[&numbers, &texts]).await.unwrap();
    if let Some(row) = other {
        panic!("{name}: the server reads {:?} as something else", row.get::<_, &str>(0));
    }
    rows.len()
}

#[tokio::test]
async fn what_is_not_refused_is_the_same_value_there() {
    let database = Server::shared(0).unwrap().fresh_database("values").unwrap();
    let client = connect(&database.app_url).await.unwrap();
    client.batch_execute("SET TimeZone = 'UTC'").await.unwrap();
    let mut runner = TestRunner::deterministic();
    for name in TYPES {
        let values: Vec<Value> =
            (0..VALUES).map(|_| values().new_tree(&mut runner).unwrap().current()).collect();
        let taken = check(&client, name, &values).await;
        assert!((10..VALUES).contains(&taken), "{name} took {taken} of {VALUES}");
    }
}
