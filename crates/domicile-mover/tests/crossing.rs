//! From SQLite to PostgreSQL: every type, and what is refused by name.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests; a failure should stop the test where it happens"
)]
#![allow(dead_code, reason = "each test program uses a part of the platform")]

mod mixed;

use domicile_model::Subject;
use domicile_mover::locate::{locate, status};
use domicile_mover::migrate::migrate;
use domicile_mover::plan::Plan;
use domicile_mover::report::MigrateReport;
use domicile_mover::verify::verify;
use domicile_store::faulty::Faults;
use mixed::{Mixed, options, surroundings};
use std::collections::BTreeMap;

async fn move_everybody(world: &Mixed, plan: &Plan) -> MigrateReport {
    let platform = world.platform(plan, &Faults::none()).await;
    let (surroundings, _stop) = surroundings();
    migrate(&platform, &options(), &surroundings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn europeans_move_and_the_next_key_is_free() {
    let world = Mixed::social(40);
    let warned = world.plan().await.warnings.join("\n");
    let made = "prepare makes users, posts, comments, badges at dub1; they will belong to";
    assert!(warned.contains(made), "{warned}");
    let plan = world.prepare().await;
    assert_eq!((plan.subjects.total, plan.subjects.to_move), (40, 20));
    let report = move_everybody(&world, &plan).await;
    assert_eq!((report.moved, report.already_home, report.failed), (20, 20, 0), "{report:?}");
    assert_eq!((report.rows, report.mismatches, report.pending_erasure), (60, 0, 0));
    assert_eq!(world.here("SELECT count(*) FROM comments"), [Some("20".to_owned())]);

    let platform = world.platform(&world.plan().await, &Faults::none()).await;
    assert!(verify(&platform).await.unwrap().is_clean());
    let found = locate(&platform, &Subject::new("3")).await.unwrap();
    assert_eq!((found.home.as_deref(), found.state), (Some("dub1"), "resident"));
    assert_eq!(status(&platform).await.unwrap().to_move, 0);
    // The application goes on there, with keys that nobody has.
    let there = world.there().await;
    let insert = "INSERT INTO users (country) VALUES ('FR') RETURNING id";
    assert_eq!(there.query_one(insert, &[]).await.unwrap().get::<_, i64>(0), 41);
    assert_eq!(
        world.texts("SELECT worth::text FROM badges ORDER BY id").await,
        [Some("0.1".to_owned()), Some("12.5".to_owned()), None]
    );
}

/// A table with a column of every kind, as SQLite has it, and what each becomes.
const EVERYTHING: &str = "
CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT NOT NULL);
CREATE TABLE everything (
  id TEXT PRIMARY KEY NOT NULL, user_id INTEGER NOT NULL REFERENCES users (id),
  i INTEGER, tiny TINYINT(1), big BIGINT, r REAL, d DOUBLE PRECISION, f FLOAT,
  t TEXT, v VARCHAR(3), c CHAR(2), clob CLOB, nocase TEXT COLLATE NOCASE,
  b BLOB, n NUMERIC, dec DECIMAL(10,2), yes BOOLEAN, day DATE, at DATETIME, stamp TIMESTAMP);
CREATE INDEX everything_user ON everything (user_id);
CREATE TABLE strict (user_id INTEGER REFERENCES users (id), k INT NOT NULL, v TEXT, x BLOB,
  PRIMARY KEY (user_id, k)) STRICT, WITHOUT ROWID;
CREATE TABLE odd (user_id INTEGER NOT NULL REFERENCES users (id), k NUMERIC, b BLOB, y BOOLEAN,
  PRIMARY KEY (k, b, y));
";

/// Column, what SQLite is given, and what PostgreSQL prints.
const ARRIVES: &[(&str, &str, &str)] = &[
    ("i", "9223372036854775807", "9223372036854775807"),
    ("i", "-9223372036854775808", "-9223372036854775808"),
    ("i", "'12'", "12"),
    ("tiny", "300", "300"),
    ("big", "1e3", "1000"),
    ("r", "1", "1"),
    ("r", "0.1", "0.1"),
    ("r", "9e999", "Infinity"),
    ("r", "-9e999", "-Infinity"),
    ("r", "4.9e-324", "5e-324"),
    ("r", "1.7976931348623157e308", "1.7976931348623157e+308"),
    ("d", "'2.5'", "2.5"),
    ("f", "9007199254740993", "9.007199254740992e+15"),
    ("t", "''", ""),
    ("t", "'12'", "12"),
    ("t", "1.5", "1.5"),
    ("t", "'back\\slash'", "back\\slash"),
    ("t", "'tab' || char(9) || 'line' || char(10) || 'é' || char(128512)", "tab\tline\né😀"),
    ("v", "'longer than three'", "longer than three"),
    ("c", "'x '", "x "),
    ("clob", "'NULL'", "NULL"),
    ("nocase", "'AbC'", "AbC"),
    ("b", "x''", "\\x"),
    ("b", "x'00ff'", "\\x00ff"),
    ("b", "CAST('text' AS BLOB)", "\\x74657874"),
    ("n", "12", "12"),
    ("n", "12.50", "12.5"),
    ("n", "'007'", "7"),
    ("n", "1e20", "100000000000000000000"),
    // SQLite itself makes this a REAL.
    ("n", "'0.12345678901234567890123'", "0.12345678901234568"),
    ("dec", "10.1", "10.1"),
    ("dec", "-0.0", "0"),
    ("dec", "123456789012.345", "123456789012.345"),
    ("yes", "0", "false"),
    ("yes", "1", "true"),
    ("day", "'2024-02-29'", "2024-02-29"),
    ("at", "'2024-02-29 12:00:00'", "2024-02-29 12:00:00"),
    ("stamp", "'2024-02-29T12:00:00Z'", "2024-02-29T12:00:00Z"),
];

/// Column, what SQLite is given, and why it is refused.
const REFUSED: &[(&str, &str, &str)] = &[
    ("i", "'twelve'", "is not an integer"),
    ("i", "1.5", "is not an integer"),
    ("i", "x'01'", "is not an integer"),
    ("big", "9223372036854775808", "is not an integer"),
    ("r", "'much'", "is not a number"),
    ("t", "'a' || char(0) || 'b'", "NUL character"),
    ("t", "CAST(x'ff' AS TEXT)", "not UTF-8"),
    ("t", "x'61'", "is a BLOB and not text"),
    ("v", "CAST(x'c3' AS TEXT)", "not UTF-8"),
    ("b", "'text'", "is not a BLOB"),
    ("b", "7", "is not a BLOB"),
    ("n", "'much'", "is no decimal number"),
    ("dec", "9e999", "is no decimal number"),
    ("yes", "2", "is neither 0 nor 1"),
    ("yes", "'true'", "is neither 0 nor 1"),
    ("day", "1700000000", "is a number and not text"),
    ("at", "2460000.5", "is a number and not text"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_arrives_with_its_meaning_or_its_owner_stays_by_name() {
    let world = Mixed::with(EVERYTHING);
    let app = world.app();
    let mut expected: BTreeMap<String, Option<&str>> = BTreeMap::new();
    let person = |id: usize| app.run(&format!("INSERT INTO users VALUES ({id}, 'FR')")).unwrap();
    for (at, (column, given, prints)) in ARRIVES.iter().enumerate() {
        person(at);
        let key = format!("{column}-{at}");
        app.run(&format!(
            "INSERT INTO everything (id, user_id, {column}) VALUES ('{key}', {at}, {given})"
        ))
        .unwrap();
        expected.insert(key, Some(prints));
    }
    person(500);
    // NaN is NULL to SQLite, and so is every column of this row.
    app.run("INSERT INTO everything (id, user_id, r) VALUES ('null', 500, 9e999 - 9e999)").unwrap();
    app.run(
        "INSERT INTO strict VALUES (500, 1, '', x''), (500, 2, NULL, x'00'), (500, -3, 'x', NULL);
         INSERT INTO odd VALUES (500, 1, x'00', 0), (500, 1.5, x'', 1), (500, -7, x'ff', 1)",
    )
    .unwrap();
    // More than what travels in one piece.
    person(501);
    app.run(
        "INSERT INTO everything (id, user_id, t, b) VALUES ('large', 501,
             printf('%.*c', 3000000, 'x'), zeroblob(20000000))",
    )
    .unwrap();
    for (at, (column, given, _)) in REFUSED.iter().enumerate() {
        let id = 1000 + at;
        person(id);
        app.run(&format!(
            "INSERT INTO everything (id, user_id, t) VALUES ('good-{id}', {id}, 'good');
             INSERT INTO everything (id, user_id, {column}) VALUES ('bad-{id}', {id}, {given})"
        ))
        .unwrap();
    }
    let plan = world.prepare().await;
    let said = world.plan().await;
    assert_eq!(said.refused, [], "the tables that prepare made agree");
    let report = move_everybody(&world, &plan).await;
    assert_eq!(report.moved, ARRIVES.len() as u64 + 2, "{report:?}");
    assert_eq!((report.failed, report.mismatches), (REFUSED.len() as u64, 0));

    for (key, prints) in &expected {
        let column = key.split('-').next().unwrap();
        let sql = format!("SELECT \"{column}\"::text FROM everything WHERE id = '{key}'");
        let found = world.texts(&sql).await;
        assert_eq!(found, [prints.map(str::to_owned)], "{key}");
        // The others of its columns are NULL, not empty.
        let nulls = format!(
            "SELECT (SELECT count(*) FROM jsonb_each_text(to_jsonb(e)) AS x WHERE x.value IS NULL)::text \
             FROM everything AS e WHERE id = '{key}'"
        );
        assert_eq!(world.texts(&nulls).await, [Some("17".to_owned())], "{key}");
    }
    let nulls = "SELECT id FROM everything AS e WHERE (SELECT count(*) FROM
                 jsonb_each_text(to_jsonb(e)) AS x WHERE x.value IS NULL) = 18";
    assert_eq!(world.texts(nulls).await, [Some("null".to_owned())]);
    let large = "SELECT length(t) || ' ' || length(b) FROM everything WHERE id = 'large'";
    assert_eq!(world.texts(large).await, [Some("3000000 20000000".to_owned())]);
    let strict =
        "SELECT k || coalesce(v, 'NULL') || coalesce(x::text, 'NULL') FROM strict ORDER BY k";
    let texts = |texts: &[&str]| texts.iter().map(|t| Some((*t).to_owned())).collect::<Vec<_>>();
    assert_eq!(world.texts(strict).await, texts(&["-3xNULL", "1\\x", "2NULL\\x00"]));
    let odd = "SELECT k || b::text || y FROM odd ORDER BY k";
    assert_eq!(world.texts(odd).await, texts(&["-7\\xfftrue", "1\\x00false", "1.5\\xtrue"]));

    for (at, (column, _, why)) in REFUSED.iter().enumerate() {
        let id = 1000 + at;
        let reasons: Vec<&str> = report
            .failures
            .iter()
            .filter(|failure| failure.subject.as_str() == id.to_string())
            .map(|failure| failure.reason.as_str())
            .collect();
        let [reason] = reasons.as_slice() else { panic!("{id}: {reasons:?}") };
        let named = format!("column {column} of everything (id bad-{id}) ");
        assert!(reason.contains(&named) && reason.contains(why), "{reason}");
        assert!(reason.ends_with(')') && reason.contains(" ("), "a hint: {reason}");
        let stays = format!("SELECT count(*) FROM everything WHERE user_id = {id}");
        assert_eq!(world.here(&stays), [Some("2".to_owned())], "{id} lost something");
    }
    let nobody = "SELECT count(*)::text FROM users WHERE id >= 1000";
    assert_eq!(world.texts(nobody).await, [Some("0".to_owned())]);
    // A later run says the same, and moves whoever was corrected.
    world.app().run("UPDATE everything SET i = 12 WHERE id = 'bad-1000'").unwrap();
    let again = move_everybody(&world, &plan).await;
    assert_eq!((again.moved, again.failed), (1, REFUSED.len() as u64 - 1), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_negative_zero_keeps_its_sign_where_sqlite_kept_it() {
    // A REAL column keeps whole numbers as integers on disk, so the sign is what SQLite reads back.
    let world = Mixed::with(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT, x REAL, y DOUBLE);
         INSERT INTO users VALUES (1, 'FR', -0.0, 0.0), (2, 'FR', 0.0, -0.0)",
    );
    let here = world.here("SELECT group_concat(printf('%g %g', x, y), '; ') FROM users");
    let plan = world.prepare().await;
    assert_eq!(move_everybody(&world, &plan).await.moved, 2);
    let there = "SELECT string_agg(x || ' ' || y, '; ' ORDER BY id) FROM users";
    assert_eq!(world.texts(there).await, here);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_the_user_made_are_taken_with_their_types() {
    let world = Mixed::with(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT, born DATE, seen DATETIME,
           is_on INTEGER, price DECIMAL(8,2), tag VARCHAR(9), extra, code TEXT,
           shout TEXT GENERATED ALWAYS AS (upper(tag)) VIRTUAL);
         INSERT INTO users VALUES
           (1, 'FR', '2001-02-03', '2024-01-02 03:04:05.5', 1, 9.5, 'a', '{\"a\": [1]}',
              'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
           (3, 'FR', NULL, NULL, 0, 100, 'much too long', NULL, NULL),
           (5, 'FR', '2001-02-30', NULL, NULL, NULL, NULL, NULL, NULL),
           (7, 'FR', NULL, 'yesterday', NULL, NULL, NULL, NULL, NULL),
           (9, 'FR', NULL, NULL, 2, NULL, NULL, NULL, NULL),
           (11, 'FR', NULL, NULL, NULL, 0.125, NULL, NULL, NULL),
           (13, 'FR', NULL, '1969-12-31T23:59:59+01:00', NULL, -0.01, 'ä', NULL, NULL);",
    );
    let there = world.there().await;
    there
        .batch_execute(
            "CREATE TABLE users (code uuid, id integer PRIMARY KEY, tag varchar(9), country text,
               born date, seen timestamptz, is_on boolean, price numeric(8,2), extra json,
               shout text GENERATED ALWAYS AS (upper(tag)) STORED)",
        )
        .await
        .unwrap();
    let plan = world.prepare().await;
    let report = move_everybody(&world, &plan).await;
    let failed: BTreeMap<&str, &str> =
        report.failures.iter().map(|f| (f.subject.as_str(), f.reason.as_str())).collect();
    for (id, why) in [
        ("3", "column tag of users (id 3) has more characters than the column takes"),
        ("5", "column born of users (id 5) is not a date as YYYY-MM-DD"),
        ("7", "column seen of users (id 7) is not a date and time"),
        ("9", "column is_on of users (id 9) is neither 0 nor 1"),
        ("11", "column price of users (id 11) is no decimal number"),
    ] {
        assert!(failed.get(id).is_some_and(|reason| reason.contains(why)), "{id}: {failed:?}");
    }
    // SQLite's upper() leaves ä alone, PostgreSQL's does not: the two computations differ.
    assert!(failed["13"].contains("source and target differ in users"), "{failed:?}");
    assert_eq!((report.moved, report.failed), (1, 6));
    let row =
        "SELECT concat_ws('|', born, seen AT TIME ZONE 'UTC', is_on, price, extra, code, shout)
               FROM users WHERE id = 1";
    let prints = "2001-02-03|2024-01-02 03:04:05.5|t|9.50|{\"a\": [1]}|\
                  a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|A";
    assert_eq!(world.texts(row).await, [Some(prints.to_owned())]);
    world.app().run("UPDATE users SET tag = 'b' WHERE id = 13").unwrap();
    assert_eq!(move_everybody(&world, &plan).await.moved, 1);
    let seen = "SELECT (seen AT TIME ZONE 'UTC')::text FROM users WHERE id = 13";
    assert_eq!(world.texts(seen).await, [Some("1969-12-31 22:59:59".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_declaration_does_not_say_is_refused_before_anything_moves() {
    let world = Mixed::with(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT, anything, cash MONEY,
           twice INTEGER GENERATED ALWAYS AS (id * 2));
         CREATE TABLE Posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, j TEXT);",
    );
    let there = world.there().await;
    there
        .batch_execute(
            "CREATE TABLE posts (id bigint PRIMARY KEY);
             CREATE TABLE \"Posts\" (id bigint PRIMARY KEY, \"User_Id\" bigint, j jsonb)",
        )
        .await
        .unwrap();
    let plan = world.plan().await;
    let said: Vec<String> =
        plan.refused.iter().map(|r| format!("{}: {} ({})", r.what, r.why, r.hint)).collect();
    let said = said.join("\n");
    for part in [
        "users: column anything is declared without a type",
        "users: column cash is declared as MONEY",
        "users: column twice is generated by an expression of SQLite's",
        "Posts: it differs at site dub1: column user_id is called User_Id there",
        "Posts: column j is jsonb there, which no value of SQLite becomes",
        "docs/sqlite-to-postgres.md",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    // With "posts" alone, the two names would be one table to SQLite and two to PostgreSQL.
    there.batch_execute("DROP TABLE \"Posts\"").await.unwrap();
    let said = format!("{:?}", world.plan().await.refused);
    assert!(said.contains("it is called posts there"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prepare_leaves_out_is_said_by_name() {
    let world = Mixed::with(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT CHECK (length(country) = 2),
           email TEXT COLLATE NOCASE, n INTEGER DEFAULT (abs(random())),
           made TEXT DEFAULT CURRENT_TIMESTAMP);
         CREATE INDEX users_lower ON users (lower(email));
         CREATE INDEX users_some ON users (n) WHERE n > 7;
         CREATE TRIGGER greet AFTER INSERT ON users BEGIN SELECT 1; END;
         INSERT INTO users (id, country) VALUES (1, 'FR')",
    );
    let said = world.plan().await.warnings.join("\n");
    for part in [
        "length(country) = 2",
        "column email compares by NOCASE at SQLite",
        "the default abs(random()) of column n is not carried",
        "the index users_lower has an expression",
        "the index users_some has an expression or a condition",
        "the trigger greet is not carried",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    let plan = world.prepare().await;
    assert_eq!(move_everybody(&world, &plan).await.moved, 1);
    let made = "INSERT INTO users (country) VALUES ('FR') RETURNING id || ' ' || (made ~ '^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d$')";
    let row = world.there().await.query_one(made, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "2 true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_moves_back_to_sqlite_and_the_others_go_on() {
    let world = Mixed::social(20);
    let plan = world.prepare().await;
    assert_eq!(move_everybody(&world, &plan).await.moved, 10);
    // Somebody at dub1 moves to the United States, somebody at iad1 to France.
    world.there().await.execute("UPDATE users SET country = 'US' WHERE id = 3", &[]).await.unwrap();
    world.app().run("UPDATE users SET country = 'FR' WHERE id = 4").unwrap();
    let planned = world.plan().await;
    assert_eq!(planned.subjects.to_move, 1);
    let warned = planned.warnings.join("\n");
    assert!(warned.contains("1 people should live at a site on SQLite"), "{warned}");
    let report = move_everybody(&world, &plan).await;
    assert_eq!((report.moved, report.failed), (1, 1), "{report:?}");
    let held = &report.failures[0];
    assert_eq!(held.subject.as_str(), "3");
    assert!(held.reason.contains("site iad1 runs SQLite"), "{held:?}");
    assert_eq!(world.texts("SELECT country FROM users WHERE id = 3").await, [Some("US".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reference_rows_written_at_sqlite_are_carried() {
    let world = Mixed::social(12);
    let plan = world.prepare().await;
    let app = world.app();
    app.run(
        "INSERT INTO badges VALUES (4, 'later', 7); UPDATE badges SET worth = 0.25 WHERE id = 1;
         DELETE FROM badges WHERE id = 3; UPDATE users SET badge = 4 WHERE id = 3",
    )
    .unwrap();
    let report = move_everybody(&world, &plan).await;
    assert_eq!((report.moved, report.failed), (6, 0), "{report:?}");
    let badges = "SELECT id || name || worth FROM badges ORDER BY id";
    let here = world.here(badges);
    assert_eq!(world.texts(badges).await, here);
    assert_eq!(here[2].as_deref(), Some("4later7"));
    let platform = world.platform(&plan, &Faults::none()).await;
    assert!(verify(&platform).await.unwrap().is_clean());
    // What cannot cross stops whoever moves, by name, until it is corrected.
    app.run(
        "INSERT INTO badges VALUES (5, x'00', 1); UPDATE users SET country = 'FR' WHERE id = 4",
    )
    .unwrap();
    let (surroundings, _stop) = surroundings();
    let stopped = migrate(&platform, &options(), &surroundings).await.unwrap_err();
    let named = "column name of badges (id 5) is a BLOB and not text";
    assert!(stopped.to_string().contains(named), "{stopped}");
    app.run("UPDATE badges SET name = 'good' WHERE id = 5").unwrap();
    assert_eq!(move_everybody(&world, &plan).await.moved, 1);
    assert_eq!(world.texts(badges).await, world.here(badges));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reference_tables_are_written_at_sqlite_or_refused() {
    let mut world = Mixed::social(2);
    world.wishes.reference_site = Some("dub1".parse().unwrap());
    let refused = world.plan().await.refused;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].why.contains("site iad1 on SQLite takes nothing"), "{refused:?}");
    assert_eq!(refused[0].hint, "set [reference] site = \"iad1\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wide_table_crosses_whole() {
    // More columns than one function of SQLite takes arguments.
    let list = |each: &dyn Fn(u32) -> String| (0..230).map(each).collect::<Vec<_>>().join(", ");
    let columns = list(&|n| format!("c{n} {}", ["TEXT", "INTEGER", "REAL"][n as usize % 3]));
    let world = Mixed::with(&format!(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT, {columns});
         INSERT INTO users SELECT 1, 'FR', {}; INSERT INTO users (id, country) VALUES (3, 'FR')",
        list(&|n| n.to_string())
    ));
    let plan = world.prepare().await;
    let report = move_everybody(&world, &plan).await;
    assert_eq!((report.moved, report.compared_rows, report.mismatches), (2, 2, 0), "{report:?}");
    let last = "SELECT concat_ws(' ', c0, c100, c229) FROM users ORDER BY id";
    assert_eq!(world.texts(last).await, [Some("0 100 229".to_owned()), Some(String::new())]);
}
