//! Reference tables: the same rows at every site, written at one.
//!
//! The writing site notes every change. What is noted is carried to all other sites before rows
//! of people are loaded anywhere, so that a row which refers to a new reference row finds it at
//! its new home.

mod carrier;

use crate::error::Result;
use crate::people::Platform;
use crate::report::RefusedChange;
use domicile_store::{Closure, Reference, ReferenceNote, Site, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use carrier::Carrier;

/// Notes carried at once.
const NOTES_AT_ONCE: u32 = 5000;
/// How often two sites are looked at before a row in which they differ counts as drift: between
/// two looks a running mover may have carried it.
const LOOKS: u32 = 5;

/// Which notes explain that a row differs between two sites.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Explaining {
    /// Every note: the row will be carried, or is known to be refused.
    Any,
    /// Notes that no site has refused.
    NotRefused,
}

/// The reference tables, by place, in which a site differs from the writing one in rows that no
/// note explains.
pub(crate) async fn drift(
    writing: &dyn Site,
    site: &dyn Site,
    closure: &Arc<Closure>,
    suspects: &[usize],
    explaining: Explaining,
) -> Result<Vec<usize>> {
    let mut drifted = Vec::new();
    if suspects.is_empty() {
        return Ok(drifted);
    }
    let mut source = writing.reference(closure.clone()).await?;
    let mut target = site.reference(closure.clone()).await?;
    for table in suspects {
        let mut rows: Option<BTreeSet<Vec<String>>> = None;
        for _ in 0..LOOKS {
            // In this order: what is carried between two of these looks is found equal by the next.
            let there = target.digests(*table).await?;
            let here = source.digests(*table).await?;
            let noted: BTreeSet<Vec<String>> = noted(source.as_mut())
                .await?
                .into_iter()
                .filter(|note| note.table == Some(*table))
                .filter(|note| explaining == Explaining::Any || note.refused.is_none())
                .map(|note| note.key)
                .collect();
            let mut differing = differing(&here, &there);
            differing.retain(|key| {
                !noted.contains(key) && rows.as_ref().is_none_or(|rows| rows.contains(key))
            });
            let is_equal = differing.is_empty();
            rows = Some(differing);
            if is_equal {
                break;
            }
        }
        if rows.is_some_and(|rows| !rows.is_empty()) {
            drifted.push(*table);
        }
    }
    Ok(drifted)
}

type Digests = BTreeMap<Vec<String>, [u8; 32]>;

fn differing(here: &Digests, there: &Digests) -> BTreeSet<Vec<String>> {
    let keys = here.keys().chain(there.keys());
    keys.filter(|key| here.get(*key) != there.get(*key)).cloned().collect()
}

/// Every note of a writing site.
async fn noted(source: &mut dyn Reference) -> Result<Vec<ReferenceNote>> {
    let (mut notes, mut after) = (Vec::new(), 0);
    loop {
        let changes = source.changes(after, NOTES_AT_ONCE).await?;
        let Some(last) = changes.notes.last() else { return Ok(notes) };
        after = last.seq;
        let is_last = changes.notes.len() < NOTES_AT_ONCE as usize;
        notes.extend(changes.notes);
        if is_last {
            return Ok(notes);
        }
    }
}

/// What stands noted at the writing site.
pub(crate) async fn standing(platform: &Platform) -> Result<Standing> {
    if platform.closure.reference.is_empty() {
        return Ok(Standing::default());
    }
    let site = &platform.sites[platform.reference_site];
    Ok(site.reference(platform.closure.clone()).await?.standing().await?)
}

/// The first of the changes that a site could not apply, for people to read.
pub(crate) fn told(closure: &Closure, refused: Vec<ReferenceNote>) -> Vec<RefusedChange> {
    let told = refused.into_iter().filter_map(|note| {
        let table = closure.reference.get(note.table?)?;
        Some(RefusedChange {
            table: table.name.to_string(),
            key: note.key.join(", "),
            reason: note.refused?,
        })
    });
    told.collect()
}

/// Why notes stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasons {
    /// Rows somewhere refer to a row that was deleted where it is written.
    pub(crate) held: u64,
    /// A site could not apply the change.
    pub(crate) refused: u64,
    /// Neither: nothing but the next run is in the way.
    pub(crate) waiting: u64,
}

/// Asks every site why the notes stand that stand.
pub(crate) async fn reasons(platform: &Platform) -> Result<Reasons> {
    let mut reasons = Reasons::default();
    if platform.closure.reference.is_empty() {
        return Ok(reasons);
    }
    let writing = &platform.sites[platform.reference_site];
    let mut source = writing.reference(platform.closure.clone()).await?;
    let notes = noted(source.as_mut()).await?;
    let mut held: BTreeSet<i64> = BTreeSet::new();
    let others = platform.sites.iter().enumerate();
    for (_, site) in others.filter(|(at, _)| *at != platform.reference_site && !notes.is_empty()) {
        let mut site = site.reference(platform.closure.clone()).await?;
        held.extend(site.held(&notes).await?.iter().map(|note| note.seq));
    }
    for note in &notes {
        match (&note.refused, held.contains(&note.seq)) {
            (Some(_), _) => reasons.refused += 1,
            (None, true) => reasons.held += 1,
            (None, false) => reasons.waiting += 1,
        }
    }
    Ok(reasons)
}
