//! Fences, the claim, and the rest between moves.

use super::support::{Bed, End, Stage, WORLD, World, closure_of, look_again, refused};
use domicile_model::State;
use domicile_store::{Closure, Installation, Kind, ReferenceChanges};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn twice_is_the_same_as_once<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    assert!(stage.source.is_installed(&stage.installation()).await.unwrap());
    stage.decided(&["1"]).await;
    stage.source.install(&stage.installation()).await.unwrap();
    assert!(stage.source.is_installed(&stage.installation()).await.unwrap());
    assert_eq!(stage.states("1").await[0], Some(State::Moved), "the journal stays");
    let mut app = stage.app(End::Source).await;
    refused(app.as_mut(), "update users set city = 'late' where id = 1", &["DM001"]).await;
}

pub(crate) async fn a_dropped_fence_is_noticed_and_put_back<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    for table in ["users", "posts", "comments", "likes"] {
        stage.bed.drop_fence(End::Source, table).await;
        assert!(!stage.source.is_installed(&stage.installation()).await.unwrap(), "{table}");
        stage.source.install(&stage.installation()).await.unwrap();
        assert!(stage.source.is_installed(&stage.installation()).await.unwrap(), "{table}");
    }
}

pub(crate) async fn nothing_is_installed_at_first<B: Bed>() {
    let stage = Stage::<B>::bare(&WORLD).await;
    assert!(!stage.source.is_installed(&stage.installation()).await.unwrap());
    assert_eq!(stage.source.journal().await.unwrap(), []);
    let mut reference = stage.source.reference(Arc::clone(&stage.closure)).await.unwrap();
    assert_eq!(reference.changes(0, 10).await.unwrap(), ReferenceChanges::default());
}

pub(crate) async fn a_second_mover_is_refused<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let other = stage.bed.site(End::Source).await;
    let claim = stage.source.claim().await.unwrap();
    for _ in 0..2 {
        let error = other.claim().await.err().expect("the first claim holds");
        assert_eq!(error.kind(), Kind::Operator, "{error}");
    }
    drop(claim);
    let mut looks = 0;
    let claim = loop {
        match other.claim().await {
            Ok(claim) => break claim,
            Err(error) => look_again(&mut looks, &error.to_string()).await,
        }
    };
    assert!(stage.source.claim().await.is_err(), "now the other one holds it");
    drop(claim);
}

/// The same world without its last owned table, `likes`.
fn without_likes<B: Bed>(stage: &Stage<B>) -> Installation {
    let mut smaller: Closure = (*stage.closure).clone();
    smaller.owned.pop();
    smaller.checks.retain(|check| check.owned < smaller.owned.len());
    Installation { closure: Arc::new(smaller), ..stage.installation() }
}

pub(crate) async fn another_closure_is_refused_while_people_move<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let smaller = without_likes(&stage);
    let mut lane = stage.copied(&["1"]).await;
    assert!(stage.source.install(&smaller).await.is_err(), "likes would lose their fence");
    assert!(stage.source.is_installed(&stage.installation()).await.unwrap());
    lane.catch_up_and_decide().await;
}

pub(crate) async fn resting_does_not_blind_the_fences<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.carry(End::Source, &["2"]).await;
    let mut lane = stage.copied(&["1"]).await;
    for site in [&stage.source, &stage.target] {
        site.rest(Duration::ZERO).await.unwrap();
    }
    let mut app = stage.app(End::Source).await;
    app.run("update users set city = 'noted' where id = 1").await.unwrap();
    assert_eq!(lane.decide().await, ["touched"]);
    let mut app = stage.app(End::Target).await;
    refused(app.as_mut(), "update users set city = 'early' where id = 1", &["DM002"]).await;
}

pub(crate) async fn resting_forgets_old_tombstones_only<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.carry(End::Source, &["1"]).await;
    stage.source.rest(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(stage.gone_to(End::Source, "1").await.as_deref(), Some(End::Target.name()));
    let mut app = stage.app(End::Source).await;
    let like = "insert into likes (user_id, post_id) values (1, 101)";
    assert!(refused(app.as_mut(), like, &["DM001"]).await.names(End::Target));

    let mut looks = 0;
    while stage.gone_to(End::Source, "1").await.is_some() {
        stage.source.rest(Duration::ZERO).await.unwrap();
        look_again(&mut looks, "the tombstone is never old enough").await;
    }
    app.run(like).await.unwrap();
}

pub(crate) async fn a_table_is_added_while_people_wait_to_be_erased<B: Bed>() {
    const NARROW: World = World { owned: WORLD.owned.split_at(3).0, ..WORLD };
    let stage = Stage::<B>::of(&NARROW).await;
    stage.carry_reference().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;

    // Ada, who has left, has a like here: erasing would lose it.
    let wide = Arc::new(closure_of(&WORLD, &stage.source.catalog().await.unwrap()));
    let wide = Installation { closure: wide, ..stage.installation() };
    let error = stage.source.install(&wide).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Operator, "{error}");
    assert!(error.to_string().contains("likes"), "{error}");
    assert!(stage.source.is_installed(&stage.installation()).await.unwrap(), "as before");

    let mut app = stage.app(End::Source).await;
    app.run("delete from likes where user_id = 1").await.unwrap();
    stage.source.install(&wide).await.unwrap();
    let late = "insert into likes (user_id, post_id) values (1, 101)";
    assert!(refused(app.as_mut(), late, &["DM001"]).await.names(End::Target));
}

pub(crate) async fn no_table_is_given_up_while_people_wait_to_be_erased_in_it<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.decided(&["1"]).await;
    lane.settle().await;
    let smaller = without_likes(&stage);
    let error = stage.source.install(&smaller).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Operator, "{error}");
    assert!(error.to_string().contains("likes"), "{error}");
    lane.erase().await;
    stage.source.install(&smaller).await.unwrap();
}
