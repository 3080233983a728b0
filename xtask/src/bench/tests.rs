//! Every measurement runs once, at a size that says nothing.

use clap::Parser;

use super::What;
use super::program::Program;
use crate::run;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    what: What,
}

async fn measured(line: &str) -> String {
    run::run(&mut run::cargo(["build", "--quiet", "--package", "domicile"]).unwrap()).unwrap();
    let program = Program { path: run::top().unwrap().join("target/debug/domicile") };
    let words = std::iter::once("bench").chain(line.split_whitespace());
    Line::parse_from(words).what.measure(&program).await.unwrap()
}

/// The cells of a row.
fn cells<'t>(text: &'t str, begin: &str) -> Vec<&'t str> {
    let row = text.lines().find(|line| line.starts_with(&format!("| {begin}")));
    row.unwrap_or_else(|| panic!("no row {begin}: {text}")).split('|').map(str::trim).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contenders_are_measured_beside_the_faster_floor() {
    let text = measured("move --people 30 --light --rounds 1 --only floor,domicile").await;
    let ratio: f64 = cells(&text, "domicile migrate")[3].parse().unwrap();
    assert!(ratio > 1.0, "{text}");
    assert!(text.contains("150 rows"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steady_writers_meet_the_decisions() {
    let text = measured(
        "pause --people 40 --heavy 500 --distance 4 --steady 2 --rounds 1 --only steadily",
    )
    .await;
    let near: f64 = cells(&text, "near; 2 write steadily")[2].parse().unwrap();
    let handover = |begin: &str| -> f64 {
        cells(&text, begin)[5].split(" / ").next().unwrap().parse().unwrap()
    };
    assert!(near >= 2.0, "{text}");
    // There and back again.
    assert!(handover("4 ms away; 2 write") >= 4.0, "{text}");
    assert!(handover("of these, the person with 500 rows more") > 0.0, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_measured_without_and_with_a_move() {
    let text = measured("load --people 60 --rate 200 --connections 4 --seconds 1 --rounds 1").await;
    let counts = cells(&text, "update, somebody who moves")[2];
    assert!(counts.split(", ").all(|count| count != "0"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences_are_measured_beside_their_absence() {
    let text = measured("fence --people 40 --updates 100 --rounds 3").await;
    assert_eq!(text.matches("| fence, others move |").count(), 3, "{text}");
    // On the server's processor; a comment's owner is looked for while somebody moves.
    let ratio = cells(&text, "comments | fence, others move")[6].split(' ').next().unwrap();
    assert!(ratio.parse::<f64>().unwrap() > 1.5, "{text}");
}
