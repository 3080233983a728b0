//! What is read, compared or cleared, as temporary tables on the connection that does it.
//!
//! `domicile_batch` has people. `domicile_note_<i>` has the keys that notes name in owned table
//! `i`, and `domicile_pick_<i>` the rows chosen there. Writing them takes no lock on the database,
//! in a read transaction either; they live on disk where they are large, and a rollback empties
//! them.

use crate::closure::Closure;
use crate::error::Result;
use crate::site::{Engine, Extent, TableDigest, Touched};
use crate::sql::{equal, idents};
use crate::sqlite::catalog::Affinity;
use crate::sqlite::connection::Doing;
use crate::sqlite::rows::Cell;
use crate::sqlite::{digest, install, notes, owner, shared};
use domicile_model::Subject;
use rusqlite::{Connection, params_from_iter};
use std::sync::Arc;

const DOING: &str = "choosing rows";

/// The people chosen, with the texts of their keys.
pub(super) const BATCH: &str = "temp.domicile_batch";

/// What stands chosen on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    Nothing,
    People,
    Picked,
}

/// The rows chosen on one connection.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    closure: Arc<Closure>,
    /// In whose form rows are digested.
    form: Engine,
    affinities: Arc<Vec<Vec<Affinity>>>,
    chosen: Chosen,
}

impl Selection {
    /// Makes the temporary tables of a connection.
    pub(super) fn prepare(
        connection: &Connection,
        closure: Arc<Closure>,
        form: Engine,
    ) -> Result<Selection> {
        let affinities = Arc::new(install::key_affinities(connection, &closure)?);
        let columns = |count: usize| idents("", &owner::keys(count));
        let person = closure.root().key.len();
        let mut sql = format!(
            "CREATE TEMP TABLE domicile_batch \
             (subject TEXT PRIMARY KEY NOT NULL, {}) WITHOUT ROWID;",
            columns(person)
        );
        for (at, owned) in closure.tables().enumerate() {
            let key = columns(owned.key.len());
            sql.push_str(&format!(
                "CREATE TEMP TABLE domicile_note_{at} (subject TEXT NOT NULL, below INTEGER, {key});
                 CREATE TEMP TABLE domicile_pick_{at} (subject TEXT NOT NULL, below INTEGER, {key},
                   PRIMARY KEY ({key})) WITHOUT ROWID;"
            ));
        }
        sql.push_str(&shared::temporary_tables(&closure));
        connection.execute_batch(&sql).doing("preparing a connection")?;
        Ok(Selection { closure, form, affinities, chosen: Chosen::Nothing })
    }

    /// The closure the selection is made in.
    pub(super) fn closure(&self) -> &Arc<Closure> {
        &self.closure
    }

    /// In whose form rows, keys and digests are told.
    pub(super) fn form(&self) -> Engine {
        self.form
    }

    /// The affinities of each owned table's key columns.
    pub(super) fn affinities(&self) -> &[Vec<Affinity>] {
        &self.affinities
    }

    /// Chooses nothing.
    pub(super) fn clear(&mut self, connection: &Connection) -> Result<()> {
        let mut sql = format!("DELETE FROM {BATCH};");
        for at in 0..self.closure.places() {
            sql.push_str(&format!("DELETE FROM {};DELETE FROM {};", note(at), pick(at)));
        }
        self.chosen = Chosen::Nothing;
        connection.execute_batch(&sql).doing(DOING)
    }

    /// Chooses an extent, of the people for whom `eligible` holds, a condition on the person's
    /// name `subject`.
    pub(super) fn choose(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        eligible: &str,
    ) -> Result<()> {
        match extent {
            Extent::People(subjects) => self.choose_people(connection, subjects, eligible),
            Extent::Touched(notes) => {
                self.clear(connection)?;
                self.write_notes(connection, notes)?;
                for at in 0..self.closure.places() {
                    let drop = format!("DELETE FROM {} WHERE NOT ({eligible})", note(at));
                    connection.execute(&drop, []).doing(DOING)?;
                }
                self.pick(connection)
            }
        }
    }

