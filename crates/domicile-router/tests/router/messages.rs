//! What a client may say beyond what ordinary drivers do, message by message.

use crate::raw::Raw;
use crate::support::World;
use anyhow::Result;

/// A world of two people, one at each site, and somebody who speaks.
async fn speaker() -> Result<(World, Raw)> {
    let world = World::start(2).await?;
    let mut raw = Raw::enter(world.port, &[]).await?;
    for values in ["(1, 'ann@x', 'US')", "(2, 'ben@x', 'IE')"] {
        raw.query(&format!("INSERT INTO users VALUES {values}"));
        assert_eq!(raw.answers().await?, "CZ(I)");
    }
    Ok((world, raw))
}

#[tokio::test]
async fn more_answers_than_any_buffer_holds() -> Result<()> {
    let (_world, mut raw) = speaker().await?;
    raw.parse("", "SELECT repeat('x', 1000) FROM users WHERE id = $1");
    let count = 40_000;
    for _ in 0..count {
        raw.bind("", &["2"]).execute(0);
    }
    let heard = raw.sync().until('Z').await?;
    assert_eq!(heard.iter().filter(|(tag, _)| *tag == 'D').count(), count);
    Ok(())
}

#[tokio::test]
async fn a_statement_that_was_not_prepared_may_be_prepared_again() -> Result<()> {
    let (_world, mut raw) = speaker().await?;
    let fine = "SELECT email FROM users WHERE id = $1";
    // Refused by the site, by the grammar, by the router, and skipped after another's failure.
    for (text, code) in [
        ("SELECT nothing FROM users WHERE id = $1", "42703"),
        ("SELECT FROM WHERE", "42601"),
        ("SELECT email FROM users WHERE id = $1 AND nothing = 1", "42703"),
    ] {
        raw.parse("a", text).parse("b", fine).sync();
        assert_eq!(raw.answers().await?, format!("E({code})Z(I)"), "{text}");
        for name in ["a", "b"] {
            raw.parse(name, fine).bind(name, &["2"]).execute(0).sync();
            assert_eq!(raw.answers().await?, "12D(ben@x)CZ(I)", "{text}");
            raw.query("DEALLOCATE ALL");
            assert_eq!(raw.answers().await?, "CZ(I)");
        }
    }
    // The first stays although the second fails.
    raw.parse("a", fine).parse("b", "SELECT nothing FROM users WHERE id = $1").sync();
    assert_eq!(raw.answers().await?, "1E(42703)Z(I)");
    raw.bind("a", &["2"]).execute(0).sync();
    assert_eq!(raw.answers().await?, "2D(ben@x)CZ(I)");
    raw.parse("a", fine).sync();
    assert_eq!(raw.answers().await?, "E(42P05)Z(I)");
    Ok(())
}

#[tokio::test]
async fn whoever_prepares_first_and_names_the_person_later_is_free_to_go_anywhere() -> Result<()> {
    let (_world, mut raw) = speaker().await?;
    let text = "SELECT email FROM users WHERE id = $1";
    for (id, email) in [("1", "ann@x"), ("2", "ben@x")] {
        for begin in ["", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"] {
            let status = if begin.is_empty() { "I" } else { "T" };
            if !begin.is_empty() {
                raw.query(begin);
                assert_eq!(raw.answers().await?, "CZ(T)");
            }
            raw.parse("", text).describe("").flush();
            let described = raw.until('T').await?;
            assert_eq!(described.iter().map(|(tag, _)| *tag).collect::<String>(), "1tT");
            raw.bind("", &[id]).execute(0).sync();
            let answers = raw.answers().await?;
            assert_eq!(answers, format!("2D({email})CZ({status})"), "{begin}");
            if !begin.is_empty() {
                raw.query("COMMIT");
                assert_eq!(raw.answers().await?, "CZ(I)");
            }
        }
    }
    // What fails is answered once, and the `Sync` as well.
    raw.parse("", "SELECT nothing FROM users WHERE id = $1").flush();
    raw.until('E').await?;
    raw.sync();
    assert_eq!(raw.answers().await?, "Z(I)");
    Ok(())
}

