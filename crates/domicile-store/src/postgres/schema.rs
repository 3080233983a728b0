//! Writing a schema again: the statements that make equal tables in an empty database.
//!
//! The server prints the definitions of constraints and indexes itself; types, sequences and
//! tables are put together here. What cannot be written (extension types, functions in defaults)
//! fails when the script runs, by name, and nothing of it stays; an equal schema loaded by other
//! means is accepted.

use super::catalog::types::{DEFINITION, PARTS};
use super::session::Session;
use crate::catalog::TableName;
use crate::error::{Error, Kind, Result};
use crate::sql::literal;
use tokio_postgres::Row;

/// Names of tables as `regclass` reads them.
type Names = Vec<String>;

pub(super) async fn script(session: &Session, tables: &[TableName]) -> Result<Vec<String>> {
    let names: Names = tables.iter().map(TableName::sql).collect();
    let mut script = Vec::new();
    script.extend(schemas(session, &names).await?);
    script.extend(types(session, &names).await?);
    script.extend(sequences(session, &names).await?);
    script.extend(create_tables(session, &names).await?);
    script.extend(owned_sequences(session, &names).await?);
    script.extend(keys(session, &names, "k.contype IN ('p', 'u', 'c', 'x')").await?);
    script.extend(indexes(session, &names).await?);
    script.extend(keys(session, &names, "k.contype = 'f'").await?);
    script.extend(rights(session, &names).await?);
    Ok(script)
}

async fn query(session: &Session, statement: &str, names: &Names) -> Result<Vec<Row>> {
    session.client.query(statement, &[names]).await.map_err(|e| session.failed(e))
}

async fn lines(session: &Session, statement: &str, names: &Names) -> Result<Vec<String>> {
    Ok(query(session, statement, names).await?.iter().map(|row| row.get(0)).collect())
}

/// The types that the tables' columns have, directly or as parts; parts are deeper.
fn used() -> String {
    format!(
        "WITH RECURSIVE used(oid, depth) AS (
            SELECT a.atttypid, 0 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = ANY ($1::text[]::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped
            UNION SELECT x.oid, used.depth + 1 FROM used {PARTS})"
    )
}

/// The schemas of tables, partitions, sequences and types: each may lie in another one.
async fn schemas(session: &Session, names: &Names) -> Result<Vec<String>> {
    let statement = format!(
        "{}, needed(oid) AS (
            SELECT c.relnamespace FROM pg_catalog.pg_class c
                WHERE c.oid = ANY ($1::text[]::regclass[])
            UNION SELECT c.relnamespace FROM pg_catalog.unnest($1::text[]::regclass[]) x(oid),
                LATERAL pg_catalog.pg_partition_tree(x.oid) p
                JOIN pg_catalog.pg_class c ON c.oid = p.relid
            UNION SELECT s.relnamespace {SEQUENCES}
            UNION SELECT t.typnamespace FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid
                WHERE t.typtype IN ('e', 'd', 'c', 'r'))
        SELECT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)
        FROM needed JOIN pg_catalog.pg_namespace n ON n.oid = needed.oid
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY n.nspname",
        used()
    );
    lines(session, &statement, names).await
}

/// Types of the user's that the tables' columns use, those first that others are made of.
async fn types(session: &Session, names: &Names) -> Result<Vec<String>> {
    let statement = format!(
        "{}, deepest(oid, depth) AS (SELECT oid, pg_catalog.max(depth) FROM used GROUP BY oid)
        SELECT x.statement FROM deepest JOIN pg_catalog.pg_type t ON t.oid = deepest.oid,
            LATERAL (SELECT {DEFINITION} AS statement) x
        WHERE x.statement IS NOT NULL ORDER BY deepest.depth DESC, t.oid",
        used()
    );
    lines(session, &statement, names).await
}

/// Sequences that the tables' defaults draw from; those of identity columns come with the column.
const SEQUENCES: &str = "FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    JOIN pg_catalog.pg_class s ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND s.relkind = 'S'
    JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
    WHERE f.adrelid = ANY ($1::text[]::regclass[])";

