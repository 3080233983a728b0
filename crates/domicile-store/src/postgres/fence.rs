//! The fences: what is done about a write that concerns somebody who moves.
//!
//! Each owned table has a function of its own, which knows how to find a row's owner. Its triggers
//! are `AFTER ROW`, because a `BEFORE` trigger sees neither generated columns nor what later
//! triggers change; they fire in replication too; and they are named to sort before the engine's
//! own foreign-key triggers, so that somebody who left is refused by name and not by a missing
//! parent.

use super::guard::{Guarded, Questions, has_one_text, key_of, owner_of, printing};
use super::shared;
use super::text::{key_text, plain_key};
use crate::closure::Closure;
use crate::sql::{equal, ident};
use std::fmt::Write as _;

/// Functions and triggers for every owned and shared table. `mover` is a literal.
pub(super) fn script(closure: &Closure, mover: &str) -> String {
    let mut text = CLEAR.to_owned();
    for at in 0..closure.owned.len() {
        text.push_str(&owned(closure, at).script(mover));
    }
    text.push_str(&shared::script(closure, mover));
    text.push_str(RETIRE);
    text
}

/// Takes away what an earlier installation made under names of its own, and what is made anew.
const CLEAR: &str = r#"
DELETE FROM domicile.guarded;
DO $d$ DECLARE v record; BEGIN
FOR v IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_catalog.pg_trigger t
    WHERE t.tgparentid = 0 AND t.tgname IN
      ('AA_domicile_fence_insert', 'AA_domicile_fence_update', 'AA_domicile_fence_delete') LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', v.tgname, v.relation);
END LOOP;
DROP FUNCTION IF EXISTS domicile.known(text);
FOR v IN SELECT p.oid::regprocedure AS name FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'domicile'::regnamespace AND p.proname ~ '^(fence|change)_[0-9]+$' LOOP
    EXECUTE pg_catalog.format('DROP FUNCTION %s', v.name);
END LOOP;
FOR v IN SELECT t.oid::regtype AS name FROM pg_catalog.pg_type t
    WHERE t.typnamespace = 'domicile'::regnamespace AND t.typtype = 'c'
      AND t.typname ~ '^(row|changed_row)_[0-9]+$' LOOP
    EXECUTE pg_catalog.format('DROP TYPE %s', v.name);
END LOOP; END $d$;
"#;

/// Takes the fences off tables that the closure no longer has.
const RETIRE: &str = r#"
DO $d$ DECLARE v record; BEGIN
FOR v IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_catalog.pg_trigger t
    WHERE t.tgparentid = 0 AND t.tgname LIKE 'AA\_domicile\_fence%'
      AND t.tgrelid NOT IN (SELECT r FROM domicile.relations() r) LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', v.tgname, v.relation);
END LOOP; END $d$;
"#;

/// What the guard of a deep table could not ask: most rows that stay with their owner are of people
/// who are not under way.
const LEAVE_ALONE: &str = "IF (p_op = 'DELETE' OR (p_op = 'UPDATE' AND v_old = v_new)) \
    AND NOT domicile.known(v_old, v_new) THEN RETURN; END IF;";

fn owned(closure: &Closure, at: usize) -> Guarded<'_> {
    let table = &closure.owned[at];
    let (old_key, new_key) = (plain_key("OLD", &table.key), plain_key("NEW", &table.key));
    let body = format!(
        r#"
    IF p_op <> 'INSERT' THEN
        {find_old}
    END IF;
    IF p_op = 'UPDATE' AND {is_still_below} THEN
        v_new := v_old;
    ELSIF p_op <> 'DELETE' THEN
        {find_new}
    END IF;
    {hold}
    {meet}
    {leave_alone}
    IF v_old IS NOT NULL AND v_new IS NOT NULL AND v_new < v_old THEN
        PERFORM domicile.pass(v_new, {at}, {new_key}, true, v_below);
        PERFORM domicile.pass(v_old, {at}, {old_key}, false, v_below);
        RETURN;
    END IF;
    IF p_op <> 'INSERT' THEN
        PERFORM domicile.pass(v_old, {at}, {old_key}, false, v_below);
    END IF;
    IF p_op = 'INSERT' OR (p_op = 'UPDATE' AND (v_new IS DISTINCT FROM v_old OR {old_key} IS DISTINCT FROM {new_key})) THEN
        PERFORM domicile.pass(v_new, {at}, {new_key}, true, v_below);
    END IF;"#,
        find_old = find_owner(closure, at, "OLD", "v_old"),
        is_still_below = is_still_below(closure, at),
        find_new = find_owner(closure, at, "NEW", "v_new"),
        hold = hold_children(closure, at),
        meet = shared::meet_new(closure, at),
        leave_alone = if closure.is_direct(at) { "" } else { LEAVE_ALONE },
    );
    let refers = closure.shared.iter().flat_map(|shared| &shared.referrers);
    let refers = refers.filter(|referrer| referrer.owned == at).flat_map(|r| &r.columns);
    Guarded {
        at,
        table,
        columns: closure.watched_columns(at).into_iter().chain(refers).collect(),
        questions: questions(closure, at),
        print: printing(
            shared::met_at(closure, at)
                .chain([table])
                .flat_map(key_of)
                .chain(owner_of(closure, at)),
        ),
        declare: "v_old text; v_new text; v_way text[]; v_seen text[];
    v_below boolean := p_op <> 'UPDATE';"
            .to_owned(),
        body,
    }
}

