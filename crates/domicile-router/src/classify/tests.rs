//! What ordinary and hostile statements are read as.

use super::*;
use crate::schema::{Edge, Kind, Referrer, Table};

const USERS: Place = 0;
const POSTS: Place = 1;
const LIKES: Place = 3;

fn table(name: &str, kind: Kind, columns: &str, keys: &[&str]) -> Table {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    Table {
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind,
        columns: words(columns),
        types: words(columns).iter().map(|_| "bigint".to_owned()).collect(),
        keys: keys.iter().map(|key| words(key)).collect(),
        undecided: None,
    }
}

fn edge(parent: Place, column: &str) -> Kind {
    Kind::Owned(Edge {
        parent,
        columns: vec![column.to_owned()],
        parent_columns: vec!["id".to_owned()],
    })
}

fn forum() -> Schema {
    let referrer = Referrer {
        table: USERS,
        columns: vec!["address_id".to_owned()],
        shared_columns: vec!["id".to_owned()],
    };
    let both = || vec!["user_id".to_owned(), "post_id".to_owned()];
    let of_a_like = Kind::Owned(Edge { parent: LIKES, columns: both(), parent_columns: both() });
    let tables = vec![
        table("users", Kind::Root, "id email country address_id", &["id", "email"]),
        table("posts", edge(USERS, "user_id"), "id user_id topic_id body", &["id"]),
        table("comments", edge(POSTS, "post_id"), "id post_id body", &["id"]),
        table("likes", edge(USERS, "user_id"), "user_id post_id", &["user_id post_id"]),
        table("addresses", Kind::Shared(vec![referrer]), "id street", &["id"]),
        table("topics", Kind::Reference, "id title", &["id"]),
        table("jobs", Kind::Internal, "id payload", &["id"]),
        table("visits", of_a_like, "user_id post_id at", &[]),
        table("pg_jobs", Kind::Internal, "id", &["id"]),
    ];
    let partitions = [("public".to_owned(), "posts_2026".to_owned(), POSTS)];
    Schema::new(tables, partitions, vec!["public.slug".to_owned()])
}

fn statement(text: &str) -> Statement {
    let path = ["public".to_owned()];
    let mut statements = classify(&forum(), &path, text).expect("the text is read");
    assert_eq!(statements.len(), 1, "{text}");
    statements.remove(0)
}

fn about(text: &str) -> Result<About, Undecided> {
    match statement(text).command {
        Command::Query(about) => about,
        other => panic!("{text} is {other:?}"),
    }
}