async fn sequences(session: &Session, names: &Names) -> Result<Vec<String>> {
    let statement = format!(
        "SELECT DISTINCT pg_catalog.format('CREATE SEQUENCE %s AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s',
            s.oid::regclass, q.seqtypid::regtype, q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache,
            CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END) {SEQUENCES} ORDER BY 1"
    );
    lines(session, &statement, names).await
}

async fn owned_sequences(session: &Session, names: &Names) -> Result<Vec<String>> {
    let statement = format!(
        "SELECT DISTINCT pg_catalog.format('ALTER SEQUENCE %s OWNED BY %s.%I', s.oid::regclass,
            o.refobjid::regclass, (SELECT a.attname FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = o.refobjid AND a.attnum = o.refobjsubid))
        FROM (SELECT DISTINCT s.oid {SEQUENCES}) s
        JOIN pg_catalog.pg_depend o ON o.classid = 'pg_class'::regclass AND o.objid = s.oid
            AND o.deptype = 'a' AND o.refclassid = 'pg_class'::regclass AND o.refobjsubid > 0
        WHERE o.refobjid = ANY ($1::text[]::regclass[]) ORDER BY 1"
    );
    lines(session, &statement, names).await
}

async fn create_tables(session: &Session, names: &Names) -> Result<Vec<String>> {
    let columns = "SELECT pg_catalog.string_agg(pg_catalog.format('%I %s%s%s%s', a.attname,
            pg_catalog.format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attcollation <> t.typcollation THEN (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, co.collname)
                FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace n ON n.oid = co.collnamespace
                WHERE co.oid = a.attcollation) ELSE '' END,
            CASE WHEN a.attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
                 WHEN a.attidentity = 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY'
                 WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') STORED'
                 WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                 ELSE '' END,
            CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped";
    let statement = format!(
        "SELECT CASE WHEN c.relispartition THEN pg_catalog.format('CREATE TABLE %s PARTITION OF %s %s',
                c.oid::regclass, i.inhparent::regclass, pg_catalog.pg_get_expr(c.relpartbound, c.oid))
            ELSE pg_catalog.format('CREATE TABLE %s (%s)', c.oid::regclass, ({columns})) END
            || CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid) ELSE '' END
        FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
        WHERE c.oid IN (SELECT x.oid FROM pg_catalog.unnest($1::text[]::regclass[]) x(oid)
            UNION SELECT p.relid FROM pg_catalog.unnest($1::text[]::regclass[]) x(oid)
                JOIN pg_catalog.pg_class y ON y.oid = x.oid AND y.relkind = 'p',
                LATERAL pg_catalog.pg_partition_tree(x.oid) p)
        ORDER BY c.relispartition, c.oid"
    );
    lines(session, &statement, names).await
}

async fn keys(session: &Session, names: &Names, which: &str) -> Result<Vec<String>> {
    let statement = format!(
        "SELECT pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname,
            pg_catalog.pg_get_constraintdef(k.oid))
        FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = ANY ($1::text[]::regclass[]) AND k.conparentid = 0 AND k.conislocal AND {which}
        ORDER BY k.contype <> 'p', k.oid"
    );
    lines(session, &statement, names).await
}

async fn indexes(session: &Session, names: &Names) -> Result<Vec<String>> {
    let statement = "SELECT pg_catalog.pg_get_indexdef(i.indexrelid)
        FROM pg_catalog.pg_index i
        WHERE i.indrelid = ANY ($1::text[]::regclass[])
          AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid
              AND k.contype IN ('p', 'u', 'x'))
          AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)
        ORDER BY i.indexrelid";
    lines(session, statement, names).await
}

