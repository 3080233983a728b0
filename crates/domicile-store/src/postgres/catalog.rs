//! Reading PostgreSQL's catalog.

mod counters;
pub(super) mod types;
mod warnings;

use super::planner::{INDEX_COLUMNS, LOOKUP};
use super::session::Session;
use crate::catalog::{Catalog, Column, ForeignKey, Shape, Table, TableName, Unique};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// The relations that are read, by number. Every other query joins with this.
pub(super) const RELATIONS: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.relpersistence,
        c.relrowsecurity, c.relforcerowsecurity, c.reltuples, c.relhassubclass, c.relhasrules
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'domicile')
      AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_class'::regclass
          AND e.objid = c.oid AND e.deptype = 'e')";

type Tables = BTreeMap<u32, Table>;

pub(super) async fn read(session: &Session) -> Result<Catalog> {
    let mut tables = relations(session).await?;
    count_unanalysed(session, &mut tables).await?;
    columns(session, &mut tables).await?;
    constraints(session, &mut tables).await?;
    indexes(session, &mut tables).await?;
    triggers(session, &mut tables).await?;
    obstacles(session, &mut tables).await?;
    let version = session
        .client
        .query_one("SELECT pg_catalog.current_setting('server_version')", &[])
        .await
        .map_err(|e| session.failed(e))?;
    let mut tables: Vec<Table> = tables.into_values().collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let server = format!("PostgreSQL {}", version.get::<_, &str>(0));
    let (counters, warnings) = (counters::read(session).await?, warnings::read(session).await?);
    Ok(Catalog { server, tables, counters, warnings })
}

pub(super) async fn rows_of(session: &Session, statement: &str) -> Result<Vec<Row>> {
    session
        .client
        .query(statement, &[])
        .await
        .map_err(|error: tokio_postgres::Error| -> Error { session.failed(error) })
}

pub(super) fn name(schema: &str, table: &str) -> TableName {
    TableName { schema: Some(schema.to_owned()), name: table.to_owned() }
}

async fn relations(session: &Session) -> Result<Tables> {
    let statement = format!(
        "SELECT r.oid, r.nspname, r.relname, r.relkind::text, r.relispartition,
            r.relpersistence::text, r.relhassubclass, r.relrowsecurity, r.reltuples::float8,
            CASE WHEN r.relkind = 'p' THEN (SELECT sum(pg_catalog.pg_total_relation_size(p.relid))::bigint
                FROM pg_catalog.pg_partition_tree(r.oid) p)
                ELSE pg_catalog.pg_total_relation_size(r.oid) END,
            pn.nspname, pc.relname, pc.relkind::text,
            CASE WHEN r.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(r.oid) END,
            CASE WHEN r.relispartition THEN (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid)
                FROM pg_catalog.pg_class c WHERE c.oid = r.oid) END
        FROM ({RELATIONS}) r
        LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = r.oid AND i.inhseqno = 1
        LEFT JOIN pg_catalog.pg_class pc ON pc.oid = i.inhparent
        LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace"
    );
    let mut tables = Tables::new();
    for row in rows_of(session, &statement).await? {
        let kind: &str = row.get(3);
        let parent: Option<&str> = row.get(10);
        let shape = match (kind, row.get::<_, bool>(4), parent) {
            ("p", false, _) => Shape::Partitioned(row.get(13)),
            (_, true, Some(schema)) => {
                Shape::PartitionOf { parent: name(schema, row.get(11)), bound: row.get(14) }
            }
            (_, _, Some(_)) => Shape::Inheritance,
            ("r", _, None) if row.get::<_, bool>(6) => Shape::Inheritance,
            _ => Shape::Plain,
        };
        let mut obstacles = Vec::new();
        if row.get::<_, &str>(5) == "u" {
            obstacles.push("it is unlogged: a crash would empty it".to_owned());
        }
        if kind == "f" {
            obstacles.push("it is a foreign table".to_owned());
        }
        let table = Table {
            shape,
            obstacles,
            rows: estimate(row.get(8)),
            bytes: row.get::<_, Option<i64>>(9).unwrap_or(0).unsigned_abs(),
            ..Table::named(name(row.get(1), row.get(2)))
        };
        tables.insert(row.get(0), table);
    }
    Ok(tables)
}

