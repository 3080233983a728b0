//! Databases on a shared server: apart from each other, the application's own, gone afterwards.

use domicile_testkit::{Server, TestDatabase, connect};

fn fresh(index: usize) -> anyhow::Result<TestDatabase> {
    Server::shared(index)?.fresh_database("databases")
}

#[tokio::test]
async fn two_fresh_databases_are_apart() {
    let [first, second] = [fresh(0).unwrap(), fresh(0).unwrap()];
    assert_ne!(first.name, second.name);
    let client = connect(&first.app_url).await.unwrap();
    client.batch_execute("create table people (id int)").await.unwrap();
    let client = connect(&second.app_url).await.unwrap();
    assert!(client.query("select * from people", &[]).await.is_err());
}

#[tokio::test]
async fn the_mover_is_superuser_and_the_application_is_not() {
    let database = fresh(0).unwrap();
    for (url, role, superuser) in [
        (&database.mover_url, "domicile_mover", "on"),
        (&database.app_url, "app", "off"),
        (&database.superuser_url, "postgres", "on"),
    ] {
        let client = connect(url).await.unwrap();
        let row = client
            .query_one("select current_user::text, current_setting('is_superuser')", &[])
            .await
            .unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (role, superuser));
    }
}

#[tokio::test]
async fn a_dropped_database_is_gone_whatever_it_held() {
    let database = fresh(0).unwrap();
    let name = database.name.clone();
    let held = connect(&database.mover_url).await.unwrap();
    for statement in [
        "create table t (id int)".to_owned(),
        format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')"),
        format!("begin; insert into t values (1); prepare transaction '{name} it''s'"),
    ] {
        held.batch_execute(&statement).await.unwrap();
    }
    drop(database);

    let other = fresh(0).unwrap();
    let client = connect(&other.superuser_url).await.unwrap();
    let left = "select count(*) from pg_database where datname = $1";
    assert_eq!(client.query_one(left, &[&name]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn different_indexes_are_different_servers() {
    let mut identifiers = Vec::new();
    for index in 0..2 {
        let database = fresh(index).unwrap();
        let client = connect(&database.superuser_url).await.unwrap();
        let query = "select system_identifier from pg_control_system()";
        identifiers.push(client.query_one(query, &[]).await.unwrap().get::<_, i64>(0));
    }
    assert_ne!(identifiers[0], identifiers[1]);
}
