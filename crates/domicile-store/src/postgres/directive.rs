//! What somebody has directed about single people.

use super::install;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::site::{Change, Directive};
use domicile_model::{SiteName, Subject};

pub(super) async fn read(session: &Session) -> Result<Vec<Directive>> {
    if !install::exists(session).await? {
        return Ok(Vec::new());
    }
    let statement = "SELECT d.subject, d.hold, d.home FROM domicile.directive d \
         WHERE d.hold IS NOT NULL OR d.home IS NOT NULL ORDER BY 1";
    let rows = session.client.query(statement, &[]).await.map_err(|e| session.failed(e))?;
    rows.iter()
        .map(|row| {
            let home: Option<String> = row.get(2);
            let home: Option<Result<SiteName>> = home.map(|home| {
                home.parse().map_err(|error: domicile_model::site::BadSiteName| {
                    Error::new(Kind::Operator, format!("a directive names no site: {error}"))
                        .hint("correct domicile.directive")
                })
            });
            Ok(Directive {
                subject: Subject::new(row.get::<_, String>(0)),
                hold: row.get(1),
                home: home.transpose()?,
            })
        })
        .collect()
}

/// The person's entry is updated with it: who is erasing holds its lock, and whoever waits for it
/// looks at the entry again.
pub(super) async fn write(session: &Session, subject: &Subject, change: &Change) -> Result<()> {
    if !install::exists(session).await? {
        return Err(Error::new(
            Kind::Operator,
            format!("nothing is installed at site {} that could keep it", session.site),
        )
        .hint("run domicile prepare"));
    }
    let client = &session.client;
    let done = match change {
        Change::Hold(hold) => {
            let statement = "WITH entry AS (UPDATE domicile.subject s \
                     SET on_hold = ($2::text IS NOT NULL) WHERE s.subject = $1) \
                 INSERT INTO domicile.directive (subject, hold) VALUES ($1, $2) \
                 ON CONFLICT (subject) DO UPDATE SET hold = excluded.hold, since = excluded.since";
            client.execute(statement, &[&subject.as_str(), hold]).await
        }
        Change::Home(home) => {
            let statement = "INSERT INTO domicile.directive (subject, home) VALUES ($1, $2) \
                 ON CONFLICT (subject) DO UPDATE SET home = excluded.home, since = excluded.since";
            client
                .execute(statement, &[&subject.as_str(), &home.as_ref().map(SiteName::as_str)])
                .await
        }
    };
    done.map(drop).map_err(|e| session.failed(e))
}
