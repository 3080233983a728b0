use super::*;

fn sent(kind: PgType, value: ValueRef<'_>) -> Result<Vec<u8>, Misfit> {
    let mut out = Vec::new();
    encode(kind, value, &mut out).map(|()| out)
}

fn kinds() -> Vec<PgType> {
    let limited = [PgType::Numeric(Some((5, 2))), PgType::Varchar(Some(3))];
    let plain = [
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "double precision",
        "numeric",
        "text",
        "bytea",
        "date",
        "time without time zone",
        "timestamp without time zone",
        "timestamp with time zone",
        "uuid",
        "json",
    ];
    plain.into_iter().filter_map(PgType::parse).chain(limited).collect()
}

#[test]
fn null_is_null_in_every_type() {
    for kind in kinds() {
        assert_eq!(sent(kind, ValueRef::Null), Ok(vec![255; 4]), "{kind:?}");
    }
}

#[test]
fn what_would_change_is_refused() {
    let text = |text: &'static str| ValueRef::Text(text.as_bytes());
    let refused = [
        (PgType::Boolean, ValueRef::Integer(2)),
        (PgType::Boolean, text("true")),
        (PgType::SmallInt, ValueRef::Integer(32_768)),
        (PgType::Integer, ValueRef::Integer(-2_147_483_649)),
        (PgType::BigInt, ValueRef::Real(1.0)),
        (PgType::BigInt, text("07")),
        (PgType::BigInt, text("+7")),
        (PgType::BigInt, text("9223372036854775808")),
        (PgType::Double, ValueRef::Integer(i64::MAX)),
        (PgType::Double, text("1.5")),
        (PgType::Numeric(None), ValueRef::Real(f64::INFINITY)),
        (PgType::Numeric(None), text("1e5")),
        (PgType::Numeric(Some((5, 2))), ValueRef::Real(0.125)),
        (PgType::Numeric(Some((5, 2))), ValueRef::Integer(1000)),
        (PgType::Text, ValueRef::Integer(1)),
        (PgType::Text, ValueRef::Blob(b"a")),
        (PgType::Text, ValueRef::Text(b"\xff")),
        (PgType::Text, ValueRef::Text(b"a\0b")),
        (PgType::Varchar(Some(3)), text("abcd")),
        (PgType::Bytea, text("a")),
        (PgType::Date, text("2023-02-29")),
        (PgType::Date, ValueRef::Integer(1_700_000_000)),
        (PgType::Uuid, text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")),
        (PgType::Uuid, text("a0eebc999c0b4ef8bb6d6bb9bd380a11----")),
        (PgType::Json, text("{")),
    ];
    for (kind, value) in refused {
        assert!(sent(kind, value).is_err(), "{kind:?} {value:?}");
        assert!(key_text(kind, value).is_err(), "{kind:?} {value:?}");
    }
}

#[test]
fn empty_is_not_null_and_every_bit_of_a_double_is_kept() {
    assert_eq!(sent(PgType::Text, ValueRef::Text(b"")), Ok(vec![0; 4]));
    assert_eq!(sent(PgType::Bytea, ValueRef::Blob(b"")), Ok(vec![0; 4]));
    for number in [-0.0, f64::INFINITY, f64::MIN_POSITIVE, 5e-324] {
        let bytes = sent(PgType::Double, ValueRef::Real(number)).unwrap();
        assert_eq!(bytes[4..], number.to_bits().to_be_bytes());
    }
    assert_eq!(
        sent(PgType::Double, ValueRef::Integer(3)),
        sent(PgType::Double, ValueRef::Real(3.0))
    );
}

#[test]
fn keys_are_told_as_the_server_casts_them() {
    let key = |kind, value| key_text(kind, value).unwrap();
    assert_eq!(key(PgType::BigInt, ValueRef::Integer(i64::MIN)), i64::MIN.to_string());
    assert_eq!(key(PgType::Bytea, ValueRef::Blob(&[0, 255])), "\\x00ff");
    assert_eq!(key(PgType::Boolean, ValueRef::Integer(1)), "true");
    assert_eq!(key(PgType::Numeric(Some((5, 2))), ValueRef::Real(1.5)), "1.50");
    assert_eq!(key(PgType::Text, ValueRef::Text("é,".as_bytes())), "é,");
}
