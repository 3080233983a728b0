//! The types of PostgreSQL that rows from SQLite can have.

/// A type of PostgreSQL's own, with what limits its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PgType {
    /// `boolean`
    Boolean,
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `double precision`
    Double,
    /// `numeric`, or `numeric(p,s)`: at most `p` digits, `s` of them behind the point.
    Numeric(Option<(usize, usize)>),
    /// `text`
    Text,
    /// `character varying(n)`
    Varchar(Option<usize>),
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
}

impl PgType {
    /// The type of this name, as `format_type` prints it. `None` for every type that rows from
    /// SQLite do not become, and for times of a lower precision, which would round.
    pub fn parse(name: &str) -> Option<PgType> {
        let (base, modifier) = match name.split_once('(') {
            Some((base, rest)) => (base.trim_end(), Some(rest.strip_suffix(')')?)),
            None => (name, None),
        };
        Some(match (base, modifier) {
            ("boolean", None) => PgType::Boolean,
            ("smallint", None) => PgType::SmallInt,
            ("integer", None) => PgType::Integer,
            ("bigint", None) => PgType::BigInt,
            ("double precision", None) => PgType::Double,
            ("numeric", None) => PgType::Numeric(None),
            ("numeric", Some(limits)) => {
                let (precision, scale) = limits.split_once(',')?;
                let (precision, scale) = (precision.parse().ok()?, scale.trim().parse().ok()?);
                if scale > precision {
                    return None;
                }
                PgType::Numeric(Some((precision, scale)))
            }
            ("text", None) => PgType::Text,
            ("character varying", None) => PgType::Varchar(None),
            ("character varying", Some(length)) => PgType::Varchar(Some(length.parse().ok()?)),
            ("bytea", None) => PgType::Bytea,
            ("date", None) => PgType::Date,
            ("time without time zone", None) => PgType::Time,
            ("timestamp without time zone", None) => PgType::Timestamp,
            ("timestamp with time zone", None) => PgType::TimestampTz,
            ("uuid", None) => PgType::Uuid,
            ("json", None) => PgType::Json,
            _ => return None,
        })
    }

    /// The type's number, the same in every database (PostgreSQL's `pg_type.dat`).
    pub(crate) fn oid(self) -> u32 {
        match self {
            PgType::Boolean => 16,
            PgType::Bytea => 17,
            PgType::BigInt => 20,
            PgType::SmallInt => 21,
            PgType::Integer => 23,
            PgType::Text => 25,
            PgType::Json => 114,
            PgType::Double => 701,
            PgType::Varchar(_) => 1043,
            PgType::Date => 1082,
            PgType::Time => 1083,
            PgType::Timestamp => 1114,
            PgType::TimestampTz => 1184,
            PgType::Numeric(_) => 1700,
            PgType::Uuid => 2950,
        }
    }

    /// Whether a generated column of this type can be compared: its text is the same on both
    /// sides.
    pub(crate) fn prints_alike(self) -> bool {
        matches!(
            self,
            PgType::SmallInt | PgType::Integer | PgType::BigInt | PgType::Text | PgType::Varchar(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_server_prints_them() {
        assert_eq!(PgType::parse("numeric(10,2)"), Some(PgType::Numeric(Some((10, 2)))));
        assert_eq!(PgType::parse("character varying(40)"), Some(PgType::Varchar(Some(40))));
        assert_eq!(PgType::parse("timestamp with time zone"), Some(PgType::TimestampTz));
        for other in ["numeric(2,4)", "numeric(3,-1)", "timestamp(3) without time zone", "jsonb"] {
            assert_eq!(PgType::parse(other), None, "{other}");
        }
        for other in ["character(3)", "mood", "integer[]", "real", "text(3)", ""] {
            assert_eq!(PgType::parse(other), None, "{other}");
        }
    }
}