/// Above this size a table that was never analysed is not counted but estimated.
const COUNTED_BYTES_MAX: u64 = 64 << 20;

/// Before its first ANALYZE the planner knows nothing of a table.
async fn count_unanalysed(session: &Session, tables: &mut Tables) -> Result<()> {
    let statement =
        format!("SELECT r.oid FROM ({RELATIONS}) r WHERE r.reltuples < 0 AND r.relkind <> 'f'");
    for row in rows_of(session, &statement).await? {
        let Some(table) = tables.get_mut(&row.get(0)) else { continue };
        if table.bytes > COUNTED_BYTES_MAX {
            // About a hundred bytes a row, index and overhead included.
            table.rows = table.bytes / 100;
            continue;
        }
        let count = format!("SELECT count(*) FROM {}", table.name.sql());
        let row = session.client.query_one(&count, &[]).await.map_err(|e| session.failed(e))?;
        table.rows = row.get::<_, i64>(0).unsigned_abs();
    }
    Ok(())
}

/// The planner's estimate; −1 before the first ANALYZE.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; negative ones are cut at 0 first"
)]
fn estimate(rows: f64) -> u64 {
    rows.max(0.0) as u64
}

async fn columns(session: &Session, tables: &mut Tables) -> Result<()> {
    let statement = format!(
        "SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attgenerated <> '', a.attidentity::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
            CASE WHEN a.attcollation <> t.typcollation THEN co.collname END,
            a.atttypid IN (20, 21, 23, 25, 1042, 1043, 2950) AND coalesce(co.collisdeterministic, true),
            t.typnamespace <> 'pg_catalog'::regnamespace OR t.typtype <> 'b'
              OR t.typname LIKE 'reg%' OR t.typname IN ('oid', '_oid', 'aclitem', 'refcursor')
              OR coalesce(e.typnamespace <> 'pg_catalog'::regnamespace OR e.typname LIKE 'reg%', false),
            a.atttypid
        FROM ({RELATIONS}) r
        JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typelem <> 0
        LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        ORDER BY a.attrelid, a.attnum"
    );
    let made = types::read(session).await?;
    for row in rows_of(session, &statement).await? {
        let Some(table) = tables.get_mut(&row.get(0)) else { continue };
        let identity: &str = row.get(5);
        let default: Option<String> = match identity {
            "a" => Some("GENERATED ALWAYS AS IDENTITY".to_owned()),
            "d" => Some("GENERATED BY DEFAULT AS IDENTITY".to_owned()),
            _ => row.get(6),
        };
        table.columns.push(Column {
            name: row.get(1),
            type_name: row.get(2),
            not_null: row.get(3),
            generated: row.get(4),
            default,
            collation: row.get(7),
            exact_text: row.get(8),
            user_type: row.get(9),
            made_of: made.get(&row.get(10)).cloned(),
        });
    }
    Ok(())
}

