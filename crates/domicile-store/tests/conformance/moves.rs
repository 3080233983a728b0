//! Whole moves: each step's trace in the journals, and what is where at the end.

use super::support::{
    Bed, End, Stage, look_again, pass_source, pass_target, people, seqs_of, ship,
};
use domicile_model::{MoveId, State, Subject};
use domicile_store::{Extent, Kind, Outcome};
use std::time::Duration;

pub(crate) async fn a_whole_move_step_by_step<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (before, others) =
        (stage.rows_of(End::Source, "1").await, stage.rows_of(End::Source, "2").await);
    let mut lane = stage.lane(&["1"]).await;
    assert_eq!(stage.states("1").await, [None, None]);

    assert_eq!(lane.from.announce(&lane.leaving).await.unwrap(), people(&["1"]));
    let entry = stage.entry(End::Source, "1").await.unwrap();
    assert_eq!((entry.state, entry.move_id), (State::Moving, lane.leaving.move_id));
    assert_eq!((entry.peer.as_str(), entry.copied), (End::Target.name(), false));
    assert_eq!(entry.decided_at, None);
    pass_source(lane.from.as_mut()).await;

    assert_eq!(lane.to.expect(&lane.coming).await.unwrap(), people(&["1"]));
    let entry = stage.entry(End::Target, "1").await.unwrap();
    assert_eq!((entry.state, entry.move_id), (State::Arriving, lane.coming.move_id));
    assert_eq!((entry.peer.as_str(), entry.copied), (End::Source.name(), false));
    pass_target(lane.to.as_mut()).await;

    lane.copy().await;
    assert!(stage.entry(End::Target, "1").await.unwrap().copied);
    assert_eq!(stage.states("1").await, [Some(State::Moving), Some(State::Arriving)]);
    assert_eq!(stage.rows_of(End::Target, "1").await, before);
    assert_eq!(stage.rows_of(End::Source, "1").await, before);

    assert_eq!(lane.decide().await, ["decided"]);
    let entry = stage.entry(End::Source, "1").await.unwrap();
    assert_eq!((entry.state, entry.decided_at.is_some()), (State::Moved, true));
    assert_eq!(stage.states("1").await[1], Some(State::Arriving));

    lane.settle().await;
    assert_eq!(stage.states("1").await, [Some(State::Moved), Some(State::Resident)]);
    assert_eq!(stage.gone_to(End::Source, "1").await, None, "the rows still stand");

    assert_eq!(lane.erase().await, 7, "a user, two posts, three comments, a like");
    assert_eq!(stage.states("1").await, [None, Some(State::Resident)]);
    assert_eq!(stage.gone_to(End::Source, "1").await.as_deref(), Some(End::Target.name()));
    assert_eq!(stage.rows_of(End::Target, "1").await, before, "byte for byte");
    assert_eq!(stage.rows_of(End::Source, "1").await, Vec::<String>::new());
    assert_eq!(stage.rows_of(End::Source, "2").await, others);
}

pub(crate) async fn there_and_back_equals_the_start<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let before = stage.everything(End::Source).await;
    for _ in 0..2 {
        stage.carry(End::Source, &["1", "10"]).await;
        assert_eq!(stage.gone_to(End::Source, "10").await.as_deref(), Some(End::Target.name()));
        stage.carry(End::Target, &["1", "10"]).await;
        assert_eq!(stage.gone_to(End::Source, "10").await, None, "the tombstone is replaced");
        assert_eq!(stage.gone_to(End::Target, "10").await.as_deref(), Some(End::Source.name()));
        assert_eq!(stage.everything(End::Source).await, before);
        assert_eq!(stage.everything(End::Target).await, Vec::<String>::new());
    }
}

pub(crate) async fn a_late_settle_or_erase_spares_who_came_back<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let first = stage.carry(End::Source, &["1"]).await;
    stage.carry(End::Target, &["1"]).await;
    let before = stage.everything(End::Source).await;

    // The mover of the first move wakes up and repeats what it was doing.
    let mut late = stage.lane(&["1"]).await;
    late.from.erase(first, &people(&["1"]), 1_000).await.unwrap();
    late.to.settle(first, &people(&["1"])).await.unwrap();
    late.to.abandon(first, &people(&["1"])).await.unwrap();
    assert_eq!(late.from.withdraw(first, &people(&["1"])).await.unwrap(), []);
    assert_eq!(stage.everything(End::Source).await, before);
    assert_eq!(stage.states("1").await, [Some(State::Resident), None]);

    // It wakes up when the person has been decided again, under another move.
    let mut lane = stage.decided(&["1"]).await;
    late.from.erase(first, &people(&["1"]), 1_000).await.unwrap();
    late.to.settle(first, &people(&["1"])).await.unwrap();
    late.to.abandon(first, &people(&["1"])).await.unwrap();
    assert_eq!(stage.everything(End::Source).await, before);
    assert_eq!(stage.states("1").await, [Some(State::Moved), Some(State::Arriving)]);
    lane.settle().await;
    lane.erase().await;
    assert_eq!(stage.states("1").await, [None, Some(State::Resident)]);
}

