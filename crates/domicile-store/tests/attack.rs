//! Schedules tried on the finished store: what an innocent application, an administrator, or a
//! role with exactly the documented rights meets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]

#[expect(dead_code, unused_imports, reason = "this suite uses a part of the support")]
mod conformance {
    pub(crate) mod support;
}
#[path = "conformance/postgres_bed.rs"]
mod postgres_bed;

use conformance::support::{Bed, End, Stage, WORLD, World, look_again, people, ship};
use domicile_store::Extent;
use domicile_testkit::connect;
use postgres_bed::PostgresBed;

type PostgresStage = Stage<PostgresBed>;

/// Somebody changes a comment they hold while somebody else deletes the post above it: without
/// fences the deleter waits and both are done.
async fn a_comment_changes_while_its_post_is_deleted(stage: &PostgresStage) {
    let (mut writer, mut deleter) = (stage.app(End::Source).await, stage.app(End::Source).await);
    writer.run("begin; select 1 from comments where id = 211 for update").await.unwrap();
    let deleted = tokio::spawn(async move { deleter.run("delete from posts where id = 21").await });
    let mut watch = stage.app(End::Source).await;
    let waiting = "select 1 from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock'";
    let mut looks = 0;
    while watch.rows(waiting).await.is_empty() {
        look_again(&mut looks, "the deleter waits for the comment").await;
    }
    assert_eq!(writer.run("update comments set text = 'x' where id = 211").await, Ok(1));
    writer.run("commit").await.unwrap();
    assert_eq!(deleted.await.unwrap(), Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_moves_a_comment_changes_while_its_post_is_deleted() {
    let stage = PostgresStage::ready().await;
    a_comment_changes_while_its_post_is_deleted(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_somebody_waits_to_be_erased_the_fences_make_no_deadlock() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.decided(&["10"]).await;
    lane.settle().await;
    a_comment_changes_while_its_post_is_deleted(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferrable_unique_constraint_is_named_since_nothing_would_check_it() {
    let stage = PostgresStage::bare(&WORLD).await;
    let mut app = stage.app(End::Source).await;
    app.run("alter table users add constraint later unique (note) deferrable").await.unwrap();
    let catalog = stage.source.catalog().await.unwrap();
    let told = &catalog.find("users").unwrap().obstacles;
    assert!(told.iter().any(|text| text.contains("later is deferrable")), "{told:?}");
    // Why: two equal values stand where the mover's sessions write.
    let mover = connect(&stage.bed.database(End::Source).superuser_url).await.unwrap();
    mover.batch_execute("set session_replication_role = replica").await.unwrap();
    let twice = "update users set note = 'same'";
    assert_eq!(mover.execute(twice, &[]).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_past_a_fence_that_was_off_for_a_while_stops_the_decision() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut owner = stage.app(End::Source).await;
    owner
        .run(
            "alter table posts disable trigger user;
             update posts set body = 'past the fence' where id = 11;
             alter table posts enable trigger \"AA_domicile_fence\";
             alter table posts enable replica trigger \"AA_domicile_fence_mover\";
             alter table posts enable replica trigger \"AA_domicile_fence_replica\";
             alter table posts enable always trigger \"AA_domicile_fence_truncate\"",
        )
        .await
        .unwrap();
    assert_ne!(lane.decide().await, ["decided"], "the copy lacks an acknowledged write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_outlives_the_databases_patience_with_idle_sessions() {
    let stage = PostgresStage::bare(&WORLD).await;
    let database = stage.bed.database(End::Source);
    // Connected before the setting, so that this session is not ended.
    let superuser = connect(&database.superuser_url).await.unwrap();
    let impatient = format!("alter database {} set idle_session_timeout = '20ms'", database.name);
    stage.bed.plant(End::Source, &impatient).await;
    let claim = stage.source.claim().await.unwrap();
    // One session of the mover's own sits idle; it must not be ended under us.
    let held = "select count(*) from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())";
    let mut looks = 0;
    while looks < 60 {
        look_again(&mut looks, "the sixty looks are over").await;
        let count: i64 = superuser.query_one(held, &[]).await.unwrap().get(0);
        assert_eq!(count, 1, "the claim is gone while its holder still moves people");
    }
    drop(claim);
}

/// A like is its giver's and has a foreign key to a post; no like crosses people yet.
fn likes_with_a_key() -> World {
    let schema = WORLD.schema.replace(
        "post_id {id} not null, primary key (user_id, post_id));",
        "post_id {id} not null references posts (id), primary key (user_id, post_id));",
    );
    assert_ne!(schema, WORLD.schema);
    let rows = WORLD.rows.replace("(1, 21), (2, 11), (10, 11)", "(1, 11)");
    World { schema: schema.leak(), rows: rows.leak(), ..WORLD }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_an_arrival_back_leaves_no_dangling_key_at_the_target() {
    let stage = PostgresStage::of(&likes_with_a_key()).await;
    stage.carry_reference().await;
    stage.carry(End::Source, &["2"]).await;
    let mut lane = stage.copied(&["1"]).await;
    // Bob, at home at the target, likes a post that is arriving there.
    let mut app = stage.app(End::Target).await;
    let liked = app.run("insert into likes values (2, 11)").await;
    let who = people(&["1"]);
    lane.from.withdraw(lane.leaving.move_id, &who).await.unwrap();
    let abandoned = lane.to.abandon(lane.leaving.move_id, &who).await;
    let dangling =
        "select l.* from likes l where not exists (select 1 from posts p where p.id = l.post_id)";
    assert_eq!(app.rows(dangling).await, Vec::<String>::new(), "{liked:?} {abandoned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_caught_up_leaves_no_dangling_key_at_the_target() {
    let stage = PostgresStage::of(&likes_with_a_key()).await;
    stage.carry_reference().await;
    stage.carry(End::Source, &["2"]).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut there = stage.app(End::Target).await;
    let liked = there.run("insert into likes values (2, 11)").await;
    let mut here = stage.app(End::Source).await;
    here.run("delete from likes where post_id = 11; delete from posts where id = 11")
        .await
        .unwrap();
    // What the driver does, up to the check that keeps it from committing.
    lane.to.mark().await.unwrap();
    let extent = Extent::Touched(lane.from.open_snapshot(&people(&["1"])).await.unwrap());
    lane.from.select(&extent).await.unwrap();
    lane.to.begin(&lane.coming, &extent).await.unwrap();
    for table in lane.tables.clone() {
        let rows = lane.from.export(table).await.unwrap();
        lane.to.import(table, rows).await.unwrap();
    }
    let found = lane.to.check().await.unwrap();
    assert_eq!(found.len(), usize::from(liked.is_ok()), "{liked:?} {found:?}");
    lane.to.roll_back().await.unwrap();
    let dangling =
        "select l.* from likes l where not exists (select 1 from posts p where p.id = l.post_id)";
    assert_eq!(there.rows(dangling).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_search_path_and_no_rights_on_our_schema_change_nothing() {
    let stage = PostgresStage::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run(
        "create schema evil;
         create function evil.eq(text, text) returns boolean language sql as 'select false';
         create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
         create table evil.subject (subject text, fenced boolean);
         set search_path = evil, pg_catalog, public",
    )
    .await
    .unwrap();
    app.run("update public.posts set body = 'seen' where id operator(pg_catalog.=) 11")
        .await
        .unwrap();
    app.run("insert into public.comments (id, post_id, text) values (139, 11, 'seen')")
        .await
        .unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    lane.catch_up_and_decide().await;
    let refusal =
        app.run("update public.posts set body = 'late' where id operator(pg_catalog.=) 11").await;
    assert!(refusal.unwrap_err().names(End::Target));
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
}

/// People, and three levels below them; the lowest refers to itself, and keys may wait.
const DEEP: World = World {
    schema: "
        create table users (id {id} primary key, city text);
        create table posts (id {id} primary key, slug {id} unique,
            user_id {id} references users (id) on delete cascade deferrable initially deferred,
            body text);
        create table comments (id {id} primary key,
            post_slug {id} references posts (slug) on update cascade on delete cascade
                deferrable initially deferred,
            text text);
        create table replies (comment_id {id} not null references comments (id)
                on update cascade on delete cascade deferrable initially deferred,
            n {id} not null, above {id}, text text, primary key (comment_id, n));
        create table likes (user_id {id}, post_id {id} not null, n {id} primary key);
        create index on posts (user_id); create index on comments (post_slug);",
    owned: &[
        ("users", None),
        ("posts", Some((&["user_id"], "users", &["id"], true))),
        ("comments", Some((&["post_slug"], "posts", &["slug"], true))),
        ("replies", Some((&["comment_id"], "comments", &["id"], true))),
        ("likes", Some((&["user_id"], "users", &["id"], false))),
    ],
    shared: &[],
    reference: &[],
    rows: "insert into users values (1), (2), (3), (10);
        insert into posts select n, n, (array[1, 2, 3, 10])[1 + n % 4], 'p' from generate_series(1, 12) n;
        insert into comments select n, 1 + n % 12, 'c' from generate_series(1, 24) n;
        insert into replies select 1 + n % 24, n, null, 'r' from generate_series(1, 48) n;
        insert into likes select (array[1, 2, 3, 10, null])[1 + n % 5], n, n from generate_series(1, 15) n;",
};

/// Numbers that look drawn.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn who(&mut self) -> &'static str {
        ["1", "10", "2", "3", "null"][usize::try_from(self.below(5)).unwrap()]
    }

    /// One statement of an application that moves rows about.
    fn statement(&mut self) -> String {
        let (p, q) = (1 + self.below(16), 1 + self.below(16));
        let (c, d) = (1 + self.below(30), 1 + self.below(30));
        let (n, who) = (1 + self.below(60), self.who());
        match self.below(17) {
            0 => {
                format!("insert into posts values ({p}, {q}, {who}, 'new') on conflict do nothing")
            }
            1 => format!("delete from posts where id = {p}"),
            2 | 3 => format!("update posts set user_id = {who} where id = {p}"),
            4 => format!(
                "update posts set id = {q} where id = {p} and not exists (select 1 from posts where id = {q})"
            ),
            5 => format!(
                "update posts set slug = {q} where id = {p} and not exists (select 1 from posts where slug = {q})"
            ),
            6 => format!(
                "insert into comments values ({c}, {p}, 'new') on conflict (id) do update set post_slug = excluded.post_slug"
            ),
            7 => format!("delete from comments where id = {c}"),
            8 | 9 => format!("update comments set post_slug = {p} where id = {c}"),
            10 => format!(
                "update comments set id = {d} where id = {c} and not exists (select 1 from comments where id = {d})"
            ),
            11 => format!(
                "insert into replies values ({c}, {n}, {d}, 'new') on conflict (comment_id, n) do update set above = {n}"
            ),
            12 => format!(
                "update replies set comment_id = {d} where comment_id = {c} and not exists (select 1 from replies x where x.comment_id = {d} and x.n = replies.n)"
            ),
            13 => format!("update likes set user_id = {who}, post_id = {p} where n = {}", n % 20),
            14 => format!(
                "insert into likes values ({who}, {p}, {}) on conflict (n) do update set user_id = excluded.user_id",
                n % 20
            ),
            15 => format!(
                "with gone as (delete from posts where id = {p} returning slug) update comments set post_slug = {q} from gone where post_slug = gone.slug"
            ),
            _ => format!(
                "update posts set body = 'b{n}' where id = {p}; update comments set text = 't{n}' where id = {c}"
            ),
        }
    }
}

const DEEP_ROWS: [&str; 5] = [
    "select 'user', u.* from users u where u.id in (1, 10) order by 2",
    "select 'post', p.* from posts p where p.user_id in (1, 10) order by 2",
    "select 'comment', c.* from comments c join posts p on p.slug = c.post_slug
        where p.user_id in (1, 10) order by 2",
    "select 'reply', r.* from replies r join comments c on c.id = r.comment_id
        join posts p on p.slug = c.post_slug where p.user_id in (1, 10) order by 2, 3",
    "select 'like', l.* from likes l where l.user_id in (1, 10) order by 4",
];

async fn deep_rows(stage: &PostgresStage, end: End) -> Vec<String> {
    let mut app = stage.app(end).await;
    let mut found = Vec::new();
    for query in DEEP_ROWS {
        found.extend(app.rows(query).await);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_moved_about_three_levels_deep_arrives_at_the_two_who_move() {
    let stage = PostgresStage::of(&DEEP).await;
    let mut app = stage.app(End::Source).await;
    let mut there = stage.app(End::Target).await;
    for round in 0..ROUNDS {
        let mut draw = Draw(round);
        let mut lanes = [stage.lane(&["1"]).await, stage.lane(&["10"]).await];
        for lane in &mut lanes {
            lane.announce().await;
        }
        let mut said = Vec::new();
        for step in 0..12 {
            for _ in 0..=draw.below(2) {
                let count = 1 + draw.below(3);
                let statements: Vec<String> = (0..count).map(|_| draw.statement()).collect();
                let text = format!("begin; {}; commit", statements.join("; "));
                let ended = app.run(&text).await;
                if ended.is_err() {
                    app.run("rollback").await.unwrap();
                }
                said.push((step, text, ended));
            }
            match step {
                2 => {
                    lanes[0].copy().await;
                    lanes[1].copy().await;
                }
                step if step > 2 => {
                    let lane = usize::try_from(draw.below(2)).unwrap();
                    let caught_up = lanes[lane].try_to_catch_up().await;
                    assert!(caught_up.is_ok(), "round {round}: {caught_up:?} {said:#?}");
                }
                _ => {}
            }
        }
        for lane in &mut lanes {
            lane.catch_up().await;
        }
        for lane in &mut lanes {
            assert_eq!(lane.decide().await, ["decided"], "round {round}");
        }
        let (left, came) =
            (deep_rows(&stage, End::Source).await, deep_rows(&stage, End::Target).await);
        assert_eq!(came, left, "round {round}: {said:#?}");
        let all = "select (select count(*) from users) + (select count(*) from posts)
            + (select count(*) from comments) + (select count(*) from replies) + (select count(*) from likes)";
        assert_eq!(there.rows(all).await, [came.len().to_string()], "round {round}: nothing else");
        for lane in &mut lanes {
            lane.settle().await;
            lane.erase().await;
        }
        // And back, so that the next round begins with everybody at home.
        stage.carry(End::Target, &["1", "10"]).await;
        assert_eq!(deep_rows(&stage, End::Source).await, came, "round {round}: back again");
    }
}

/// How many rounds of moving rows about.
const ROUNDS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_an_older_snapshot_does_not_undo_what_was_caught_up() {
    // Two processes on one move: what an ended claim allows.
    let stage = PostgresStage::ready().await;
    let mut first = stage.copied(&["1"]).await;
    let mut second = stage.lane(&["1"]).await;
    (second.leaving.move_id, second.coming.move_id) = (first.leaving.move_id, first.coming.move_id);
    let who = people(&["1"]);
    second.to.mark().await.unwrap();
    second.from.open_snapshot(&who).await.unwrap();
    let mut app = stage.app(End::Source).await;
    app.run("update posts set body = 'acknowledged' where id = 11").await.unwrap();
    first.catch_up().await;
    let people = Extent::People(who);
    let late =
        ship(second.from.as_mut(), second.to.as_mut(), &second.coming, &people, &[0, 1, 2, 3])
            .await;
    let decided = first.decide().await;
    let mut there = stage.app(End::Target).await;
    let body = there.rows("select body from posts where id = 11").await;
    assert!(decided != ["decided"] || body == ["acknowledged"], "{late:?} {decided:?} {body:?}");
}
