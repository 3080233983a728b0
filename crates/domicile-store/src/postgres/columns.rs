//! Whether the tables are still what a closure says of them.

use super::client::Transaction;
use crate::closure::Closure;
use crate::error::{Error, Kind};
use domicile_model::SiteName;
use std::collections::BTreeMap;

/// The refusal, when a column came, went, or changed its type since the closure was made: a copy by
/// the closure's columns would leave a new column's values behind. Asked after the fingerprint was
/// read, so that a change is seen here or changes the fingerprint.
pub(super) async fn changed(
    transaction: &Transaction<'_>,
    site: &SiteName,
    closure: &Closure,
) -> Result<Option<Error>, tokio_postgres::Error> {
    let names: Vec<String> = closure.tables().map(|table| table.name.sql()).collect();
    let statement = "SELECT t.place, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) \
         FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS t(name, place) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass(t.name) \
             AND a.attnum > 0 AND NOT a.attisdropped";
    let rows = transaction.query(statement, &[&names]).await?;
    let mut found: BTreeMap<(i64, String), String> = BTreeMap::new();
    for row in &rows {
        found.insert((row.get(0), row.get(1)), row.get(2));
    }
    for (table, place) in closure.tables().zip(1..) {
        let known = table.columns.len() + table.generated.len();
        let is_same = |(column, of_type): (&String, &String)| {
            found.get(&(place, column.clone())) == Some(of_type)
        };
        let is_there = |column: &String| found.contains_key(&(place, column.clone()));
        let columns = found.range((place, String::new())..(place + 1, String::new())).count();
        if columns != known
            || !table.columns.iter().zip(&table.types).all(is_same)
            || !table.generated.iter().all(is_there)
        {
            let text = format!(
                "the columns of {} at site {site} have changed since the plan was made",
                table.name
            );
            let hint = "nobody was announced after that; look at domicile plan, then run it again";
            return Ok(Some(Error::new(Kind::Never, text).hint(hint)));
        }
    }
    Ok(None)
}
