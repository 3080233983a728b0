//! Foreign keys between people: told by `plan`, refused by `migrate`, dropped by
//! `prepare --drop-crossing-keys`, made again by the script it leaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure should stop where it happens")]

#[cfg(test)]
mod support;

use domicile_testkit::{Server, TestDatabase, connect};
use serde_json::{Value, json};
use std::path::Path;
use support::{Platform, Ran, finish, program};

/// As a well-known sample writes it: brackets, actions, a table of staff that stays.
const SHOP: &str = "
    CREATE TABLE [Employee] (
        [EmployeeId] INTEGER NOT NULL, [Name] NVARCHAR(20) NOT NULL, [ReportsTo] INTEGER,
        CONSTRAINT [PK_Employee] PRIMARY KEY ([EmployeeId]),
        FOREIGN KEY ([ReportsTo]) REFERENCES [Employee] ([EmployeeId])
            ON DELETE NO ACTION ON UPDATE NO ACTION);
    CREATE TABLE [Customer] (
        [CustomerId] INTEGER NOT NULL, [Country] NVARCHAR(40), [SupportRepId] INTEGER, -- who helps
        [InvitedBy] INTEGER REFERENCES [Customer] ([CustomerId]) ON DELETE SET NULL,
        CONSTRAINT [PK_Customer] PRIMARY KEY ([CustomerId]),
        FOREIGN KEY ([SupportRepId]) REFERENCES [Employee] ([EmployeeId])
            ON DELETE NO ACTION ON UPDATE NO ACTION);
    CREATE INDEX [IFK_SupportRepId] ON [Customer] ([SupportRepId]);
    CREATE TABLE [Invoice] (
        [InvoiceId] INTEGER NOT NULL, [CustomerId] INTEGER NOT NULL, [Total] NUMERIC(10, 2),
        CONSTRAINT [PK_Invoice] PRIMARY KEY ([InvoiceId]),
        FOREIGN KEY ([CustomerId]) REFERENCES [Customer] ([CustomerId]));
    CREATE INDEX [IFK_Customer] ON [Invoice] ([CustomerId]);
    INSERT INTO Employee VALUES (1, 'Andrew', NULL), (2, 'Jane', 1);
    INSERT INTO Customer VALUES (1, 'Germany', 2, NULL), (2, 'USA', 2, 1), (3, 'Norway', 1, 1);
    INSERT INTO Invoice VALUES (11, 1, 1.5), (12, 2, 2), (13, 3, 0.99);";