#[tokio::test]
async fn a_portal_goes_on_where_it_stopped() -> Result<()> {
    let (world, mut raw) = speaker().await?;
    for site in &world.sites {
        let client = domicile_testkit::connect(&site.app_url).await?;
        client.batch_execute("INSERT INTO topics VALUES (1, 'a'), (2, 'b'), (3, 'c')").await?;
    }
    raw.query("BEGIN");
    assert_eq!(raw.answers().await?, "CZ(T)");
    raw.parse("", "SELECT title FROM topics ORDER BY id").bind("", &[]).execute(2).sync();
    assert_eq!(raw.answers().await?, "12D(a)D(b)sZ(T)");
    raw.execute(2).sync();
    assert_eq!(raw.answers().await?, "D(c)CZ(T)");
    raw.query("COMMIT");
    assert_eq!(raw.answers().await?, "CZ(I)");
    // Bound by one message, run by another.
    raw.query("BEGIN");
    assert_eq!(raw.answers().await?, "CZ(T)");
    raw.parse("", "SELECT title FROM topics WHERE id = 3").bind("", &[]).sync();
    assert_eq!(raw.answers().await?, "12Z(T)");
    raw.execute(0).sync();
    assert_eq!(raw.answers().await?, "D(c)CZ(T)");
    raw.query("ROLLBACK");
    assert_eq!(raw.answers().await?, "CZ(I)");
    raw.execute(0).sync();
    assert_eq!(raw.answers().await?, "E(34000)Z(I)");
    Ok(())
}

#[tokio::test]
async fn a_transaction_goes_back_to_its_savepoint_wherever_the_error_was() -> Result<()> {
    let (_world, mut raw) = speaker().await?;
    let undecided = "SELECT count(*) FROM posts";
    let at_a_site = "SELECT email FROM users WHERE id = 1";
    for first in ["SELECT 1", at_a_site] {
        for text in ["BEGIN", "SAVEPOINT a"] {
            raw.query(text);
            assert_eq!(raw.answers().await?, "CZ(T)");
        }
        raw.query(first);
        assert!(raw.answers().await?.ends_with("CZ(T)"));
        raw.query(undecided);
        assert_eq!(raw.answers().await?, "E(0A000)Z(E)");
        for text in ["SAVEPOINT b", "RELEASE a", at_a_site] {
            raw.query(text);
            assert_eq!(raw.answers().await?, "E(25P02)Z(E)", "{first}: {text}");
        }
        raw.query("ROLLBACK TO nowhere");
        assert_eq!(raw.answers().await?, "E(3B001)Z(E)", "{first}");
        raw.query("ROLLBACK TO a");
        assert_eq!(raw.answers().await?, "CZ(T)", "{first}");
        raw.query(at_a_site);
        assert_eq!(raw.answers().await?, "TD(ann@x)CZ(T)", "{first}");
        raw.query("COMMIT");
        assert_eq!(raw.answers().await?, "CZ(I)", "{first}");
    }
    Ok(())
}

#[tokio::test]
async fn a_commit_after_a_savepoint_is_a_commit() -> Result<()> {
    let (world, mut raw) = speaker().await?;
    // All at once: by one text, and by messages without a wait between them.
    for (post, by_messages) in [(10, false), (11, true)] {
        for (text, end) in [
            ("BEGIN", "CZ(T)"),
            (&*format!("INSERT INTO posts VALUES ({post}, 2, 'kept')"), "CZ(T)"),
            ("SAVEPOINT a", "CZ(T)"),
            ("SELECT count(*) FROM posts", "E(0A000)Z(E)"),
        ] {
            raw.query(text);
            assert_eq!(raw.answers().await?, end, "{text}");
        }
        if by_messages {
            for text in ["ROLLBACK TO a", "COMMIT"] {
                raw.parse("", text).bind("", &[]).execute(0);
            }
            raw.sync();
            assert_eq!(raw.answers().await?, "12C12CZ(I)");
        } else {
            raw.query("ROLLBACK TO a; COMMIT");
            assert_eq!(raw.answers().await?, "CCZ(I)");
        }
        let kept = world.at(1, &format!("SELECT body FROM posts WHERE id = {post}")).await?;
        assert_eq!(kept, "kept", "it was acknowledged");
    }
    // One that is made beside a query is where the transaction is.
    for (text, end) in [
        ("BEGIN", "CZ(T)"),
        ("SAVEPOINT a; SELECT 1", "CTD(1)CZ(T)"),
        ("INSERT INTO posts VALUES (13, 1, 'undone')", "CZ(T)"),
        ("ROLLBACK TO a", "CZ(T)"),
        ("INSERT INTO posts VALUES (14, 1, 'kept')", "CZ(T)"),
        ("COMMIT", "CZ(I)"),
    ] {
        raw.query(text);
        assert_eq!(raw.answers().await?, end, "{text}");
    }
    assert_eq!(world.at(0, "SELECT id FROM posts").await?, "14");
    // Without the savepoint it is none, and says so.
    for text in ["BEGIN", "INSERT INTO posts VALUES (12, 2, 'lost')"] {
        raw.query(text);
        assert_eq!(raw.answers().await?, "CZ(T)");
    }
    raw.query("SELECT count(*) FROM posts");
    assert_eq!(raw.answers().await?, "E(0A000)Z(E)");
    raw.query("COMMIT");
    let heard = raw.until('Z').await?;
    assert_eq!(heard[0], ('C', b"ROLLBACK\0".to_vec()));
    Ok(())
}

