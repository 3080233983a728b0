//! The triggers on reference tables: those that note, and those that refuse.

use crate::closure::ReferenceTable;
use crate::error::Result;
use crate::postgres::guard::{hand_on, handed_on, outdated};
use crate::postgres::session::Session;
use crate::postgres::text::key_array;
use crate::site::Installation;
use crate::sql::literal;
use domicile_model::SiteName;
use std::fmt::Write as _;

/// Takes our triggers off every reference table before they are put on anew.
const RETIRE: &str = r#"
DO $d$ DECLARE v record; BEGIN
FOR v IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_catalog.pg_trigger t
    WHERE t.tgparentid = 0 AND t.tgname LIKE 'AA\_domicile\_reference%' LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', v.tgname, v.relation);
END LOOP; END $d$;
CREATE TABLE IF NOT EXISTS domicile.changed (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation text NOT NULL,
    key text[] NOT NULL
);
-- Why the change could not be made at some site when that was last tried.
ALTER TABLE domicile.changed ADD COLUMN IF NOT EXISTS refused text;
REVOKE ALL ON domicile.changed FROM PUBLIC;
CREATE OR REPLACE FUNCTION domicile.refuse_reference() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'DM005',
        MESSAGE = format('%I is the same at every site and written at %s only', TG_TABLE_NAME, TG_ARGV[0]),
        DETAIL = TG_ARGV[0], HINT = 'write it there; domicile carries it here';
END $f$;
GRANT EXECUTE ON FUNCTION domicile.refuse_reference() TO PUBLIC;
"#;

/// What notes changes at the writing site, and what refuses them at any other.
pub(in crate::postgres) fn script(installation: &Installation, site: &SiteName) -> String {
    let mut text = RETIRE.to_owned();
    for (at, table) in installation.closure.reference.iter().enumerate() {
        if installation.reference_site == *site {
            text.push_str(&noting(at, table));
        } else {
            text.push_str(&refusing(table, &installation.reference_site));
        }
    }
    text
}

fn row_type(at: usize) -> String {
    format!("domicile.changed_row_{at}")
}

/// What writes the notes runs with our rights and writes keys down alike, whatever the
/// application's session has set.
fn noting(at: usize, table: &ReferenceTable) -> String {
    let (name, quoted) = (table.name.sql(), literal(&table.name.sql()));
    let (old, new) = (key_array("OLD", &table.key), key_array("NEW", &table.key));
    let (note, row) = (format!("domicile.change_{at}"), row_type(at));
    let key: Vec<&String> = table.key.iter().collect();
    let mut text = handed_on(&row, &name, &key);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"
CREATE FUNCTION {note}(p_op text, old {row}, new {row}) RETURNS void {WITH_OUR_RIGHTS} AS $f$
BEGIN
    IF p_op <> 'INSERT' THEN
        INSERT INTO domicile.changed (relation, key) VALUES ({quoted}, {old});
    END IF;
    IF p_op = 'INSERT' OR (p_op = 'UPDATE' AND {new} COLLATE "C" IS DISTINCT FROM {old}) THEN
        INSERT INTO domicile.changed (relation, key) VALUES ({quoted}, {new});
    END IF;
END $f$;
GRANT EXECUTE ON FUNCTION {note}(text, {row}, {row}) TO PUBLIC;
CREATE OR REPLACE FUNCTION domicile.reference_{at}() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    {call}
    RETURN NULL;
END $f$;
CREATE OR REPLACE FUNCTION domicile.emptied_{at}() RETURNS trigger {WITH_OUR_RIGHTS} AS $f$
BEGIN
    INSERT INTO domicile.changed (relation, key) SELECT {quoted}, {every} FROM {name} AS t0;
    RETURN NULL;
END $f$;
GRANT EXECUTE ON FUNCTION domicile.reference_{at}(), domicile.emptied_{at}() TO PUBLIC;
CREATE TRIGGER "AA_domicile_reference" AFTER INSERT OR UPDATE OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION domicile.reference_{at}();
ALTER TABLE {name} ENABLE ALWAYS TRIGGER "AA_domicile_reference";
"#,
        call = hand_on(&note, &row, &key),
        every = key_array("t0", &table.key),
    );
    text.push_str(&on_truncate(&quoted, &format!("domicile.emptied_{at}()"), "ALWAYS"));
    text
}

const WITH_OUR_RIGHTS: &str =
    "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
SET extra_float_digits = 1 SET bytea_output = 'hex'";

/// Replication may bring the rows another way, and the mover does: neither fires an ordinary
/// trigger.
fn refusing(table: &ReferenceTable, writing: &SiteName) -> String {
    let (name, home) = (table.name.sql(), literal(writing.as_str()));
    let refuse = format!("domicile.refuse_reference({home})");
    let mut text = format!(
        "CREATE TRIGGER \"AA_domicile_reference\" BEFORE INSERT OR UPDATE OR DELETE ON {name}\n    \
         FOR EACH ROW EXECUTE FUNCTION {refuse};\n",
    );
    text.push_str(&on_truncate(&literal(&name), &refuse, ""));
    text
}

/// A trigger on truncation, which each partition needs for itself.
fn on_truncate(quoted: &str, function: &str, enable: &str) -> String {
    let call = literal(&format!(
        "CREATE TRIGGER \"AA_domicile_reference_truncate\" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION {function}"
    ));
    let enable = if enable.is_empty() {
        String::new()
    } else {
        format!(
            "EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE {enable} TRIGGER \"AA_domicile_reference_truncate\"', v);\n"
        )
    };
    format!(
        "DO $d$ DECLARE v regclass; BEGIN\n\
         FOR v IN SELECT {quoted}::regclass UNION SELECT p.relid FROM pg_catalog.pg_partition_tree({quoted}::regclass) p LOOP\n\
         EXECUTE pg_catalog.format({call}, v);\n{enable}END LOOP; END $d$;\n"
    )
}

/// How many reference tables and partitions of them are without one of their triggers, or have it
/// switched otherwise than [`script`] did: a partition made since has no trigger on truncation. A
/// column of a key whose type has changed counts too.
pub(in crate::postgres) async fn unwatched(
    session: &Session,
    installation: &Installation,
) -> Result<i64> {
    let names: Vec<String> =
        installation.closure.reference.iter().map(|table| table.name.sql()).collect();
    let is_other = installation.reference_site != session.site;
    let statement = "SELECT count(*) FROM pg_catalog.unnest($1::text[]) AS x(name), \
         LATERAL (SELECT pg_catalog.to_regclass(x.name) AS oid UNION \
             SELECT p.relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(x.name)) p) AS r \
         WHERE r.oid IS NULL OR 2 > (SELECT count(*) FROM pg_catalog.pg_trigger t \
             WHERE t.tgrelid = r.oid AND (t.tgenabled = 'A' OR ($2 AND t.tgenabled = 'O')) \
             AND t.tgname IN ('AA_domicile_reference', 'AA_domicile_reference_truncate'))";
    let row = session.client.query_one(statement, &[&names, &is_other]).await;
    let missing: i64 = row.map_err(|e| session.failed(e))?.get(0);
    if is_other {
        return Ok(missing);
    }
    let rows: Vec<String> = (0..names.len()).map(row_type).collect();
    Ok(missing + outdated(session, &rows, &names).await?)
}
