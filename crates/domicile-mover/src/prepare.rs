//! Making every site ready: schema, reference tables, journal and fences.

use crate::error::{Error, Result};
use crate::plan::Plan;
use domicile_store::catalog::TableName;
use domicile_store::{Closure, Installation, ReferenceTable, Site};
use serde::Serialize;
use std::sync::Arc;

/// What was done at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// The site.
    pub site: String,
    /// Tables made there; the others stood already.
    pub tables_created: Vec<String>,
    /// Reference rows copied there.
    pub reference_rows: u64,
    /// Whether journal and fences were put in place or brought up to date now.
    pub fences_installed: bool,
}

/// Prepares every site. Whatever is in place already is left alone.
pub async fn prepare(sites: &[Arc<dyn Site>], plan: &Plan) -> Result<Vec<Prepared>> {
    let Some(closure) = plan.closure.clone().filter(|_| plan.refused.is_empty()) else {
        return Err(Error::refused(
            format!("the plan refuses {} things", plan.refused.len()),
            "run domicile plan to read them all",
        ));
    };
    let template = sites[plan.template].as_ref();
    let truth = reference_state(template, &closure).await?;
    let installation = Installation {
        closure: closure.clone(),
        sites: sites.iter().map(|site| site.name().clone()).collect(),
    };
    let mut done = Vec::new();
    for (at, site) in sites.iter().enumerate() {
        let mut prepared = Prepared {
            site: site.name().to_string(),
            tables_created: Vec::new(),
            reference_rows: 0,
            fences_installed: false,
        };
        if at != plan.template {
            prepared.tables_created = create_missing(template, site.as_ref(), &closure).await?;
            prepared.reference_rows =
                copy_reference(template, site.as_ref(), &closure, &truth).await?;
        }
        if !site.is_installed(&installation).await? {
            site.install(&installation).await?;
            prepared.fences_installed = true;
        }
        done.push(prepared);
    }
    Ok(done)
}

/// Makes the tables that are missing at a site. That those already there are equal was the plan's
/// business.
async fn create_missing(
    template: &dyn Site,
    site: &dyn Site,
    closure: &Closure,
) -> Result<Vec<String>> {
    let there = site.catalog().await?;
    let owned = closure.owned.iter().map(|table| &table.name);
    let reference = closure.reference.iter().map(|table| &table.name);
    let missing: Vec<TableName> =
        reference.chain(owned).filter(|name| there.table(name).is_none()).cloned().collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    site.apply_schema(&template.schema_script(&missing).await?).await?;
    Ok(missing.iter().map(TableName::to_string).collect())
}

type ReferenceState = Vec<(TableName, u64, [u8; 32])>;

/// Rows and digest of each reference table; the owned part of the scan is left to the root alone.
async fn reference_state(site: &dyn Site, closure: &Closure) -> Result<ReferenceState> {
    let mut only = closure.clone();
    only.owned.truncate(1);
    Ok(site.scan(&only).await?.reference)
}

async fn copy_reference(
    template: &dyn Site,
    site: &dyn Site,
    closure: &Closure,
    truth: &ReferenceState,
) -> Result<u64> {
    let here = reference_state(site, closure).await?;
    let mut copied = 0;
    for (table, (expected, found)) in closure.reference.iter().zip(truth.iter().zip(&here)) {
        if (expected.1, expected.2) == (found.1, found.2) {
            continue;
        }
        if found.1 > 0 {
            return Err(drifted(table, template, site));
        }
        let rows = template.export_reference(table).await?;
        copied += site.import_reference(table, rows).await?;
    }
    let after = reference_state(site, closure).await?;
    for (table, (expected, found)) in closure.reference.iter().zip(truth.iter().zip(&after)) {
        if (expected.1, expected.2) != (found.1, found.2) {
            return Err(drifted(table, template, site));
        }
    }
    Ok(copied)
}

fn drifted(table: &ReferenceTable, template: &dyn Site, site: &dyn Site) -> Error {
    Error::refused(
        format!(
            "reference table {} has other rows at site {} than at site {}",
            table.name,
            site.name(),
            template.name()
        ),
        "make them equal, or empty the table there so that prepare can fill it",
    )
}
