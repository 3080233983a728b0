//! Schedules in which the server dies, each on a server of its own.

use crate::conformance::support::{Bed, End, Stage, WORLD, people};
use crate::postgres_bed::PostgresBed;
use crate::schedules::PostgresStage;
use domicile_model::State;
use domicile_testkit::{Cluster, Options};

/// A server that tells its clients of commits which it has not written down, and would not for
/// a long time.
fn forgetful() -> Cluster {
    let options = Options::for_tests().with("synchronous_commit", "off");
    Cluster::start(options.with("wal_writer_delay", "10s")).unwrap()
}

async fn stage_in(cluster: &Cluster) -> PostgresStage {
    let database = || cluster.fresh_database("crash").unwrap();
    let stage = Stage::within(PostgresBed::of(database(), database()), &WORLD).await;
    let stage = stage.installed().await;
    stage.carry_reference().await;
    stage
}

/// What a new process finds in the journal of one end once the server has died.
async fn state_after_a_crash(cluster: &Cluster, stage: &PostgresStage, end: End) -> Option<State> {
    cluster.restart_immediate().unwrap();
    let journal = stage.bed.site(end).await.journal().await.unwrap();
    journal.iter().find(|entry| entry.subject.as_str() == "1").map(|entry| entry.state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_22_a_crash_takes_back_neither_a_decision_nor_a_settling() {
    let cluster = forgetful();
    let stage = stage_in(&cluster).await;
    let lane = stage.decided(&["1"]).await;
    let (who, move_id) = (people(&["1"]), lane.leaving.move_id);
    assert_eq!(state_after_a_crash(&cluster, &stage, End::Source).await, Some(State::Moved));
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
    let target = stage.bed.site(End::Target).await;
    let mut to = target.arrival(stage.closure.clone()).await.unwrap();
    assert_eq!(to.settle(move_id, &who).await.unwrap(), who);
    assert_eq!(state_after_a_crash(&cluster, &stage, End::Target).await, Some(State::Resident));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_23_notes_survive_a_crash() {
    let cluster = Cluster::start(Options::for_tests()).unwrap();
    let stage = stage_in(&cluster).await;
    let mut lane = stage.copied(&["1"]).await;
    let mut app = stage.app(End::Source).await;
    app.run("update posts set body = 'acknowledged' where id = 11").await.unwrap();
    assert_eq!(state_after_a_crash(&cluster, &stage, End::Source).await, Some(State::Moving));
    let (source, target) = (stage.bed.site(End::Source).await, stage.bed.site(End::Target).await);
    lane.from = source.departure(stage.closure.clone()).await.unwrap();
    lane.to = target.arrival(stage.closure.clone()).await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    lane.catch_up_and_decide().await;
    assert_eq!(stage.rows_of(End::Target, "1").await, stage.rows_of(End::Source, "1").await);
}
