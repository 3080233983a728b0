//! Types that the user made: what they are made of.

use super::{RELATIONS, rows_of};
use crate::error::Result;
use crate::postgres::session::Session;
use std::collections::BTreeMap;

/// The types `x` that a type of `used` is made of: elements, bases, attributes, bounds.
pub(in crate::postgres) const PARTS: &str =
    "JOIN pg_catalog.pg_type t ON t.oid = used.oid,
    LATERAL (VALUES (t.typelem), (t.typbasetype) UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT v.oid FROM pg_catalog.pg_range r,
            LATERAL (VALUES (r.rngtypid, r.rngmultitypid), (r.rngsubtype, r.rngtypid)) v(oid, of)
            WHERE v.of = t.oid
    ) x(oid) WHERE x.oid <> 0";

/// The statement that makes a type `t` of the user's; NULL of any other.
pub(in crate::postgres) const DEFINITION: &str = "
    CASE WHEN t.typnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN NULL
    WHEN t.typtype = 'e' THEN pg_catalog.format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype,
        (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
         FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
    WHEN t.typtype = 'd' THEN pg_catalog.format('CREATE DOMAIN %s AS %s%s%s%s%s', t.oid::regtype,
        pg_catalog.format_type(t.typbasetype, t.typtypmod),
        (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, co.collname)
            FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace n ON n.oid = co.collnamespace
            JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
            WHERE co.oid = t.typcollation AND t.typcollation <> b.typcollation),
        ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
        (SELECT pg_catalog.string_agg(pg_catalog.format(' CONSTRAINT %I %s', k.conname,
            pg_catalog.pg_get_constraintdef(k.oid)), '' ORDER BY k.conname)
         FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
    WHEN t.typtype = 'r' THEN (SELECT pg_catalog.format(
            'CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I%s%s%s, MULTIRANGE_TYPE_NAME = %s)',
            t.oid::regtype, pg_catalog.format_type(r.rngsubtype, NULL), n.nspname, c.opcname,
            (SELECT pg_catalog.format(', COLLATION = %I.%I', cn.nspname, co.collname)
                FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                WHERE co.oid = r.rngcollation),
            ', CANONICAL = ' || nullif(r.rngcanonical, 0)::regproc,
            ', SUBTYPE_DIFF = ' || nullif(r.rngsubdiff, 0)::regproc, r.rngmultitypid::regtype)
        FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass c ON c.oid = r.rngsubopc
        JOIN pg_catalog.pg_namespace n ON n.oid = c.opcnamespace WHERE r.rngtypid = t.oid)
    WHEN t.typtype = 'c' THEN (SELECT pg_catalog.format('CREATE TYPE %s AS (%s)', t.oid::regtype,
            pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname,
                pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum))
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind = 'c'
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        HAVING pg_catalog.count(*) > 0)
    END";

/// What each type that columns have is made of, by the type's number.
pub(super) async fn read(session: &Session) -> Result<BTreeMap<u32, String>> {
    let statement = format!(
        "WITH RECURSIVE used(of, oid) AS (
            SELECT DISTINCT a.atttypid, a.atttypid FROM ({RELATIONS}) r
                JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
            UNION SELECT used.of, x.oid FROM used {PARTS})
        SELECT used.of, pg_catalog.string_agg(x.definition, '; ' ORDER BY x.definition)
        FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid,
            LATERAL (SELECT {DEFINITION} AS definition) x
        WHERE x.definition IS NOT NULL GROUP BY used.of"
    );
    let rows = rows_of(session, &statement).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
