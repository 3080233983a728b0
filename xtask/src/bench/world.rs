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

/// Who has [`Size::extra`] events; leaves.
pub(super) const HEAVY: i64 = 2;

/// How large a platform is. People with even numbers leave, and as many stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) leaving: u32,
    /// Few rows for each person.
    pub(super) is_light: bool,
    /// Events that one person has beside what everybody has.
    pub(super) extra: u32,
}

impl Size {
    pub(super) fn of(leaving: u32) -> Size {
        Size { leaving, is_light: false, extra: 0 }
    }

    pub(super) fn people(self) -> i64 {
        i64::from(self.leaving) * 2
    }

    /// Posts of a person, comments below each, events of a person.
    fn each(self) -> [i64; 3] {
        if self.is_light { [1, 1, 2] } else { [5, 4, 30] }
    }

    fn posts(self) -> i64 {
        self.people() * self.each()[0]
    }

    /// Rows of those who leave.
    pub(super) fn leaving_rows(self) -> i64 {
        let [posts, comments, events] = self.each();
        i64::from(self.leaving) * (1 + posts + posts * comments + events) + i64::from(self.extra)
    }

    /// One of a person's posts.
    pub(super) fn post_of(self, person: i64) -> i64 {
        if person > 1 { person - 1 } else { self.people() }
    }

    /// A comment below that post.
    pub(super) fn comment_of(self, person: i64) -> i64 {
        let post = self.post_of(person);
        if post > 1 { post - 1 } else { self.posts() }
    }

    fn fill(self) -> String {
        let (people, posts) = (self.people(), self.posts());
        let [_, comments, events] = self.each();
        let events = people * events;
        format!(
            "SET session_replication_role = replica; SET synchronous_commit = off;
            INSERT INTO users SELECT u, 'person' || u || '@example.org',
                CASE u % 2 WHEN 0 THEN 'FR' ELSE 'US' END, repeat(md5(u::text), 4)
                FROM generate_series(1, {people}) u;
            INSERT INTO posts SELECT p, 1 + p % {people}, 'post ' || p, repeat(md5(p::text), 6),
                timestamptz '2026-01-01' + p * interval '1 second' FROM generate_series(1, {posts}) p;
            INSERT INTO comments SELECT c, 1 + c % {posts}, repeat(md5(c::text), 2)
                FROM generate_series(1, {posts} * {comments}) c;
            INSERT INTO events SELECT e, CASE WHEN e > {events} THEN {HEAVY} ELSE 1 + e % {people} END,
                timestamptz '2026-01-01' + e * interval '1 second', (e % 7)::int, sqrt(e)
                FROM generate_series(1, {events} + {extra}) e;",
            extra = self.extra
        )
    }
}

/// The databases from which each run begins.
pub(super) struct Template {
    /// At the source, with everybody; its schema alone at the target.
    pub(super) name: String,
    pub(super) size: Size,
    /// Bytes of the source's tables and indexes.
    pub(super) bytes: i64,
}

impl Template {
    /// Makes both. Rows of those who leave and those who stay lie mixed.
    pub(super) async fn make(source: &Cluster, target: &Cluster, size: Size) -> Result<Template> {
        let name = format!("template_{}_{}", size.leaving, size.extra);
        eprintln!("making {} people who leave, and as many who stay", size.leaving);
        for cluster in [source, target] {
            let server = connect(&cluster.superuser_url("postgres")).await?;
            server.batch_execute(&format!("CREATE DATABASE {name} OWNER app")).await?;
            connect(&cluster.app_url(&name)).await?.batch_execute(SCHEMA).await?;
        }
        let client = connect(&source.superuser_url(&name)).await?;
        client.batch_execute(&size.fill()).await?;
        client.batch_execute("VACUUM (FREEZE, ANALYZE)").await?;
        let bytes = "SELECT pg_database_size(current_database())";
        let bytes = client.query_one(bytes, &[]).await?.get(0);
        Ok(Template { name, size, bytes })
    }
}