#[tokio::test]
async fn what_is_set_in_a_transaction_holds_as_far_as_it_was_not_taken_back() -> Result<()> {
    let (_world, mut raw) = speaker().await?;
    let show = "SELECT current_setting('work_mem') FROM users WHERE id = 2";
    for text in [
        "BEGIN",
        "SET work_mem = '71MB'",
        "SAVEPOINT a",
        "SET work_mem = '72MB'",
        "ROLLBACK TO a",
        "COMMIT",
    ] {
        raw.query(text);
        assert!(raw.answers().await?.starts_with('C'), "{text}");
    }
    raw.query(show);
    assert_eq!(raw.answers().await?, "TD(71MB)CZ(I)");
    // The same where a site holds the transaction.
    for text in [
        "BEGIN",
        show,
        "SAVEPOINT a",
        "SET work_mem = '73MB'",
        "ROLLBACK TO a",
        "SAVEPOINT b",
        "SET work_mem = '74MB'",
        "RELEASE b",
        "COMMIT",
    ] {
        raw.query(text);
        let answers = raw.answers().await?;
        assert!(answers.contains('C') && !answers.contains('E'), "{text}: {answers}");
    }
    raw.query(show);
    assert_eq!(raw.answers().await?, "TD(74MB)CZ(I)");
    // In one text, in the order in which it stands there.
    raw.query(
        "BEGIN; SAVEPOINT a; SET work_mem = '76MB'; ROLLBACK TO a; SET work_mem = '77MB'; COMMIT",
    );
    assert!(raw.answers().await?.ends_with("CZ(I)"));
    raw.query(show);
    assert_eq!(raw.answers().await?, "TD(77MB)CZ(I)");
    for text in [
        "BEGIN",
        show,
        "SAVEPOINT a; SET work_mem = '78MB'",
        "ROLLBACK TO a; SET work_mem = '74MB'",
        "COMMIT",
    ] {
        raw.query(text);
        let answers = raw.answers().await?;
        assert!(answers.contains('C') && !answers.contains('E'), "{text}: {answers}");
    }
    raw.query(show);
    assert_eq!(raw.answers().await?, "TD(74MB)CZ(I)");
    // What nobody can set is told at the latest by the commit, and holds nowhere.
    for text in ["BEGIN", "SET work_mem = 'banana'"] {
        raw.query(text);
        assert_eq!(raw.answers().await?, "CZ(T)");
    }
    raw.query("COMMIT");
    assert_eq!(raw.answers().await?, "E(22023)Z(I)");
    raw.query(show);
    assert_eq!(raw.answers().await?, "TD(74MB)CZ(I)");
    Ok(())
}

#[tokio::test]
async fn settings_that_change_what_is_said_are_refused_at_the_door() -> Result<()> {
    let (world, _raw) = speaker().await?;
    for parameters in [
        [("client_encoding", "LATIN1")],
        [("standard_conforming_strings", "off")],
        [("options", "-c standard_conforming_strings=off")],
        [("options", "--client-encoding=SQL_ASCII")],
    ] {
        assert!(Raw::enter(world.port, &parameters).await.is_err(), "{parameters:?}");
    }
    let mut raw = Raw::enter(world.port, &[("options", "-c work_mem=75MB")]).await?;
    raw.query("SELECT current_setting('work_mem') FROM users WHERE id = 2");
    assert_eq!(raw.answers().await?, "TD(75MB)CZ(I)");
    Ok(())
}
