//! The fences: what an owned table's triggers do with a write about somebody who moves.
//!
//! Each owned table has a function of its own, which knows how to find a row's owner, and four
//! triggers. The triggers are `AFTER ROW`, because a `BEFORE` trigger sees neither generated
//! columns nor what later triggers change; `ENABLE ALWAYS`, because replication must meet them
//! too; and named to sort before the engine's own foreign-key triggers, so that somebody who left
//! is refused by name and not by a missing parent.

use super::shared;
use super::text::{key_array, key_text};
use crate::closure::{Closure, OwnedTable};
use crate::sql::{equal, ident};
use std::fmt::Write as _;

/// Functions and triggers for every owned table. `mover` is a literal.
pub(super) fn script(closure: &Closure, mover: &str) -> String {
    let mut text = String::from("DELETE FROM domicile.guarded;\n");
    for at in 0..closure.owned.len() {
        text.push_str(&function(closure, at, mover));
        text.push_str(&triggers(closure, at, mover));
    }
    text.push_str(&shared::script(closure, mover));
    text.push_str(RETIRE);
    text
}

/// Takes the fences off tables that the closure no longer has.
const RETIRE: &str = r#"
DO $d$ DECLARE v record; BEGIN
FOR v IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_catalog.pg_trigger t
    WHERE t.tgparentid = 0 AND t.tgname LIKE 'AA\_domicile\_fence%'
      AND t.tgrelid NOT IN (SELECT r FROM domicile.relations() r) LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', v.tgname, v.relation);
END LOOP; END $d$;
"#;

/// Whether the fence of a table must know people who left even when the flag is down: nothing
/// else refuses their rows there.
fn remembers(closure: &Closure, at: usize) -> bool {
    !closure.is_guarded_by_keys(at)
}

fn function(closure: &Closure, at: usize, mover: &str) -> String {
    let table = &closure.owned[at];
    format!(
        r#"
CREATE OR REPLACE FUNCTION domicile.fence_{at}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off{print} AS $f$
DECLARE
    v_old text;
    v_new text;
    v_below boolean := TG_OP <> 'UPDATE';
BEGIN
    -- The mover's own session gets here only through a cascade or another trigger: the WHEN has
    -- looked at the depth. Here it says nothing, since what a foreign key did fires outside it.
    IF current_setting('domicile.mover', true) = 'on' AND session_user = {mover} THEN
        RAISE EXCEPTION USING ERRCODE = 'DM003', MESSAGE = format('a cascade or trigger reached %I while a person was moved', TG_TABLE_NAME);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        {find_old}
    END IF;
    IF TG_OP <> 'DELETE' THEN
        {find_new}
    END IF;
    {hold}
    {meet}
    IF v_old IS NOT NULL AND v_new IS NOT NULL AND v_new < v_old THEN
        PERFORM domicile.pass(v_new, {at}, {new_key}, true, v_below);
        PERFORM domicile.pass(v_old, {at}, {old_key}, false, v_below);
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM domicile.pass(v_old, {at}, {old_key}, false, v_below);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (v_new IS DISTINCT FROM v_old OR {old_key} IS DISTINCT FROM {new_key})) THEN
        PERFORM domicile.pass(v_new, {at}, {new_key}, true, v_below);
    END IF;
    RETURN NULL;
END $f$;
INSERT INTO domicile.guarded VALUES ({at}, {literal}::regclass);
"#,
        print = printing(shared::met_at(closure, at).chain([table])),
        find_old = find_owner(closure, at, "OLD", "v_old"),
        find_new = find_owner(closure, at, "NEW", "v_new"),
        hold = hold_children(closure, at),
        meet = shared::meet_new(closure, at),
        old_key = key_array("OLD", &table.key),
        new_key = key_array("NEW", &table.key),
        literal = crate::sql::literal(&table.name.sql()),
    )
}

/// Settings without which the application's session would decide how a key is written down.
/// Left out where the key's types have one text only: they cost a little at each call.
pub(super) fn printing<'t>(tables: impl IntoIterator<Item = &'t OwnedTable>) -> &'static str {
    const ONE_TEXT: [&str; 5] = ["smallint", "integer", "bigint", "uuid", "text"];
    let has_one_text = |table: &OwnedTable, column: &String| {
        let name = table.type_of(column).unwrap_or_default();
        ONE_TEXT.contains(&name) || name.starts_with("character")
    };
    if tables.into_iter().all(|table| table.key.iter().all(|key| has_one_text(table, key))) {
        return "";
    }
    " SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' \
     SET extra_float_digits = 1 SET bytea_output = 'hex'"
}