    /// Chooses everything these people own.
    pub(super) fn choose_people(
        &mut self,
        connection: &Connection,
        subjects: &[Subject],
        eligible: &str,
    ) -> Result<()> {
        self.clear(connection)?;
        let columns = self.closure.root().key.len();
        let sql = insert(BATCH, columns + 1);
        let mut statement = connection.prepare_cached(&sql).doing(DOING)?;
        for subject in subjects {
            let key = owner::key_of(subject.as_str(), columns)?;
            let values = std::iter::once(subject.as_str()).chain(key.iter().map(String::as_str));
            statement.execute(params_from_iter(values)).doing(DOING)?;
        }
        let drop = format!("DELETE FROM {BATCH} WHERE NOT ({eligible})");
        connection.execute(&drop, []).doing(DOING)?;
        self.chosen = Chosen::People;
        Ok(())
    }

    fn write_notes(&self, connection: &Connection, notes: &[Touched]) -> Result<()> {
        for touched in notes {
            let affinities = self.affinities.get(touched.table).map(Vec::as_slice);
            let key = notes::values(&touched.key, affinities.unwrap_or_default())?;
            let sql = insert(&note(touched.table), key.len() + 2);
            let mut statement = connection.prepare_cached(&sql).doing(DOING)?;
            let subject = Cell::Text(touched.subject.as_str().to_owned().into());
            let below = Cell::Integer(i64::from(touched.below));
            let values = [&subject, &below].into_iter().chain(&key);
            statement.execute(params_from_iter(values)).doing(DOING)?;
        }
        Ok(())
    }

    /// Picks what the notes name as it stands now, and everything below. A row counts only while
    /// the person of the note owns it here.
    pub(super) fn pick(&mut self, connection: &Connection) -> Result<()> {
        for at in 0..self.closure.owned.len() {
            connection.execute(&format!("DELETE FROM {}", pick(at)), []).doing(DOING)?;
            let owned = &self.closure.owned[at];
            let key = owner::keys(owned.key.len());
            let sql = format!(
                "INSERT OR IGNORE INTO {} SELECT \"n\".subject, \"n\".below, {} \
                 FROM {} AS \"n\" CROSS JOIN {} AS \"t\" ON {} WHERE \"n\".subject = {} \
                 ORDER BY \"n\".below DESC",
                pick(at),
                idents("\"t\".", &owned.key),
                note(at),
                owned.name.sql(),
                equal("\"t\"", &owned.key, "\"n\"", &key),
                owner::of_row(&self.closure, at, "\"t\"")
            );
            // What comes with a row above comes with everything below, whatever its own notes say.
            self.pick_children(connection, at)?;
            connection.execute(&sql, []).doing(DOING)?;
        }
        for at in self.closure.shared_places() {
            connection.execute(&format!("DELETE FROM {}", pick(at)), []).doing(DOING)?;
            for sql in shared::picking(&self.closure, at) {
                connection.execute(&sql, []).doing(DOING)?;
            }
        }
        self.chosen = Chosen::Picked;
        Ok(())
    }

    /// Picks one row by its key, and everything below it; leaves nothing else picked.
    pub(super) fn pick_row(
        &mut self,
        connection: &Connection,
        table: usize,
        subject: &str,
        key: &[&Cell],
    ) -> Result<()> {
        let subject = Cell::Text(subject.to_owned().into());
        for at in 0..self.closure.owned.len() {
            connection.execute(&format!("DELETE FROM {}", pick(at)), []).doing(DOING)?;
            if at == table {
                let below = Cell::Integer(1);
                let values = [&subject, &below].into_iter().chain(key.iter().copied());
                let sql = insert(&pick(at), key.len() + 2);
                connection.execute(&sql, params_from_iter(values)).doing(DOING)?;
            }
            self.pick_children(connection, at)?;
        }
        self.chosen = Chosen::Picked;
        Ok(())
    }

    /// Picks the rows of a table whose parent is picked.
    fn pick_children(&self, connection: &Connection, at: usize) -> Result<()> {
        let owned = &self.closure.owned[at];
        let Some(edge) = &owned.parent else {
            return Ok(());
        };
        let parent = &self.closure.owned[edge.table];
        let sql = format!(
            "INSERT OR IGNORE INTO {} SELECT \"b\".subject, 1, {} FROM {} AS \"b\" \
             CROSS JOIN {} AS \"p\" ON {} CROSS JOIN {} AS \"t\" ON {} WHERE \"b\".below = 1",
            pick(at),
            idents("\"t\".", &owned.key),
            pick(edge.table),
            parent.name.sql(),
            equal("\"p\"", &parent.key, "\"b\"", &owner::keys(parent.key.len())),
            owned.name.sql(),
            equal("\"p\"", &edge.parent_columns, "\"t\"", &edge.columns)
        );
        connection.execute(&sql, []).doing(DOING).map(drop)
    }

