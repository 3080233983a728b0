//! What stands before a fence: the triggers, and a guard that asks whether anybody must look.
//!
//! A WHEN clause is parsed and prepared anew by every statement, which costs an update more than
//! calling a small function does (`cargo xtask bench fence`). So the application's sessions have a
//! trigger without one, whose guard runs with their own rights and settings and asks the cheapest
//! questions first; the fence, which runs with ours, is called for people who are under way.
//!
//! The mover's sessions have their ordinary triggers set aside and never meet that one. They and
//! replication meet two others, which fire nowhere else and whose WHEN is read once for many rows.

use super::session::Session;
use crate::closure::{Closure, OwnedTable};
use crate::error::Result;
use crate::sql::{ident, literal};

/// A table with a fence.
pub(super) struct Guarded<'t> {
    /// Its place in the closure.
    pub(super) at: usize,
    /// The table.
    pub(super) table: &'t OwnedTable,
    /// The columns that the fence reads of a row, in any order.
    pub(super) columns: Vec<&'t String>,
    /// When the fence is called.
    pub(super) questions: Questions,
    /// Settings of the fence, from [`printing`].
    pub(super) print: &'static str,
    /// What the fence declares.
    pub(super) declare: String,
    /// What the fence does. `p_op` is the operation; OLD and NEW have the columns, all NULL where
    /// there is no such row.
    pub(super) body: String,
}

/// What a guard asks before it calls the fence. Everything is named with its schema, operators
/// too: the application's session decides where other names are looked for.
pub(super) struct Questions {
    /// Whether OLD's or NEW's owner is under way, asked while anybody is.
    pub(super) is_under_way: String,
    /// Whether NEW comes to somebody who left, asked always.
    pub(super) comes_to_one_who_left: Option<String>,
}

/// The triggers that [`Guarded::script`] makes, and when they fire.
pub(super) const TRIGGERS: &str = "('AA_domicile_fence', 'O'), ('AA_domicile_fence_mover', 'R'), \
    ('AA_domicile_fence_replica', 'R'), ('AA_domicile_fence_truncate', 'A')";

impl Guarded<'_> {
    /// The fence, its guard and the triggers. `mover` is a literal.
    pub(super) fn script(mut self, mover: &str) -> String {
        self.columns.sort();
        self.columns.dedup();
        let row = handed_on(&self.row(), &self.table.name.sql(), &self.columns);
        [row, self.fence(), self.guard(), self.triggers(mover)].concat()
    }

    /// The type of what the guard hands on of a row.
    fn row(&self) -> String {
        row_type(self.at)
    }

    /// Whoever writes calls it, also where functions are not public by default.
    fn fence(&self) -> String {
        format!(
            r#"
CREATE FUNCTION domicile.fence_{at}(p_op text, old {row}, new {row}) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off{print} AS $f$
DECLARE
    {declare}
BEGIN
    {body}
END $f$;
GRANT EXECUTE ON FUNCTION domicile.fence_{at}(text, {row}, {row}) TO PUBLIC;
INSERT INTO domicile.guarded VALUES ({at}, {relation}::regclass);
"#,
            at = self.at,
            row = self.row(),
            print = self.print,
            declare = self.declare,
            body = self.body,
            relation = literal(&self.table.name.sql()),
        )
    }

    /// Whoever makes a partition must be allowed to call it.
    ///
    /// The questions stand apart: one that is not asked is not prepared either, so that a renamed
    /// column is nothing to a session that writes while nobody moves.
    fn guard(&self) -> String {
        let Questions { is_under_way, comes_to_one_who_left } = &self.questions;
        let arrives = match comes_to_one_who_left {
            Some(question) => format!("\n        OR ({question})"),
            None => String::new(),
        };
        format!(
            r#"
CREATE OR REPLACE FUNCTION domicile.guard_{at}() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    IF pg_catalog.pg_sequence_last_value('domicile.flag'::pg_catalog.regclass) IS NOT NULL{arrives} THEN
        IF {is_under_way}{arrives} THEN
            {call}
        END IF;
    END IF;
    RETURN NULL;
END $f$;
GRANT EXECUTE ON FUNCTION domicile.guard_{at}() TO PUBLIC;
"#,
            at = self.at,
            call = hand_on(&format!("domicile.fence_{}", self.at), &self.row(), &self.columns),
        )
    }

    fn triggers(&self, mover: &str) -> String {
        let (at, table) = (self.at, self.table.name.sql());
        let is_mover = format!(
            "session_user = {mover} AND pg_catalog.current_setting('domicile.mover', true) = 'on'"
        );
        format!(
            r#"
CREATE OR REPLACE TRIGGER "AA_domicile_fence" AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION domicile.guard_{at}();
CREATE OR REPLACE TRIGGER "AA_domicile_fence_mover" AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW WHEN (pg_catalog.pg_trigger_depth() > 0 AND {is_mover}) EXECUTE FUNCTION domicile.destroyed();
CREATE OR REPLACE TRIGGER "AA_domicile_fence_replica" AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW WHEN (({is_mover}) IS NOT TRUE) EXECUTE FUNCTION domicile.guard_{at}();
ALTER TABLE {table} ENABLE TRIGGER "AA_domicile_fence", ENABLE REPLICA TRIGGER "AA_domicile_fence_mover",
    ENABLE REPLICA TRIGGER "AA_domicile_fence_replica";
DO $d$ DECLARE v regclass; BEGIN
FOR v IN SELECT {name}::regclass UNION SELECT p.relid FROM pg_catalog.pg_partition_tree({name}::regclass) p LOOP
EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER "AA_domicile_fence_truncate" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION domicile.fence_truncate()', v);
EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "AA_domicile_fence_truncate"', v);
END LOOP; END $d$;
"#,
            name = literal(&table),
        )
    }
}

