//! Making every site ready: schema, reference tables, journal and fences.

mod drops;

pub use drops::{KeyDrop, drop_keys, list_drops};

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::plan::crossing::is_only_left;
use crate::reference::{Carrier, Explaining, drift};
use domicile_model::SiteName;
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

/// Prepares every site, which nobody else may be moving people at: an older reference row would
/// arrive after a newer one. Whatever is in place already is left alone.
pub async fn prepare(sites: &[Arc<dyn Site>], plan: &Plan) -> Result<Vec<Prepared>> {
    let Some(closure) = plan.closure.clone().filter(|_| plan.refused.is_empty()) else {
        return Err(Error::refused(
            format!("the plan refuses {} things", plan.refused.len()),
            "run domicile plan to read them all",
        ));
    };
    let mut claims = Vec::new();
    for site in sites {
        claims.push(site.claim().await?);
    }
    let mut done: Vec<Prepared> = sites.iter().map(|site| Prepared::nothing(site.name())).collect();
    for at in (0..sites.len()).filter(|at| *at != plan.template) {
        done[at].tables_created = create_missing(sites, plan.template, at, &closure).await?;
    }
    let installation = installation(sites, &closure, plan.reference_site);
    for (at, site) in sites.iter().enumerate() {
        if !site.is_installed(&installation).await? {
            site.install(&installation).await?;
            done[at].fences_installed = true;
        }
    }
    // From here on the writing site notes its changes, so that none passes by the copy.
    let writing = sites[plan.reference_site].as_ref();
    for (at, site) in sites.iter().enumerate().filter(|(at, _)| *at != plan.reference_site) {
        done[at].reference_rows = copy_reference(writing, site.as_ref(), &closure).await?;
    }
    Carrier::open(sites, plan.reference_site, &closure).await?.carry_all().await?;
    for (at, site) in sites.iter().enumerate().filter(|(at, _)| *at != plan.reference_site) {
        let all: Vec<usize> = (0..closure.reference.len()).collect();
        let found = drift(writing, site.as_ref(), &closure, &all, Explaining::Any).await?;
        if let Some(table) = found.first() {
            return Err(drifted(&closure.reference[*table], writing, sites[at].as_ref()));
        }
    }
    Ok(done)
}

/// What every site must have in place.
pub(crate) fn installation(
    sites: &[Arc<dyn Site>],
    closure: &Arc<Closure>,
    reference_site: usize,
) -> Installation {
    Installation {
        closure: closure.clone(),
        sites: sites.iter().map(|site| site.name().clone()).collect(),
        reference_site: sites[reference_site].name().clone(),
    }
}

impl Prepared {
    fn nothing(site: &SiteName) -> Self {
        Prepared {
            site: site.to_string(),
            tables_created: Vec::new(),
            reference_rows: 0,
            fences_installed: false,
        }
    }
}

/// Makes the tables that are missing at a site. That those already there are equal was the plan's
/// business.
async fn create_missing(
    sites: &[Arc<dyn Site>],
    template: usize,
    at: usize,
    closure: &Closure,
) -> Result<Vec<String>> {
    let (template, site) = (sites[template].as_ref(), sites[at].as_ref());
    let there = site.catalog().await?;
    let owned = closure.tables().map(|table| &table.name);
    let reference = closure.reference.iter().map(|table| &table.name);
    let missing: Vec<TableName> =
        reference.chain(owned).filter(|name| there.table(name).is_none()).cloned().collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let (copied, translated) = split(sites, template, &missing).await?;
    let mut script = Vec::new();
    if let Some((donor, tables)) = copied {
        script.extend(donor.schema_script(&tables).await?);
    }
    if !translated.is_empty() {
        script.extend(template.schema_script(&translated).await?);
    }
    site.apply_schema(&script).await?;
    Ok(missing.iter().map(TableName::to_string).collect())
}

type Donor<'a> = Option<(&'a dyn Site, Vec<TableName>)>;

/// Of tables to make: those that another site has in the engine's own words, and those that only
/// the template can tell of. A template that speaks for itself tells of all.
async fn split<'a>(
    sites: &'a [Arc<dyn Site>],
    template: &dyn Site,
    missing: &[TableName],
) -> Result<(Donor<'a>, Vec<TableName>)> {
    if !is_only_left(template) {
        return Ok((None, missing.to_vec()));
    }
    for donor in sites.iter().filter(|site| !is_only_left(site.as_ref())) {
        let catalog = donor.catalog().await?;
        let (has, lacks): (Vec<TableName>, Vec<TableName>) =
            missing.iter().cloned().partition(|name| catalog.table(name).is_some());
        if !has.is_empty() {
            return Ok((Some((donor.as_ref(), has)), lacks));
        }
    }
    Ok((None, missing.to_vec()))
}

/// Fills the reference tables that are empty at a site.
async fn copy_reference(writing: &dyn Site, site: &dyn Site, closure: &Closure) -> Result<u64> {
    // The owned part of the scan is left to the root alone.
    let mut only = closure.clone();
    only.owned.truncate(1);
    only.shared.clear();
    let here = site.scan(&only).await?.reference;
    let mut copied = 0;
    for (table, (_, rows, _)) in closure.reference.iter().zip(&here) {
        if *rows == 0 {
            let rows = writing.export_reference(table).await?;
            copied += site.import_reference(table, rows).await?;
        }
    }
    Ok(copied)
}

fn drifted(table: &ReferenceTable, writing: &dyn Site, site: &dyn Site) -> Error {
    Error::refused(
        format!(
            "reference table {} has other rows at site {} than at site {}",
            table.name,
            site.name(),
            writing.name()
        ),
        format!(
            "reference tables are written at {}, or at what [reference] site names; make them \
             equal, or empty the table at {} so that prepare can fill it",
            writing.name(),
            site.name()
        ),
    )
}