    /// The chosen rows of a table, called `t`, with the person in `b.subject`; as what follows
    /// FROM. `None` when nothing is chosen.
    pub(super) fn rows(&self, at: usize) -> Option<String> {
        match (self.chosen, self.closure.shared_at(at)) {
            (Chosen::Nothing, _) => None,
            (Chosen::People, None) => Some(owner::owned_rows(&self.closure, at, BATCH)),
            (Chosen::People, Some(table)) => Some(shared::rows(&self.closure, table)),
            (Chosen::Picked, _) => Some(picked(&self.closure, at)),
        }
    }

    /// The same, each row once however many people it is chosen for, and without `b`.
    pub(super) fn rows_once(&self, at: usize) -> Option<String> {
        match (self.chosen, self.closure.shared_at(at)) {
            (Chosen::People, Some(table)) => Some(shared::rows_once(&self.closure, table)),
            _ => self.rows(at),
        }
    }

    /// Digests the chosen rows of every table.
    pub(super) fn digests(&self, connection: &Connection) -> Result<Vec<TableDigest>> {
        let mut found = Vec::new();
        for (at, owned) in self.closure.tables().enumerate() {
            let Some(rows) = self.rows(at) else {
                continue;
            };
            let (columns, types) = (&owned.columns, &owned.types);
            let row = digest::of_row(self.form, "\"t\"", columns, types, &owned.generated);
            let sum = digest::sum(connection, &format!("SELECT {row} FROM {rows}"))?;
            found.push(sum.of_table(at));
        }
        Ok(found)
    }

    /// Those of the chosen people who have no root row here; nobody where rows were picked.
    pub(super) fn vanished(&self, connection: &Connection) -> Result<Vec<Subject>> {
        let (Chosen::People, Some(rows)) = (self.chosen, self.rows(0)) else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT subject FROM {BATCH} EXCEPT SELECT \"b\".subject FROM {rows} ORDER BY 1"
        );
        let mut statement = connection.prepare_cached(&sql).doing(DOING)?;
        let names = statement.query_map([], |row| row.get::<_, String>(0)).doing(DOING)?;
        names.map(|name| name.map(Subject::new).doing(DOING)).collect()
    }

    /// Deletes the chosen rows, children first; returns how many.
    pub(super) fn delete(&self, connection: &Connection) -> Result<u64> {
        let mut deleted = 0;
        for (at, owned) in self.closure.owned.iter().enumerate().rev() {
            let Some(rows) = self.rows(at) else {
                continue;
            };
            let sql = format!(
                "DELETE FROM {} WHERE {} IN (SELECT {} FROM {rows})",
                owned.name.sql(),
                owner::key_value("", owned),
                idents("\"t\".", &owned.key)
            );
            let rows = connection.execute(&sql, []).doing("deleting rows")?;
            deleted += u64::try_from(rows).unwrap_or(u64::MAX);
        }
        Ok(deleted)
    }
}

fn note(at: usize) -> String {
    format!("temp.domicile_note_{at}")
}

/// The picked rows of a table, called `t`, with the person in `b.subject`.
pub(super) fn picked(closure: &Closure, at: usize) -> String {
    let table = closure.at(at);
    format!(
        "{} AS \"b\" CROSS JOIN {} AS \"t\" ON {}",
        pick(at),
        table.name.sql(),
        equal("\"t\"", &table.key, "\"b\"", &owner::keys(table.key.len()))
    )
}

/// The rows picked of a table.
pub(super) fn pick(at: usize) -> String {
    format!("temp.domicile_pick_{at}")
}

fn insert(table: &str, columns: usize) -> String {
    let places = vec!["?"; columns].join(", ");
    format!("INSERT OR IGNORE INTO {table} VALUES ({places})")
}
