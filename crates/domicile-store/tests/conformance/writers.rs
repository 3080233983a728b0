//! Writers that only PostgreSQL has: isolation levels, snapshots of before, prepared transactions.

use crate::conformance::support::{
    Bed, End, Lane, Stage, look_again, pass_target, people, refused,
};
use crate::postgres_bed::PostgresBed;
use domicile_store::{Blocker, Horizon};
use domicile_testkit::connect;

type PostgresStage = Stage<PostgresBed>;

const LATE: [&str; 5] = [
    "update users set city = 'late' where id = 1",
    "update posts set body = 'late' where id = 11",
    "delete from comments where id = 111",
    "insert into likes (user_id, post_id) values (1, 101)",
    "insert into posts (id, user_id) values (13, 1)",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_read_before_the_decision_is_refused_at_each_isolation_level() {
    for (level, code) in
        [("read committed", "DM001"), ("repeatable read", "40001"), ("serializable", "40001")]
    {
        let stage = PostgresStage::ready().await;
        let mut lane = stage.copied(&["1"]).await;
        let mut writers = Vec::new();
        for sql in LATE {
            let mut app = stage.app(End::Source).await;
            app.run(&format!("begin isolation level {level}; select * from users")).await.unwrap();
            writers.push((sql, app));
        }
        assert_eq!(lane.decide().await, ["decided"], "readers do not stop a decision");
        for (sql, mut app) in writers {
            refused(app.as_mut(), sql, &[code]).await;
            app.run("rollback").await.unwrap();
            app.run(&format!("begin isolation level {level}")).await.unwrap();
            refused(app.as_mut(), sql, &["DM001"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_erasure_a_direct_writer_is_told_what_the_design_promises_at_each_isolation_level() {
    for (level, stale) in
        [("read committed", "DM001"), ("repeatable read", "40001"), ("serializable", "40001")]
    {
        let stage = PostgresStage::ready().await;
        let mut lane = stage.copied(&["1"]).await;
        let begin = format!("begin isolation level {level}");
        // One transaction that has read before the erasure, for each way of writing.
        let insert = "insert into users (id, handle) values (1, 'again')";
        let update = "update users set city = 'nowhere' where id = 1";
        let delete = "delete from likes where user_id = 1";
        lane.catch_up_and_decide().await;
        lane.settle().await;
        let mut before = Vec::new();
        for sql in [insert, update, delete] {
            let mut app = stage.app(End::Source).await;
            app.run(&format!("{begin}; select * from users")).await.unwrap();
            before.push((sql, app));
        }
        lane.erase().await;
        for (sql, mut app) in before {
            if level == "read committed" && sql != insert {
                assert_eq!(app.run(sql).await, Ok(0), "{level}: {sql}");
            } else {
                // An older snapshot still sees the rows, and is told that they changed.
                let codes = if sql == insert { vec!["DM001", stale, "23505"] } else { vec![stale] };
                refused(app.as_mut(), sql, &codes).await;
            }
        }
        let mut app = stage.app(End::Source).await;
        app.run(&begin).await.unwrap();
        assert_eq!(app.run(update).await, Ok(0), "{level}");
        assert_eq!(app.run(delete).await, Ok(0), "{level}");
        refused(app.as_mut(), insert, &["DM001"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_busy_one_of_a_batch_is_left_out() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1", "2"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("begin; update comments set text = 'open' where id = 211").await.unwrap();
    assert_eq!(lane.decide().await, ["decided", "busy"]);
    app.run("commit").await.unwrap();
    lane.leaving.subjects = people(&["2"]);
    lane.catch_up_and_decide().await;
}

/// Announces person 1 at both ends without waiting for anybody at the source.
async fn announced(stage: &PostgresStage) -> Lane {
    let mut lane = stage.lane(&["1"]).await;
    lane.from.announce(&lane.leaving).await.unwrap();
    lane.to.expect(&lane.coming).await.unwrap();
    pass_target(lane.to.as_mut()).await;
    lane.from.start_horizon().await.unwrap();
    lane
}

/// Asserts that the horizon does not pass, however often one looks.
async fn held_up(lane: &mut Lane) -> Vec<Blocker> {
    let mut held_up_by = Vec::new();
    for _ in 0..5 {
        match lane.from.look_at_horizon().await.unwrap() {
            Horizon::Passed => panic!("a writer from before is still under way"),
            Horizon::Waiting { blockers } => held_up_by = blockers,
        }
    }
    held_up_by
}

/// The horizon passes now; the copy then holds everything, and the move ends well.
async fn ends_well(stage: &PostgresStage, lane: &mut Lane) {
    let mut looks = 0;
    while lane.from.look_at_horizon().await.unwrap() != Horizon::Passed {
        look_again(&mut looks, "nobody is left, yet the horizon does not pass").await;
    }
    lane.copy().await;
    let hers = stage.rows_of(End::Source, "1").await;
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, hers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_from_before_is_waited_for_and_named() {
    let stage = PostgresStage::ready().await;
    let mut app = stage.app(End::Source).await;
    app.run("begin; insert into posts (id, user_id, body) values (13, 1, 'before')").await.unwrap();
    let mut lane = announced(&stage).await;
    let blockers = held_up(&mut lane).await;
    let process = app.rows("select pg_backend_pid()::text").await.remove(0);
    let named = |Blocker { process: number, words }: &Blocker| {
        // Who it is, how long it has been there, and what it last did.
        assert_eq!(number.map(|number| number.to_string()).as_ref(), Some(&process));
        let rest = words.strip_prefix(&format!("process {process}, "));
        let age = rest.and_then(|rest| rest.split_once(" s: "));
        age.is_some_and(|(age, query)| {
            age.parse::<u64>().is_ok() && query.starts_with("begin; insert into posts")
        })
    };
    assert!(blockers.iter().any(named), "{blockers:?}");
    app.run("commit").await.unwrap();
    ends_well(&stage, &mut lane).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select body from posts where id = 13").await, ["before"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_from_before_is_waited_for() {
    let stage = PostgresStage::ready().await;
    let mut app = stage.app(End::Source).await;
    app.run("begin isolation level repeatable read; select * from users").await.unwrap();
    let mut lane = announced(&stage).await;
    held_up(&mut lane).await;
    app.run("update posts set body = 'blind' where id = 11").await.unwrap();
    held_up(&mut lane).await;
    app.run("commit").await.unwrap();
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_01_a_snapshot_handed_on_after_the_announcement_is_waited_for() {
    let stage = PostgresStage::ready().await;
    let mut first = stage.app(End::Source).await;
    first.run("begin isolation level repeatable read").await.unwrap();
    let snapshot = first.rows("select pg_export_snapshot()").await.remove(0);
    let mut lane = announced(&stage).await;
    let mut second = stage.app(End::Source).await;
    let import = format!(
        "begin isolation level repeatable read; set transaction snapshot '{snapshot}';
         select * from users"
    );
    second.run(&import).await.unwrap();
    first.run("commit").await.unwrap();
    held_up(&mut lane).await;
    second.run("update posts set body = 'blind' where id = 11").await.unwrap();
    held_up(&mut lane).await;
    second.run("commit").await.unwrap();
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_02_a_prepared_transaction_is_waited_for() {
    let stage = PostgresStage::ready().await;
    let mut app = stage.app(End::Source).await;
    if app.rows("show max_prepared_transactions").await == ["0"] {
        return;
    }
    app.run("begin; update posts set body = 'prepared' where id = 11").await.unwrap();
    let mut lane = announced(&stage).await;
    held_up(&mut lane).await;
    let name = stage.bed.database(End::Source).name.clone();
    app.run(&format!("prepare transaction '{name}'")).await.unwrap();
    held_up(&mut lane).await;
    app.run(&format!("commit prepared '{name}'")).await.unwrap();
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_31_an_idle_transaction_without_snapshot_holds_nothing_up() {
    let stage = PostgresStage::ready().await;
    let mut reader = stage.app(End::Source).await;
    reader.run("begin; select * from users").await.unwrap();
    let mut lane = announced(&stage).await;
    let mut looks = 0;
    while lane.from.look_at_horizon().await.unwrap() != Horizon::Passed {
        look_again(&mut looks, "held up by an idle reader").await;
    }
    lane.copy().await;
    reader.run("update posts set body = 'still noted' where id = 11").await.unwrap();
    reader.run("commit").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_12_no_setting_of_the_application_opens_a_fence() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for setting in ["domicile.mover = 'on'", "domicile.flag = 'off'", "search_path = pg_temp"] {
        let _ = app.run(&format!("set {setting}")).await;
    }
    app.run("update public.users set city = 'seen' where id = 1").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    lane.catch_up().await;

    // Nor types, operators and functions of the same names that are found first.
    let lookalikes = "create schema lookalike; grant usage on schema lookalike to public;
        create function lookalike.never(text, text) returns boolean language sql as 'select false';
        create operator lookalike.= (leftarg = text, rightarg = text, function = lookalike.never);
        create operator lookalike.<> (leftarg = text, rightarg = text, function = lookalike.never);
        create domain lookalike.text as pg_catalog.text check (false);
        create domain lookalike.regclass as pg_catalog.text check (false);
        create function lookalike.pg_sequence_last_value(pg_catalog.regclass) returns bigint
            language sql as 'select null::bigint'";
    stage.bed.plant(End::Source, lookalikes).await;
    app.run("set search_path = lookalike, pg_catalog").await.unwrap();
    app.run("update public.users set city = 'seen again' where id = 1").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    lane.catch_up_and_decide().await;
    refused(app.as_mut(), "update public.users set city = 'late' where id = 1", &["DM001"]).await;
    app.run("reset search_path").await.unwrap();

    // Not even a superuser's replica role, not with the mover's setting: the fences are always on.
    let database = stage.bed.database(End::Source);
    let superuser = connect(&database.superuser_url).await.unwrap();
    let as_the_mover = "set session_replication_role = replica; set domicile.mover = 'on'";
    superuser.batch_execute(as_the_mover).await.unwrap();
    let late = superuser.batch_execute("update users set city = 'late' where id = 1").await;
    assert_eq!(late.unwrap_err().code().unwrap().code(), "DM001");

    // Nor the mover's own role, in a session that is not a mover's.
    let role = connect(&database.mover_url).await.unwrap();
    role.batch_execute("set session_replication_role = replica").await.unwrap();
    let late = role.batch_execute("update users set city = 'late' where id = 1").await;
    assert_eq!(late.unwrap_err().code().unwrap().code(), "DM001");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncating_is_no_way_around_the_fences() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    if app.run("truncate likes").await.is_ok() {
        assert_ne!(lane.decide().await, ["decided"], "the truncation was not seen");
        return;
    }
    assert_eq!(lane.decide().await, ["decided"]);
    assert!(app.run("truncate likes").await.is_err());
    assert!(app.run("truncate comments").await.is_err());
    assert_eq!(stage.rows_of(End::Source, "1").await, stage.rows_of(End::Target, "1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_upsert_and_merge_are_seen() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    for sql in [
        "insert into users (id, handle) values (1, 'x')
           on conflict (id) do update set city = 'upserted'",
        "merge into posts p using (values (11)) v (id) on p.id = v.id
           when matched then update set body = 'merged'",
        "with gone as (delete from comments where id = 111 returning id)
           insert into comments (id, post_id, text) select 119, 12, 'moved' from gone",
        "savepoint_",
    ] {
        if sql == "savepoint_" {
            app.run(
                "begin; savepoint s; delete from posts where id = 12; rollback to s;
                     update posts set body = 'kept' where id = 12; commit",
            )
            .await
            .unwrap();
        } else {
            app.run(sql).await.unwrap();
        }
        assert_eq!(lane.decide().await, ["touched"], "{sql}");
        lane.catch_up().await;
    }
    let hers = stage.rows_of(End::Source, "1").await;
    lane.catch_up_and_decide().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, hers);
}
