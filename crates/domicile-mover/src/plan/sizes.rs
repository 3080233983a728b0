//! What each site holds, what leaves it, and how long that may take.

use super::Plan;
use crate::drive::Clock;
use crate::error::Result;
use domicile_model::territory::Territory;
use domicile_model::{Operator, SiteSpec};
use domicile_store::{Catalog, Closure, Engine, RowsRead, Site};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// One site in a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSite {
    /// The site.
    pub site: String,
    /// Where it stands.
    pub territory: Option<Territory>,
    /// Who runs it; nobody but the platform where nothing is said.
    pub operator: Option<Operator>,
    /// Whose law can compel the operator.
    pub control: Option<Territory>,
    /// The engine and its version.
    pub server: String,
    /// The engine.
    pub engine: Engine,
    /// People there now.
    pub people: u64,
    /// People who leave it.
    pub leaving: u64,
    /// Rows of owned tables there, estimated as the catalog does.
    pub rows: u64,
    /// Bytes of them, indexes included; 0 where the engine cannot tell.
    pub bytes: u64,
    /// How long what leaves may take; `None` where nothing leaves or nothing was measured.
    pub estimate: Option<Estimate>,
}

/// How long what leaves a site may take, from rows read there just now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Rows that were read.
    pub sample_rows: u64,
    /// Their bytes.
    pub sample_bytes: u64,
    /// How long reading them took, in seconds.
    pub sample_seconds: f64,
    /// Rows that leave, by the share of people who do.
    pub rows: u64,
    /// Reading alone of all these rows, at that rate, in seconds.
    pub reading_seconds: f64,
    /// The whole move by one lane, at [`MOVE_PER_READ`] times the reading, in seconds.
    pub move_seconds: f64,
}

/// How many times as long as reading a sample of rows their whole move takes by one lane: copying,
/// comparing by two readings, deciding, settling and erasing. Measured on 2026-11-25 on two cores
/// that hosted both databases, with a release build and 6,680 people who own 26,840 small rows: 238
/// times at PostgreSQL 15, 183 times at SQLite.
pub const MOVE_PER_READ: u32 = 240;

/// Rows read of each table.
const SAMPLE_ROWS: u32 = 20_000;
/// How long reading samples goes on at one site.
const SAMPLE_TIME: Duration = Duration::from_secs(2);

/// What a site holds; people are counted later.
pub(super) fn of_site(site: &dyn Site, catalog: &Catalog, closure: &Closure) -> PlannedSite {
    let owned = || {
        let tables = catalog.tables.iter();
        tables.filter(|table| closure.owned.iter().any(|owned| owned.name == table.name))
    };
    PlannedSite {
        site: site.name().to_string(),
        territory: None,
        operator: None,
        control: None,
        server: catalog.server.clone(),
        engine: site.engine(),
        people: 0,
        leaving: 0,
        rows: owned().map(|table| table.rows).sum(),
        bytes: owned().map(|table| table.bytes).sum(),
        estimate: None,
    }
}

impl PlannedSite {
    pub(super) fn describe(&mut self, spec: &SiteSpec) {
        self.territory = Some(spec.territory);
        self.control = Some(spec.control());
        self.operator.clone_from(&spec.operator);
    }
}

/// Reads a few rows at every site that people leave, and reckons how long all of them may take.
/// Writes nothing; `clock` times the reading.
pub async fn measure(sites: &[Arc<dyn Site>], plan: &mut Plan, clock: &Clock) -> Result<()> {
    let Some(closure) = plan.closure.clone() else { return Ok(()) };
    for (site, planned) in sites.iter().zip(&mut plan.sites) {
        if planned.leaving == 0 {
            continue;
        }
        let start = clock();
        let mut sum = RowsRead::default();
        for table in &closure.owned {
            if clock().saturating_sub(start) > SAMPLE_TIME {
                break;
            }
            let sample = site.read_rows(table, SAMPLE_ROWS).await?;
            sum.rows += sample.rows;
            sum.bytes += sample.bytes;
        }
        planned.estimate = reckon(planned, sum, clock().saturating_sub(start));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn reckon(planned: &PlannedSite, sample: RowsRead, took: Duration) -> Option<Estimate> {
    if sample.rows == 0 || planned.people == 0 || took.is_zero() {
        return None;
    }
    let share = u128::from(planned.rows) * u128::from(planned.leaving) / u128::from(planned.people);
    let rows = u64::try_from(share).unwrap_or(u64::MAX);
    let reading_seconds = took.as_secs_f64() * rows as f64 / sample.rows as f64;
    Some(Estimate {
        sample_rows: sample.rows,
        sample_bytes: sample.bytes,
        sample_seconds: took.as_secs_f64(),
        rows,
        reading_seconds,
        move_seconds: reading_seconds * f64::from(MOVE_PER_READ),
    })
}