/// Owners and grants, for roles that the other site has too. The application must be able to
/// write at the new home what it wrote at the old one.
async fn rights(session: &Session, names: &Names) -> Result<Vec<String>> {
    let guarded =
        "SELECT 'DO $d$ BEGIN IF EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname = '
            || pg_catalog.quote_literal(x.role) || ') THEN ' || x.statement || '; END IF; '
            || x.otherwise || 'END $d$'";
    let relations = "FROM pg_catalog.pg_class c
        WHERE c.oid = ANY ($1::text[]::regclass[]) OR (c.relkind = 'S' AND c.oid IN (
            SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            AND d.refobjid = ANY ($1::text[]::regclass[])))";
    let owners = format!(
        "{guarded} FROM (SELECT pg_catalog.pg_get_userbyid(c.relowner) AS role,
            pg_catalog.format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, pg_catalog.pg_get_userbyid(c.relowner)) AS statement,
            -- A mover that may not give a table away lets its owner do everything with it.
            pg_catalog.format('EXCEPTION WHEN insufficient_privilege THEN GRANT ALL ON TABLE %s TO %I; ',
                c.oid::regclass, pg_catalog.pg_get_userbyid(c.relowner)) AS otherwise
            {relations} AND c.relkind <> 'S') AS x ORDER BY x.statement"
    );
    let grants = format!(
        "{guarded} FROM (SELECT g.role, pg_catalog.format('GRANT %s ON %s %s TO %I',
                pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
                CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass, g.role) AS statement, '' AS otherwise
            FROM (SELECT c.* {relations}) AS c, LATERAL pg_catalog.aclexplode(c.relacl) AS a,
                LATERAL (SELECT pg_catalog.pg_get_userbyid(a.grantee) AS role) AS g
            WHERE a.grantee <> 0 GROUP BY g.role, c.oid, c.relkind) AS x ORDER BY x.statement"
    );
    let usage = format!(
        "{guarded} FROM (SELECT g.role, pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, g.role) AS statement, '' AS otherwise
            FROM pg_catalog.pg_namespace n, LATERAL (SELECT pg_catalog.pg_get_userbyid(n.nspowner) AS role
                UNION SELECT pg_catalog.pg_get_userbyid(a.grantee) FROM pg_catalog.aclexplode(n.nspacl) AS a
                    WHERE a.grantee <> 0 AND a.privilege_type = 'USAGE') AS g
            WHERE n.nspname <> 'public' AND n.oid IN (SELECT c.relnamespace FROM pg_catalog.pg_class c
                WHERE c.oid = ANY ($1::text[]::regclass[]))) AS x ORDER BY x.statement"
    );
    let public =
        "SELECT DISTINCT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO PUBLIC', n.nspname)
        FROM pg_catalog.pg_namespace n, LATERAL pg_catalog.aclexplode(n.nspacl) AS a
        WHERE a.grantee = 0 AND a.privilege_type = 'USAGE' AND n.nspname <> 'public'
            AND n.oid IN (SELECT c.relnamespace FROM pg_catalog.pg_class c
                WHERE c.oid = ANY ($1::text[]::regclass[])) ORDER BY 1";
    let mut found = lines(session, public, names).await?;
    found.extend(lines(session, &usage, names).await?);
    found.extend(lines(session, &owners, names).await?);
    found.extend(lines(session, &grants, names).await?);
    Ok(found)
}

/// Runs the script in one transaction. Existing schemas are kept, as the script asks.
pub(super) async fn apply(session: &mut Session, script: &[String]) -> Result<()> {
    let site = session.site.clone();
    session.batch("BEGIN").await?;
    for statement in script {
        if let Err(error) = session.client.batch_execute(statement).await {
            let failed = session.failed(error);
            session.batch("ROLLBACK").await?;
            let beginning: String = statement.chars().take(100).collect();
            return Err(Error::new(
                Kind::Operator,
                format!("site {site} does not take the schema, at {}", literal(&beginning)),
            )
            .hint("load the schema there yourself (pg_dump --schema-only), then run prepare again")
            .because(failed));
        }
    }
    session.batch("COMMIT").await
}
