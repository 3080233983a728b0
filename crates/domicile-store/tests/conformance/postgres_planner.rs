//! How rows of people are found, whatever the planner believes.

use crate::conformance::support::{End, Stage};
use crate::postgres_bed::PostgresBed;

/// How often the server is asked for figures that a closing session still has to hand in.
const LOOKS_MAX: u32 = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_nobody_has_analyzed_is_not_read_whole() {
    let stage = Stage::<PostgresBed>::ready().await;
    let mut here = stage.app(End::Source).await;
    let mut there = stage.app(End::Target).await;
    for (app, people) in [(&mut here, "2000, 2299"), (&mut there, "3000, 5999")] {
        let fill = format!(
            "insert into users (id, handle) select u, 'h' || u from generate_series({people}) u;
             insert into posts (id, user_id) select u * 10 + p, u
                 from generate_series({people}) u, generate_series(0, 9) p;
             insert into comments (id, post_id) select u * 20 + c, u * 10 + c / 2
                 from generate_series({people}) u, generate_series(0, 19) c"
        );
        for statement in fill.split(';') {
            app.run(statement).await.unwrap();
        }
    }
    let names: Vec<String> = (2000..2300).map(|id| id.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut lane = stage.lane(&names).await;
    lane.announce().await;
    lane.copy().await;
    drop(lane);
    let figures = "select idx_scan, seq_tup_read from pg_catalog.pg_stat_user_tables
        where relname = 'comments' and idx_scan > 0";
    for _ in 0..LOOKS_MAX {
        if let [figures] = there.rows(figures).await.as_slice() {
            let (_, read) = figures.split_once('|').unwrap();
            let read: u64 = read.parse().unwrap();
            assert!(
                read < 60_000,
                "{read} comments read in their order, of 66,000 that stand there"
            );
            return;
        }
    }
    panic!("no comment was looked up along the index");
}