/// The type of what the guard of the table at this place hands on of a row.
pub(super) fn row_type(at: usize) -> String {
    format!("domicile.row_{at}")
}

/// Makes the type `row` of some columns of a table. A function that runs with our rights takes no
/// row as it comes, since casts of a type that somebody else made would run with our rights too.
pub(super) fn handed_on(row: &str, table: &str, columns: &[&String]) -> String {
    let names: Vec<String> = columns.iter().map(|column| literal(column)).collect();
    format!(
        r#"
DO $d$ BEGIN EXECUTE (SELECT pg_catalog.format('CREATE TYPE {row} AS (%s)', pg_catalog.string_agg(
        pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, -1))
            || CASE WHEN a.attcollation = 0 THEN '' ELSE ' COLLATE ' || a.attcollation::regcollation END,
        ', ' ORDER BY pg_catalog.array_position(c.names, a.attname::text)))
    FROM (SELECT ARRAY[{names}]) AS c(names) JOIN pg_catalog.pg_attribute a ON a.attname = ANY (c.names)
    WHERE a.attrelid = {relation}::regclass);
END $d$;
REVOKE USAGE ON TYPE {row} FROM PUBLIC;
"#,
        names = names.join(", "),
        relation = literal(table),
    )
}

/// How many columns of such types are not of the table's column's type any more. `rows` and `tables`
/// are names, each beside the other.
pub(super) async fn outdated(session: &Session, rows: &[String], tables: &[String]) -> Result<i64> {
    let statement = "SELECT count(*) FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS x(row_type, relation) \
         LEFT JOIN pg_catalog.pg_type t ON t.oid = pg_catalog.to_regtype(x.row_type) \
         LEFT JOIN pg_catalog.pg_attribute r ON r.attrelid = t.typrelid AND r.attnum > 0 \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass(x.relation) \
             AND a.attname = r.attname AND a.attnum > 0 AND NOT a.attisdropped \
         WHERE (a.atttypid, a.attcollation) IS DISTINCT FROM (r.atttypid, r.attcollation) \
             OR r.attnum IS NULL";
    let row = session.client.query_one(statement, &[&rows, &tables]).await;
    row.map(|row| row.get(0)).map_err(|e| session.failed(e))
}

/// The statement by which a trigger calls that function with its rows.
pub(super) fn hand_on(function: &str, row: &str, columns: &[&String]) -> String {
    let of = |name: &str| {
        let columns: Vec<String> =
            columns.iter().map(|column| format!("{name}.{}", ident(column))).collect();
        format!("ROW({})::{row}", columns.join(", "))
    };
    format!("PERFORM {function}(TG_OP, {}, {});", of("OLD"), of("NEW"))
}

/// Whether every session writes a value of this type down alike.
pub(super) fn has_one_text(table: &OwnedTable, column: &str) -> bool {
    const ONE_TEXT: [&str; 5] = ["smallint", "integer", "bigint", "uuid", "text"];
    let name = table.type_of(column).unwrap_or_default();
    ONE_TEXT.contains(&name) || name.starts_with("character")
}

/// A column, and the table it is of.
pub(super) type Column<'t> = (&'t OwnedTable, &'t String);

/// The columns of a table's key.
pub(super) fn key_of(table: &OwnedTable) -> impl Iterator<Item = Column<'_>> {
    table.key.iter().map(move |column| (table, column))
}

/// The columns that name the owner of a table's rows, in the table itself or in one above it.
pub(super) fn owner_of(closure: &Closure, at: usize) -> impl Iterator<Item = Column<'_>> {
    let last = closure.path(at).last().copied().unwrap_or(at);
    closure.owner_columns(at).iter().map(move |column| (&closure.owned[last], column))
}

/// Settings without which the application's session would decide how what a fence writes down
/// looks. Left out where the types have one text only: they cost a little at each call.
pub(super) fn printing<'t>(mut written: impl Iterator<Item = Column<'t>>) -> &'static str {
    if written.all(|(table, column)| has_one_text(table, column)) {
        return "";
    }
    " SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' \
     SET extra_float_digits = 1 SET bytea_output = 'hex'"
}
