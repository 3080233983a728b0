//! Opening the configured sites.

use crate::config::{Address, Config, ConfiguredSite};
use crate::exit::{Failure, Result};
use domicile_model::SiteName;
use domicile_store::Site;
use domicile_store::postgres::PostgresSite;
use domicile_store::sqlite::SqliteSite;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The sites as a plan sees them: where a database file does not exist yet, an empty one stands
/// in for it, so that planning leaves nothing behind.
pub(crate) struct Glance {
    /// The sites, in the order in which they are written.
    pub(crate) sites: Vec<Arc<dyn Site>>,
    /// Sites that do not exist yet, with the file each would have.
    absent: Vec<(SiteName, PathBuf)>,
    /// Where the stand-ins are.
    stand_ins: Option<TempDir>,
}

/// Opens sites that must all be there.
pub(crate) async fn open(config: &Config) -> Result<Vec<Arc<dyn Site>>> {
    let mut sites = Vec::new();
    for site in &config.sites {
        if let Some(path) = absent(site) {
            return Err(Failure::failed(format!(
                "site {} has no database file {}",
                site.spec.name,
                path.display()
            ))
            .hint(format!(
                "run domicile prepare, which makes it, or correct [sites.{}] url",
                site.spec.name
            )));
        }
        sites.push(open_one(config, site).await?);
    }
    Ok(sites)
}

/// Opens sites for a plan.
pub(crate) async fn glance(config: &Config) -> Result<Glance> {
    if config.sites.iter().all(|site| absent(site).is_some()) {
        return Err(Failure::usage("none of the sites' database files exists")
            .hint("correct the urls; paths are relative to the configuration's folder"));
    }
    let mut glance = Glance { sites: Vec::new(), absent: Vec::new(), stand_ins: None };
    for site in &config.sites {
        let Some(path) = absent(site) else {
            glance.sites.push(open_one(config, site).await?);
            continue;
        };
        glance.absent.push((site.spec.name.clone(), path.to_owned()));
        let folder = match &glance.stand_ins {
            Some(folder) => folder,
            None => glance.stand_ins.insert(TempDir::new()?),
        };
        let file = folder.path().join(site.spec.name.as_str());
        let stand_in = SqliteSite::create(site.spec.name.clone(), &file)?;
        glance.sites.push(Arc::new(facing(config, stand_in)));
    }
    Ok(glance)
}

impl Glance {
    /// What a plan says of the sites, with what is true of stand-ins only taken out.
    pub(crate) fn correct(&self, warnings: &mut Vec<String>) {
        for (name, path) in &self.absent {
            let about = format!("site {name}: ");
            warnings.retain(|warning| !warning.starts_with(&about));
            warnings
                .push(format!("{about}there is no file {} yet; prepare makes it", path.display()));
        }
    }
}

/// Makes the database files that are not there, and opens all sites.
pub(crate) async fn create_missing(config: &Config) -> Result<Vec<Arc<dyn Site>>> {
    for site in &config.sites {
        if let Some(path) = absent(site) {
            SqliteSite::create(site.spec.name.clone(), path)?;
        }
    }
    open(config).await
}

/// The file that is not there.
fn absent(site: &ConfiguredSite) -> Option<&Path> {
    match &site.address {
        Address::Sqlite(path) if !path.exists() => Some(path),
        _ => None,
    }
}

/// Among sites on PostgreSQL, a site on SQLite is one that people leave.
fn facing(config: &Config, site: SqliteSite) -> SqliteSite {
    let is_mixed = config.sites.iter().any(|site| matches!(site.address, Address::Postgres(_)));
    if is_mixed { site.facing_postgres() } else { site }
}

async fn open_one(config: &Config, site: &ConfiguredSite) -> Result<Arc<dyn Site>> {
    let name = site.spec.name.clone();
    Ok(match &site.address {
        Address::Sqlite(path) => Arc::new(facing(config, SqliteSite::open(name, path)?)),
        Address::Postgres(url) => Arc::new(PostgresSite::connect(name, url.expose()).await?),
    })
}
