//! Reference tables: the same rows at every site, written at one.
//!
//! The writing site notes every change. What is noted is carried to all other sites before rows
//! of people are loaded anywhere, so that a row which refers to a new reference row finds it at
//! its new home.

use crate::error::Result;
use crate::people::Platform;
use domicile_store::{Closure, Error, Reference, ReferenceChanges, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Notes carried at once.
const NOTES_AT_ONCE: u32 = 5000;
/// How often two sites are looked at before a row in which they differ counts as drift: between
/// two looks a running mover may have carried it.
const LOOKS: u32 = 5;

/// Carries changes from the writing site to every other; shared by all lanes of a run.
pub struct Carrier {
    ends: Option<Mutex<Ends>>,
    /// Forgets at the writing site. It has a connection and a lock of its own: a writer there may
    /// be held back just now by a lane that waits for `ends`.
    writing: Option<Mutex<Box<dyn Reference>>>,
}

struct Ends {
    source: Box<dyn Reference>,
    targets: Vec<Box<dyn Reference>>,
}

impl Carrier {
    /// Opens every site; opens none where there is no reference table.
    pub async fn open(
        sites: &[Arc<dyn Site>],
        writing: usize,
        closure: &Arc<Closure>,
    ) -> Result<Self> {
        if closure.reference.is_empty() {
            return Ok(Carrier { ends: None, writing: None });
        }
        let mut targets = Vec::new();
        for (at, site) in sites.iter().enumerate() {
            if at != writing {
                targets.push(site.reference(closure.clone()).await?);
            }
        }
        let source = sites[writing].reference(closure.clone()).await?;
        let forgetting = sites[writing].reference(closure.clone()).await?;
        Ok(Carrier {
            ends: Some(Mutex::new(Ends { source, targets })),
            writing: Some(Mutex::new(forgetting)),
        })
    }

    /// Carries everything that was committed at the writing site before this call, and forgets
    /// it there.
    pub async fn carry(&self) -> Result<(), Error> {
        let done = self.carry_ahead().await?;
        match &self.writing {
            Some(writing) if !done.is_empty() => writing.lock().await.forget(&done).await,
            _ => Ok(()),
        }
    }

    /// The same without forgetting, which writes at the writing site: for whoever holds writers
    /// back there. Returns the notes that every site has.
    pub(crate) async fn carry_ahead(&self) -> Result<Vec<i64>, Error> {
        let Some(ends) = &self.ends else { return Ok(Vec::new()) };
        let mut ends = ends.lock().await;
        let (mut after, mut done) = (0, Vec::new());
        loop {
            let changes = ends.source.changes(after, NOTES_AT_ONCE).await?;
            let Some(last) = changes.notes.last() else { return Ok(done) };
            after = last.seq;
            let stayed = ends.apply(&changes).await?;
            let gone = changes.notes.iter();
            let gone = gone.filter(|note| !stayed.contains(&(note.table, note.key.clone())));
            done.extend(gone.map(|note| note.seq));
            // What was noted since the call began may wait; else a busy writer would be chased.
            if changes.notes.len() < NOTES_AT_ONCE as usize {
                return Ok(done);
            }
        }
    }
}

impl Ends {
    /// Applies changes at every site; returns the rows that stayed somewhere.
    async fn apply(
        &mut self,
        changes: &ReferenceChanges,
    ) -> Result<BTreeSet<(Option<usize>, Vec<String>)>, Error> {
        let mut stayed = BTreeSet::new();
        for target in &mut self.targets {
            let kept = target.apply(changes).await?;
            stayed.extend(kept.into_iter().map(|note| (note.table, note.key)));
        }
        Ok(stayed)
    }
}

/// The reference tables, by place, in which a site differs from the writing one in rows that no
/// note explains.
pub(crate) async fn drift(
    writing: &dyn Site,
    site: &dyn Site,
    closure: &Arc<Closure>,
    suspects: &[usize],
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
            let noted = noted(source.as_mut(), *table).await?;
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

async fn noted(source: &mut dyn Reference, table: usize) -> Result<BTreeSet<Vec<String>>> {
    let mut keys = BTreeSet::new();
    let mut after = 0;
    loop {
        let changes = source.changes(after, NOTES_AT_ONCE).await?;
        let Some(last) = changes.notes.last() else { return Ok(keys) };
        after = last.seq;
        let is_last = changes.notes.len() < NOTES_AT_ONCE as usize;
        let of_table = changes.notes.into_iter().filter(|note| note.table == Some(table));
        keys.extend(of_table.map(|note| note.key));
        if is_last {
            return Ok(keys);
        }
    }
}

/// How many changes are noted at the writing site.
pub(crate) async fn behind(platform: &Platform) -> Result<u64> {
    if platform.closure.reference.is_empty() {
        return Ok(0);
    }
    let site = &platform.sites[platform.reference_site];
    let mut source = site.reference(platform.closure.clone()).await?;
    let (mut after, mut notes) = (0, 0);
    loop {
        let changes = source.changes(after, NOTES_AT_ONCE).await?;
        notes += changes.notes.len() as u64;
        let Some(last) = changes.notes.last() else { return Ok(notes) };
        after = last.seq;
        if changes.notes.len() < NOTES_AT_ONCE as usize {
            return Ok(notes);
        }
    }
}
