//! Where a router learns that people are at home, and of those who move.

use crate::conformance::support::{Bed, End, people};
use crate::schedules::PostgresStage;
use domicile_model::{SiteName, State, Subject};
use domicile_store::postgres::PostgresSite;
use domicile_store::{News, Residents};
use futures_util::StreamExt;

async fn residents(stage: &PostgresStage, end: End) -> Box<dyn Residents> {
    let name: SiteName = match end {
        End::Source => "source".parse().unwrap(),
        End::Target => "target".parse().unwrap(),
    };
    let site = PostgresSite::connect(name, &stage.bed.database(end).mover_url).await.unwrap();
    site.residents(stage.closure.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_found_wherever_the_move_stands() {
    let stage = PostgresStage::ready().await;
    let (source, target) =
        (residents(&stage, End::Source).await, residents(&stage, End::Target).await);
    let ada = Subject::new("1");
    let here = source.whereabouts(&ada).await.unwrap();
    assert!(here.is_here && here.entry.is_none() && here.gone_to.is_none());
    assert!(!target.whereabouts(&ada).await.unwrap().is_here);
    let mut lane = stage.copied(&["1"]).await;
    let state =
        |whereabouts: domicile_store::Whereabouts| whereabouts.entry.map(|entry| entry.state);
    assert_eq!(state(source.whereabouts(&ada).await.unwrap()), Some(State::Moving));
    assert_eq!(state(target.whereabouts(&ada).await.unwrap()), Some(State::Arriving));
    lane.catch_up_and_decide().await;
    let decided = source.whereabouts(&ada).await.unwrap().entry.unwrap();
    assert_eq!(decided.state, State::Moved);
    // Nobody but a router settles: twice is once, and another move is left alone.
    let other = domicile_model::MoveId(decided.move_id.0 ^ 1);
    target.settle(other, &ada).await.unwrap();
    assert_eq!(state(target.whereabouts(&ada).await.unwrap()), Some(State::Arriving));
    for _ in 0..2 {
        target.settle(decided.move_id, &ada).await.unwrap();
        assert_eq!(state(target.whereabouts(&ada).await.unwrap()), Some(State::Resident));
    }
    lane.erase().await;
    let gone = source.whereabouts(&ada).await.unwrap();
    assert!(!gone.is_here && gone.entry.is_none());
    assert_eq!(gone.gone_to.map(|home| home.to_string()), stage.gone_to(End::Source, "1").await);
    // What is no key is nobody.
    for text in ["x", "1.5", "99999999999999999999", ""] {
        let nobody = source.whereabouts(&Subject::new(text)).await.unwrap();
        assert_eq!(nobody, domicile_store::Whereabouts::default(), "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_of_a_row_is_told() {
    let stage = PostgresStage::ready().await;
    let source = residents(&stage, End::Source).await;
    let place =
        |name: &str| stage.closure.owned.iter().position(|table| table.name.name == name).unwrap();
    let id = ["id".to_owned()];
    let owners = async |table: &str, column: &[String], value: &str| {
        source.owners(place(table), column, &[value.to_owned()]).await.unwrap()
    };
    assert_eq!(owners("posts", &id, "11").await, people(&["1"]));
    assert_eq!(owners("users", &id, "2").await, people(&["2"]));
    assert_eq!(owners("posts", &id, "99").await, []);
    // `11 = 11.0` holds, and no text says so.
    for other in ["x", "11.0", ""] {
        let asked = source.owners(place("posts"), &id, &[other.to_owned()]).await;
        assert_eq!(asked.unwrap_err().kind(), domicile_store::Kind::Never, "{other:?}");
    }
    // At most two are told of many.
    let everybodys = ["body".to_owned()];
    stage.bed.plant(End::Source, "update posts set body = 'same'").await;
    assert_eq!(owners("posts", &everybodys, "same").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_told_as_it_goes() {
    let stage = PostgresStage::ready().await;
    let (source, target) =
        (residents(&stage, End::Source).await, residents(&stage, End::Target).await);
    let (mut left, mut came) = (source.news().await.unwrap(), target.news().await.unwrap());
    let mut lane = stage.copied(&["1"]).await;
    lane.catch_up_and_decide().await;
    lane.settle().await;
    lane.erase().await;
    let told =
        async |news: &mut domicile_store::NewsStream| match news.next().await.unwrap().unwrap() {
            News::Of { subject, state } => (subject.as_str().to_owned(), state),
            News::OfSomebody => panic!("her key is short"),
        };
    assert_eq!(told(&mut left).await, ("1".to_owned(), State::Moving));
    assert_eq!(told(&mut came).await, ("1".to_owned(), State::Resident));
    // Neither the decision nor the erasure was told in between.
    stage.copied(&["2"]).await;
    assert_eq!(told(&mut left).await, ("2".to_owned(), State::Moving));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strange_key_is_told_as_it_is_and_a_long_one_without_a_name() {
    let stage = PostgresStage::ready().await;
    let source = residents(&stage, End::Source).await;
    let mut news = source.news().await.unwrap();
    let plant = "insert into domicile.subject (subject, state, fenced, move_id, peer) values \
        (E'a b\\\\n\\nc', 'resident', false, 1, 'target'), (repeat('x', 7500), 'resident', false, 1, 'target')";
    stage.bed.plant(End::Source, plant).await;
    let mut told = vec![news.next().await.unwrap().unwrap(), news.next().await.unwrap().unwrap()];
    told.sort_by_key(|news| matches!(news, News::OfSomebody));
    let News::Of { subject, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!(subject.as_str(), "a b\\n\nc");
    assert_eq!(told[1], News::OfSomebody);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_ends_the_news_and_is_opened_anew_for_questions() {
    let stage = PostgresStage::ready().await;
    let source = residents(&stage, End::Source).await;
    let mut news = source.news().await.unwrap();
    let ada = Subject::new("1");
    assert!(source.whereabouts(&ada).await.unwrap().is_here);
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
        where application_name = 'domicile router' and datname = current_database()";
    stage.bed.plant(End::Source, end).await;
    assert!(news.next().await.unwrap().is_err());
    assert!(source.whereabouts(&ada).await.unwrap().is_here);
    // Ended behind the back of whoever asks next, without news that would tell.
    for _ in 0..20 {
        stage.bed.plant(End::Source, end).await;
        assert!(source.whereabouts(&ada).await.unwrap().is_here);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_end_when_nothing_comes_from_a_site_any_more() {
    let stage = PostgresStage::ready().await;
    let url = &stage.bed.database(End::Source).mover_url;
    let proxy = domicile_testkit::Proxy::before(url).await.unwrap();
    let site = PostgresSite::connect("source".parse().unwrap(), &proxy.url(url).unwrap()).await;
    let source = site.unwrap().residents(stage.closure.clone()).await.unwrap();
    let mut news = source.news().await.unwrap();
    let mut lane = stage.copied(&["1"]).await;
    assert!(matches!(news.next().await.unwrap().unwrap(), News::Of { state: State::Moving, .. }));
    proxy.fail(domicile_testkit::LinkFault::Forgotten);
    lane.catch_up_and_decide().await;
    // Nobody tells that the connection is gone, and the decision is not heard.
    let ended = news.next().await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), domicile_store::Kind::RetryLater);
    assert!(source.news().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_begins_to_move_untold() {
    let stage = PostgresStage::ready().await;
    // As the server does at commit when somebody who listens has read nothing for eight gigabytes.
    let full = "create function full_queue() returns trigger language plpgsql as $$ begin \
            raise 'too many notifications in the NOTIFY queue' using errcode = '54000'; end $$; \
        create constraint trigger full_queue after insert on domicile.subject \
            deferrable initially deferred for each row execute function full_queue(); \
        alter table domicile.subject enable always trigger full_queue";
    stage.bed.plant(End::Source, full).await;
    let mut lane = stage.lane(&["1"]).await;
    let error = lane.from.announce(&lane.leaving).await.unwrap_err();
    assert_eq!(error.kind(), domicile_store::Kind::RetryLater);
    assert!(error.hint_text().unwrap().contains("reads no notifications"), "{error:?}");
    assert_eq!(stage.states("1").await, [None, None]);
    stage.bed.plant(End::Source, "drop function full_queue() cascade").await;
    lane.announce().await;
    assert_eq!(stage.states("1").await, [Some(State::Moving), Some(State::Arriving)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_moves_arrives_although_there_is_no_room_to_tell() {
    let stage = PostgresStage::ready().await;
    let mut news = residents(&stage, End::Target).await.news().await.unwrap();
    let used = async |how_far: &str| {
        let plant = format!(
            "set allow_system_table_mods = on; create or replace function \
            pg_catalog.pg_notification_queue_usage() returns float8 language sql \
            as 'select {how_far}::float8'"
        );
        stage.bed.plant(End::Target, &plant).await;
    };
    used("0.95").await;
    stage.carry(End::Source, &["1"]).await;
    used("0.85").await;
    stage.carry(End::Source, &["2"]).await;
    let News::Of { subject, .. } = news.next().await.unwrap().unwrap() else { panic!("short") };
    assert_eq!(subject.as_str(), "2");
    assert_eq!(stage.states("1").await[1], Some(State::Resident));
}