/// The journal is one index look-up. A deep table finds its owner in the fence only, so there the
/// flag is all that is asked; nor is more where the session's settings decide what a key looks like.
/// Where nothing else refuses rows of people who left, the guard must know them when the flag is
/// down too.
fn questions(closure: &Closure, at: usize) -> Questions {
    let table = &closure.owned[at];
    let columns = closure.owner_columns(at);
    let remembers = !closure.is_guarded_by_keys(at);
    if !closure.is_direct(at) {
        return Questions { is_under_way: "true".to_owned(), comes_to_one_who_left: None };
    }
    if !columns.iter().all(|column| has_one_text(table, column)) {
        let comes_to_one_who_left = remembers.then(|| "true".to_owned());
        return Questions { is_under_way: "true".to_owned(), comes_to_one_who_left };
    }
    let (old, new) = (key_text("OLD", columns), key_text("NEW", columns));
    Questions {
        is_under_way: format!("domicile.known({old}, {new})"),
        comes_to_one_who_left: remembers.then(|| {
            format!(
                "{new} IS NOT NULL AND ({old} OPERATOR(pg_catalog.=) {new}) IS NOT TRUE \
                 AND domicile.has_left({new})"
            )
        }),
    }
}

/// The statement that finds the owner of `row` into `variable`. Parents are read `FOR KEY SHARE`,
/// so that they cannot be given to somebody else before this writer commits. Whoever waited for that
/// lock, because a parent was just being given, still reads the row of before: a change of owner
/// changes no key. So it looks again until it has found what it holds. A snapshot that lasts cannot
/// look again; there `FOR SHARE` fails where a parent has changed since.
///
/// While nobody is moving there is nobody to give them to whom a decision could pass by, and no lock
/// is taken.
fn find_owner(closure: &Closure, at: usize, row: &str, variable: &str) -> String {
    let path = closure.path(at);
    if path.len() == 1 {
        return format!("{variable} := {};", key_text(row, closure.owner_columns(at)));
    }
    let last = format!("t{}", path.len() - 1);
    let owner = key_text(&last, closure.owner_columns(at));
    let mut from = String::new();
    let mut tables = Vec::new();
    let mut way = vec![owner.clone()];
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
            way.push(key_text(&child, &edge.columns));
        }
        tables.push(alias);
    }
    let (way, tables) = (way.join(", "), tables.join(", "));
    let found = format!("FROM {from} WHERE {first_condition}");
    format!(
        "IF NOT EXISTS (SELECT 1 FROM domicile.subject s WHERE s.state IN ('moving', 'closing')) THEN
            SELECT {owner} INTO {variable} {found};
        ELSIF current_setting('transaction_isolation') = 'read committed' THEN
            v_way := NULL;
            LOOP
                v_seen := v_way;
                SELECT {owner}, ARRAY[{way}] INTO {variable}, v_way {found} FOR KEY SHARE OF {tables};
                EXIT WHEN v_way IS NOT DISTINCT FROM v_seen;
            END LOOP;
        ELSE
            SELECT {owner} INTO {variable} {found} FOR SHARE OF {tables};
        END IF;"
    )
}

/// Whether an update leaves the row below the parent that it had, who then owns it as before.
fn is_still_below(closure: &Closure, at: usize) -> String {
    let edge = closure.owned[at].parent.iter().filter(|_| !closure.is_direct(at));
    let same: Vec<String> = edge
        .flat_map(|edge| &edge.columns)
        .map(|column| format!("OLD.{0} = NEW.{0}", ident(column)))
        .collect();
    if same.is_empty() { "false".to_owned() } else { same.join(" AND ") }
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
        "IF p_op = 'UPDATE' AND ({}) THEN v_below := true; PERFORM 1 FROM {} AS t0 WHERE {} FOR UPDATE; END IF;",
        changed.join(" OR "),
        table.name.sql(),
        equal("t0", &table.key, "NEW", &table.key),
    )
}
