//! Shared rows: nobody's, and copied to wherever somebody who refers to them lives.
//!
//! A change of a shared row is noted for every moving person who refers to it. Two writers can miss
//! each other there: one who begins to refer to the row, and one who changes it and does not see
//! the uncommitted reference. They meet at one row of `domicile.met`, which both write, so that one
//! waits for the other, or is told to try again where its snapshot is too old to see what it waited
//! for.
//!
//! A copy at the target is replaced only while it is what a move brought there. Where somebody at
//! home has changed it since, two people's words stand against each other, and nothing is written.

mod rows;

use super::guard::{Guarded, Questions, key_of, owner_of, printing};
use super::text::{has_key, key_json, owner_text, path_joins, plain_key};
use crate::closure::{Closure, OwnedTable, Referrer, SharedTable};
use crate::sql::{equal, ident, literal};
use std::fmt::Write as _;

pub(super) use rows::{Putting, choose, loosen, loosen_brought, people_from, put, sweep};

/// Functions and triggers for every shared table. `mover` is a literal.
pub(super) fn script(closure: &Closure, mover: &str) -> String {
    let mut text = String::new();
    for (place, shared) in closure.shared_places().zip(&closure.shared) {
        text.push_str(&guarded(closure, place, shared).script(mover));
    }
    text.push_str(&sweeping(closure));
    text
}

/// What is done about a write to a shared table. Whoever refers to the row is found by reading; if
/// they all have left, or are yet to come, the write is refused as one about them.
fn guarded<'t>(closure: &Closure, place: usize, shared: &'t SharedTable) -> Guarded<'t> {
    let table = &shared.table;
    let body = format!(
        r#"
    IF p_op = 'INSERT' THEN
        v_key := {new_key};
    ELSE
        {meet}
    END IF;
    IF p_op = 'UPDATE' AND {new_key} IS DISTINCT FROM v_key THEN
        {meet_new}
    END IF;
    -- Who refers to it and which of them are fenced, in one statement and so at one moment: between
    -- two, somebody's rows and entry could go. NULL stands for rows that belong to nobody.
    SELECT array_agg(o.o ORDER BY o.o COLLATE "C") FILTER (WHERE s.fenced),
           coalesce(bool_or(s.fenced IS NULL), false), count(*) > 0
        INTO v_fenced, v_here, v_any
        FROM ({owners}) AS o(o) LEFT JOIN domicile.subject s ON s.subject = o.o AND s.fenced;
    -- The last who referred to it has just been erased, and the row waits to be swept.
    IF NOT v_any AND p_op <> 'INSERT' THEN
        SELECT l.home INTO v_away FROM domicile.loose l
            WHERE l.relation = {relation} AND l.key = array_to_json(v_key)::text;
        IF v_away IS NOT NULL THEN PERFORM domicile.refuse(NULL, v_away); END IF;
    END IF;
    v_away := NULL;
    FOREACH v_owner IN ARRAY coalesce(v_fenced, '{{}}') LOOP
        v_state := coalesce(domicile.note(v_owner, {place}, v_key, false), 'gone');
        IF p_op = 'UPDATE' AND v_state IN ('moving', 'closing') AND {new_key} IS DISTINCT FROM v_key THEN
            PERFORM domicile.note(v_owner, {place}, {new_key}, false);
        END IF;
        IF v_state IN ('moved', 'arriving', 'gone') THEN
            v_away := v_owner;
        ELSE
            v_here := true;
        END IF;
    END LOOP;
    IF v_away IS NOT NULL AND NOT v_here THEN
        PERFORM domicile.pass(v_away, {place}, v_key, true, false);
    END IF;"#,
        relation = literal(&table.name.sql()),
        owners = [owners(closure, shared, "OLD"), owners(closure, shared, "NEW")].join(" UNION "),
        new_key = plain_key("NEW", &table.key),
        meet = meet(table, "array_to_json(v_key)::text"),
        meet_new = meet(table, &key_json("NEW", &table.key)),
    );
    let declare = format!(
        "v_fenced text[]; v_owner text; v_state text; v_away text; v_here boolean; v_any boolean;
    v_key text[] := {};",
        plain_key("OLD", &table.key)
    );
    let referred = shared.referrers.iter().flat_map(|referrer| &referrer.parent_columns);
    let owners = shared.referrers.iter().flat_map(|referrer| owner_of(closure, referrer.owned));
    Guarded {
        at: place,
        table,
        columns: table.key.iter().chain(referred).collect(),
        questions: Questions { is_under_way: "true".to_owned(), comes_to_one_who_left: None },
        print: printing(key_of(table).chain(owners)),
        declare,
        body,
    }
}

