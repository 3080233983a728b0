//! Schedules that lost an acknowledged write, or left it stale, in an earlier draft.

use crate::conformance::support::{Bed, End, people, refused, seqs_of};
use crate::schedules::{PostgresStage, await_waiters, ends_well, stage_of, world_with};
use domicile_testkit::connect;

/// Lets the decision stop in the statement that takes the locks, between its snapshot and them.
async fn stop_before_the_locks(stage: &PostgresStage) -> domicile_testkit::tokio_postgres::Client {
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let text = "select pg_get_functiondef('domicile.decide'::regproc)";
    let decide: String = superuser.query_one(text, &[]).await.unwrap().get(0);
    let (lock, stop) = ("ORDER BY s.subject FOR", "(SELECT pg_advisory_xact_lock(3)::text) = ''");
    assert!(decide.contains(lock), "{decide}");
    let stopping = decide.replace(lock, &format!("AND {stop} {lock}"));
    superuser.batch_execute(&stopping).await.unwrap();
    superuser.batch_execute("select pg_advisory_lock(3)").await.unwrap();
    superuser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_03_a_writer_commits_between_the_decisions_snapshot_and_its_locks() {
    for level in ["read committed", "repeatable read", "serializable"] {
        let stage = PostgresStage::ready().await;
        let database = stage.bed.database(End::Source);
        let default = format!(
            "alter database {} set default_transaction_isolation = '{level}'",
            database.name
        );
        stage.bed.plant(End::Source, &default).await;
        let mut lane = stage.copied(&["1"]).await;
        let mut app = stage.app(End::Source).await;
        app.run("begin; update posts set body = 'acknowledged' where id = 11").await.unwrap();
        let stop = stop_before_the_locks(&stage).await;
        let meanwhile = async {
            await_waiters(&stage, End::Source, 1).await;
            app.run("commit").await.unwrap();
            stop.batch_execute("select pg_advisory_unlock(3)").await.unwrap();
        };
        let (outcome, ()) = tokio::join!(lane.decide(), meanwhile);
        assert_eq!(outcome, ["touched"], "{level}");
        ends_well(&stage, &mut lane).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_04_the_owner_is_a_generated_column() {
    let owner = "user_id {id} generated always as (split_part(body, ' ', 1)::bigint) stored";
    let stage = stage_of(&world_with(
        (
            "user_id {id} not null references users (id), body",
            &format!("{owner} references users (id), body"),
        ),
        (
            "(id, user_id, body) values
            (11, 1, 'first'), (12, 1, ''), (21, 2, 'Bob''s'), (101, 10, null)",
            "(id, body) values (11, '1 first'), (12, '1'), (21, '2'), (101, '10')",
        ),
    ))
    .await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("insert into posts (id, body) values (13, '1 new')").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_07_a_post_given_to_her_brings_its_comments() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("update posts set user_id = 1 where id = 21").await.unwrap();
    ends_well(&stage, &mut lane).await;
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select text from comments where post_id = 21").await, ["three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_08_what_hangs_from_a_row_that_goes_does_not_stay_at_the_target() {
    let comments = "references posts (id) on delete cascade";
    let posts = "user_id {id} not null references users (id)";
    let key = format!("{posts} on update cascade deferrable initially deferred");
    let nulled = "references posts (id) on delete set null";
    let id = "post_id {id} not null";
    for (schema, statement) in [
        (
            (comments, "references posts (id) on update cascade on delete cascade"),
            "delete from posts where id = 11",
        ),
        (
            (&*format!("{id} {comments}"), &*format!("post_id {{id}} {nulled}")),
            "delete from posts where id = 11",
        ),
        ((posts, &*key), "update posts set user_id = 2 where id = 11"),
        (
            (posts, &*key),
            "begin; update users set id = 1001 where id = 1;
                 update likes set user_id = 1001 where user_id = 1; commit",
        ),
        (
            (comments, "references posts (id) on update cascade"),
            "update posts set id = 19 where id = 11",
        ),
    ] {
        let stage = stage_of(&world_with(schema, ("", ""))).await;
        let mut lane = stage.copied(&["1"]).await;
        let mut app = stage.app(End::Source).await;
        app.run(statement).await.unwrap();
        assert_eq!(lane.decide().await, ["touched"], "{statement}");
        ends_well(&stage, &mut lane).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_10_a_row_passes_between_two_people_who_move_to_one_target() {
    let stage = PostgresStage::ready().await;
    let (mut giver, mut receiver) = (stage.copied(&["2"]).await, stage.copied(&["1"]).await);
    let mut app = stage.app(End::Source).await;
    app.run("update posts set user_id = 1 where id = 21").await.unwrap();
    receiver.catch_up().await;
    giver.catch_up().await;
    let mut there = stage.app(End::Target).await;
    let posts = "select p.id, p.user_id, c.id from posts p join comments c on c.post_id = p.id
        where p.id = 21";
    assert_eq!(there.rows(posts).await, ["21|1|211"], "the giver's note is no reason to delete it");
    assert_eq!(giver.decide().await, ["decided"]);
    assert_eq!(receiver.decide().await, ["decided"]);
    let both = [stage.rows_of(End::Source, "1").await, stage.rows_of(End::Source, "2").await];
    assert_eq!(stage.rows_of(End::Target, "1").await, both[0]);
    assert_eq!(stage.rows_of(End::Target, "2").await, both[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_13_a_parent_hidden_by_row_level_security_is_an_error_and_not_silence() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let database = stage.bed.database(End::Source);
    let weak = format!("weak_{}", database.name);
    let weaken = format!(
        "create role {weak}; grant usage on schema domicile, public to {weak};
         grant all on all tables in schema domicile, public to {weak};
         grant execute on all functions in schema domicile to {weak};
         alter function domicile.fence_2 owner to {weak};
         alter table posts enable row level security"
    );
    stage.bed.plant(End::Source, &weaken).await;
    let mut app = stage.app(End::Source).await;
    let insert = "insert into comments (id, post_id, text) values (119, 11, 'unseen')";
    let refusal = refused(app.as_mut(), insert, &["42501"]).await;
    assert!(refusal.message.contains("row-level security"), "{refusal:?}");
    let restore = format!(
        "alter function domicile.fence_2 owner to domicile_mover; drop owned by {weak};
         drop role {weak}"
    );
    stage.bed.plant(End::Source, &restore).await;
    app.run(insert).await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    ends_well(&stage, &mut lane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_16_a_lower_number_is_committed_later() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (mut slow, mut quick) = (stage.app(End::Source).await, stage.app(End::Source).await);
    slow.run("begin; update posts set body = 'lower' where id = 11").await.unwrap();
    quick.run("update posts set body = 'higher' where id = 12").await.unwrap();
    assert_eq!(lane.catch_up().await, 1);
    slow.run("commit").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    assert_eq!(lane.catch_up().await, 1);
    ends_well(&stage, &mut lane).await;
    let mut there = stage.app(End::Target).await;
    let bodies = "select body from posts order by id";
    assert_eq!(there.rows(bodies).await, ["lower", "higher"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_16_a_lower_number_is_committed_after_reading_and_before_forgetting() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (mut slow, mut quick) = (stage.app(End::Source).await, stage.app(End::Source).await);
    slow.run("begin; update posts set body = 'lower' where id = 11").await.unwrap();
    quick.run("update posts set body = 'higher' where id = 12").await.unwrap();
    let read = lane.from.open_snapshot(&people(&["1"])).await.unwrap();
    lane.from.close_snapshot().await.unwrap();
    slow.run("commit").await.unwrap();
    lane.from.forget(&seqs_of(&read)).await.unwrap();
    assert_eq!(lane.decide().await, ["touched"], "what was not read stands");
}