pub(crate) async fn each_call_may_be_made_twice<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let (who, before) = (people(&["1", "2"]), stage.everything(End::Source).await);
    let mut lane = stage.lane(&["1", "2"]).await;
    let move_id = lane.leaving.move_id;
    for _ in 0..2 {
        lane.from.announce(&lane.leaving).await.unwrap();
        assert_eq!(lane.to.expect(&lane.coming).await.unwrap(), who);
        pass_source(lane.from.as_mut()).await;
        pass_target(lane.to.as_mut()).await;
    }
    for _ in 0..2 {
        lane.to.roll_back().await.unwrap();
        lane.to.roll_back().await.unwrap();
        lane.copy().await;
    }
    let mut app = stage.app(End::Source).await;
    app.run("update posts set body = 'twice' where id in (11, 21)").await.unwrap();
    let notes = lane.from.open_snapshot(&who).await.unwrap();
    let seqs = seqs_of(&notes);
    lane.from.close_snapshot().await.unwrap();
    for _ in 0..2 {
        assert_eq!(lane.from.open_snapshot(&who).await.unwrap(), notes);
        let extent = Extent::Touched(notes.clone());
        ship(lane.from.as_mut(), lane.to.as_mut(), &lane.coming, &extent, &lane.tables)
            .await
            .unwrap();
    }
    for _ in 0..2 {
        lane.from.forget(&seqs).await.unwrap();
    }
    for _ in 0..2 {
        lane.from.close(move_id, &who[0]).await.unwrap();
    }
    for _ in 0..2 {
        lane.from.reopen(move_id, &who[0]).await.unwrap();
    }
    assert_eq!(lane.decide().await, ["decided", "decided"]);
    let decided_at = stage.entry(End::Source, "1").await.unwrap().decided_at;
    lane.decide().await;
    assert_eq!(stage.entry(End::Source, "1").await.unwrap().decided_at, decided_at);
    for _ in 0..2 {
        lane.settle().await;
    }
    for _ in 0..2 {
        lane.erase().await;
    }
    assert_eq!(stage.states("1").await, [None, Some(State::Resident)]);
    let mut now =
        [stage.everything(End::Source).await, stage.everything(End::Target).await].concat();
    now.sort();
    let mut then: Vec<_> = before
        .into_iter()
        .map(|row| match row.as_str() {
            "posts: 11|1|first" => "posts: 11|1|twice".to_owned(),
            "posts: 21|2|Bob's" => "posts: 21|2|twice".to_owned(),
            _ => row,
        })
        .collect();
    then.sort();
    assert_eq!(now, then);
}

pub(crate) async fn who_moves_already_is_not_announced_again<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let mut lane = stage.copied(&["1"]).await;
    let mut rival = stage.lane(&["1", "2"]).await;
    assert_eq!(rival.from.announce(&rival.leaving).await.unwrap(), people(&["2"]));
    assert_eq!(rival.to.expect(&rival.coming).await.unwrap(), people(&["2"]));
    assert_eq!(stage.entry(End::Source, "1").await.unwrap().move_id, lane.leaving.move_id);
    assert_eq!(stage.entry(End::Target, "1").await.unwrap().move_id, lane.coming.move_id);

    let decisions = rival.from.decide(rival.leaving.move_id, &people(&["1"])).await.unwrap();
    assert_eq!(decisions[0].outcome, Outcome::NotOurs);
    assert_eq!(rival.from.withdraw(rival.leaving.move_id, &people(&["1"])).await.unwrap(), []);
    assert_eq!(lane.decide().await, ["decided"]);
    let again = rival.from.announce(&rival.leaving).await.unwrap();
    assert!(!again.contains(&Subject::new("1")), "who has moved is not announced either");
}

pub(crate) async fn a_lookup_tells_row_and_entry<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    let look = |end, who: &str| {
        let (site, closure) = (stage.site(end).clone(), stage.closure.clone());
        let who = Subject::new(who);
        async move { site.look_up(&closure, &who).await }
    };
    let (entry, person) = look(End::Source, "1").await.unwrap();
    assert_eq!(entry, None);
    assert_eq!(person.unwrap().residence, [Some("Dublin".to_owned())]);
    assert_eq!(look(End::Source, "404").await.unwrap(), (None, None));
    match look(End::Source, "'; drop table users; --").await {
        Ok(found) => assert_eq!(found, (None, None)),
        Err(error) => assert_eq!(error.kind(), Kind::Never, "{error}"),
    }

    let move_id: MoveId = stage.carry(End::Source, &["1"]).await;
    assert_eq!(look(End::Source, "1").await.unwrap(), (None, None));
    let (entry, person) = look(End::Target, "1").await.unwrap();
    assert_eq!(entry.map(|entry| (entry.state, entry.move_id)), Some((State::Resident, move_id)));
    assert_eq!(person.unwrap().subject, Subject::new("1"));
}

pub(crate) async fn a_key_used_again_after_its_account_was_deleted<B: Bed>() {
    let stage = Stage::<B>::ready().await;
    stage.carry(End::Source, &["1", "2"]).await;
    let mut there = stage.app(End::Target).await;
    for table in ["likes", "posts"] {
        there.run(&format!("delete from {table} where user_id = 1")).await.unwrap();
    }
    there.run("delete from users where id = 1").await.unwrap();
    // The tombstone has served its time, and somebody else gets the number.
    let mut looks = 0;
    while stage.gone_to(End::Source, "1").await.is_some() {
        stage.source.rest(Duration::ZERO).await.unwrap();
        look_again(&mut looks, "the tombstone is never old enough").await;
    }
    let mut here = stage.app(End::Source).await;
    here.run("insert into users (id, handle) values (1, 'Zoe')").await.unwrap();

    let mut lane = stage.lane(&["1", "2"]).await;
    let expected = lane.to.expect(&lane.coming).await.unwrap();
    assert_eq!(expected, people(&["1"]), "Bob is at home there and stays expected of nobody");
    lane.to.abandon(lane.coming.move_id, &expected).await.unwrap();
    stage.carry(End::Source, &["1"]).await;
    assert_eq!(there.rows("select handle from users where id = 1").await, ["Zoe"]);
}
