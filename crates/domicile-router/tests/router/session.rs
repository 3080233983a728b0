//! An ordinary driver in front of two real sites.

use crate::support::World;
use anyhow::Result;
use domicile_router::homes::Home;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

async fn value(client: &Client, text: &str) -> Result<Option<String>> {
    let messages = client.simple_query(text).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// Two people, one at each site.
async fn people(client: &Client) -> Result<()> {
    let insert = "INSERT INTO users (id, email, country) VALUES ($1, $2, $3)";
    client.execute(insert, &[&1i64, &"ann@x", &"US"]).await?;
    client.execute(insert, &[&2i64, &"ben@x", &"IE"]).await?;
    Ok(())
}

fn code(result: Result<impl Sized, tokio_postgres::Error>) -> SqlState {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(error) => error.code().cloned().unwrap_or_else(|| panic!("{error}")),
    }
}

#[tokio::test]
async fn each_person_is_read_and_written_at_home() -> Result<()> {
    let world = World::start(2).await?;
    let client = world.client().await?;
    people(&client).await?;
    assert_eq!(world.at(0, "SELECT id FROM users").await?, "1");
    assert_eq!(world.at(1, "SELECT id FROM users").await?, "2");
    for (user, post) in [(1i64, 10i64), (2, 20)] {
        let insert = "INSERT INTO posts (id, user_id, body) VALUES ($1, $2, 'x')";
        client.execute(insert, &[&post, &user]).await?;
        let row = client.query_one("SELECT user_id FROM posts WHERE id = $1", &[&post]).await?;
        assert_eq!(row.get::<_, i64>(0), user);
        let text = format!("SELECT body FROM posts WHERE user_id = {user}");
        assert_eq!(value(&client, &text).await?.as_deref(), Some("x"));
    }
    assert_eq!(client.execute("UPDATE posts SET body = 'y' WHERE id = $1", &[&20i64]).await?, 1);
    assert_eq!(world.at(1, "SELECT body FROM posts").await?, "y");
    let found = client.query_one("SELECT id FROM users WHERE email = $1", &[&"ben@x"]).await?;
    assert_eq!(found.get::<_, i64>(0), 2);
    // Rows that are everywhere: written at their own site, read at the nearest.
    client.execute("INSERT INTO topics VALUES (1, 'news')", &[]).await?;
    assert_eq!(world.at(1, "SELECT title FROM topics").await?, "news");
    assert_eq!(value(&client, "SELECT title FROM topics").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_statement_for_nobody_in_particular_is_refused_with_what_would_help() -> Result<()> {
    let world = World::start(2).await?;
    let client = world.client().await?;
    people(&client).await?;
    let error = client.simple_query("SELECT count(*) FROM posts").await.expect_err("refused");
    let error = error.as_db_error().expect("an error of the database").clone();
    assert_eq!(error.code(), &SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(
        error.message(),
        "the router cannot tell where this statement belongs: it does not say whose rows of posts \
         it means"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("domicile.subject")));
    // Named by a comment, or by the session.
    client.batch_execute("INSERT INTO posts VALUES (20, 2, 'x')").await?;
    let text = "/* domicile.subject=2 */ SELECT count(*) FROM posts";
    assert_eq!(value(&client, text).await?.as_deref(), Some("1"));
    client.batch_execute("SET domicile.subject = '1'").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM posts").await?.as_deref(), Some("0"));
    client.batch_execute("RESET domicile.subject").await?;
    assert_eq!(
        code(client.simple_query("SELECT count(*) FROM posts").await),
        SqlState::FEATURE_NOT_SUPPORTED
    );
    let both = "SELECT 1 FROM users WHERE id = 1; SELECT 1 FROM users WHERE id = 2";
    assert_eq!(code(client.simple_query(both).await), SqlState::FEATURE_NOT_SUPPORTED);
    Ok(())
}

#[tokio::test]
async fn a_transaction_stays_at_the_site_of_its_first_person() -> Result<()> {
    let world = World::start(2).await?;
    let mut client = world.client().await?;
    people(&client).await?;
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO posts VALUES ($1, $2, 'x')", &[&20i64, &2i64]).await?;
    let savepoint = "SAVEPOINT a; UPDATE posts SET body = 'z' WHERE id = 20; ROLLBACK TO a";
    transaction.batch_execute(savepoint).await?;
    let other = transaction.execute("UPDATE users SET email = '' WHERE id = $1", &[&1i64]).await;
    assert_eq!(code(other), SqlState::FEATURE_NOT_SUPPORTED);
    let after = transaction.execute("SELECT 1", &[]).await;
    assert_eq!(code(after), SqlState::IN_FAILED_SQL_TRANSACTION);
    transaction.rollback().await?;
    assert_eq!(world.at(1, "SELECT id FROM posts").await?, "");
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO posts VALUES ($1, $2, 'x')", &[&20i64, &2i64]).await?;
    transaction.commit().await?;
    assert_eq!(world.at(1, "SELECT body FROM posts").await?, "x");
    // One that says nothing ends as it began.
    client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT").await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let level = value(&client, "SHOW transaction_isolation").await?;
    assert_eq!(level.as_deref(), Some("repeatable read"));
    client.batch_execute("ROLLBACK").await?;
    Ok(())
}

#[tokio::test]
async fn settings_are_the_sessions_own_on_whichever_connection() -> Result<()> {
    let world = World::start(1).await?;
    let (one, two) = (world.client().await?, world.client().await?);
    people(&one).await?;
    let show = "SELECT current_setting('work_mem') FROM users WHERE id = 2";
    let default = value(&two, show).await?;
    one.batch_execute("SET work_mem = '1234kB'").await?;
    for _ in 0..3 {
        assert_eq!(value(&one, show).await?.as_deref(), Some("1234kB"));
        assert_eq!(value(&two, show).await?, default);
    }
    one.batch_execute("BEGIN; SET work_mem = '64kB'").await?;
    assert_eq!(value(&one, show).await?.as_deref(), Some("64kB"));
    one.batch_execute("ROLLBACK").await?;
    assert_eq!(value(&one, show).await?.as_deref(), Some("1234kB"));
    one.batch_execute("BEGIN; SET LOCAL work_mem = '64kB'").await?;
    assert_eq!(value(&one, show).await?.as_deref(), Some("64kB"));
    one.batch_execute("COMMIT").await?;
    assert_eq!(value(&one, show).await?.as_deref(), Some("1234kB"));
    one.batch_execute("RESET work_mem").await?;
    assert_eq!(value(&one, show).await?, default);
    let wrong = one.batch_execute("SET no_such_setting = 1").await;
    assert_eq!(code(wrong), SqlState::UNDEFINED_OBJECT);
    assert_eq!(value(&one, show).await?, default);
    Ok(())
}

#[tokio::test]
async fn what_a_statement_leaves_on_a_connection_nobody_else_finds() -> Result<()> {
    let world = World::start(1).await?;
    let (one, two) = (world.client().await?, world.client().await?);
    people(&one).await?;
    // Refused for whoever names nobody; who does gets a connection that serves nobody else.
    for leaves in [
        "CREATE TEMP TABLE users (id bigint, email text)",
        "SELECT pg_advisory_lock(7)",
        "SELECT set_config('work_mem', '77MB', false)",
        "PREPARE stolen AS SELECT 1",
        "LISTEN news",
    ] {
        assert_eq!(
            code(one.simple_query(leaves).await),
            SqlState::FEATURE_NOT_SUPPORTED,
            "{leaves}"
        );
        one.batch_execute("SET domicile.subject = '2'").await?;
        one.simple_query(leaves).await?;
        one.batch_execute("RESET domicile.subject").await?;
        let found = two.query_one("SELECT email FROM users WHERE id = $1", &[&2i64]).await?;
        assert_eq!(found.get::<_, &str>(0), "ben@x", "{leaves}");
        let memory = "SELECT current_setting('work_mem') FROM users WHERE id = 2";
        assert_ne!(value(&two, memory).await?.as_deref(), Some("77MB"));
    }
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7";
    while world.at(1, held).await? != "0" {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn prepared_statements_follow_the_person() -> Result<()> {
    let world = World::start(1).await?;
    let (one, two) = (world.client().await?, world.client().await?);
    people(&one).await?;
    let (by_one, by_two) = (
        one.prepare("SELECT email FROM users WHERE id = $1").await?,
        two.prepare("SELECT email FROM users WHERE id = $1").await?,
    );
    for _ in 0..3 {
        for (id, email) in [(1i64, "ann@x"), (2, "ben@x")] {
            assert_eq!(one.query_one(&by_one, &[&id]).await?.get::<_, &str>(0), email);
            assert_eq!(two.query_one(&by_two, &[&id]).await?.get::<_, &str>(0), email);
        }
    }
    // Many at once, each answered in its turn.
    let ids = [1i64, 2, 1, 2, 2, 1];
    let queries = ids.iter().map(|id| async { one.query_one(&by_one, &[id]).await });
    let rows = futures_util::future::try_join_all(queries).await?;
    let found: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, ["ann@x", "ben@x", "ann@x", "ben@x", "ben@x", "ann@x"]);
    Ok(())
}

#[tokio::test]
async fn only_who_proves_it_is_let_in() -> Result<()> {
    let world = World::start(1).await?;
    for (user, password) in [("ann", "wrong"), ("nobody", "secret"), ("app", "")] {
        let url = format!("postgres://{user}:{password}@127.0.0.1:{}/app", world.port);
        let refused = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        assert_eq!(code(refused.map(|_| ())), SqlState::INVALID_PASSWORD, "{user}");
    }
    let url = format!("postgres://ann:secret@127.0.0.1:{}/other", world.port);
    let refused = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
    assert_eq!(code(refused.map(|_| ())), SqlState::INVALID_CATALOG_NAME);
    Ok(())
}

#[tokio::test]
async fn what_a_client_cancels_is_cancelled_and_nothing_else() -> Result<()> {
    let world = World::start(1).await?;
    let (one, two) = (world.client().await?, world.client().await?);
    people(&one).await?;
    let (cancel_one, cancel_two) = (one.cancel_token(), two.cancel_token());
    let sleeps = "SELECT pg_sleep(60) FROM users WHERE id = 2";
    let sleeping = tokio::spawn(async move { (code(one.simple_query(sleeps).await), one) });
    let sleepers = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'";
    while world.at(1, sleepers).await? != "1" {
        tokio::task::yield_now().await;
    }
    // Who runs nothing cancels nothing.
    cancel_two.cancel_query(tokio_postgres::NoTls).await?;
    assert!(!sleeping.is_finished());
    cancel_one.cancel_query(tokio_postgres::NoTls).await?;
    let (code, one) = sleeping.await?;
    assert_eq!(code, SqlState::QUERY_CANCELED);
    assert_eq!(
        value(&one, "SELECT email FROM users WHERE id = 2").await?.as_deref(),
        Some("ben@x")
    );
    Ok(())
}

#[tokio::test]
async fn what_a_vanished_client_ran_is_ended() -> Result<()> {
    let world = World::start(1).await?;
    let (one, link) = world.client_and_link().await?;
    people(&one).await?;
    let sleepers = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(61)%' AND state = 'active'";
    tokio::spawn(async move {
        let _ = one.simple_query("SELECT pg_sleep(61) FROM users WHERE id = 2").await;
    });
    while world.at(1, sleepers).await? != "1" {
        tokio::task::yield_now().await;
    }
    link.abort();
    while world.at(1, sleepers).await? != "0" {
        tokio::task::yield_now().await;
    }
    let two = world.client().await?;
    assert_eq!(
        value(&two, "SELECT email FROM users WHERE id = 2").await?.as_deref(),
        Some("ben@x")
    );
    Ok(())
}

#[tokio::test]
async fn nobody_gets_two_homes_under_one_key() -> Result<()> {
    let world = World::start(2).await?;
    let client = world.client().await?;
    people(&client).await?;
    let insert = "INSERT INTO users (id, email, country) VALUES ($1, $2, $3)";
    // The row says Ireland; the person lives in the United States.
    let again = client.execute(insert, &[&1i64, &"new@x", &"IE"]).await;
    assert_eq!(code(again), SqlState::UNIQUE_VIOLATION);
    let upsert = format!("{insert} ON CONFLICT (id) DO UPDATE SET email = excluded.email");
    assert_eq!(client.execute(&upsert, &[&1i64, &"ann@y", &"IE"]).await?, 1);
    assert_eq!(client.execute(&upsert, &[&3i64, &"cid@x", &"IE"]).await?, 1);
    assert_eq!(world.at(0, "SELECT email FROM users").await?, "ann@y");
    assert_eq!(world.at(1, "SELECT id FROM users ORDER BY id").await?, "2,3");
    // A new key is for whoever has it already, if somebody does.
    let rename = "UPDATE users SET id = $1 WHERE id = $2";
    assert_eq!(
        code(client.execute(rename, &[&2i64, &1i64]).await),
        SqlState::FEATURE_NOT_SUPPORTED
    );
    assert_eq!(code(client.execute(rename, &[&2i64, &3i64]).await), SqlState::UNIQUE_VIOLATION);
    assert_eq!(client.execute(rename, &[&4i64, &1i64]).await?, 1);
    let moves = "UPDATE users SET id = id + 1 WHERE id = $1";
    assert_eq!(code(client.execute(moves, &[&2i64]).await), SqlState::FEATURE_NOT_SUPPORTED);
    let both = "INSERT INTO users VALUES (5, 'eve@x', 'US'), (6, 'fay@x', 'IE')";
    assert_eq!(code(client.simple_query(both).await), SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(world.at(0, "SELECT id FROM users").await?, "4");
    Ok(())
}

#[tokio::test]
async fn whoever_waits_for_a_connection_finds_a_person_who_moves_meanwhile() -> Result<()> {
    let world = World::start(1).await?;
    let (mut one, two) = (world.client().await?, world.client().await?);
    people(&one).await?;
    let holds = one.transaction().await?;
    holds.execute("UPDATE users SET email = 'x' WHERE id = $1", &[&2i64]).await?;
    let waits =
        tokio::spawn(async move { value(&two, "SELECT email FROM users WHERE id = 2").await });
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
        AND datname = current_database()";
    assert_eq!(world.at(1, busy).await?, "1");
    // Until the other is heard to wait, nothing tells that it does; whichever comes first is right.
    tokio::task::yield_now().await;
    let site = domicile_testkit::connect(&world.sites[0].app_url).await?;
    site.batch_execute("INSERT INTO users VALUES (2, 'moved@x', 'IE')").await?;
    world.homes.hear("2", Home { site: 0, is_under_way: false });
    holds.commit().await?;
    assert_eq!(waits.await??.as_deref(), Some("moved@x"));
    Ok(())
}

#[tokio::test]
async fn what_says_nobody_runs_where_it_was_chosen_to_run() -> Result<()> {
    let world = World::start(2).await?;
    let client = world.client().await?;
    people(&client).await?;
    for (visit, user) in [(1i64, 1i64), (2, 2), (3, 2)] {
        let insert = "INSERT INTO visits (id, user_id) VALUES ($1, $2)";
        client.execute(insert, &[&visit, &user]).await?;
    }
    assert_eq!(value(&client, "SELECT count(*) FROM visits").await?.as_deref(), Some("2"));
    let anns = "SELECT count(*) FROM visits WHERE user_id = 1";
    assert_eq!(value(&client, anns).await?.as_deref(), Some("1"));
    let anns = "SELECT count(*) FROM visits /* domicile.subject=1 */";
    assert_eq!(value(&client, anns).await?.as_deref(), Some("1"), "whoever is named is at home");
    let apart = "SELECT count(*) FROM visits, users WHERE users.id = 1";
    assert_eq!(code(client.query(apart, &[]).await), SqlState::FEATURE_NOT_SUPPORTED);
    Ok(())
}
