//! Rows that pass from one person to another while people move.

use super::support::{Bed, End, Lane, Stage, people, ship};
use domicile_store::{Extent, Kind};

const GIVE: &str = "update posts set user_id = 2 where id = 11";

/// The post that passes, with its comments, as the application sees it at one end.
async fn post<B: Bed>(stage: &Stage<B>, end: End) -> Vec<String> {
    let mut app = stage.app(end).await;
    app.rows(
        "select p.id, p.user_id, p.body, c.id, c.text from posts p
              left join comments c on c.post_id = p.id where p.id = 11 order by c.id",
    )
    .await
}

async fn end_move(lane: &mut Lane) {
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
}

pub(crate) async fn a_post_given_to_somebody_who_stays<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    stage.app(End::Source).await.run(GIVE).await.unwrap();
    let given = post(&stage, End::Source).await;
    end_move(&mut lane).await;
    assert_eq!(post(&stage, End::Source).await, given, "it stays with who stays");
    assert_eq!(post(&stage, End::Target).await, Vec::<String>::new());
    let mut there = stage.app(End::Target).await;
    assert_eq!(there.rows("select id from comments order by id").await, ["121"]);
}

pub(crate) async fn a_post_received_from_somebody_who_stays<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["2"]).await;
    stage.app(End::Source).await.run(GIVE).await.unwrap();
    let given = post(&stage, End::Source).await;
    end_move(&mut lane).await;
    assert_eq!(post(&stage, End::Target).await, given, "it comes with its comments");
    assert_eq!(post(&stage, End::Source).await, Vec::<String>::new());
}

pub(crate) async fn a_post_passed_on_within_one_batch<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1", "2"]).await;
    stage.app(End::Source).await.run(GIVE).await.unwrap();
    let given = post(&stage, End::Source).await;
    end_move(&mut lane).await;
    assert_eq!(post(&stage, End::Target).await, given);
    assert_eq!(stage.everything(End::Source).await.len(), 3, "Eve, her post and her like stay");
}

pub(crate) async fn a_post_passed_on_to_another_batch_giver_first<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (mut giver, mut receiver) = (stage.copied(&["1"]).await, stage.copied(&["2"]).await);
    stage.app(End::Source).await.run(GIVE).await.unwrap();
    let given = post(&stage, End::Source).await;
    end_move(&mut giver).await;
    end_move(&mut receiver).await;
    assert_eq!(post(&stage, End::Target).await, given);
}

pub(crate) async fn a_post_passed_on_to_another_batch_receiver_first<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (mut giver, mut receiver) = (stage.copied(&["1"]).await, stage.copied(&["2"]).await);
    stage.app(End::Source).await.run(GIVE).await.unwrap();
    let given = post(&stage, End::Source).await;
    let early = receiver.try_to_catch_up().await;
    assert!(giver.catch_up().await > 0);
    match early {
        Ok(_) => assert_eq!(
            post(&stage, End::Target).await,
            given,
            "the giver's catch-up must not take away what the receiver's brought"
        ),
        // The target may also have it wait for the giver.
        Err(error) => assert!(matches!(error.kind(), Kind::RetryNow | Kind::RetryLater), "{error}"),
    }
    end_move(&mut giver).await;
    end_move(&mut receiver).await;
    assert_eq!(post(&stage, End::Target).await, given);
    assert_eq!(post(&stage, End::Source).await, Vec::<String>::new());
}

pub(crate) async fn a_post_passed_on_and_changed_after_its_new_owner_settled<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (mut giver, mut receiver) = (stage.copied(&["1"]).await, stage.copied(&["2"]).await);
    stage.app(End::Source).await.run(GIVE).await.unwrap();
    if receiver.try_to_catch_up().await.is_err() {
        giver.catch_up().await;
    }
    receiver.catch_up_and_decide().await;
    receiver.settle().await;
    let mut there = stage.app(End::Target).await;
    there.run("update posts set body = 'written at home' where id = 11").await.unwrap();
    let written = post(&stage, End::Target).await;
    end_move(&mut giver).await;
    assert_eq!(post(&stage, End::Target).await, written);
    receiver.erase().await;
    assert_eq!(post(&stage, End::Target).await, written);
}

pub(crate) async fn a_post_passed_on_and_back_while_an_older_snapshot_travels<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (mut giver, mut receiver) = (stage.copied(&["1"]).await, stage.copied(&["2"]).await);
    let mut app = stage.app(End::Source).await;
    app.run(GIVE).await.unwrap();
    receiver.to.mark().await.unwrap();
    let old = receiver.from.open_snapshot(&people(&["2"])).await.unwrap();
    app.run("update posts set user_id = 1, body = 'mine again' where id = 11").await.unwrap();
    let back = post(&stage, End::Source).await;
    giver.catch_up().await;
    let (from, to) = (receiver.from.as_mut(), receiver.to.as_mut());
    let error = ship(from, to, &receiver.coming, &Extent::Touched(old), &receiver.tables).await;
    assert_eq!(error.unwrap_err().kind(), Kind::RetryNow, "what is newer must not be replaced");
    receiver.to.roll_back().await.unwrap();
    receiver.from.close_snapshot().await.unwrap();
    end_move(&mut receiver).await;
    end_move(&mut giver).await;
    assert_eq!(post(&stage, End::Target).await, back);
    assert_eq!(post(&stage, End::Source).await, Vec::<String>::new());
}
