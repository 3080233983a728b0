//! Schedules that lost rows in an earlier draft; the numbers are those of `move-attacks.md`.

use crate::conformance::support::{
    Bed, End, WORLD, World, look_again, pass_source, pass_target, refused,
};
use crate::schedules::{PostgresStage, await_waiters, ends_well};
use domicile_store::Horizon;
use domicile_testkit::{APP_ROLE, MOVER_ROLE, connect};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_09_a_comment_under_way_on_a_post_that_is_given_to_her() {
    a_comment_is_under_way(&PostgresStage::ready().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_09_the_same_where_the_foreign_key_is_looked_at_last() {
    let schema = format!("{};{DEFERRED}", WORLD.schema).leak();
    let stage = PostgresStage::of(&World { schema, ..WORLD }).await;
    stage.carry_reference().await;
    a_comment_is_under_way(&stage).await;
}

async fn a_comment_is_under_way(stage: &PostgresStage) {
    let mut lane = stage.copied(&["1"]).await;
    let (mut a, mut b) = (stage.app(End::Source).await, stage.app(End::Source).await);
    a.run("begin; insert into comments (id, post_id, text) values (219, 21, 'open')")
        .await
        .unwrap();
    let given =
        tokio::spawn(async move { b.run("update posts set user_id = 1 where id = 21").await });
    let mut looks = 0;
    while !given.is_finished() && looks < 30 {
        look_again(&mut looks, "bounded above").await;
    }
    lane.catch_up().await;
    let early = lane.decide().await;
    a.run("commit").await.unwrap();
    match given.await.unwrap() {
        Ok(rows) => assert_eq!(rows, 1),
        Err(refusal) => assert!(early == ["decided"] && refusal.names(End::Target), "{refusal:?}"),
    }
    if early == ["decided"] {
        assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
    } else {
        ends_well(stage, &mut lane).await;
    }
}

const DEFERRED: &str = "alter table comments drop constraint comments_post_id_fkey;
    alter table comments add constraint comments_post_id_fkey foreign key (post_id)
      references posts (id) deferrable initially deferred";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_06_the_child_comes_first_under_a_deferred_key() {
    let schema = format!("{};{DEFERRED}", WORLD.schema).leak();
    let stage = PostgresStage::of(&World { schema, ..WORLD }).await;
    stage.carry_reference().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run(
        "begin; insert into comments (id, post_id, text) values (139, 13, 'first');
         insert into posts (id, user_id, body) values (13, 1, 'then'); commit",
    )
    .await
    .unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_05_another_trigger_names_the_owner() {
    let schema = format!(
        "{};
         create function zz_owner() returns trigger language plpgsql as $f$
           begin new.user_id := 1; return new; end $f$;
         create trigger zz_owner before insert on posts
           for each row when (new.body = 'for Ada') execute function zz_owner()",
        WORLD.schema
    );
    let stage = PostgresStage::of(&World { schema: schema.leak(), ..WORLD }).await;
    stage.carry_reference().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into posts (id, user_id, body) values (13, 2, 'for Ada')").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_15_withdrawn_and_announced_again_while_a_writer_waits() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, ada) = (lane.leaving.move_id, lane.leaving.subjects[0].clone());
    lane.from.close(move_id, &ada).await.unwrap();
    let mut app = stage.app(End::Source).await;
    let waiting =
        tokio::spawn(
            async move { app.run("update posts set body = 'waited' where id = 11").await },
        );
    let mut looks = 0;
    while !waiting.is_finished() && looks < 30 {
        look_again(&mut looks, "bounded above").await;
    }
    lane.from.withdraw(move_id, std::slice::from_ref(&ada)).await.unwrap();
    lane.to.abandon(move_id, std::slice::from_ref(&ada)).await.unwrap();
    let mut second = stage.lane(&["1"]).await;
    second.from.announce(&second.leaving).await.unwrap();
    drop(lane);
    assert_eq!(waiting.await.unwrap(), Ok(1));
    second.to.expect(&second.coming).await.unwrap();
    pass_source(second.from.as_mut()).await;
    pass_target(second.to.as_mut()).await;
    second.copy().await;
    ends_well(&stage, &mut second).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select body from posts where id = 11").await, ["waited"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_15_each_announcement_waits_for_its_own_writers() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let ada = lane.leaving.subjects.clone();
    lane.from.withdraw(lane.leaving.move_id, &ada).await.unwrap();
    lane.to.abandon(lane.leaving.move_id, &ada).await.unwrap();
    // Nobody notes this write: she is at home.
    let mut app = stage.app(End::Source).await;
    app.run("begin; update posts set body = 'between' where id = 11").await.unwrap();
    let again = stage.new_move();
    (lane.leaving.move_id, lane.coming.move_id) = (again, again);
    lane.from.announce(&lane.leaving).await.unwrap();
    lane.to.expect(&lane.coming).await.unwrap();
    lane.from.start_horizon().await.unwrap();
    for _ in 0..5 {
        assert_ne!(lane.from.look_at_horizon().await.unwrap(), Horizon::Passed);
    }
    app.run("commit").await.unwrap();
    pass_source(lane.from.as_mut()).await;
    pass_target(lane.to.as_mut()).await;
    lane.copy().await;
    ends_well(&stage, &mut lane).await;
}

/// Somebody waits in the fence, because a row above theirs is just being given to Ada.
async fn written_while_given(stage: PostgresStage, given: &str, statement: &'static str) {
    let mut lane = stage.copied(&["1"]).await;
    let (mut a, mut b) = (stage.app(End::Source).await, stage.app(End::Source).await);
    a.run(&format!("begin; {given}")).await.unwrap();
    b.run("begin").await.unwrap();
    let written = tokio::spawn(async move {
        b.run(statement).await.unwrap();
        b
    });
    await_waiters(&stage, End::Source, 1).await;
    a.run("commit").await.unwrap();
    let mut b = written.await.unwrap();
    lane.catch_up().await;
    assert_ne!(lane.decide().await, ["decided"], "an open write below her post");
    b.run("commit").await.unwrap();
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_waited_for_its_post_to_be_given_to_her_is_hers() {
    for late in [
        "update comments set text = 'late' where id = 211",
        "insert into comments (id, post_id, text) values (219, 21, 'late')",
    ] {
        let given = "update posts set user_id = 1 where id = 21";
        written_while_given(PostgresStage::ready().await, given, late).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_waited_for_what_is_above_it_to_be_given_to_her_is_hers() {
    let schema = "create table replies (
            id {id} primary key, comment_id {id} not null references comments (id), text text);
        create index replies_by_comment on replies (comment_id);";
    let replies = ("replies", Some((&["comment_id"][..], "comments", &["id"][..], true)));
    let owned = [WORLD.owned, &[replies]].concat();
    let world = World {
        schema: format!("{}{schema}", WORLD.schema).leak(),
        owned: owned.leak(),
        rows: format!("{};insert into replies values (2111, 211, 'old')", WORLD.rows).leak(),
        ..WORLD
    };
    for given in [
        "update posts set user_id = 1 where id = 21",
        "update comments set post_id = 11 where id = 211",
    ] {
        for late in [
            "update replies set text = 'late' where id = 2111",
            "insert into replies values (2119, 211, 'late')",
        ] {
            let stage = PostgresStage::of(&world).await;
            stage.carry_reference().await;
            written_while_given(stage, given, late).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_written_from_an_old_snapshot_on_a_post_given_to_her_is_tried_again() {
    for level in ["repeatable read", "serializable"] {
        for late in [
            "update comments set text = 'late' where id = 211",
            "insert into comments (id, post_id, text) values (219, 21, 'late')",
        ] {
            let stage = PostgresStage::ready().await;
            let mut lane = stage.copied(&["1"]).await;
            let (mut a, mut b) = (stage.app(End::Source).await, stage.app(End::Source).await);
            let begin = format!("begin isolation level {level}; select 1 from users");
            b.run(&begin).await.unwrap();
            a.run("update posts set user_id = 1 where id = 21").await.unwrap();
            lane.catch_up_and_decide().await;
            refused(b.as_mut(), late, &["40001", "DM001"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_left_comes_again_from_a_snapshot_of_before_the_erasure() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut old = stage.app(End::Source).await;
    old.run("begin isolation level repeatable read; select 1 from users").await.unwrap();
    lane.erase().await;
    stage.source.rest(std::time::Duration::from_secs(60)).await.unwrap();
    let again = "insert into users (id, handle) values (1, 'again')";
    refused(old.as_mut(), again, &["40001", "DM001"]).await;
    old.run("rollback").await.unwrap();

    stage.source.rest(std::time::Duration::from_secs(60)).await.unwrap();
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let flag = "select pg_sequence_last_value('domicile.flag'::regclass) is null";
    assert!(superuser.query_one(flag, &[]).await.unwrap().get::<_, bool>(0), "nobody is left");
    refused(old.as_mut(), again, &["DM001"]).await;
}

/// Somebody with a table of their own puts our triggers on it. A cast of a type they made runs where
/// a value is turned into text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_triggers_on_another_table_run_nothing_with_our_rights() {
    let stage = PostgresStage::ready().await;
    stage.copied(&["1"]).await;
    let lab = format!("create schema lab authorization {APP_ROLE}");
    stage.bed.plant(End::Source, &lab).await;
    let app = connect(&stage.bed.database(End::Source).app_url).await.unwrap();
    let columns = "select string_agg(distinct format('%I lab.word', column_name), ', ')
        from information_schema.columns where table_schema = 'public'";
    let columns: String = app.query_one(columns, &[]).await.unwrap().get(0);
    let table = format!(
        "create type lab.word as (text text);
        create function lab.spell(lab.word) returns text language plpgsql as
            $$ begin raise exception 'spelt by %', current_user; end $$;
        create cast (lab.word as text) with function lab.spell(lab.word);
        create table lab.rows ({columns})"
    );
    app.batch_execute(&table).await.unwrap();
    let triggers = "select oid::regproc::text from pg_proc
        where pronamespace = 'domicile'::regnamespace and prorettype = 'trigger'::regtype
        and has_function_privilege(oid, 'EXECUTE')";
    let mut spelt = Vec::new();
    for trigger in app.query(triggers, &[]).await.unwrap() {
        let trigger: String = trigger.get(0);
        let put = format!(
            "create or replace trigger ours after insert on lab.rows for each row
                execute function {trigger}()"
        );
        app.batch_execute(&put).await.unwrap();
        let row =
            "insert into lab.rows (id, user_id) values (row('1')::lab.word, row('1')::lab.word)";
        if let Err(error) = app.batch_execute(row).await {
            let message = error.as_db_error().unwrap().message().to_owned();
            assert!(!message.contains(MOVER_ROLE), "{trigger}: {message}");
            spelt.push(message);
        }
    }
    assert!(spelt.contains(&format!("spelt by {APP_ROLE}")), "{spelt:?}");
}
