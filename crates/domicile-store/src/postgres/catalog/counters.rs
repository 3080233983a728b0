//! The sequences that number rows.

use super::{RELATIONS, name, rows_of};
use crate::catalog::{Alter, Counter, TableName};
use crate::error::Result;
use crate::postgres::session::Session;

/// Every column that draws from a sequence, by default or as an identity, and where each sequence
/// is. A partition numbers by its parent's. A sequence that the
/// mover may not read is nobody's who moves: it is a member of those tables' owner.
pub(super) async fn read(session: &Session) -> Result<Vec<Counter>> {
    let statement = format!(
        "SELECT r.nspname, r.relname, a.attname, a.attidentity <> '', sn.nspname, s.relname,
            q.seqincrement, q.seqmax
        FROM ({RELATIONS}) r
        JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        JOIN pg_catalog.pg_depend d ON (a.attidentity = '' AND d.classid = 'pg_attrdef'::regclass
                AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass)
            OR (a.attidentity <> '' AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid AND d.refobjsubid = a.attnum)
        JOIN pg_catalog.pg_class s ON s.relkind = 'S'
            AND s.oid = CASE WHEN a.attidentity = '' THEN d.refobjid ELSE d.objid END
        JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
        JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
        WHERE NOT r.relispartition
            AND CASE WHEN s.relkind = 'S' THEN pg_catalog.has_sequence_privilege(s.oid, 'SELECT') END
        ORDER BY 1, 2, a.attnum"
    );
    let mut counters = Vec::new();
    for row in rows_of(session, &statement).await? {
        let sequence =
            TableName { schema: Some(row.get(4)), name: row.get::<_, &str>(5).to_owned() }.sql();
        let step: i64 = row.get(6);
        // Where a sequence was restarted and not used since, only the sequence itself knows.
        let place = format!("SELECT last_value, is_called FROM {sequence}");
        let place = session.client.query_one(&place, &[]).await.map_err(|e| session.failed(e))?;
        let last: i64 = place.get(0);
        counters.push(Counter {
            table: name(row.get(0), row.get(1)),
            column: row.get(2),
            next: if place.get(1) { last.saturating_add(step) } else { last },
            step,
            max: row.get(7),
            alter: Some(if row.get(3) { Alter::Identity } else { Alter::Sequence(sequence) }),
        });
    }
    Ok(counters)
}