/// `users(id=$1)` and the like, in order.
fn people(text: &str) -> Vec<String> {
    let about = about(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    let schema = forum();
    let shown = about.people.iter().map(|handle| {
        let pairs = handle.columns.iter().zip(&handle.values).map(|(column, value)| match value {
            Operand::Parameter(number) => format!("{column}=${number}"),
            Operand::Constant { text, .. } => format!("{column}={text}"),
        });
        let pairs: Vec<String> = pairs.collect();
        format!("{}({})", schema.table(handle.table).name, pairs.join(","))
    });
    shown.collect()
}

fn undecided(text: &str) -> String {
    match about(text) {
        Err(Undecided(why)) => why,
        Ok(about) => panic!("{text} is about {about:?}"),
    }
}

#[test]
fn a_person_is_named_by_their_key() {
    for text in [
        "SELECT * FROM users WHERE id = $1",
        "SELECT * FROM users WHERE $1 = id",
        "SELECT * FROM users u WHERE u.id = $1::bigint AND country = 'IE'",
        "SELECT count(*) FROM public.posts WHERE user_id = $1",
        "SELECT * FROM posts_2026 WHERE user_id = $1",
        "SELECT * FROM posts WHERE user_id IN ($1)",
        "SELECT * FROM posts WHERE user_id = $1 ORDER BY id DESC LIMIT 10 OFFSET 5",
        "UPDATE users SET email = $2 WHERE id = $1 RETURNING *",
        "DELETE FROM posts p WHERE p.user_id = $1",
        "INSERT INTO posts (user_id, body) VALUES ($1, 'x') RETURNING id",
        "INSERT INTO posts VALUES (DEFAULT, $1, 1, 'x')",
        "INSERT INTO posts (user_id, body) VALUES ($1, 'x'), ($1, 'y')",
        "EXPLAIN SELECT * FROM users WHERE id = $1",
    ] {
        assert_eq!(people(text), ["users(id=$1)"], "{text}");
    }
    assert_eq!(people("SELECT * FROM users WHERE id = 42"), ["users(id=42)"]);
    assert_eq!(people("SELECT * FROM users WHERE id = '42'"), ["users(id=42)"]);
    assert_eq!(people("SELECT * FROM users WHERE id = -42"), ["users(id=-42)"]);
}

#[test]
fn a_person_is_found_by_a_row_of_theirs() {
    assert_eq!(people("SELECT * FROM posts WHERE id = $1"), ["posts(id=$1)"]);
    assert_eq!(people("SELECT * FROM users WHERE email = $1"), ["users(email=$1)"]);
    assert_eq!(people("UPDATE comments SET body = $2 WHERE id = $1"), ["comments(id=$1)"]);
    assert_eq!(people("SELECT * FROM comments WHERE post_id = $1"), ["posts(id=$1)"]);
    assert_eq!(people("INSERT INTO comments (post_id, body) VALUES ($1, $2)"), ["posts(id=$1)"]);
}

#[test]
fn rows_that_hang_together_belong_to_one_person() {
    for text in [
        "SELECT * FROM users u JOIN posts p ON p.user_id = u.id WHERE u.id = $1",
        "SELECT * FROM users u, posts p WHERE p.user_id = u.id AND p.user_id = $1",
        "SELECT * FROM users u LEFT JOIN posts p ON p.user_id = u.id WHERE u.id = $1",
        "SELECT * FROM posts p RIGHT JOIN users u ON p.user_id = u.id WHERE u.id = $1",
        "SELECT * FROM posts p JOIN comments c ON c.post_id = p.id WHERE p.user_id = $1",
        "SELECT * FROM posts JOIN likes USING (user_id) WHERE user_id = $1",
        "SELECT * FROM posts p JOIN topics t ON t.id = p.topic_id WHERE p.user_id = $1",
        "SELECT * FROM users u JOIN addresses a ON a.id = u.address_id WHERE u.id = $1",
        "SELECT u.*, (SELECT count(*) FROM posts p WHERE p.user_id = u.id) FROM users u WHERE u.id = $1",
        "SELECT * FROM users u WHERE u.id = $1 AND EXISTS (SELECT 1 FROM posts p WHERE p.user_id = u.id)",
        "SELECT * FROM (SELECT * FROM posts WHERE user_id = $1) p JOIN comments c ON c.post_id = p.id",
        "WITH mine AS (SELECT id FROM posts WHERE user_id = $1) SELECT * FROM comments WHERE post_id IN (SELECT id FROM mine)",
        "DELETE FROM comments c USING posts p WHERE c.post_id = p.id AND p.user_id = $1",
        "UPDATE posts p SET body = '' FROM users u WHERE p.user_id = u.id AND u.id = $1",
        "SELECT * FROM posts WHERE user_id = $1 UNION ALL SELECT * FROM posts WHERE user_id = $1",
        "SELECT * FROM users u CROSS JOIN LATERAL (SELECT * FROM posts p WHERE p.user_id = u.id LIMIT 3) p WHERE u.id = $1",
        "WITH gone AS (DELETE FROM posts WHERE user_id = $1 RETURNING id) SELECT count(*) FROM gone",
    ] {
        assert_eq!(people(text), ["users(id=$1)"], "{text}");
    }
    let text = "SELECT * FROM posts WHERE user_id = (SELECT id FROM users WHERE email = $1)";
    assert_eq!(people(text), ["users(email=$1)"]);
    let text = "SELECT * FROM posts p JOIN comments c ON c.post_id = p.id WHERE c.id = $1";
    assert_eq!(people(text), ["comments(id=$1)"]);
}

#[test]
fn a_condition_that_leaves_rows_of_others_in_names_nobody() {
    for text in [
        "SELECT * FROM users",
        "SELECT * FROM users WHERE id = $1 OR id = $2",
        "SELECT * FROM users WHERE NOT id = $1",
        "SELECT * FROM users WHERE id > $1",
        "SELECT * FROM users WHERE id IS NOT DISTINCT FROM $1",
        "SELECT * FROM users WHERE id = ANY ($1)",
        "SELECT * FROM users WHERE id IN ($1, $2)",
        "SELECT * FROM users WHERE lower(email) = $1",
        "SELECT * FROM users WHERE id = $1 + 1",
        "SELECT * FROM users WHERE id = $1::varchar(2)",
        "SELECT * FROM users WHERE id = $1::numeric(1,0)",
        "SELECT * FROM users WHERE id = NULL",
        "SELECT * FROM users WHERE id IN (SELECT 1 UNION SELECT 2)",
        "SELECT * FROM users WHERE id <> (SELECT user_id FROM posts WHERE id = $1)",
        "SELECT * FROM users WHERE id NOT IN (SELECT user_id FROM posts WHERE id = $1)",
        "SELECT * FROM users WHERE id >= ALL (SELECT user_id FROM posts WHERE id = $1)",
        "SELECT * FROM users u LEFT JOIN posts p ON p.user_id = u.id AND u.id = $1",
        "SELECT * FROM users u LEFT JOIN posts p ON u.id = p.user_id WHERE p.body = $1",
        "SELECT * FROM users u FULL JOIN posts p ON p.user_id = u.id AND u.id = $1",
        "SELECT * FROM users u WHERE EXISTS (SELECT 1 FROM topics t WHERE u.id = $1)",
        "SELECT * FROM users u WHERE NOT EXISTS (SELECT 1 FROM posts p WHERE p.user_id = u.id AND u.id = $1)",
        "SELECT (SELECT 1 FROM topics WHERE u.id = $1) FROM users u",
        "SELECT * FROM users u JOIN posts p ON true WHERE u.id = $1",
        "SELECT * FROM likes l JOIN posts p ON p.id = l.post_id WHERE l.user_id = $1",
        "SELECT * FROM users a, users b WHERE id = $1",
        "SELECT * FROM posts NATURAL JOIN likes WHERE user_id = $1",
        "SELECT * FROM posts FULL JOIN likes USING (user_id) WHERE user_id = $1",
        "SELECT * FROM posts AS p (user_id, id) WHERE user_id = $1",
        "SELECT * FROM users WHERE id = $1 UNION SELECT * FROM users",
        "SELECT * FROM users, generate_series(1, 2) AS id WHERE id = $1",
        "WITH RECURSIVE t AS (SELECT id FROM posts WHERE user_id = $1 UNION ALL SELECT p.id FROM posts p JOIN t ON p.topic_id = t.id) SELECT * FROM t",
        "WITH users AS (SELECT $1::int AS id) SELECT * FROM users, posts WHERE users.id = $1",
        "WITH a AS (WITH posts AS (SELECT 1 AS id) DELETE FROM likes WHERE user_id = $1 RETURNING 1) SELECT * FROM posts",
        "INSERT INTO posts (user_id, body) WITH topics AS (SELECT body AS title FROM posts) VALUES ($1, (SELECT title FROM topics LIMIT 1))",
        "SELECT * FROM users WHERE id = $1 AND EXISTS (SELECT 1 FROM likes l, (SELECT id::int FROM topics) t WHERE l.user_id = id)",
        "SELECT * FROM users WHERE id = $1 AND EXISTS (SELECT 1 FROM likes l, (VALUES (1)) t WHERE l.user_id = column1)",
        "UPDATE posts SET body = ''",
        "DELETE FROM posts WHERE id = $1 OR true",
        "UPDATE posts SET body = '' FROM users u WHERE u.id = $1",
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM posts) THEN 1 END FROM users WHERE id = $1",
        "SELECT * FROM users WHERE id = $1 ORDER BY (SELECT max(id) FROM posts)",
        "SELECT * FROM users WHERE id = $1 LIMIT (SELECT count(*) FROM posts)",
        "SELECT * FROM users u JOIN addresses a ON a.street = u.email WHERE u.id = $1",
        "SELECT * FROM addresses WHERE id = $1",
    ] {
        let why = undecided(text);
        assert!(why.contains("does not say whose"), "{text}: {why}");
    }
}

