//! Schedules in which somebody waited for too long, or for ever.

use crate::conformance::support::{App, End, Refusal, look_again, pass_source, people, refused};
use crate::schedules::{PostgresStage, await_waiters, stage_of, world_with};
use domicile_model::Subject;
use domicile_store::postgres::PostgresSite;
use domicile_store::{Announcement, Departure, Kind, Outcome, Site};
use domicile_testkit::{Direction, Proxy, connect};
use futures_util::FutureExt as _;
use std::time::Duration;

type Writing = tokio::task::JoinHandle<Result<u64, Refusal>>;

fn spawn(mut app: Box<dyn App>, sql: &'static str) -> Writing {
    tokio::spawn(async move { app.run(sql).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_27_somebody_who_is_never_free_is_closed_and_decided() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, ada) = (lane.leaving.move_id, lane.leaving.subjects[0].clone());
    let (mut one, mut other) = (stage.app(End::Source).await, stage.app(End::Source).await);
    one.run("begin; update posts set body = 'open' where id = 11").await.unwrap();
    for id in 301..305 {
        other
            .run(&format!("begin; insert into posts (id, user_id) values ({id}, 1)"))
            .await
            .unwrap();
        assert_eq!(lane.decide().await, ["busy"]);
        one.run("commit").await.unwrap();
        lane.catch_up().await;
        assert_eq!(lane.decide().await, ["busy"], "one transaction begins before another ends");
        std::mem::swap(&mut one, &mut other);
    }
    lane.from.close(move_id, &ada).await.unwrap();
    let queued = spawn(other, "update users set city = 'queued' where id = 1");
    await_waiters(&stage, End::Source, 1).await;
    // Who has written about her already goes on, and drains.
    assert_eq!(one.run("update posts set body = 'own' where id = 12").await, Ok(1));
    assert_eq!(lane.decide().await, ["busy"]);
    one.run("commit").await.unwrap();
    lane.catch_up().await;
    assert_eq!(lane.decide().await, ["decided"]);
    lane.from.reopen(move_id, &ada).await.unwrap();
    assert!(queued.await.unwrap().unwrap_err().names(End::Target));
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_28_notes_that_never_end_are_ended_by_closing() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (move_id, ada) = (lane.leaving.move_id, lane.leaving.subjects[0].clone());
    let mut app = stage.app(End::Source).await;
    let write = "update users set note = coalesce(note, '') || 'x' where id = 1";
    for _ in 0..10 {
        app.run(write).await.unwrap();
        assert_eq!(lane.decide().await, ["touched"]);
        assert_eq!(lane.catch_up().await, 1);
    }
    app.run(write).await.unwrap();
    lane.from.close(move_id, &ada).await.unwrap();
    let queued = spawn(app, write);
    await_waiters(&stage, End::Source, 1).await;
    assert_eq!(lane.catch_up().await, 1);
    assert_eq!(lane.decide().await, ["decided"]);
    lane.from.reopen(move_id, &ada).await.unwrap();
    assert!(queued.await.unwrap().unwrap_err().names(End::Target));
    lane.settle().await;
    let note = stage.app(End::Target).await.rows("select note from users where id = 1").await;
    assert_eq!(note, ["x".repeat(11)]);
}

/// Half of a round trip to a server that is far away.
const HALF: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_29_no_round_trip_is_made_while_the_lock_is_held() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let near = &stage.bed.database(End::Source).mover_url;
    let proxy = Proxy::before(near).await.unwrap();
    proxy.delay(Direction::ToServer, HALF);
    proxy.delay(Direction::ToClient, HALF);
    let url = proxy.url(near).unwrap();
    let site = PostgresSite::connect(End::Source.name().parse().unwrap(), &url).await.unwrap();
    lane.from = site.departure(stage.closure.clone()).await.unwrap();
    let decisions = lane.from.decide(lane.leaving.move_id, &people(&["1"])).await.unwrap();
    let Outcome::Decided(held) = decisions[0].outcome else { panic!("{decisions:?}") };
    assert!(held < HALF * 2, "a round trip takes {:?}, the lock was held for {held:?}", HALF * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_30_a_mover_that_freezes_under_its_locks_is_ended() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let holder = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    holder.batch_execute("begin; lock table domicile.gone in share mode").await.unwrap();
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    let mut erasing = Box::pin(lane.from.erase(move_id, &who, 1_000));
    tokio::select! {
        erased = &mut erasing => panic!("the tombstones are kept: {erased:?}"),
        () = await_waiters(&stage, End::Source, 1) => {}
    }
    // From here on the mover does nothing, and its transaction holds what it has deleted.
    holder.batch_execute("rollback").await.unwrap();
    let frozen = "select 1 from pg_stat_activity where datname = current_database()
        and state = 'idle in transaction' and query like '%INSERT INTO domicile.gone%'";
    let mut looks = 0;
    while holder.query(frozen, &[]).await.unwrap().is_empty() {
        look_again(&mut looks, "the mover never freezes").await;
    }
    let late =
        spawn(stage.app(End::Source).await, "update comments set text = 'late' where id = 111");
    // Sooner than a mover that is not frozen whole gives an unanswered call up by itself.
    let late = tokio::time::timeout(Duration::from_secs(8), late).await.expect("it waits on");
    assert!(late.unwrap().unwrap_err().names(End::Target));
    drop(erasing);
    lane.from = stage.source.departure(stage.closure.clone()).await.unwrap();
    assert_eq!(lane.erase().await, 7);
}

/// Held rows stay with what is above them, however rows are found and deleted there.
async fn locks_from_the_top_down(schema: (&str, &str), table: &str, id: u32, rows: u64) {
    let stage = stage_of(&world_with(schema, ("", ""))).await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let mut app = stage.app(End::Source).await;
    let hold = format!("begin; select 1 from {table} where id = {id} for update");
    app.run(&hold).await.unwrap();
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    for rows in [rows, 0] {
        let erasing = lane.from.erase(move_id, &who, 1_000);
        let erased = tokio::time::timeout(Duration::from_secs(20), erasing).await;
        let erased = erased.expect("it waits").unwrap();
        assert_eq!((erased.rows, erased.finished), (rows, false), "{schema:?}, {table}");
    }
    // What is locked next stands or is gone, and nobody waits for anybody.
    let next = app.run("select 1 from comments where id = 112 for update");
    let next = tokio::time::timeout(Duration::from_secs(20), next).await.expect("it waits");
    next.unwrap();
    app.run("select 1 from users where id = 1 for update; commit").await.unwrap();
    assert_eq!(rows + lane.erase().await, 7, "{schema:?}, {table}");
    assert_eq!(stage.rows_of(End::Source, "1").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_locks_from_the_top_down_meets_no_deadlock() {
    let indexed =
        ("create index posts_by_user on posts (user_id);", "create index p on posts (user_id);");
    locks_from_the_top_down(indexed, "posts", 11, 5).await;
    locks_from_the_top_down(indexed, "comments", 111, 3).await;
    let without = ("create index posts_by_user on posts (user_id);", "");
    locks_from_the_top_down(without, "posts", 11, 5).await;
    locks_from_the_top_down(without, "comments", 111, 3).await;
    let whole = "references users (id), body text);";
    let parts = "references users (id), body text) partition by range (id);
        create table posts_all partition of posts default;";
    locks_from_the_top_down((whole, parts), "posts", 11, 5).await;
}

/// Long enough for anything that waits for nobody.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Somebody at the target holds a post that has arrived and goes on to a comment below it, while
/// the post is shipped again, or taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_arrived_is_not_waited_for_when_somebody_holds_it() {
    let both = "update posts set body = 'x' where id = 11; \
                update comments set text = 'x' where id = 111";
    let with_what_is_below = "delete from posts where id = 11";
    for write in [Some(both), Some(with_what_is_below), None] {
        let stage = PostgresStage::ready().await;
        let mut lane = stage.copied(&["1"]).await;
        let mut holder = stage.app(End::Target).await;
        let hold = "begin; select 1 from posts where id = 11 for update";
        let go_on = "select 1 from comments where id = 111 for update; commit";
        holder.run(hold).await.unwrap();
        let shipped = if let Some(write) = write {
            stage.app(End::Source).await.run(write).await.unwrap();
            let shipping = lane.try_to_catch_up();
            tokio::time::timeout(AT_ONCE, shipping).await.expect("it waits").map(drop)
        } else {
            tokio::time::timeout(AT_ONCE, lane.try_to_copy()).await.expect("it waits")
        };
        assert_eq!(shipped.unwrap_err().kind(), Kind::RetryNow, "{write:?}");
        holder.run(go_on).await.unwrap();
        if write.is_none() {
            lane.copy().await;
        }
        holder.run(hold).await.unwrap();
        let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
        lane.from.withdraw(move_id, &who).await.unwrap();
        let taken_back = tokio::time::timeout(AT_ONCE, lane.to.abandon(move_id, &who)).await;
        let taken_back = taken_back.expect("it waits");
        assert_eq!(taken_back.unwrap_err().kind(), Kind::RetryNow);
        holder.run(go_on).await.unwrap();
        lane.to.abandon(move_id, &who).await.unwrap();
        assert_eq!(stage.rows_of(End::Target, "1").await, Vec::<String>::new());
    }
}

/// Somebody who locks whole tables, the children first, meets nobody in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_keeps_is_waited_for_with_nothing_held() {
    const KEEP: &str = "begin; lock table comments in share mode";
    const KEEP_ON: &str = "set local lock_timeout = '200ms'; lock table posts in share mode;
        lock table users in share mode; commit";
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (mut here, mut there) = (stage.app(End::Source).await, stage.app(End::Target).await);
    here.run("update users set city = 'x' where id = 1").await.unwrap();
    there.run(KEEP).await.unwrap();
    let mut shipping = Box::pin(lane.try_to_catch_up());
    tokio::select! {
        shipped = &mut shipping => panic!("the comments are kept: {shipped:?}"),
        () = await_waiters(&stage, End::Target, 1) => {}
    }
    there.run(KEEP_ON).await.unwrap();
    // What the snapshot showed may be old by now.
    assert_eq!(shipping.await.unwrap_err().kind(), Kind::RetryNow);
    lane.catch_up_and_decide().await;
    lane.settle().await;
    here.run(KEEP).await.unwrap();
    let mut erasing = Box::pin(lane.erase());
    tokio::select! {
        rows = &mut erasing => panic!("the comments are kept: {rows}"),
        () = await_waiters(&stage, End::Source, 1) => {}
    }
    here.run(KEEP_ON).await.unwrap();
    assert_eq!(erasing.await, 7);
}

/// What cannot be locked leaves no transaction behind in which everything else fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_does_not_find_a_table_goes_on_when_it_is_there_again() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    superuser.batch_execute("alter table likes rename to aside").await.unwrap();
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    lane.from.erase(move_id, &who, 1_000).await.unwrap_err();
    superuser.batch_execute("alter table aside rename to likes").await.unwrap();
    assert_eq!(lane.erase().await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_30_a_mover_that_freezes_after_asking_holds_no_lock() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    let mut deciding = Box::pin(lane.from.decide(move_id, &who));
    // Asked, and the answer never read.
    assert!((&mut deciding).now_or_never().is_none());
    let mut looks = 0;
    while stage.states("1").await[0] != Some(domicile_model::State::Moved) {
        look_again(&mut looks, "never decided").await;
    }
    let mut app = stage.app(End::Source).await;
    refused(app.as_mut(), "update users set city = 'late' where id = 1", &["DM001"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_31_a_vacuum_of_before_is_not_waited_for() {
    let stage = PostgresStage::ready().await;
    let mut app = stage.app(End::Source).await;
    let many =
        "insert into posts select n, 10, repeat('x', 1000) from generate_series(1001, 1999) n";
    app.run(many).await.unwrap();
    app.run("set vacuum_cost_delay = 100").await.unwrap();
    app.run("set vacuum_cost_limit = 1").await.unwrap();
    let vacuum = spawn(app, "vacuum posts");
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let cancel = "select pg_cancel_backend(v.pid) from pg_stat_progress_vacuum v
        join pg_stat_activity a on a.pid = v.pid where v.datname = current_database()
        and a.backend_type = 'client backend'";
    let running = cancel.replace("pg_cancel_backend(v.pid)", "v.pid");
    let mut looks = 0;
    while superuser.query(&running, &[]).await.unwrap().is_empty() {
        look_again(&mut looks, "the vacuum never begins").await;
    }
    let mut lane = stage.lane(&["1"]).await;
    lane.from.announce(&lane.leaving).await.unwrap();
    pass_source(lane.from.as_mut()).await;
    assert_eq!(superuser.query(cancel, &[]).await.unwrap().len(), 1, "it went on all the time");
    assert_eq!(vacuum.await.unwrap().unwrap_err().code, "57014");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_32_bulk_statements_meet_a_person_only_between_two_homes() {
    const ALL: &str = "update users set note = 'all'";
    let stage = PostgresStage::ready().await;
    let (mut here, mut there) = (stage.app(End::Source).await, stage.app(End::Target).await);
    there.run("insert into users (id, handle) values (50, 'Res')").await.unwrap();
    let mut lane = stage.lane(&["1"]).await;
    lane.announce().await;
    assert_eq!(there.run(ALL).await, Ok(1), "nobody has arrived yet");
    lane.copy().await;
    refused(there.as_mut(), ALL, &["DM002"]).await;
    assert_eq!(here.run(ALL).await, Ok(3), "noted and shipped");
    lane.catch_up_and_decide().await;
    refused(here.as_mut(), ALL, &["DM001"]).await;
    // A person who stays deletes her post although Ada's like of it still stands here.
    let hers = "delete from comments where post_id = 21; delete from posts where id = 21";
    assert_eq!(here.run(hers).await, Ok(1));
    lane.settle().await;
    assert_eq!(there.run(ALL).await, Ok(2));
    lane.erase().await;
    assert_eq!(here.run(ALL).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_34_two_announcers_in_opposite_orders_make_no_deadlock() {
    let stage = PostgresStage::ready().await;
    let mut early = stage.lane(&["1", "10", "2"]).await;
    early.from.announce(&early.leaving).await.unwrap();
    early.from.withdraw(early.leaving.move_id, &early.leaving.subjects).await.unwrap();
    let holder = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    holder
        .batch_execute("begin; select 1 from domicile.subject where subject = '10' for update")
        .await
        .unwrap();
    let mut lanes = Vec::new();
    for order in [["1", "10", "2"], ["2", "10", "1"]] {
        let mut lane = stage.lane(&order).await;
        lane.leaving.subjects = order.map(Subject::new).to_vec();
        lanes.push(lane);
    }
    let [first, second] = &mut lanes[..] else { panic!() };
    let announce = async |from: &mut dyn Departure, who: &Announcement| from.announce(who).await;
    let meanwhile = async {
        await_waiters(&stage, End::Source, 2).await;
        holder.batch_execute("commit").await.unwrap();
    };
    let (one, other, ()) = tokio::join!(
        announce(first.from.as_mut(), &first.leaving),
        announce(second.from.as_mut(), &second.leaving),
        meanwhile
    );
    let mut announced = [one.unwrap(), other.unwrap()];
    announced.sort();
    assert_eq!(announced, [vec![], people(&["1", "10", "2"])], "one of them has everybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_35_a_move_changes_no_trigger_and_waits_for_no_table() {
    let stage = PostgresStage::ready().await;
    let superuser = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    let all = "select string_agg(concat_ws(':', oid, xmin, tgenabled, tgname), ' ' order by oid)
        from pg_trigger";
    let before: String = superuser.query_one(all, &[]).await.unwrap().get(0);
    let mut writer = stage.app(End::Source).await;
    writer.run("begin; update posts set body = 'long' where id = 21").await.unwrap();
    let mut lane = stage.lane(&["1"]).await;
    lane.from.announce(&lane.leaving).await.unwrap();
    let mut app = stage.app(End::Source).await;
    app.run("set lock_timeout = '5s'").await.unwrap();
    assert_eq!(app.run("update posts set body = 'unrelated' where id = 101").await, Ok(1));
    writer.run("commit").await.unwrap();
    lane.announce().await;
    lane.copy().await;
    assert_eq!(lane.decide().await, ["decided"]);
    lane.settle().await;
    lane.erase().await;
    stage.source.rest(Duration::ZERO).await.unwrap();
    let after: String = superuser.query_one(all, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
}
