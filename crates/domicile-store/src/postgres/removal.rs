//! Dropping foreign keys, and writing down how they are made again.

use super::patience::{self, BRIEFLY, TRIES};
use super::session::Session;
use crate::catalog::{ForeignKey, TableName};
use crate::error::{Error, Kind, Result};
use crate::site::KeyRemoval;
use crate::sql::{ident, literal};
use tokio_postgres::Row;

/// Foreign keys of some tables. Those of a partition that its parent declares go with the parent's.
const KEYS: &str = "
    SELECT n.nspname, c.relname, k.conname, pn.nspname, pc.relname,
        ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(n, o)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.o),
        ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u(n, o)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.o),
        k.condeferrable, k.confdeltype::text, pg_catalog.pg_get_constraintdef(k.oid), k.convalidated,
        c.relkind = 'p', pg_catalog.obj_description(k.oid, 'pg_constraint'),
        k.confupdtype::text
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class pc ON pc.oid = k.confrelid
    JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0
      AND k.conrelid IN (SELECT pg_catalog.to_regclass(x) FROM pg_catalog.unnest($1::text[]) x)
    ORDER BY n.nspname, c.relname, k.conname";

/// What stands here of the keys with these columns.
pub(super) async fn read(
    session: &Session,
    columns: &[(TableName, Vec<String>)],
) -> Result<KeyRemoval> {
    let names: Vec<String> = columns.iter().map(|(table, _)| table.sql()).collect();
    let rows = session.client.query(KEYS, &[&names]).await.map_err(|e| session.failed(e))?;
    let mut removal = KeyRemoval::default();
    let (mut added, mut validated) = (Vec::new(), Vec::new());
    for row in &rows {
        let (table, key) = key(row);
        if !columns.contains(&(table.clone(), key.columns.clone())) {
            continue;
        }
        let (on, name) = (table.sql(), ident(&key.name));
        removal.drop.push(format!("ALTER TABLE {on} DROP CONSTRAINT {name}"));
        let definition: &str = row.get(9);
        let add = format!("ALTER TABLE {on} ADD CONSTRAINT {name} {definition}");
        // Rows may refer to people who have left by then: the key holds for new rows at once, and
        // is validated apart. A partitioned table takes no key in two steps.
        if row.get(10) && !row.get::<_, bool>(11) {
            added.push(format!("{add} NOT VALID"));
            validated.push(format!("ALTER TABLE {on} VALIDATE CONSTRAINT {name}"));
        } else {
            added.push(add);
        }
        if let Some(comment) = row.get::<_, Option<&str>>(12) {
            added.push(format!("COMMENT ON CONSTRAINT {name} ON {on} IS {}", literal(comment)));
        }
        removal.keys.push((table, key));
    }
    if !removal.keys.is_empty() {
        removal.restore.push("BEGIN".to_owned());
        removal.restore.extend(added);
        removal.restore.push("COMMIT".to_owned());
        removal.restore.extend(validated);
    }
    Ok(removal)
}

fn key(row: &Row) -> (TableName, ForeignKey) {
    let name = |schema: usize| TableName {
        schema: Some(row.get::<_, &str>(schema).to_owned()),
        name: row.get::<_, &str>(schema + 1).to_owned(),
    };
    // `parent` stands at 3 and 4, since the constraint's own name comes between.
    let key = ForeignKey {
        name: row.get(2),
        columns: row.get(5),
        parent: name(3),
        parent_columns: row.get(6),
        deferrable: row.get(7),
        on_delete: super::catalog::action(row.get(8)).to_owned(),
        on_update: super::catalog::action(row.get(13)).to_owned(),
    };
    (name(0), key)
}

/// Drops them, in one transaction that waits for no lock longer than writers can bear.
pub(super) async fn run(session: &Session, removal: &KeyRemoval) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let tried = match run_once(session, removal).await {
            Ok(()) => session.batch("COMMIT").await,
            Err(error) => {
                session.batch("ROLLBACK").await?;
                Err(error)
            }
        };
        match tried {
            Err(error) if error.kind() == Kind::RetryNow && tries < TRIES => {
                tracing::info!(site = %session.site, tries, "the tables are busy; trying again");
            }
            Err(error) => return Err(patience::gave_up(session, &tables(removal), error).await),
            Ok(()) => return Ok(()),
        }
    }
}

/// The tables whose keys they are, each once.
fn tables(removal: &KeyRemoval) -> Vec<String> {
    let mut tables: Vec<String> = removal.keys.iter().map(|(table, _)| table.sql()).collect();
    tables.sort();
    tables.dedup();
    tables
}

async fn run_once(session: &Session, removal: &KeyRemoval) -> Result<()> {
    session.batch(&format!("BEGIN; {BRIEFLY}")).await?;
    let columns = removal.columns();
    let standing = read(session, &columns).await?;
    if standing.keys.is_empty() {
        return Ok(());
    }
    // Dropping a key needs this lock; with it held the definitions stay as they are read now.
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables(removal).join(", "));
    session.batch(&lock).await.map_err(|error| owners_only(session, error))?;
    if &read(session, &columns).await? != removal {
        return Err(KeyRemoval::changed());
    }
    for statement in &removal.drop {
        session.batch(statement).await.map_err(|error| owners_only(session, error))?;
    }
    Ok(())
}

/// Only a table's owner may drop its constraints.
fn owners_only(session: &Session, error: Error) -> Error {
    if error.kind() == Kind::RetryNow {
        return error;
    }
    let text = format!("a foreign key at site {} cannot be dropped", session.site);
    Error::new(Kind::Operator, text)
        .hint("run the statements listed above as the owner of the tables, then prepare again")
        .because(error)
}