#[test]
fn several_people_are_each_named() {
    let text = "UPDATE posts SET user_id = $2 WHERE id = $1";
    assert_eq!(people(text), ["posts(id=$1)", "users(id=$2)"]);
    let text = "INSERT INTO posts (user_id, body) VALUES ($1, 'x'), ($2, 'y')";
    assert_eq!(people(text), ["users(id=$1)", "users(id=$2)"]);
    let text = "UPDATE users SET id = $2 WHERE id = $1";
    assert_eq!(people(text), ["users(id=$1)", "users(id=$2)"]);
    let text = "INSERT INTO likes SELECT $1, p.id FROM posts p WHERE p.user_id = $2";
    assert_eq!(people(text), ["users(id=$2)", "users(id=$1)"]);
}

#[test]
fn rows_whose_new_owner_is_computed_are_not_written() {
    for text in [
        "UPDATE posts SET user_id = user_id + 1 WHERE id = $1",
        "UPDATE posts SET (user_id, body) = (SELECT $2, 'x') WHERE id = $1",
        "INSERT INTO posts (body) VALUES ('x')",
        "INSERT INTO posts DEFAULT VALUES",
        "INSERT INTO posts (user_id) VALUES (nextval('s'))",
        "INSERT INTO posts (id, user_id) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET user_id = $1",
        "INSERT INTO posts (id, user_id, topic_id) SELECT g.*, $1::int, $2::int FROM generate_series(1, 1) g",
        "INSERT INTO posts_2026 VALUES (1, $1, 2, 'x')",
        "INSERT INTO addresses VALUES (1, 'Main Street')",
        "UPDATE addresses SET street = '' WHERE id = $1",
    ] {
        undecided(text);
    }
}

