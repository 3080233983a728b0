//! A platform's application: short statements about one person at a time, at one site.

use anyhow::{Result, bail};
use domicile_testkit::connect;
use domicile_testkit::tokio_postgres::{self, Client, Statement};

use super::world::Size;

/// Tables whose rows are updated: the person's own, one with their key, one that finds them through
/// another.
pub(super) const UPDATED: [&str; 3] = ["users", "posts", "comments"];

/// A connection to one site.
pub(super) struct Application {
    client: Client,
    size: Size,
    updates: Vec<Statement>,
    read: Statement,
}

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done.
    Done,
    /// The person has another home (`DM001`).
    Refused,
    /// The person is not yet at home here (`DM002`).
    Arriving,
    /// No row of this person is here.
    NobodyHere,
}

impl Application {
    pub(super) async fn open(url: &str, size: Size) -> Result<Application> {
        let client = connect(url).await?;
        let mut updates = Vec::new();
        for (table, column) in UPDATED.into_iter().zip(["bio", "body", "text"]) {
            let update =
                format!("UPDATE {table} SET {column} = 'change ' || $2::bigint WHERE id = $1");
            updates.push(client.prepare(&update).await?);
        }
        let read = "SELECT u.bio, p.title, p.body FROM users u JOIN posts p ON p.user_id = u.id WHERE u.id = $1";
        let read = client.prepare(read).await?;
        Ok(Application { client, size, updates, read })
    }

    /// The connection itself.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// How large the platform is.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Changes a row of a person, at each turn in another table.
    pub(super) async fn update(&self, person: i64, turn: usize) -> Result<Outcome> {
        let at = turn % UPDATED.len();
        let key = match at {
            0 => person,
            1 => self.size.post_of(person),
            _ => self.size.comment_of(person),
        };
        let value = i64::try_from(turn)?;
        match self.client.execute(&self.updates[at], &[&key, &value]).await {
            Ok(0) => Ok(Outcome::NobodyHere),
            Ok(_) => Ok(Outcome::Done),
            Err(error) => refusal(error),
        }
    }

    /// Reads a person with their posts.
    pub(super) async fn read(&self, person: i64) -> Result<Outcome> {
        let rows = self.client.query(&self.read, &[&person]).await?;
        Ok(if rows.is_empty() { Outcome::NobodyHere } else { Outcome::Done })
    }
}

fn refusal(error: tokio_postgres::Error) -> Result<Outcome> {
    match error.code().map(|code| code.code()) {
        Some("DM001") => Ok(Outcome::Refused),
        Some("DM002") => Ok(Outcome::Arriving),
        _ => bail!(error),
    }
}
