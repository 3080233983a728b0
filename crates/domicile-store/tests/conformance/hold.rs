//! People on hold neither move nor lose a row.

use super::support::{Bed, End, Stage, people};
use domicile_model::State;
use domicile_store::{Change, Directive};

fn about(who: &str, hold: Option<&str>, home: Option<End>) -> Directive {
    Directive {
        subject: people(&[who]).remove(0),
        hold: hold.map(str::to_owned),
        home: home.map(|end| end.name().parse().unwrap()),
    }
}

fn hold(reason: Option<&str>) -> Change {
    Change::Hold(reason.map(str::to_owned))
}

fn home(end: Option<End>) -> Change {
    Change::Home(end.map(|end| end.name().parse().unwrap()))
}

async fn direct<B: Bed>(stage: &Stage<B>, who: &str, change: &Change) {
    stage.source.direct(&people(&[who])[0], change).await.unwrap();
}

pub(crate) async fn who_is_on_hold_is_not_announced<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    direct(&stage, "1", &hold(Some("case 7"))).await;
    let mut lane = stage.lane(&["1", "2"]).await;
    assert_eq!(lane.from.announce(&lane.leaving).await.unwrap(), people(&["2"]));
    assert_eq!(stage.states("1").await, [None, None]);
    direct(&stage, "1", &hold(None)).await;
    stage.carry(End::Source, &["1"]).await;
}

pub(crate) async fn who_is_put_on_hold_while_copied_is_not_decided<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1", "2"]).await;
    direct(&stage, "1", &hold(Some("case 7"))).await;
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
    direct(&stage, "1", &hold(Some("case 7"))).await;
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Source, "1").await, before);
    assert_eq!(stage.rows_of(End::Source, "2").await, Vec::<String>::new());
    assert_eq!(stage.states("1").await[0], Some(State::Moved), "and the fences still stand");
    assert_eq!(stage.gone_to(End::Source, "1").await, None);

    direct(&stage, "1", &hold(None)).await;
    lane.erase().await;
    assert_eq!(stage.rows_of(End::Source, "1").await, Vec::<String>::new());
    assert_eq!(stage.gone_to(End::Source, "1").await.as_deref(), Some(End::Target.name()));
}

pub(crate) async fn directives_are_kept_and_taken_back<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    assert_eq!(stage.source.directives().await.unwrap(), []);
    direct(&stage, "1", &hold(Some("it's"))).await;
    direct(&stage, "1", &home(Some(End::Target))).await;
    direct(&stage, "10", &home(Some(End::Source))).await;
    let both = [about("1", Some("it's"), Some(End::Target)), about("10", None, Some(End::Source))];
    assert_eq!(stage.source.directives().await.unwrap(), both);
    direct(&stage, "1", &hold(None)).await;
    for _ in 0..2 {
        direct(&stage, "10", &home(None)).await;
    }
    let only_home = about("1", None, Some(End::Target));
    assert_eq!(stage.source.directives().await.unwrap(), [only_home]);
    assert_eq!(stage.target.directives().await.unwrap(), []);
    let bare = Stage::<B>::bare(&super::support::WORLD).await;
    assert_eq!(bare.source.directives().await.unwrap(), []);
    assert!(
        bare.source.direct(&people(&["1"])[0], &hold(None)).await.is_err(),
        "nothing is installed"
    );
}
