//! The commands in the order in which they are used, from a file of SQLite to a server of
//! PostgreSQL.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[cfg(test)]
mod support;

use domicile_testkit::{Server, TestDatabase, connect};
use serde_json::json;
use support::Platform;

fn platform(people: u64) -> (Platform, TestDatabase) {
    let database = Server::shared(2).unwrap().fresh_database("cli").unwrap();
    let mut platform = Platform::with_people(people);
    platform.configure("sqlite:dub1.db", &database.mover_url);
    platform.configure("[sites.osl1]\nterritory = \"NO\"\nurl = \"sqlite:osl1.db\"\n", "");
    platform.configure("\"EEA\"]\nsites = [\"osl1\"]", "\"EEA\"]\nsites = [\"dub1\"]");
    (platform, database)
}

async fn count(database: &TestDatabase, sql: &str) -> u64 {
    let client = connect(&database.superuser_url).await.unwrap();
    let found: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    found.unsigned_abs()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_moves_home_from_a_file_to_a_server() {
    let (platform, database) = platform(300);
    let plan = platform.run(&["plan", "--json"]).ok().json();
    assert_eq!(plan["subjects"]["by_site"], json!({"iad1": 100, "dub1": 200}));
    assert_eq!(plan["refused"], json!([]));
    let prepared = platform.run(&["prepare", "--json"]).ok().json();
    assert_eq!(prepared["sites"][1]["tables_created"], json!(["books", "users", "ratings"]));
    assert_eq!(prepared["sites"][1]["reference_rows"], 3);
    let again = platform.run(&["prepare", "--json"]).ok().json();
    assert_eq!(again["sites"][1]["tables_created"], json!([]), "prepare is idempotent");
    assert_eq!(again["sites"][0]["fences_installed"], false);

    let report = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&report["moved"], &report["already_home"]), (&json!(200), &json!(100)));
    assert_eq!((&report["failed"], &report["mismatches"]), (&json!(0), &json!(0)));
    assert_eq!(count(&database, "SELECT count(*) FROM ratings").await, 400);
    assert_eq!(platform.count("origin.db", "SELECT count(*) FROM ratings"), 200);
    let verified = platform.run(&["verify", "--json"]).ok().json();
    assert_eq!(verified["sites"][1]["subjects"], 200);
    let located = platform.run(&["locate", "1", "--json"]).ok().json();
    assert_eq!((&located["home"], &located["state"]), (&json!("dub1"), &json!("resident")));
    let status = platform.run(&["status", "--json"]).ok().json();
    assert_eq!((&status["to_move"], &status["at_home"]), (&json!(0), &json!(300)));

    // A stray that somebody puts there is found. Person 3 lives in the United States.
    let plant = "SET session_replication_role = replica; ALTER TABLE ratings DISABLE TRIGGER ALL;
                 INSERT INTO ratings VALUES (3, 'c', 3)";
    connect(&database.superuser_url).await.unwrap().batch_execute(plant).await.unwrap();
    let strayed = platform.run(&["verify", "--json"]);
    assert_eq!(strayed.code, Some(11), "{strayed:?}");
    let stray = json!([{"subject": "3", "site": "dub1", "table": "ratings"}]);
    assert_eq!(strayed.json()["strays_found"], stray);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_cross_is_named_and_the_others_go() {
    let (platform, database) = platform(30);
    platform.sql("origin.db", "UPDATE users SET city = 'a' || char(0) WHERE id = 4");
    platform.run(&["prepare"]).ok();
    let ran = platform.run(&["migrate"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let named = "4: column city of users (id 4) is text with a NUL character";
    assert!(ran.stdout.contains(named), "{ran:?}");
    assert_eq!(count(&database, "SELECT count(*) FROM users").await, 19);
    platform.sql("origin.db", "UPDATE users SET city = 'a' WHERE id = 4");
    platform.run(&["migrate"]).ok();
    platform.run(&["verify"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_file_that_is_not_there_yet_is_no_home() {
    let (mut platform, _database) = platform(3);
    platform.config.push_str("[sites.osl1]\nterritory = \"NO\"\nurl = \"sqlite:osl1.db\"\n");
    let plan = platform.run(&["plan", "--json"]).json();
    let refused = plan["refused"].to_string();
    assert!(refused.contains("site osl1 on SQLite has no such table"), "{refused}");
    assert!(!platform.path("osl1.db").exists(), "a plan makes no database");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_between_people_are_dropped_where_they_leave_and_never_made_where_they_come() {
    let (mut platform, database) = platform(0);
    platform.sql(
        "origin.db",
        "ALTER TABLE users ADD COLUMN invited_by INTEGER REFERENCES users (id);
         INSERT INTO users VALUES (1, 'Cork', 'Ireland', NULL), (2, 'Boston', 'usa', 1),
           (3, 'Galway', 'Ireland', 2)",
    );
    platform.config.push_str("[tables.users]\nsoft = [\"invited_by\"]\n");
    let refused = platform.run(&["prepare"]);
    refused.failed_with(1, &["prepare --drop-crossing-keys"]);
    let dropped = platform.run(&["prepare", "--drop-crossing-keys", "--json"]).ok().json();
    assert_eq!(dropped["dropped_keys"][0]["site"], "iad1", "{dropped}");
    let keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'
        AND confrelid = 'users'::regclass AND conrelid = 'users'::regclass";
    assert_eq!(count(&database, keys).await, 0);
    let moved = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&moved["moved"], &moved["failed"]), (&json!(2), &json!(0)), "{moved}");
    platform.run(&["verify"]).ok();
    let kept = "SELECT count(*) FROM users WHERE id = 3 AND invited_by = 2";
    assert_eq!(count(&database, kept).await, 1, "the value is kept");
}