const RULES: &str = "
[tables.Employee]
kind = \"internal\"
[tables.Customer]
soft = [\"SupportRepId\", \"InvitedBy\"]
";

fn shop() -> Platform {
    let mut platform = Platform::with_people(0);
    platform.sql("origin.db", "DROP TABLE ratings; DROP TABLE books; DROP TABLE users");
    platform.sql("origin.db", SHOP);
    platform.configure("table = \"users\"", "table = \"Customer\"");
    platform.configure(
        "residence = { text = [\"city\", \"country\"] }",
        "residence = { text = [\"Country\"] }",
    );
    platform.config.push_str(RULES);
    platform
}

const TEXTS: &str = "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%REFERENCES%SupportRep%'
    OR (name = 'Customer' AND sql LIKE '%FOREIGN KEY%')";

fn script(folder: &Path, site: &str) -> String {
    std::fs::read_to_string(folder.join(format!("domicile-keys-{site}.sql"))).unwrap()
}

#[test]
fn told_refused_dropped_and_moved() {
    let platform = shop();
    let told = platform.run(&["plan", "--json"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let told = told.json();
    let keys = told["crossing_keys"].as_array().unwrap();
    let named: Vec<&Value> = keys.iter().map(|key| &key["columns"][0]).collect();
    assert_eq!(named, ["InvitedBy", "SupportRepId"]);
    assert_eq!(keys[0]["sites"], json!(["iad1"]));
    let edge = |columns: &str| {
        let edges = told["edges"].as_array().unwrap();
        edges.iter().find(|edge| edge["columns"] == json!([columns])).unwrap().clone()
    };
    assert_eq!(
        (&edge("SupportRepId")["crossing"], &edge("InvitedBy")["crossing"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(told["refused"].as_array().unwrap().len(), 2, "{told}");

    for command in ["prepare", "migrate"] {
        if command == "migrate" {
            // Only then are all sites there.
            for file in ["dub1.db", "osl1.db"] {
                platform.open(file);
            }
        }
        let refused = platform.run(&[command]);
        refused.failed_with(1, &["domicile prepare --drop-crossing-keys", "refuses 2 things"]);
    }
    assert_eq!(platform.count("origin.db", TEXTS), 1);

    let dropped = platform.run(&["prepare", "--drop-crossing-keys", "--json"]).ok();
    assert!(dropped.stderr.contains("UPDATE sqlite_schema SET sql = "), "{dropped:?}");
    let report = dropped.json();
    assert_eq!(report["dropped_keys"][0]["site"], "iad1");
    assert_eq!(report["dropped_keys"].as_array().unwrap().len(), 1, "no other site has tables");
    for file in ["origin.db", "dub1.db", "osl1.db"] {
        assert_eq!(platform.count(file, TEXTS), 0, "{file}");
        let index = "SELECT count(*) FROM sqlite_schema WHERE name = 'IFK_SupportRepId'";
        assert_eq!(platform.count(file, index), 1, "{file}");
    }
    let kept = script(platform.folder(), "iad1");
    let plan = platform.run(&["plan", "--json"]).ok().json();
    assert_eq!(plan["crossing_keys"], json!([]));

    let again = platform.run(&["prepare", "--drop-crossing-keys", "--json"]).ok();
    assert_eq!(again.json()["dropped_keys"], json!([]));
    assert_eq!(script(platform.folder(), "iad1"), kept, "the second run leaves the script");

    let moved = platform.run(&["migrate", "--json"]).ok().json();
    assert_eq!((&moved["moved"], &moved["failed"]), (&json!(2), &json!(0)), "{moved}");
    let helped = "SELECT SupportRepId FROM Customer WHERE CustomerId = 1";
    assert_eq!(platform.count("dub1.db", helped), 2, "the value is kept");
    platform.run(&["verify"]).ok();
}

#[test]
fn the_script_makes_the_keys_again() {
    let platform = shop();
    platform.run(&["prepare", "--drop-crossing-keys"]).ok();
    let text = script(platform.folder(), "iad1");
    assert_eq!(platform.count("origin.db", TEXTS), 0);
    platform.sql("origin.db", &text);
    assert_eq!(platform.count("origin.db", TEXTS), 1);
    let original = "SELECT count(*) FROM sqlite_schema WHERE name = 'Customer' AND sql =
        'CREATE TABLE [Customer] (
        [CustomerId] INTEGER NOT NULL, [Country] NVARCHAR(40), [SupportRepId] INTEGER, -- who helps
        [InvitedBy] INTEGER REFERENCES [Customer] ([CustomerId]) ON DELETE SET NULL,
        CONSTRAINT [PK_Customer] PRIMARY KEY ([CustomerId]),
        FOREIGN KEY ([SupportRepId]) REFERENCES [Employee] ([EmployeeId])
            ON DELETE NO ACTION ON UPDATE NO ACTION)'";
    assert_eq!(platform.count("origin.db", original), 1);
    // Dropped a second time, the script says it already.
    platform.run(&["prepare", "--drop-crossing-keys"]).ok();
    assert_eq!(script(platform.folder(), "iad1"), text);
    // A table that has changed since is not put back to what it was.
    platform.sql("origin.db", "ALTER TABLE Customer ADD COLUMN Fax TEXT");
    assert!(platform.open("origin.db").run(&text).is_err());
    assert_eq!(platform.count("origin.db", TEXTS), 0);
}

#[test]
fn a_key_dropped_later_stands_first_in_the_script() {
    let mut platform = shop();
    platform.configure("[\"SupportRepId\", \"InvitedBy\"]", "[\"SupportRepId\"]");
    let refused = platform.run(&["prepare", "--drop-crossing-keys"]);
    refused.failed_with(1, &["InvitedBy refers to rows of Customer that belong to others"]);
    assert_eq!(platform.count("origin.db", TEXTS), 1, "nothing is dropped before all is answered");
    platform.sql("origin.db", "UPDATE Customer SET InvitedBy = NULL");
    platform.run(&["prepare", "--drop-crossing-keys"]).ok();
    let first = script(platform.folder(), "iad1");
    platform.configure("[\"SupportRepId\"]", "[\"SupportRepId\", \"InvitedBy\"]");
    platform.run(&["prepare", "--drop-crossing-keys"]).ok();
    let both = script(platform.folder(), "iad1");
    assert!(both.ends_with(&first) && both.len() > first.len(), "{both}");
    platform.sql("origin.db", &both);
    assert_eq!(platform.count("origin.db", TEXTS), 1);
}

#[test]
fn a_script_that_cannot_be_written_stops_the_drop() {
    let platform = shop();
    std::fs::create_dir(platform.path("domicile-keys-iad1.sql")).unwrap();
    let stopped = platform.run(&["prepare", "--drop-crossing-keys"]);
    stopped.failed_with(1, &["domicile-keys-iad1.sql cannot be written", "nothing was dropped"]);
    assert_eq!(platform.count("origin.db", TEXTS), 1);
}

/// Keys of every sort at PostgreSQL: of two columns, with actions, deferrable, not validated, on
/// a partitioned table, with a comment.
const FORUM: &str = "
    create table staff (id bigint, office bigint, primary key (id, office));
    create table users (id bigint primary key, country text, helper bigint, office bigint,
        constraint \"helped by\" foreign key (helper, office) references staff (id, office)
            on update cascade on delete set null deferrable initially deferred);
    create table posts (id bigint primary key, user_id bigint not null references users (id));
    create index on posts (user_id);
    create table likes (id bigint, user_id bigint not null references users (id),
        post_id bigint not null, on_day date, primary key (id, on_day)) partition by range (on_day);
    create table likes_now partition of likes default;
    alter table likes add foreign key (post_id) references posts (id) on delete cascade;
    create index on likes (user_id);
    alter table users add invited_by bigint;
    alter table users add constraint inviter foreign key (invited_by) references users not valid;
    comment on constraint inviter on users is 'who''s asked';";

const MEMBERS: &str = "
    insert into staff values (1, 1);
    insert into users select n, (array['US', 'DE', 'NO'])[1 + n % 3], 1, 1 from generate_series(1, 30) n;
    insert into posts select n, n from generate_series(1, 30) n;
    insert into likes select n, n, 1 + n % 30, '2026-11-22' from generate_series(1, 30) n;";

const FORUM_CONFIG: &str = "
[subjects]
table = \"users\"
residence = { code = \"country\" }
[[homes]]
regimes = [\"EU\", \"EEA\"]
sites = [\"dub1\"]
[[homes]]
regimes = [\"*\"]
sites = [\"iad1\"]
[tables.staff]
kind = \"internal\"
[tables.users]
soft = [[\"helper\", \"office\"], \"invited_by\"]
[tables.likes]
owner = \"user_id\"
soft = [\"post_id\"]
";

async fn keys(database: &TestDatabase) -> Vec<String> {
    let client = connect(&database.superuser_url).await.unwrap();
    let all = "select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated,
            condeferrable, condeferred, confupdtype, confdeltype, confmatchtype,
            obj_description(oid, 'pg_constraint'))
        from pg_constraint where contype = 'f' order by 1";
    client.query(all, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_real_servers_and_back() {
    let fresh = |server| Server::shared(server).unwrap().fresh_database("crossing").unwrap();
    let databases = [fresh(0), fresh(1)];
    for database in &databases {
        connect(&database.app_url).await.unwrap().batch_execute(FORUM).await.unwrap();
    }
    connect(&databases[0].app_url).await.unwrap().batch_execute(MEMBERS).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sites = [("iad1", "US", &databases[0]), ("dub1", "IE", &databases[1])].map(
        |(name, territory, d)| {
            format!("[sites.{name}]\nterritory = \"{territory}\"\nurl = \"{}\"\n", d.mover_url)
        },
    );
    std::fs::write(folder.path().join("domicile.toml"), sites.concat() + FORUM_CONFIG).unwrap();
    let run = |arguments: &[&str]| -> Ran {
        let mut command = program();
        command.args(arguments).current_dir(folder.path());
        finish(command)
    };
    let before = [keys(&databases[0]).await, keys(&databases[1]).await];
    let told = run(&["plan", "--json"]).json();
    assert_eq!(told["crossing_keys"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!(told["crossing_keys"][0]["sites"], json!(["iad1", "dub1"]));
    run(&["migrate"]).failed_with(1, &["domicile prepare --drop-crossing-keys"]);

    // A reader that stays keeps the lock from being had, and then lets go.
    let mut reader = connect(&databases[0].app_url).await.unwrap();
    let open = reader.transaction().await.unwrap();
    open.query("select 1 from users limit 1", &[]).await.unwrap();
    let path = folder.path().to_owned();
    let waiting = tokio::task::spawn_blocking(move || {
        let mut command = program();
        command.args(["prepare", "--drop-crossing-keys", "--json"]).current_dir(path);
        finish(command)
    });
    let watcher = connect(&databases[0].superuser_url).await.unwrap();
    let queued = "select count(*) from pg_locks where not granted and relation = 'users'::regclass";
    while watcher.query_one(queued, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!waiting.is_finished());
        tokio::task::yield_now().await;
    }
    open.commit().await.unwrap();
    let dropped = waiting.await.unwrap().ok();
    assert!(
        dropped.stderr.contains("ALTER TABLE \"public\".\"users\" DROP CONSTRAINT \"helped by\";"),
        "{dropped:?}"
    );
    assert_eq!(dropped.json()["dropped_keys"].as_array().unwrap().len(), 2);
    assert_eq!(run(&["plan", "--json"]).ok().json()["refused"], json!([]));

    for (database, (site, before)) in databases.iter().zip(["iad1", "dub1"].iter().zip(&before)) {
        let after = keys(database).await;
        assert!(after.len() < before.len(), "{after:?}");
        let text = script(folder.path(), site);
        connect(&database.app_url).await.unwrap().batch_execute(&text).await.unwrap();
        assert_eq!(&keys(database).await, before);
    }
    run(&["prepare", "--drop-crossing-keys"]).ok();
    let moved = run(&["migrate", "--json"]).ok().json();
    assert_eq!((&moved["moved"], &moved["failed"]), (&json!(20), &json!(0)), "{moved}");
    run(&["verify"]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_kept_apart_by_the_statements_of_the_plan() {
    const TABLES: &str = "create table users (id bigserial primary key, country text);
        create table posts (id integer generated by default as identity primary key,
            user_id bigint not null references users (id));
        create index on posts (user_id);";
    let fresh = |server| Server::shared(server).unwrap().fresh_database("numbers").unwrap();
    let databases = [fresh(0), fresh(1)];
    let mut config = "[subjects]\ntable = \"users\"\nresidence = { code = \"country\" }\n\
                      [[homes]]\nregimes = [\"*\"]\nsites = [\"iad1\"]\n"
        .to_owned();
    for (name, database) in ["iad1", "dub1"].iter().zip(&databases) {
        connect(&database.app_url).await.unwrap().batch_execute(TABLES).await.unwrap();
        let url = &database.mover_url;
        config.push_str(&format!("[sites.{name}]\nterritory = \"IE\"\nurl = \"{url}\"\n"));
    }
    let rows = "insert into users (country) select 'US' from generate_series(1, 50)";
    connect(&databases[0].app_url).await.unwrap().batch_execute(rows).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("domicile.toml"), config).unwrap();
    let plan = || {
        let mut command = program();
        command.args(["plan", "--json"]).current_dir(folder.path());
        finish(command).ok().json()
    };
    let told = plan();
    let sequences = told["sequences"].as_array().unwrap();
    assert_eq!(sequences.len(), 2, "{told}");
    for sequence in sequences {
        assert_eq!(sequence["collides"], true, "{sequence}");
        let statements = sequence["statements"].as_array().unwrap();
        for (said, database) in statements.iter().zip(&databases) {
            let statement = said["statement"].as_str().unwrap();
            connect(&database.app_url).await.unwrap().batch_execute(statement).await.unwrap();
        }
    }
    let told = plan();
    for sequence in told["sequences"].as_array().unwrap() {
        assert_eq!((&sequence["collides"], &sequence["statements"]), (&json!(false), &json!([])));
    }
    assert_eq!(told["warnings"], json!([]), "{told}");
    let mut given = Vec::new();
    for database in &databases {
        let client = connect(&database.app_url).await.unwrap();
        let insert =
            "insert into users (country) select 'US' from generate_series(1, 20) returning id";
        let rows = client.query(insert, &[]).await.unwrap();
        given.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 40, "no number twice");
    assert!(given[0] > 1_000, "well above what was given");
}