#[test]
fn names_of_with_are_no_row_twice() {
    let mine = "WITH mine AS (SELECT user_id, post_id FROM likes WHERE user_id = $1)";
    let once =
        "SELECT v.* FROM visits v JOIN mine m ON v.user_id = m.user_id AND v.post_id = m.post_id";
    assert_eq!(people(&format!("{mine} {once}")), ["users(id=$1)"]);
    let twice = "SELECT v.* FROM visits v JOIN mine m ON v.user_id = m.user_id \
        JOIN mine n ON v.post_id = n.post_id";
    undecided(&format!("{mine} {twice}"));
    // One that stands after it hides the table.
    undecided(
        "WITH RECURSIVE a AS (SELECT c.* FROM comments c JOIN posts p ON c.post_id = p.id \
         WHERE p.user_id = $1), posts AS (SELECT 1 AS id, 1 AS user_id) SELECT * FROM a",
    );
}

#[test]
fn a_sign_up_tells_what_is_known_of_the_person() {
    let about = about("INSERT INTO users (email, country, id) VALUES ($1, 'IE', nextval('ids'))");
    let about = about.expect("decided");
    assert_eq!(about.people, []);
    let row = &about.sign_ups[0].row;
    let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["email", "country"]);
    assert!(about.writes);
}

#[test]
fn rows_of_nobody_go_where_they_are() {
    let read = about("SELECT * FROM topics WHERE id = 1").expect("decided");
    assert_eq!(read, About::default());
    let written = about("UPDATE topics SET title = $1").expect("decided");
    assert!(written.writes_reference && written.writes);
    let internal = about("SELECT * FROM jobs").expect("decided");
    assert!(internal.internal && !internal.writes);
    let system = about("SELECT relname FROM pg_class JOIN pg_catalog.pg_namespace n ON true");
    assert_eq!(system.expect("decided"), About::default());
    assert_eq!(about("SELECT now(), $1 || slug('x')").expect("decided"), About::default());
}

#[test]
fn what_could_reach_anything_is_not_decided() {
    for text in [
        "SELECT query_to_xml('SELECT * FROM users', true, true, '') FROM users WHERE id = $1",
        "SELECT set_config('search_path', 'other', false)",
        "SELECT lo_get(1)",
        "SELECT currval('ids')",
        "SELECT pg_advisory_lock(1)",
        "SELECT other.lower(body) FROM posts WHERE user_id = $1",
        "SELECT * FROM view_of_users WHERE id = $1",
        "SELECT u.secret FROM users u WHERE u.id = $1",
        "SELECT (u).secret FROM users u WHERE u.id = $1",
        "SELECT * FROM pg_jobs",
        "SELECT * FROM ROWS FROM (dblink('x', 'y')) AS t(a int)",
        "SELECT id INTO copy FROM users WHERE id = $1",
        "DO $$ BEGIN DELETE FROM users; END $$",
        "CALL cleanup()",
        "COPY users TO STDOUT",
        "COPY users FROM STDIN",
        "COPY (SELECT id FROM users WHERE id = 1) TO '/tmp/users'",
        "COPY (SELECT id FROM users WHERE id = 1) TO PROGRAM 'cat'",
        "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM users WHERE id = 1",
        "TRUNCATE users",
        "PREPARE p AS SELECT * FROM users WHERE id = $1",
        "EXECUTE p(1)",
        "LISTEN news",
        "CREATE TEMP TABLE users (id int)",
        "ALTER TABLE users ADD COLUMN x int",
        "PREPARE TRANSACTION 'x'",
        "LOCK TABLE users",
        "MERGE INTO users u USING posts p ON p.user_id = u.id WHEN MATCHED THEN DELETE",
        "SET SESSION AUTHORIZATION postgres",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ] {
        undecided(text);
    }
}

