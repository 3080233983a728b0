//! What somebody has directed about single people.

use super::install;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::site::Directive;
use domicile_model::{SiteName, Subject};

pub(super) async fn read(session: &Session) -> Result<Vec<Directive>> {
    if !install::exists(session).await? {
        return Ok(Vec::new());
    }
    let statement = "SELECT d.subject, d.hold, d.home FROM domicile.directive d ORDER BY 1";
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
pub(super) async fn write(session: &Session, directive: &Directive) -> Result<()> {
    if !install::exists(session).await? {
        return Err(Error::new(
            Kind::Operator,
            format!("nothing is installed at site {} that could keep it", session.site),
        )
        .hint("run domicile prepare"));
    }
    let Directive { subject, hold, home } = directive;
    let home = home.as_ref().map(SiteName::as_str);
    let statement = "WITH entry AS (UPDATE domicile.subject s SET on_hold = ($2::text IS NOT NULL) \
             WHERE s.subject = $1), \
         kept AS (INSERT INTO domicile.directive (subject, hold, home) SELECT $1, $2, $3 \
             WHERE $2::text IS NOT NULL OR $3::text IS NOT NULL \
             ON CONFLICT (subject) DO UPDATE SET hold = excluded.hold, home = excluded.home, \
                 since = excluded.since) \
         DELETE FROM domicile.directive d WHERE d.subject = $1 \
             AND $2::text IS NULL AND $3::text IS NULL";
    let done = session.client.execute(statement, &[&subject.as_str(), hold, &home]).await;
    done.map(drop).map_err(|e| session.failed(e))
}