/// The statement that finds the owner of `row` into `variable`. Parents are read `FOR KEY SHARE`,
/// so that they cannot be given to somebody else before this writer commits. While nobody is
/// moving there is nobody to give them to whom a decision could pass by, and no lock is taken.
fn find_owner(closure: &Closure, at: usize, row: &str, variable: &str) -> String {
    let path = closure.path(at);
    if path.len() == 1 {
        return format!("{variable} := {};", key_text(row, closure.owner_columns(at)));
    }
    let last = format!("t{}", path.len() - 1);
    let owner = key_text(&last, closure.owner_columns(at));
    let mut from = String::new();
    let mut aliases = Vec::new();
    let mut first_condition = String::new();
    for (step, pair) in path.windows(2).enumerate() {
        let Some(edge) = &closure.owned[pair[0]].parent else { continue };
        let alias = format!("t{}", step + 1);
        let parent = closure.owned[pair[1]].name.sql();
        let child = if step == 0 { row.to_owned() } else { format!("t{step}") };
        let on = equal(&child, &edge.columns, &alias, &edge.parent_columns);
        // Writing to a String cannot fail.
        if step == 0 {
            let _ = write!(from, "{parent} AS {alias}");
            first_condition = on;
        } else {
            let _ = write!(from, " JOIN {parent} AS {alias} ON {on}");
        }
        aliases.push(alias);
    }
    let find = format!("SELECT {owner} INTO {variable} FROM {from} WHERE {first_condition}");
    format!(
        "IF EXISTS (SELECT 1 FROM domicile.subject s WHERE s.state IN ('moving', 'closing')) THEN
            {find} FOR KEY SHARE OF {};
        ELSE
            {find};
        END IF;",
        aliases.join(", ")
    )
}

/// A row with children that changes its key or owner is locked against those who write below it,
/// and takes what is below along.
fn hold_children(closure: &Closure, at: usize) -> String {
    if !closure.has_children(at) {
        return String::new();
    }
    let table = &closure.owned[at];
    let changed: Vec<String> = closure
        .watched_columns(at)
        .iter()
        .map(|column| format!("OLD.{0} IS DISTINCT FROM NEW.{0}", ident(column)))
        .collect();
    format!(
        "IF TG_OP = 'UPDATE' AND ({}) THEN v_below := true; PERFORM 1 FROM {} AS t0 WHERE {} FOR UPDATE; END IF;",
        changed.join(" OR "),
        table.name.sql(),
        equal("t0", &table.key, "NEW", &table.key),
    )
}

fn triggers(closure: &Closure, at: usize, mover: &str) -> String {
    triggers_on(&closure.owned[at].name.sql(), at, |operation, rows| {
        condition(closure, at, operation, rows, mover)
    })
}

/// The triggers of a table. `condition` gives the WHEN of an operation, from its rows' names.
pub(super) fn triggers_on(
    table: &str,
    at: usize,
    condition: impl Fn(&str, &[&str]) -> String,
) -> String {
    let mut text = String::new();
    for (operation, rows) in
        [("insert", &["NEW"][..]), ("update", &["OLD", "NEW"]), ("delete", &["OLD"])]
    {
        let _ = write!(
            text,
            "CREATE OR REPLACE TRIGGER \"AA_domicile_fence_{operation}\" AFTER {operation} ON {table}\n  \
             FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION domicile.fence_{at}();\n\
             ALTER TABLE {table} ENABLE ALWAYS TRIGGER \"AA_domicile_fence_{operation}\";\n",
            condition = condition(operation, rows),
        );
    }
    let _ = write!(
        text,
        "DO $d$ DECLARE v regclass; BEGIN\n\
         FOR v IN SELECT {name}::regclass UNION SELECT p.relid FROM pg_catalog.pg_partition_tree({name}::regclass) p LOOP\n\
         EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER \"AA_domicile_fence_truncate\" BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION domicile.fence_truncate()', v);\n\
         EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER \"AA_domicile_fence_truncate\"', v);\n\
         END LOOP; END $d$;\n",
        name = crate::sql::literal(table),
    );
    text
}

/// The test for the mover's own session.
fn is_mover(mover: &str) -> String {
    format!("session_user = {mover} AND pg_catalog.current_setting('domicile.mover', true) = 'on'")
}

/// The test for a write that somebody must look at; in the mover's session, for one that the mover
/// did not name.
pub(super) fn fenced(mover: &str, concerned: &str) -> String {
    format!(
        "CASE WHEN {} THEN pg_catalog.pg_trigger_depth() > 0 \
         ELSE pg_catalog.pg_sequence_last_value('domicile.flag'::regclass) IS NOT NULL AND ({concerned}) END",
        is_mover(mover)
    )
}

/// When a trigger calls its function at all. The order of the tests is the order of their cost:
/// the flag is a sequence and reads no table; the journal is one index look-up; the function is
/// called last. A deep table finds its owner in the function only, so there the flag is the test.
fn condition(closure: &Closure, at: usize, operation: &str, rows: &[&str], mover: &str) -> String {
    let is_mover = is_mover(mover);
    let columns = closure.owner_columns(at);
    let concerned = if closure.is_direct(at) {
        let known: Vec<String> =
            rows.iter().map(|row| format!("domicile.known({})", key_text(row, columns))).collect();
        known.join(" OR ")
    } else {
        "true".to_owned()
    };
    let fenced = fenced(mover, &concerned);
    if !remembers(closure, at) || operation == "delete" || !closure.is_direct(at) {
        return fenced;
    }
    let owner = key_text("NEW", columns);
    let arrives = match operation {
        "update" => format!("{} IS DISTINCT FROM {owner} AND ", key_text("OLD", columns)),
        _ => String::new(),
    };
    format!("({fenced}) OR (NOT ({is_mover}) AND {arrives}domicile.has_left({owner}))")
}