/// The statement by which two writers meet over a shared row.
fn meet(table: &OwnedTable, key: &str) -> String {
    format!(
        "INSERT INTO domicile.met AS m (relation, key) VALUES ({}, {key}) \
         ON CONFLICT (relation, key) DO UPDATE SET times = m.times + 1;",
        literal(&table.name.sql())
    )
}

/// Everybody who refers to the row, as a query. A row that there is not, such as OLD of an INSERT,
/// is one of NULLs, and nobody refers to it.
fn owners(closure: &Closure, shared: &SharedTable, row: &str) -> String {
    let part = |referrer: &Referrer| {
        format!(
            "SELECT {} FROM {} WHERE {}",
            owner_text(closure, referrer.owned),
            path_joins(closure, referrer.owned).0,
            equal("t0", &referrer.columns, row, &referrer.parent_columns),
        )
    };
    let parts: Vec<String> = shared.referrers.iter().map(part).collect();
    parts.join(" UNION ")
}

/// What the fence of an owned table does when a row of somebody who is moving comes to refer to
/// shared rows, by itself or by rows below that come with it.
pub(super) fn meet_new(closure: &Closure, at: usize) -> String {
    let (mut own, mut below) = (String::new(), String::new());
    for shared in &closure.shared {
        for referrer in &shared.referrers {
            let Some(way) = way_down(closure, at, referrer.owned) else { continue };
            let text = meet_all(closure, &way, shared, referrer);
            if way.is_empty() { &mut own } else { &mut below }.push_str(&text);
        }
    }
    if own.is_empty() && below.is_empty() {
        return String::new();
    }
    if !below.is_empty() {
        // An older snapshot does not see all that comes along with the row.
        let stale = "IF p_op = 'UPDATE' AND current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'rows come to a person who is moving, with rows below that an older snapshot may not show',
                    HINT = 'try again at READ COMMITTED, or once the person has moved';
            END IF;";
        below = format!("IF v_below THEN {stale} {below} END IF;");
    }
    format!(
        "IF p_op <> 'DELETE' AND EXISTS (SELECT 1 FROM domicile.subject s
            WHERE s.subject = v_new AND s.state IN ('moving', 'closing')) THEN {own} {below} END IF;"
    )
}

/// The shared tables over which the fence of an owned table meets: it writes their keys down.
pub(super) fn met_at(closure: &Closure, at: usize) -> impl Iterator<Item = &OwnedTable> {
    let meets = move |shared: &&SharedTable| {
        shared.referrers.iter().any(|referrer| way_down(closure, at, referrer.owned).is_some())
    };
    closure.shared.iter().filter(meets).map(|shared| &shared.table)
}

/// The tables from below `at` down to `to`, if `to` is `at` or hangs from it.
fn way_down(closure: &Closure, at: usize, to: usize) -> Option<Vec<usize>> {
    let mut way = Vec::new();
    let mut here = to;
    while here != at {
        way.push(here);
        here = closure.owned[here].parent.as_ref()?.table;
    }
    way.reverse();
    Some(way)
}

