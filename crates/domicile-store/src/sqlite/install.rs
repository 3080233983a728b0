//! The journal's tables and the fences: putting them in place, and telling whether they are.

use crate::catalog::TableName;
use crate::closure::Closure;
use crate::error::{Error, Kind, Result};
use crate::site::Installation;
use crate::sql::ident;
use crate::sqlite::catalog::{Affinity, list};
use crate::sqlite::connection::{Doing, reading, writing};
use crate::sqlite::ddl;
use crate::sqlite::fence::{self, Fence, Fenced, Term, UniqueKey};
use crate::sqlite::{keys, reference, shared, waiting};
use domicile_model::SiteName;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

/// What the names of domicile's own triggers begin with.
pub(super) const OUR_PREFIX: &str = "AA_domicile_";

/// What the fences' names begin with.
pub(super) const FENCE_PREFIX: &str = "AA_domicile_fence_";

/// The tables that are domicile's own.
pub(super) const OUR_TABLES: [&str; 8] = [
    "domicile_subject",
    "domicile_touched",
    "domicile_gone",
    "domicile_gone_row",
    "domicile_site",
    "domicile_changed",
    "domicile_directive",
    "domicile_brought",
];

/// What was erased behind each announcement; an earlier layout of the journal lacks it.
pub(super) const ERASURES: &str = "domicile_erasure";

/// The journal's layout.
const VERSION: &str = "3";

/// `domicile_subject` has everybody who is on the way, and everybody who has come; `fenced` says
/// who must be looked at. `domicile_gone` has the tombstones; one is `suspended` while its person
/// may be coming back, so that it can stand again if they do not. `domicile_gone_row` has what rows
/// of a table below would refer to, had it not been erased with its owner.
const JOURNAL: &str = include_str!("journal.sql");

const DOING: &str = "installing the journal and the fences";

/// Puts everything in place that is not.
pub(super) fn install(
    connection: &Connection,
    installation: &Installation,
    here: &SiteName,
) -> Result<()> {
    switch_to_wal(connection)?;
    writing(connection, DOING, || {
        refuse_while_moving(connection, &installation.closure)?;
        connection.execute_batch(JOURNAL).doing(DOING)?;
        add_columns(connection)?;
        let before = waiting::guarded_tables(connection)?;
        if let Some(change) = waiting::forbids(connection, &installation.closure, &before)? {
            return Err(change.refusal(None));
        }
        let wanted = wanted(connection, installation, here)?;
        let present = present(connection)?;
        for fence in &present {
            if !wanted.contains(fence) {
                let drop = format!("DROP TRIGGER {}", ident(&fence.name));
                connection.execute_batch(&drop).doing(DOING)?;
            }
        }
        for fence in wanted.iter().filter(|fence| !present.contains(fence)) {
            connection.execute_batch(&fence.sql).doing(DOING)?;
        }
        for (key, value) in marks(installation) {
            let sql = "INSERT INTO domicile_site (key, value) VALUES (?1, ?2)
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            connection.execute(sql, [key, value.as_str()]).doing(DOING)?;
        }
        Ok(())
    })
}

/// Whether notes of reference rows say why a change was refused.
pub(super) fn tells_refusals(connection: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) FROM pragma_table_info('domicile_changed') WHERE name = 'refused'";
    let found: i64 = connection.query_row(sql, [], |row| row.get(0)).doing(DOING)?;
    Ok(found > 0)
}

/// Adds what an earlier layout of the journal did not have.
fn add_columns(connection: &Connection) -> Result<()> {
    if !tells_refusals(connection)? {
        let add = "ALTER TABLE domicile_changed ADD COLUMN refused TEXT";
        connection.execute_batch(add).doing(DOING)?;
    }
    Ok(())
}

/// Whether what [`install`] would put in place is in place.
pub(super) fn is_installed(
    connection: &Connection,
    installation: &Installation,
    here: &SiteName,
) -> Result<bool> {
    reading(connection, DOING, || {
        if !has_journal(connection)? || journal_mode(connection)? != "wal" {
            return Ok(false);
        }
        for (key, value) in marks(installation) {
            if mark(connection, key)?.as_deref() != Some(value.as_str()) {
                return Ok(false);
            }
        }
        let mut wanted = wanted(connection, installation, here)?;
        wanted.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(present(connection)? == wanted)
    })
}

/// Readers of a snapshot must not stop writers, nor writers them: only WAL gives that. The mode
/// is kept in the file, so every application uses it from its next connection on.
fn switch_to_wal(connection: &Connection) -> Result<()> {
    if journal_mode(connection)? == "wal" {
        return Ok(());
    }
    let sql = "PRAGMA journal_mode = WAL";
    let mode: String = connection.query_row(sql, [], |row| row.get(0)).doing(DOING)?;
    if mode.eq_ignore_ascii_case("wal") {
        tracing::info!(database = connection.path(), "switched the journal mode to WAL");
        return Ok(());
    }
    Err(Error::new(Kind::Operator, format!("the journal mode stays {mode}; WAL is needed"))
        .hint("WAL needs a file on a local disk that several processes can map"))
}

