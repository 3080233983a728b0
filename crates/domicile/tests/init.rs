//! `init` from end to end: a database nobody configured, the file it writes, and what a plan makes
//! of it.

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use support::{Platform, Ran, finish, program};

/// A small shop: customers with orders, staff, a list of values, and rows by name only.
const SHOP: &str = "
    CREATE TABLE employees (id INTEGER PRIMARY KEY, last_name TEXT, email TEXT,
        boss_id INTEGER REFERENCES employees (id));
    CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, city TEXT,
        country TEXT, rep_id INTEGER REFERENCES employees (id));
    CREATE TABLE genres (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
        genre_id INTEGER REFERENCES genres (id));
    CREATE TABLE visits (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, page TEXT);
    CREATE INDEX orders_by_customer ON orders (customer_id);
    CREATE INDEX visits_by_customer ON visits (customer_id);
    INSERT INTO employees VALUES (1, 'Adams', 'a@example.org', NULL);
    INSERT INTO genres VALUES (1, 'Rock');
";

/// Customers of three countries in turn.
fn rows() -> String {
    let mut sql = String::new();
    for id in 1..=60 {
        let country = ["usa", "germany", "norway"][id % 3];
        sql += &format!(
            "INSERT INTO customers VALUES ({id}, 'p{id}@example.org', 'x', '{country}', 1);
             INSERT INTO orders VALUES ({id}, {id}, 1);
             INSERT INTO visits VALUES ({id}, {id}, 'start');"
        );
    }
    sql
}

/// A folder with the shop in it, and no configuration.
fn shop() -> Platform {
    let platform = Platform::empty();
    platform.sql("shop.db", SHOP);
    platform.sql("shop.db", &format!("BEGIN; {} COMMIT", rows()));
    platform
}

fn run_in(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = program();
    command.args(arguments).current_dir(folder);
    finish(command)
}

/// The sites, and nothing else, are filled in.
fn add_sites(platform: &Platform, dub1: &str) {
    platform.edit("domicile.toml", |text| {
        let homes =
            text.replace("sites = [\"iad1\"]  # your sites in Europe", "sites = [\"dub1\"]");
        format!("{homes}\n[sites.dub1]\nterritory = \"IE\"\nurl = \"{dub1}\"\n")
    });
}

#[test]
fn a_shop_is_proposed_planned_and_moved() {
    let platform = shop();
    let here = platform.folder();
    let url = "sqlite:shop.db";
    let told = run_in(here, &["init", url, "--site", "iad1", "--territory", "US"]).ok();
    assert!(told.stdout.contains("customers has one row per person"), "{told:?}");
    assert!(told.stdout.contains("told for 100 % of 60 sampled people"), "{told:?}");
    add_sites(&platform, "sqlite:dub1.db");

    // The one thing init cannot do: the foreign key to those who do not move.
    let plan = run_in(here, &["plan", "--json"]);
    let refused = plan.json()["refused"].clone();
    assert_eq!(refused.as_array().unwrap().len(), 1, "{refused}");
    assert_eq!(refused[0]["what"], "customers");
    platform.sql(
        "shop.db",
        "CREATE TABLE made (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, city TEXT,
             country TEXT, rep_id INTEGER);
         INSERT INTO made SELECT * FROM customers; PRAGMA foreign_keys = OFF;
         DROP TABLE customers; ALTER TABLE made RENAME TO customers",
    );
    let plan = run_in(here, &["plan", "--json"]).ok().json();
    assert_eq!(plan["refused"], json!([]));
    assert_eq!(plan["subjects"]["to_move"], 40, "Germans and Norwegians");
    run_in(here, &["prepare"]).ok();
    let moved = run_in(here, &["migrate", "--json"]).ok().json();
    assert_eq!((&moved["moved"], &moved["rows"]), (&json!(40), &json!(120)));
    run_in(here, &["verify"]).ok();
    assert_eq!(platform.count("dub1.db", "SELECT count(*) FROM visits"), 40, "owned by name");
    assert_eq!(platform.count("shop.db", "SELECT count(*) FROM employees"), 1);
}

#[test]
fn the_file_is_commented_and_read_by_snapshot() {
    let platform = shop();
    let told =
        run_in(platform.folder(), &["init", "sqlite:shop.db", "--territory", "us", "--out", "-"]);
    let text = told.ok().stdout;
    assert!(!platform.path("domicile.toml").exists(), "stdout is no file");
    let filters = vec![
        (r"\d{4}-\d\d-\d\d", "[day]"),
        (r"SQLite [0-9.]+", "SQLite [version]"),
        (r"\(\d+ points\)", "([n] points)"),
    ];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(text) });
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let platform = shop();
    let here = platform.folder();
    std::fs::write(platform.path("domicile.toml"), "mine").unwrap();
    let again = run_in(here, &["init", "sqlite:shop.db"]);
    again.failed_with(2, &["domicile.toml is there already", "--force"]);
    assert_eq!(std::fs::read_to_string(platform.path("domicile.toml")).unwrap(), "mine");
    run_in(here, &["init", "sqlite:shop.db", "--out", "other.toml"]).ok();
    run_in(here, &["init", "sqlite:shop.db", "--force"]).ok();
    assert_ne!(std::fs::read_to_string(platform.path("domicile.toml")).unwrap(), "mine");
}