async fn constraints(session: &Session, tables: &mut Tables) -> Result<()> {
    let names = |of: &str, numbers: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.{numbers}) WITH ORDINALITY u(n, o) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.{of} AND a.attnum = u.n ORDER BY u.o)"
        )
    };
    let statement = format!(
        "SELECT k.conrelid, k.contype::text, k.conname, {columns}, {parent_columns}, pn.nspname, pc.relname,
            k.condeferrable, k.confdeltype::text, pg_catalog.pg_get_constraintdef(k.oid),
            k.confupdtype::text
        FROM ({RELATIONS}) r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
        LEFT JOIN pg_catalog.pg_class pc ON pc.oid = k.confrelid
        LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
        WHERE k.conparentid = 0 OR k.contype <> 'f'
        ORDER BY k.conrelid, k.conname",
        columns = names("conrelid", "conkey"),
        parent_columns = names("confrelid", "confkey"),
    );
    for row in rows_of(session, &statement).await? {
        let Some(table) = tables.get_mut(&row.get(0)) else { continue };
        let kind: &str = row.get(1);
        if row.get::<_, bool>(7) && matches!(kind, "p" | "u") {
            table.checks.push(row.get(9));
        }
        match kind {
            "p" => table.primary_key = row.get(3),
            "f" => table.foreign_keys.push(ForeignKey {
                name: row.get(2),
                columns: row.get(3),
                parent: name(row.get(5), row.get(6)),
                parent_columns: row.get(4),
                deferrable: row.get(7),
                on_delete: action(row.get(8)).to_owned(),
                on_update: action(row.get(10)).to_owned(),
            }),
            "c" | "x" => table.checks.push(row.get(9)),
            // Unique constraints come with their indexes.
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn action(letter: &str) -> &'static str {
    match letter {
        "r" => "RESTRICT",
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => "NO ACTION",
    }
}

async fn indexes(session: &Session, tables: &mut Tables) -> Result<()> {
    let statement = format!(
        "SELECT i.indrelid, c.relname, i.indisunique, pg_catalog.pg_get_indexdef(i.indexrelid),
            CASE WHEN {LOOKUP} THEN {INDEX_COLUMNS} END, i.indisprimary
        FROM ({RELATIONS}) r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid ORDER BY i.indrelid, c.relname"
    );
    for row in rows_of(session, &statement).await? {
        let Some(table) = tables.get_mut(&row.get(0)) else { continue };
        table.indexed.extend(row.get::<_, Option<Vec<String>>>(4));
        if row.get(5) {
            continue;
        }
        let definition: String = row.get(3);
        if row.get(2) {
            table.uniques.push(Unique { name: row.get(1), definition });
        } else {
            table.indexes.push(definition);
        }
    }
    Ok(())
}

async fn triggers(session: &Session, tables: &mut Tables) -> Result<()> {
    let statement = format!(
        "SELECT t.tgrelid, t.tgname, t.tgenabled IN ('A', 'R') FROM ({RELATIONS}) r
        JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid
        WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname NOT LIKE 'AA\\_domicile\\_%'
        ORDER BY 1, 2"
    );
    for row in rows_of(session, &statement).await? {
        if let Some(table) = tables.get_mut(&row.get(0)) {
            table.triggers.push(row.get(1));
            // The mover's sessions are those of a replica.
            if row.get(2) {
                table.triggers_always.push(row.get(1));
            }
        }
    }
    Ok(())
}

/// What the mover cannot move safely, and is known only from other catalogs.
async fn obstacles(session: &Session, tables: &mut Tables) -> Result<()> {
    let statement = format!(
        "SELECT r.oid, 'it has a rule (' || w.rulename || '), which rewrites statements past the fence'
            FROM ({RELATIONS}) r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
        UNION ALL
        SELECT s.srrelid, 'a subscription writes it: one refused change would stop the subscription'
            FROM pg_catalog.pg_subscription_rel s
        UNION ALL
        SELECT a.attrelid, 'column ' || a.attname || ' may refer to a large object, which is not in the row'
            FROM ({RELATIONS}) r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            WHERE a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('oid', 'lo')
        UNION ALL
        SELECT c.conrelid, 'its constraint ' || c.conname || ' is deferrable: the server checks it by a trigger, which does not fire for rows that arrive'
            FROM ({RELATIONS}) r JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid
            WHERE c.condeferrable AND c.contype IN ('p', 'u', 'x')
        UNION ALL
        SELECT c.oid, 'publication ' || p.pubname || ' sends its deletions and it has no replica identity: the server refuses to erase its rows'
            FROM ({RELATIONS}) r JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relreplident = 'n'
            JOIN pg_catalog.pg_publication_tables t ON t.schemaname = r.nspname AND t.tablename = r.relname
            JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname AND p.pubdelete"
    );
    for row in rows_of(session, &statement).await? {
        if let Some(table) = tables.get_mut(&row.get(0)) {
            table.obstacles.push(row.get(1));
        }
    }
    Ok(())
}