fn journal_mode(connection: &Connection) -> Result<String> {
    let mode: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).doing(DOING)?;
    Ok(mode.to_ascii_lowercase())
}

fn refuse_while_moving(connection: &Connection, closure: &Closure) -> Result<()> {
    if !has_journal(connection)? || mark(connection, "closure")? == Some(digest(closure)) {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM domicile_subject WHERE fenced = 1 AND state <> 'moved'";
    let moving: i64 = connection.query_row(sql, [], |row| row.get(0)).doing(DOING)?;
    if moving == 0 {
        return Ok(());
    }
    Err(Error::new(
        Kind::Operator,
        format!("{moving} people are moving here under other owned tables"),
    )
    .hint("let their moves end, or take them back, before the owned tables change"))
}

/// Refuses to work where nothing, or something else, is installed.
pub(super) fn require(connection: &Connection, closure: &Closure) -> Result<()> {
    let installed =
        has_journal(connection)? && mark(connection, "closure")? == Some(digest(closure));
    if installed {
        return Ok(());
    }
    Err(Error::new(Kind::Operator, "the fences here do not guard these owned tables")
        .hint("run domicile prepare"))
}

/// Whether the journal's tables are there.
pub(super) fn has_journal(connection: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema
               WHERE type = 'table' AND name IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let found: i64 = connection.query_row(sql, OUR_TABLES, |row| row.get(0)).doing(DOING)?;
    Ok(usize::try_from(found) == Ok(OUR_TABLES.len()))
}

fn marks(installation: &Installation) -> [(&'static str, String); 3] {
    let sites: Vec<&str> = installation.sites.iter().map(|site| site.as_str()).collect();
    [
        ("version", VERSION.to_owned()),
        ("closure", digest(&installation.closure)),
        ("sites", sites.join(",")),
    ]
}

fn mark(connection: &Connection, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM domicile_site WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional().doing(DOING)
}

/// Whether the fences can name this site in a refusal.
pub(super) fn knows_site(connection: &Connection, site: &str) -> Result<bool> {
    let sites = mark(connection, "sites")?.unwrap_or_default();
    Ok(sites.split(',').any(|known| known == site))
}

/// A digest of what notes and fences depend on: the owned tables, their keys, and their order.
fn digest(closure: &Closure) -> String {
    let mut hash = Sha256::new();
    for owned in &closure.owned {
        let parent =
            owned.parent.as_ref().map(|edge| (edge.table, &edge.columns, &edge.parent_columns));
        let said = (&owned.name.name, &owned.columns, &owned.generated, &owned.key, parent);
        hash.update(format!("{said:?}\n"));
    }
    for shared in &closure.shared {
        let table = &shared.table;
        let said = (&table.name.name, &table.columns, &table.key, &shared.referrers);
        hash.update(format!("{said:?}\n"));
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fences as they should be.
fn wanted(
    connection: &Connection,
    installation: &Installation,
    here: &SiteName,
) -> Result<Vec<Fence>> {
    let closure = &installation.closure;
    let mut fences = Vec::new();
    for at in 0..closure.owned.len() {
        refuse_converting(connection, closure, at)?;
        let owned = &closure.owned[at];
        let fenced = fenced(connection, &owned.name, &owned.key)?;
        fences.extend(fence::of_table(closure, at, &installation.sites, &fenced));
    }
    for (at, shared) in closure.shared_places().zip(&closure.shared) {
        let fenced = fenced(connection, &shared.table.name, &shared.table.key)?;
        fences.extend(shared::fences(closure, at, shared, &installation.sites, &fenced));
    }
    for table in &closure.reference {
        let fenced = fenced(connection, &table.name, &table.key)?;
        fences.extend(if installation.reference_site == *here {
            reference::noting(table, &fenced)
        } else {
            reference::refusing(table, &installation.reference_site)
        });
    }
    Ok(fences)
}

/// SQLite converts to compare columns of different types, and then a row belongs to somebody whose
/// name its own columns do not spell: the fences would not know whom it is about.
fn refuse_converting(connection: &Connection, closure: &Closure, at: usize) -> Result<()> {
    let owned = &closure.owned[at];
    let Some(edge) = &owned.parent else {
        return Ok(());
    };
    let sql = "SELECT name, type FROM pragma_table_xinfo(?1)";
    let types = |owned: &crate::closure::OwnedTable, names: &[String]| {
        let columns =
            list(connection, sql, [&owned.name.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok::<_, Error>(affinities(names, &columns))
    };
    let parent = &closure.owned[edge.table];
    if types(owned, &edge.columns)? == types(parent, &edge.parent_columns)? {
        return Ok(());
    }
    let (columns, parent) = (edge.columns.join(", "), &parent.name);
    Err(Error::new(
        Kind::Never,
        format!(
            "{columns} of {} and what it equals in {parent} are of different types",
            owned.name
        ),
    )
    .hint("declare both columns with the same type"))
}

fn present(connection: &Connection) -> Result<Vec<Fence>> {
    let sql = "SELECT name, sql FROM sqlite_schema
               WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1
               ORDER BY name COLLATE BINARY";
    list(connection, sql, [OUR_PREFIX], |row| Ok(Fence { name: row.get(0)?, sql: row.get(1)? }))
}

fn fenced(connection: &Connection, table: &TableName, primary: &[String]) -> Result<Fenced> {
    let name = &table.name;
    let sql = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
    let columns: Vec<(String, String)> =
        list(connection, sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if columns.is_empty() || primary.is_empty() {
        return Err(Error::new(Kind::Never, format!("table {name} is missing or has no key"))
            .hint("make the plan again"));
    }
    let key = affinities(primary, &columns);
    let mut uniques = Vec::new();
    let mut rowid_alias = true;
    for index in keys::indexes(connection, name)?.into_iter().filter(|index| index.unique) {
        rowid_alias &= index.origin != "pk";
        uniques.push(unique_key(name, index)?);
    }
    rowid_alias &= key == [Affinity::Integer];
    if rowid_alias {
        let terms = primary.iter().map(|k| (Term::Column(k.clone()), "BINARY".to_owned()));
        uniques.push(UniqueKey { terms: terms.collect(), predicate: None });
    }
    let columns = columns.into_iter().map(|(name, _)| name).collect();
    Ok(Fenced { columns, uniques, key, rowid_alias })
}

fn unique_key(table: &str, index: keys::Index) -> Result<UniqueKey> {
    let plain = index.columns.iter().all(|(name, _)| name.is_some());
    let parts = match &index.sql {
        Some(sql) => ddl::index_parts(sql),
        None => Some(ddl::IndexParts { terms: Vec::new(), predicate: None }),
    };
    let Some(parts) = parts.filter(|parts| plain || parts.terms.len() == index.columns.len())
    else {
        let message =
            format!("the definition of index {} on {table} is not understood", index.name);
        return Err(Error::new(Kind::Never, message)
            .hint("write it as CREATE UNIQUE INDEX name ON table (…) WHERE …"));
    };
    let term = |(at, (name, collation)): (usize, (Option<String>, String))| {
        let term = match name {
            Some(name) => Term::Column(name),
            None => Term::Expression(parts.terms[at].clone()),
        };
        (term, collation)
    };
    let terms = index.columns.into_iter().enumerate().map(term).collect();
    Ok(UniqueKey { terms, predicate: parts.predicate })
}

fn affinities(key: &[String], columns: &[(String, String)]) -> Vec<Affinity> {
    key.iter()
        .map(|part| {
            let found = columns.iter().find(|(name, _)| name == part);
            Affinity::of(found.map_or("", |(_, declared)| declared))
        })
        .collect()
}

/// The affinities of the key columns of each of these tables.
pub(super) fn affinities_of<'a>(
    connection: &Connection,
    tables: impl Iterator<Item = (&'a TableName, &'a [String])>,
) -> Result<Vec<Vec<Affinity>>> {
    let sql = "SELECT name, type FROM pragma_table_xinfo(?1)";
    tables
        .map(|(table, key)| {
            let columns =
                list(connection, sql, [&table.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(affinities(key, &columns))
        })
        .collect()
}

/// The affinities of each owned table's key columns.
pub(super) fn key_affinities(
    connection: &Connection,
    closure: &Closure,
) -> Result<Vec<Vec<Affinity>>> {
    let tables = closure.tables().map(|owned| (&owned.name, owned.key.as_slice()));
    affinities_of(connection, tables)
}

/// A fingerprint of the owned tables and everything that guards them. SQLite's own count of
/// schema changes is part of it, so that a fence dropped and made again does not pass unseen;
/// VACUUM raises it as well, which costs a second copy and nothing else.
pub(super) fn fingerprint(connection: &Connection, closure: &Closure) -> Result<String> {
    let doing = "reading the schema's fingerprint";
    // One pass, since decisions read it under the write lock.
    let sql = "SELECT tbl_name, type, name, coalesce(sql, '') FROM sqlite_schema
               WHERE type <> 'index' OR sql IS NULL OR sql LIKE 'CREATE UNIQUE%'
               ORDER BY tbl_name, type, name";
    let mut hash = Sha256::new();
    let version: i64 =
        connection.query_row("PRAGMA schema_version", [], |row| row.get(0)).doing(doing)?;
    hash.update(version.to_be_bytes());
    let mut statement = connection.prepare_cached(sql).doing(doing)?;
    let mut lines = statement.query([]).doing(doing)?;
    while let Some(line) = lines.next().doing(doing)? {
        let table: String = line.get(0).doing(doing)?;
        if closure.tables().any(|owned| owned.name.name == table) {
            for at in 0..4 {
                let text: String = line.get(at).doing(doing)?;
                hash.update(text.len().to_be_bytes());
                hash.update(text);
            }
        }
    }
    Ok(hex(&hash.finalize()))
}