#[test]
fn a_territory_nobody_named_is_asked_for() {
    let platform = shop();
    let here = platform.folder();
    run_in(here, &["init", "sqlite:shop.db"]).ok();
    run_in(here, &["plan"]).failed_with(2, &["[sites.origin] has no territory"]);
    let text = std::fs::read_to_string(platform.path("domicile.toml")).unwrap();
    assert!(text.contains("1. sites.origin: where does this database stand?"), "{text}");
    run_in(here, &["init", "sqlite:shop.db", "--territory", "USX"]).failed_with(2, &["USX"]);
    run_in(here, &["init", "sqlite:shop.db", "--site", "No"]).failed_with(2, &["No"]);
}

#[test]
fn json_is_the_proposal_and_holds_no_values() {
    let platform = shop();
    let ran = run_in(platform.folder(), &["init", "sqlite:shop.db", "--json"]).ok();
    let proposal = ran.json();
    assert_eq!(proposal["file"], "domicile.toml");
    assert_eq!(proposal["candidates"][0]["table"], "customers");
    assert_eq!(proposal["residence"]["text"], json!(["city", "country"]));
    assert_eq!(proposal["residence"]["answered"], 60);
    let table = |name: &str| -> Value {
        let tables = proposal["tables"].as_array().unwrap();
        tables.iter().find(|table| table["table"] == name).unwrap().clone()
    };
    assert_eq!(table("visits")["owner"], json!(["customer_id"]));
    assert_eq!(table("employees")["kind"], "internal");
    assert_eq!(table("genres")["kind"], "reference");
    assert!(!ran.stdout.contains("example.org"), "{ran:?}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let platform = Platform::empty();
    let here = platform.folder();
    run_in(here, &["init", "sqlite:nowhere.db"])
        .failed_with(1, &["no database file", "nowhere.db"]);
    run_in(here, &["init", "mysql://me:secret@h/d"]).failed_with(2, &["begins with `mysql`"]);
    let away = run_in(here, &["init", "postgres://me:secret@127.0.0.1:1/d"]);
    away.failed_with(1, &["does not let us in"]);
    assert!(!away.stderr.contains("secret"), "{away:?}");
    platform.sql("empty.db", "CREATE TABLE x (a); DROP TABLE x");
    run_in(here, &["init", "sqlite:empty.db"]).failed_with(1, &["the database has no tables"]);
    assert!(!platform.path("domicile.toml").exists());
}

#[test]
fn a_subject_table_of_another_name() {
    let platform = shop();
    let here = platform.folder();
    let wrong = run_in(here, &["init", "sqlite:shop.db", "--subjects", "custmers"]);
    wrong.failed_with(1, &["there is no table custmers", "the nearest name is customers"]);
    let named = run_in(here, &["init", "sqlite:shop.db", "--subjects", "employees", "--json"]).ok();
    assert_eq!(named.json()["candidates"][0]["table"], "employees");
}

/// On PostgreSQL the role needs no more than reading, and the password stays out of the file.
#[test]
fn a_reader_with_a_password_on_postgresql() {
    let server = domicile_testkit::Server::shared(0).unwrap();
    let database = server.fresh_database("init").unwrap();
    let sql = |text: &str| {
        let out = Command::new("psql")
            .args([
                "--no-psqlrc",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                &database.superuser_url,
                "-c",
                text,
            ])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    sql(&format!("BEGIN; {SHOP} {} COMMIT", rows()));
    let role = format!("reader_{}", std::process::id());
    sql(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'se cret'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let address = database.superuser_url.rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}:se%20cret@{address}");
    let platform = Platform::empty();
    let here = platform.folder();
    let ran = run_in(here, &["init", &url, "--site", "iad1", "--territory", "US", "-vv"]).ok();
    sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    let text = std::fs::read_to_string(platform.path("domicile.toml")).unwrap();
    assert!(text.contains("url = \"${DOMICILE_IAD1_URL}\""), "{text}");
    for told in [&text, &ran.stdout, &ran.stderr] {
        assert!(!told.contains("se%20cret") && !told.contains("se cret"), "{told}");
    }
    let mut plan = program();
    plan.args(["plan", "--json"]).current_dir(here);
    plan.env("DOMICILE_IAD1_URL", &database.superuser_url);
    let plan = finish(plan).json();
    let refused = plan["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "the foreign key to staff: {plan}");
    assert_eq!(plan["subjects"]["total"], 60);
    let kinds: Vec<&Value> =
        plan["tables"].as_array().unwrap().iter().map(|t| &t["kind"]).collect();
    assert_eq!(json!(kinds), json!(["owned", "internal", "reference", "owned", "owned"]));
}
