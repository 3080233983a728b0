//! What a database itself declares about its reference tables. It is read for every change that
//! is applied: keys come and go with the application's own migrations.

use crate::catalog::TableName;
use crate::closure::Closure;
use crate::error::Result;
use crate::postgres::session::Session;
use crate::sql::equal;

/// A foreign key, seen from one of its ends.
pub(super) struct Key {
    /// The quoted name of the table at the other end.
    pub(super) other: String,
    /// The referring columns.
    pub(super) columns: Vec<String>,
    /// The columns referred to.
    pub(super) parent_columns: Vec<String>,
    /// Whether both ends are the same table.
    pub(super) is_own: bool,
}

/// What is declared about one reference table.
#[derive(Default)]
pub(super) struct Declared {
    /// The keys of any table here that refer to it.
    pub(super) referring: Vec<Key>,
    /// Its own keys.
    pub(super) parents: Vec<Key>,
    /// The columns that are GENERATED ALWAYS AS IDENTITY, which no UPDATE may set.
    pub(super) numbered: Vec<String>,
    /// The columns of unique constraints that can wait: in the mover's sessions, which are those
    /// of a replica, nothing checks them.
    pub(super) waiting: Vec<Vec<String>>,
}

impl Declared {
    /// The condition that some row here refers to row `alias` of the table.
    pub(super) fn is_referred(&self, alias: &str) -> String {
        if self.referring.is_empty() {
            return "false".to_owned();
        }
        let referring = self.referring.iter().map(|key| {
            let same = equal("c0", &key.columns, alias, &key.parent_columns);
            format!("EXISTS (SELECT 1 FROM {} AS c0 WHERE {same})", key.other)
        });
        format!("({})", referring.collect::<Vec<_>>().join(" OR "))
    }
}

/// What is declared about each reference table, in the closure's order.
pub(super) async fn read(session: &Session, closure: &Closure) -> Result<Vec<Declared>> {
    let columns = |of: &str, numbers: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.{numbers}) WITH ORDINALITY u(n, o) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.{of} AND a.attnum = u.n ORDER BY u.o)"
        )
    };
    let (own, theirs) = (columns("conrelid", "conkey"), columns("confrelid", "confkey"));
    let key = |what: &str, here: &str, there: &str| {
        format!(
            "SELECT r.place, '{what}', n.nspname::text, c.relname::text, {own}, {theirs}, \
                 k.conrelid = k.confrelid \
             FROM r JOIN pg_catalog.pg_constraint k ON k.{here} = r.relation AND k.contype = 'f' \
                 AND k.conparentid = 0 \
             JOIN pg_catalog.pg_class c ON c.oid = k.{there} \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT')"
        )
    };
    let statement = format!(
        "WITH r AS (SELECT x.place, pg_catalog.to_regclass(x.name) AS relation \
             FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY x(name, place)) \
         {referring} UNION ALL {parents} UNION ALL \
         SELECT r.place, 'waiting', '', '', {own}, '{{}}', false FROM r \
             JOIN pg_catalog.pg_constraint k ON k.conrelid = r.relation \
             AND k.contype IN ('p', 'u') AND k.condeferrable UNION ALL \
         SELECT r.place, 'numbered', '', '', ARRAY[a.attname::text], '{{}}', false FROM r \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = r.relation AND a.attidentity = 'a'",
        referring = key("referring", "confrelid", "conrelid"),
        parents = key("parents", "conrelid", "confrelid"),
    );
    let names: Vec<String> = closure.reference.iter().map(|table| table.name.sql()).collect();
    let rows = session.client.query(&statement, &[&names]).await;
    let mut found: Vec<Declared> = names.iter().map(|_| Declared::default()).collect();
    for row in rows.map_err(|e| session.failed(e))? {
        let place = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        let Some(declared) = found.get_mut(place.wrapping_sub(1)) else { continue };
        let (columns, parent_columns): (Vec<String>, _) = (row.get(4), row.get(5));
        let other = TableName { schema: Some(row.get(2)), name: row.get(3) }.sql();
        let key = Key { other, columns, parent_columns, is_own: row.get(6) };
        match row.get(1) {
            "referring" => declared.referring.push(key),
            "parents" => declared.parents.push(key),
            "numbered" => declared.numbered.extend(key.columns),
            _ => declared.waiting.push(key.columns),
        }
    }
    add_checks(closure, &mut found);
    Ok(found)
}

/// Keys that the plan knows and this database does not declare count as well.
fn add_checks(closure: &Closure, found: &mut [Declared]) {
    for (table, declared) in closure.reference.iter().zip(found) {
        for check in closure.checks.iter().filter(|check| check.parent == table.name) {
            let other = check.child.sql();
            let known = declared.referring.iter();
            if known.clone().any(|key| key.other == other && key.columns == check.columns) {
                continue;
            }
            let (columns, parent_columns) = (check.columns.clone(), check.parent_columns.clone());
            declared.referring.push(Key { other, columns, parent_columns, is_own: false });
        }
    }
}
