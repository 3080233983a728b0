//! What the numbered schedules of the attacks share: the test `attack_NN_…` plays schedule NN.
//! `xtask/mutants.toml` says which rule of the move each of them misses.

use crate::conformance::support::{End, Lane, Stage, WORLD, World, look_again};
use crate::postgres_bed::PostgresBed;
use domicile_testkit::connect;

pub(crate) type PostgresStage = Stage<PostgresBed>;

/// The usual world with a part of its schema and a part of its rows written otherwise.
pub(crate) fn world_with(schema: (&str, &str), rows: (&str, &str)) -> World {
    let changed = WORLD.schema.replace(schema.0, schema.1);
    assert_ne!(changed, WORLD.schema);
    World { schema: changed.leak(), rows: WORLD.rows.replace(rows.0, rows.1).leak(), ..WORLD }
}

/// A stage on another world whose reference rows are at both ends.
pub(crate) async fn stage_of(world: &World) -> PostgresStage {
    let stage = PostgresStage::of(world).await;
    stage.carry_reference().await;
    stage
}

/// Waits until so many sessions at one end wait for locks.
pub(crate) async fn await_waiters(stage: &PostgresStage, end: End, count: i64) {
    let superuser = connect(&stage.bed.database(end).superuser_url).await.unwrap();
    // Who waits for a moment only is no waiter.
    let waiting = "select count(distinct a.pid) from pg_stat_activity a join pg_locks l using (pid)
        where a.datname = current_database() and not l.granted
        and clock_timestamp() - l.waitstart > interval '50 milliseconds'";
    let mut looks = 0;
    while superuser.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) < count {
        look_again(&mut looks, &format!("{count} sessions never wait")).await;
    }
}

/// Ends Ada's move; what stands at the target is what the source showed at the decision.
pub(crate) async fn ends_well(stage: &PostgresStage, lane: &mut Lane) {
    lane.catch_up_and_decide().await;
    let hers = stage.rows_of(End::Source, "1").await;
    lane.settle().await;
    assert_eq!(stage.everything(End::Target).await, hers);
    lane.erase().await;
    assert_eq!(stage.everything(End::Target).await, hers);
    for site in [&stage.source, &stage.target] {
        assert_eq!(site.scan(&stage.closure).await.unwrap().ownerless, []);
    }
}
