//! What a gauge reads of a server's load.

use crate::conformance::support::{End, Stage, look_again};
use crate::postgres_bed::PostgresBed;
use domicile_store::{Gauge, Load};
use domicile_testkit::connect;

async fn gauge(stage: &Stage<PostgresBed>) -> Box<dyn Gauge> {
    stage.source.gauge().await.unwrap().unwrap()
}

/// Reads until the load is as it must be.
async fn await_load(gauge: &mut dyn Gauge, is_so: impl Fn(&Load) -> bool) {
    let mut looks = 0;
    loop {
        let load = gauge.read().await.unwrap();
        if is_so(&load) {
            return;
        }
        look_again(&mut looks, &format!("{load:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_mover_is_counted_and_who_waits_for_others_is_not() {
    let stage = Stage::<PostgresBed>::ready().await;
    let mut gauge = gauge(&stage).await;
    let database = stage.bed.database(End::Source);
    let mover = connect(&database.mover_url).await.unwrap();
    let other = connect(&database.app_url).await.unwrap();
    mover.batch_execute("set application_name = 'domicile mover'").await.unwrap();
    let mut waiting = Vec::new();
    for (holder, id) in [(&mover, 1), (&other, 2)] {
        let hold = format!("begin; select from users where id = {id} for update");
        holder.batch_execute(&hold).await.unwrap();
        let app = connect(&database.app_url).await.unwrap();
        waiting.push(tokio::spawn(async move {
            let wait = format!("update users set city = 'Cork' where id = {id}");
            app.batch_execute(&wait).await.unwrap();
        }));
    }
    let onlooker = connect(&database.app_url).await.unwrap();
    let waits = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
        where a.datname = current_database() and not l.granted";
    let mut looks = 0;
    while onlooker.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) < 2 {
        look_again(&mut looks, "two sessions must wait").await;
    }
    await_load(&mut *gauge, |load| load.waiting == 1).await;
    mover.batch_execute("rollback").await.unwrap();
    waiting.remove(0).await.unwrap();
    assert_eq!(gauge.read().await.unwrap().waiting, 0, "the other waits for the application");
    other.batch_execute("rollback").await.unwrap();
    waiting.remove(0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_rows_are_told_until_they_are_vacuumed() {
    let stage = Stage::<PostgresBed>::ready().await;
    let mut gauge = gauge(&stage).await;
    let app = connect(&stage.bed.database(End::Source).app_url).await.unwrap();
    app.batch_execute("alter table likes set (autovacuum_enabled = off); delete from likes")
        .await
        .unwrap();
    // A session that ends hands in what it has counted.
    drop(app);
    let likes =
        |load: &Load| load.tables.iter().find(|t| t.table == "public.likes").cloned().unwrap();
    await_load(&mut *gauge, |load| (likes(load).live, likes(load).dead) == (0, 3)).await;
    let names: Vec<String> =
        gauge.read().await.unwrap().tables.into_iter().map(|table| table.table).collect();
    assert!(!names.iter().any(|name| name == "public.badges"), "nobody's: {names:?}");
    let app = connect(&stage.bed.database(End::Source).app_url).await.unwrap();
    app.batch_execute("vacuum likes").await.unwrap();
    await_load(&mut *gauge, |load| likes(load).dead == 0).await;
}
