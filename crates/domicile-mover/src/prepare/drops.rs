//! Dropping the foreign keys that the plan calls soft.

use crate::error::Result;
use crate::plan::Plan;
use domicile_store::{Engine, KeyRemoval, Site, TableName};
use serde::Serialize;
use std::sync::Arc;

/// What is to be dropped at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyDrop {
    /// The site.
    pub site: String,
    /// The keys, in words.
    pub keys: Vec<String>,
    /// The statements that drop them, in order, all in one transaction.
    pub statements: Vec<String>,
    /// A script that makes them again.
    #[serde(skip)]
    pub restore: Vec<String>,
    /// The site's engine, which can run that script.
    #[serde(skip)]
    pub engine: Engine,
    #[serde(skip)]
    removal: KeyRemoval,
}

/// What the plan's soft keys come to at each site; sites where none stands are left out. Changes
/// nothing.
pub async fn list_drops(sites: &[Arc<dyn Site>], plan: &Plan) -> Result<Vec<KeyDrop>> {
    let mut drops = Vec::new();
    for site in sites {
        let catalog = site.catalog().await?;
        let columns: Vec<(TableName, Vec<String>)> = plan
            .crossing_keys
            .iter()
            .filter_map(|key| Some((catalog.find(&key.table)?.name.clone(), key.columns.clone())))
            .collect();
        let removal = site.key_removal(&columns).await?;
        if removal.keys.is_empty() {
            continue;
        }
        let named = removal.keys.iter();
        let named = named
            .map(|(table, key)| format!("{table}.{} → {}", key.columns.join(", "), key.parent));
        drops.push(KeyDrop {
            site: site.name().to_string(),
            keys: named.collect(),
            statements: removal.drop.clone(),
            restore: removal.restore.clone(),
            engine: site.engine(),
            removal,
        });
    }
    Ok(drops)
}

/// Drops them, one site after the other. What is gone already is no error, so a run that ended
/// between two sites is simply run again.
pub async fn drop_keys(sites: &[Arc<dyn Site>], drops: &[KeyDrop]) -> Result<()> {
    for drop in drops {
        if let Some(site) = sites.iter().find(|site| site.name().as_str() == drop.site) {
            site.remove_keys(&drop.removal).await?;
        }
    }
    Ok(())
}
