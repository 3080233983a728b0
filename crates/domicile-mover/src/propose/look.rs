//! Reading a database for a proposal: a catalog, samples, and what only the database can count.

use super::{Asked, Look, Proposal, owners, propose, subjects};
use crate::error::Result;
use crate::plan::outline;
use domicile_model::category::column::Family;
use domicile_store::{Closure, Site};
use std::collections::BTreeSet;

/// Rows sampled of each table.
const ROWS_MAX: u32 = 1000;
/// Values looked up of each column that may name people.
const LOOKED_UP_MAX: usize = 200;

/// Reads a site and proposes. Nothing is written. What the database does not let us see is a note
/// in the proposal, not an error; `progress` is told what is being read.
pub async fn look(site: &dyn Site, asked: &Asked, progress: impl Fn(&str)) -> Result<Proposal> {
    let mut look = Look { catalog: site.catalog().await?, ..Look::default() };
    read_samples(site, &mut look, &progress).await;
    look_up_owners(site, &mut look, asked).await?;
    count_crossing(site, &mut look, asked, &progress).await?;
    propose(&look, asked)
}

async fn read_samples(site: &dyn Site, look: &mut Look, progress: &impl Fn(&str)) {
    let catalog = look.catalog.clone();
    for table in subjects::standing(&catalog) {
        // What is large says nothing in its first characters.
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|column| Family::of(&column.type_name) != Family::Bytes)
            .map(|column| column.name.clone())
            .collect();
        progress(&format!("reading {}", table.name));
        match site.sample(&table.name, &columns, ROWS_MAX).await {
            Ok(sample) => {
                look.samples.insert(table.name.clone(), sample);
            }
            Err(error) => look.notes.push(format!(
                "the rows of {} could not be read, so that only names were judged: {error}",
                table.name
            )),
        }
    }
}

/// Looks sampled values up among the subjects' keys.
async fn look_up_owners(site: &dyn Site, look: &mut Look, asked: &Asked) -> Result<()> {
    let candidates = subjects::rank(look, asked)?;
    let root = subjects::chosen(look, &candidates)?.clone();
    let [key] = root.primary_key.as_slice() else { return Ok(()) };
    let Some(key) = root.column(key) else { return Ok(()) };
    let catalog = look.catalog.clone();
    for table in subjects::standing(&catalog) {
        for way in owners::guesses(look, &root, table) {
            let Some(column) = way.columns.first() else { continue };
            let Some(sample) = look.samples.get(&table.name) else { continue };
            let distinct: BTreeSet<&str> = sample.values(column).into_iter().collect();
            let values: Vec<String> =
                distinct.into_iter().take(LOOKED_UP_MAX).map(str::to_owned).collect();
            if values.is_empty() {
                continue;
            }
            // A value that is no key at all is one that is not known.
            let known = site.count_known(&root.name, key, &values).await.unwrap_or(0);
            let known = usize::try_from(known).unwrap_or(0);
            look.known.insert((table.name.clone(), column.clone()), (known, values.len()));
        }
    }
    Ok(())
}

/// Counts rows that cross people along foreign keys between owned rows.
async fn count_crossing(
    site: &dyn Site,
    look: &mut Look,
    asked: &Asked,
    progress: &impl Fn(&str),
) -> Result<()> {
    let Some(closure) = closure_of(look, asked)? else { return Ok(()) };
    let catalog = look.catalog.clone();
    for (at, owned) in closure.owned.iter().enumerate() {
        let Some(table) = catalog.table(&owned.name) else { continue };
        for key in &table.foreign_keys {
            let own = owned.parent.as_ref().is_some_and(|edge| edge.columns == key.columns);
            let parent = closure.owned.iter().position(|owned| owned.name == key.parent);
            let Some(parent) = parent.filter(|_| !own) else { continue };
            progress(&format!("counting rows of {} that cross people", table.name));
            let counted =
                site.count_crossing(&closure, at, &key.columns, parent, &key.parent_columns).await;
            let name = key.columns.join(", ");
            if let Err(error) = &counted {
                look.notes.push(format!(
                    "whether {name} of {} names other people's rows could not be counted: {error}",
                    table.name
                ));
            }
            look.crossing.insert((table.name.clone(), key.columns.clone()), counted.ok());
        }
    }
    Ok(())
}

fn closure_of(look: &Look, asked: &Asked) -> Result<Option<Closure>> {
    let wishes = propose(look, asked)?.wishes_so_far();
    Ok(wishes.and_then(|wishes| Some(outline(&look.catalog, &wishes).ok()?.0)))
}