/// Meets over every shared row that NEW refers to, or rows below it do, in ascending order.
fn meet_all(closure: &Closure, way: &[usize], shared: &SharedTable, referrer: &Referrer) -> String {
    let mut from = String::new();
    let mut on = Vec::new();
    let mut above = "NEW".to_owned();
    for (step, table) in way.iter().enumerate() {
        let owned = &closure.owned[*table];
        let Some(edge) = &owned.parent else { continue };
        let alias = format!("d{step}");
        // Writing to a String cannot fail.
        let _ = write!(from, "{} AS {alias} CROSS JOIN ", owned.name.sql());
        on.push(equal(&alias, &edge.columns, &above, &edge.parent_columns));
        above = alias;
    }
    let refers = equal("t0", &referrer.parent_columns, &above, &referrer.columns);
    let table = &shared.table;
    let mut key = key_json("t0", &table.key);
    let name = table.name.sql();
    let rows = match key_by_reference(table, referrer, &above) {
        // The row may be there and not to be seen yet; its key is known all the same.
        Some(named) => {
            let found = ident(&table.key[0]);
            key = format!("CASE WHEN t0.{found} IS NULL THEN {named} ELSE {key} END");
            let whole =
                referrer.columns.iter().map(|c| format!("{above}.{} IS NOT NULL", ident(c)));
            on.extend(whole);
            format!("{from}(SELECT 1) AS one LEFT JOIN {name} AS t0 ON {refers}")
        }
        None => {
            on.push(refers);
            format!("{from}{name} AS t0")
        }
    };
    format!(
        "INSERT INTO domicile.met AS m (relation, key) SELECT DISTINCT {relation}, {key} \
         FROM {rows} WHERE {on} ORDER BY 2 \
         ON CONFLICT (relation, key) DO UPDATE SET times = m.times + 1;",
        relation = literal(&name),
        on = on.join(" AND "),
    )
}

/// The key of the shared row that the row `alias` refers to, where it refers by the key.
fn key_by_reference(table: &OwnedTable, referrer: &Referrer, alias: &str) -> Option<String> {
    let text = |column: &String| {
        let place = referrer.parent_columns.iter().position(|named| named == column)?;
        let cast = table.type_of(column)?;
        Some(format!("{alias}.{}::{cast}::text", ident(&referrer.columns[place])))
    };
    let texts: Option<Vec<String>> = table.key.iter().map(text).collect();
    Some(format!("pg_catalog.array_to_json(ARRAY[{}])::text", texts?.join(", ")))
}

/// `domicile.sweep()` deletes the loose rows that nobody refers to any more. A row that somebody
/// holds is just being referred to, or stays loose for the next time. Each is locked first and
/// looked at again, so that whoever has just begun to refer to it is seen. So is its mark: one that
/// an open erasure holds is for that erasure to follow.
fn sweeping(closure: &Closure) -> String {
    let mut body = String::new();
    for shared in &closure.shared {
        let table = &shared.table;
        let _ = write!(
            body,
            r#"
    v_keys := ARRAY(SELECT l.key FROM domicile.loose l WHERE l.relation = {relation}
        AND NOT EXISTS (SELECT 1 FROM {name} AS t0 WHERE {has_key}) FOR UPDATE SKIP LOCKED);
    DELETE FROM domicile.loose l WHERE l.relation = {relation} AND l.key = ANY (v_keys);
    v_keys := ARRAY(SELECT l.key FROM domicile.loose l JOIN {name} AS t0 ON {has_key}
        WHERE l.relation = {relation} ORDER BY 1 FOR UPDATE OF l, t0 SKIP LOCKED);
    DELETE FROM {name} AS t0 USING unnest(v_keys) AS l(key) WHERE {has_key} AND {unreferred};
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_all := v_all + v_rows;
    DELETE FROM domicile.loose l WHERE l.relation = {relation} AND l.key = ANY (v_keys);
    DELETE FROM domicile.brought l WHERE l.relation = {relation} AND l.key = ANY (v_keys)
        AND NOT EXISTS (SELECT 1 FROM {name} AS t0 WHERE {has_key});
"#,
            relation = literal(&table.name.sql()),
            name = table.name.sql(),
            has_key = has_key("t0", table, "l.key"),
            unreferred = shared.unreferred("t0", closure),
        );
    }
    format!(
        "CREATE OR REPLACE FUNCTION domicile.sweep() RETURNS bigint\n\
         LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$\n\
         DECLARE v_keys text[]; v_rows bigint; v_all bigint := 0;\nBEGIN\n{body}    RETURN v_all;\n\
         END $f$;\nREVOKE ALL ON FUNCTION domicile.sweep() FROM PUBLIC;\n"
    )
}