#[test]
fn transactions_and_settings_are_told_apart() {
    let command = |text| statement(text).command;
    assert_eq!(command("START TRANSACTION READ ONLY"), Command::Transaction(Transaction::Begin));
    assert_eq!(
        command("commit and chain"),
        Command::Transaction(Transaction::Commit { chain: true })
    );
    assert_eq!(command("ABORT"), Command::Transaction(Transaction::Rollback { chain: false }));
    let name = || "a".to_owned();
    for (text, what) in [
        ("SAVEPOINT a", Transaction::Savepoint(name())),
        ("RELEASE A", Transaction::Release(name())),
        ("ROLLBACK TO a", Transaction::RollbackTo(name())),
    ] {
        assert_eq!(command(text), Command::Transaction(what));
    }
    let set = |name: &str, value: Option<&str>, is_local| {
        let (name, value) = (Some(name.to_owned()), value.map(str::to_owned));
        Command::Set(Set { name, value, is_local })
    };
    assert_eq!(command("SET domicile.subject = '42'"), set("domicile.subject", Some("42"), false));
    assert_eq!(command("SET LOCAL work_mem TO '1MB'"), set("work_mem", Some("1MB"), true));
    assert_eq!(
        command("SET search_path = a, \"B\""),
        set("search_path", Some("\"a\", \"B\""), false)
    );
    assert_eq!(command("RESET work_mem"), set("work_mem", None, false));
    assert_eq!(command("DISCARD ALL"), Command::Control(Control::DiscardAll));
    assert_eq!(command("SHOW work_mem"), Command::Control(Control::Show));
}

#[test]
fn a_comment_names_a_person() {
    let subject = |text: &str| statement(text).subject;
    assert_eq!(subject("/* domicile.subject=42 */ SELECT 1").as_deref(), Some("42"));
    let sqlcommenter = "SELECT 1 /*action='x',domicile.subject='a%20b'*/;";
    assert_eq!(subject(sqlcommenter).as_deref(), Some("a b"));
    assert_eq!(subject("SELECT '/* domicile.subject=42 */'"), None);
    assert_eq!(subject("SELECT 1"), None);
}

#[test]
fn each_statement_of_a_text_stands_for_itself() {
    let text = "BEGIN; SELECT * FROM users WHERE id = 1; COMMIT";
    let statements = classify(&forum(), &["public".to_owned()], text).expect("read");
    let spans: Vec<&str> = statements.iter().map(|s| text[s.span.clone()].trim()).collect();
    assert_eq!(spans, ["BEGIN", "SELECT * FROM users WHERE id = 1", "COMMIT"]);
    assert_eq!(classify(&forum(), &[], " -- nothing").expect("read"), []);
    assert!(matches!(classify(&forum(), &[], "SELEC 1"), Err(Unreadable::Grammar(_))));
    let long = format!("SELECT '{}'", "x".repeat(TEXT_BYTES_MAX));
    assert_eq!(classify(&forum(), &[], &long), Err(Unreadable::TooLong));
    let deep = format!("DELETE FROM posts WHERE 1{} > 0", "+1".repeat(200));
    assert_eq!(classify(&forum(), &[], &deep), Err(Unreadable::TooDeep));
}

#[test]
fn a_name_is_seen_along_the_search_path() {
    let other = ["other".to_owned()];
    let statements = classify(&forum(), &other, "SELECT * FROM users WHERE id = 1").expect("read");
    assert!(matches!(statements[0].command, Command::Query(Err(_))));
}

#[test]
fn what_says_nobody_goes_where_it_was_chosen_to_go() {
    let mut schema = forum();
    assert!(schema.runs_undecided("posts", 2) && schema.runs_undecided("public.likes", 1));
    assert!(schema.runs_undecided("addresses", 2));
    assert!(!schema.runs_undecided("topics", 2), "it is everywhere");
    assert!(!schema.runs_undecided("jobs", 2) && !schema.runs_undecided("post", 2));
    let read = |text: &str| {
        let path = ["public".to_owned()];
        match classify(&schema, &path, text).expect("read").remove(0).command {
            Command::Query(about) => about,
            other => panic!("{text} is {other:?}"),
        }
    };
    for (text, sites, people) in [
        ("SELECT count(*) FROM posts", &[2][..], 0),
        ("SELECT * FROM posts p JOIN posts q ON p.id > q.id", &[2], 0),
        ("SELECT * FROM posts, likes", &[2, 1], 0),
        ("SELECT * FROM posts WHERE user_id = 1", &[], 1),
        ("SELECT * FROM posts JOIN users u ON true WHERE u.id = 1", &[2], 1),
        ("SELECT street FROM addresses", &[2], 0),
    ] {
        let about = read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!((&about.undecided[..], about.people.len()), (sites, people), "{text}");
    }
    for text in ["SELECT * FROM posts, users", "SELECT f(id) FROM posts", "SELECT * FROM nowhere"] {
        assert!(read(text).is_err(), "{text}");
    }
}
