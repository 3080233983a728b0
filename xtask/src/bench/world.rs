//! The platform that is moved: people with posts, comments below posts, and events.

use anyhow::Result;
use domicile_testkit::{Cluster, connect};

/// Tables, parents first, with what selects the rows of people who move.
pub(super) const TABLES: [(&str, &str); 4] = [
    ("users", "t.country = 'FR'"),
    ("posts", "t.user_id IN (SELECT id FROM users WHERE country = 'FR')"),
    (
        "comments",
        "t.post_id IN (SELECT p.id FROM posts p JOIN users u ON u.id = p.user_id WHERE u.country = 'FR')",
    ),
    ("events", "t.user_id IN (SELECT id FROM users WHERE country = 'FR')"),
];

/// Rows a person has: themselves, 5 posts, 4 comments below each, 30 events.
pub(super) const ROWS_PER_PERSON: u32 = 56;

const SCHEMA: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, country text, bio text);
CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users (id),
    title text NOT NULL, body text, posted timestamptz NOT NULL);
CREATE TABLE comments (id bigint PRIMARY KEY, post_id bigint NOT NULL REFERENCES posts (id), text text NOT NULL);
CREATE TABLE events (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users (id),
    at timestamptz NOT NULL, kind int NOT NULL, value double precision);
CREATE INDEX posts_user ON posts (user_id);
CREATE INDEX comments_post ON comments (post_id);
CREATE INDEX events_user ON events (user_id);";

/// The databases from which each run begins.
pub(super) struct Template {
    /// At the source, with everybody; its schema alone at the target.
    pub(super) name: String,
    /// Bytes of the source's tables and indexes.
    pub(super) bytes: i64,
}

/// Makes the templates. Rows of those who leave and those who stay lie mixed.
pub(super) async fn make(source: &Cluster, target: &Cluster, leaving: u32) -> Result<Template> {
    let name = "template_bench".to_owned();
    for cluster in [source, target] {
        let server = connect(&cluster.superuser_url("postgres")).await?;
        server.batch_execute(&format!("CREATE DATABASE {name} OWNER app")).await?;
        connect(&cluster.app_url(&name)).await?.batch_execute(SCHEMA).await?;
    }
    let people = i64::from(leaving) * 2;
    let app = connect(&source.superuser_url(&name)).await?;
    app.batch_execute(&format!(
        "SET session_replication_role = replica; SET synchronous_commit = off;
        INSERT INTO users SELECT u, 'person' || u || '@example.org',
            CASE u % 2 WHEN 0 THEN 'FR' ELSE 'US' END, repeat(md5(u::text), 4)
            FROM generate_series(1, {people}) u;
        INSERT INTO posts SELECT p, 1 + p % {people}, 'post ' || p, repeat(md5(p::text), 6),
            timestamptz '2026-01-01' + p * interval '1 second' FROM generate_series(1, {people} * 5) p;
        INSERT INTO comments SELECT c, 1 + c % ({people} * 5), repeat(md5(c::text), 2)
            FROM generate_series(1, {people} * 20) c;
        INSERT INTO events SELECT e, 1 + e % {people}, timestamptz '2026-01-01' + e * interval '1 second',
            (e % 7)::int, sqrt(e) FROM generate_series(1, {people} * 30) e;"
    ))
    .await?;
    app.batch_execute("VACUUM (FREEZE, ANALYZE)").await?;
    let bytes = app.query_one("SELECT pg_database_size(current_database())", &[]).await?.get(0);
    Ok(Template { name, bytes })
}
