//! People on hold neither move nor lose a row.

use super::support::{Bed, End, Stage, people};
use domicile_model::State;
use domicile_store::Directive;

fn about(who: &str, hold: Option<&str>, home: Option<End>) -> Directive {
    Directive {
        subject: people(&[who]).remove(0),
        hold: hold.map(str::to_owned),
        home: home.map(|end| end.name().parse().unwrap()),
    }
}

pub(crate) async fn who_is_on_hold_is_not_announced<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.source.direct(&about("1", Some("case 7"), None)).await.unwrap();
    let mut lane = stage.lane(&["1", "2"]).await;
    assert_eq!(lane.from.announce(&lane.leaving).await.unwrap(), people(&["2"]));
    assert_eq!(stage.states("1").await, [None, None]);
    stage.source.direct(&about("1", None, None)).await.unwrap();
    stage.carry(End::Source, &["1"]).await;
}

pub(crate) async fn who_is_put_on_hold_while_copied_is_not_decided<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1", "2"]).await;
    stage.source.direct(&about("1", Some("case 7"), None)).await.unwrap();
    assert_eq!(lane.decide().await, ["on hold", "decided"]);
    assert_eq!(stage.states("1").await[0], Some(State::Moving), "to be withdrawn by the mover");
    let one = people(&["1"]);
    assert_eq!(lane.from.withdraw(lane.leaving.move_id, &one).await.unwrap(), one);
}

pub(crate) async fn who_is_put_on_hold_before_erasure_is_not_erased<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let before = stage.rows_of(End::Source, "1").await;
    let mut lane = stage.decided(&["1", "2"]).await;
    lane.settle().await;
    stage.source.direct(&about("1", Some("case 7"), None)).await.unwrap();
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Source, "1").await, before);
    assert_eq!(stage.rows_of(End::Source, "2").await, Vec::<String>::new());
    assert_eq!(stage.states("1").await[0], Some(State::Moved), "and the fences still stand");
    assert_eq!(stage.gone_to(End::Source, "1").await, None);

    stage.source.direct(&about("1", None, None)).await.unwrap();
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Source, "1").await, Vec::<String>::new());
    assert_eq!(stage.gone_to(End::Source, "1").await.as_deref(), Some(End::Target.name()));
}

pub(crate) async fn directives_are_kept_and_taken_back<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    assert_eq!(stage.source.directives().await.unwrap(), []);
    let both = [about("1", Some("it's"), Some(End::Target)), about("10", None, Some(End::Source))];
    for directive in &both {
        stage.source.direct(directive).await.unwrap();
    }
    assert_eq!(stage.source.directives().await.unwrap(), both);
    let only_home = about("1", None, Some(End::Source));
    stage.source.direct(&only_home).await.unwrap();
    stage.source.direct(&about("10", None, None)).await.unwrap();
    stage.source.direct(&about("10", None, None)).await.unwrap();
    assert_eq!(stage.source.directives().await.unwrap(), [only_home]);
    assert_eq!(stage.target.directives().await.unwrap(), []);
    let bare = Stage::<B>::bare(&super::support::WORLD).await;
    assert_eq!(bare.source.directives().await.unwrap(), []);
    assert!(bare.source.direct(&both[0]).await.is_err(), "nothing is installed");
}
