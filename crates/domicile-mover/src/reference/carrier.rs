//! Carrying what is noted at the writing site to every other.

use super::NOTES_AT_ONCE;
use crate::error::Result;
use domicile_model::SiteName;
use domicile_store::{
    Applied, Closure, Engine, Error, Kind, Reference, ReferenceChanges, ReferenceNote, Site,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Notes that stand because a row is kept or a change is refused are tried again with every so
/// many calls, or with anything new.
const TRIED_AGAIN: u32 = 20;

/// Carries changes from the writing site to every other; shared by all lanes of a run.
pub struct Carrier {
    ends: Option<Mutex<Ends>>,
    /// Forgets at the writing site. It has a connection and a lock of its own: a writer there may
    /// be held back just now by a lane that waits for `ends`.
    writing: Option<Mutex<Box<dyn Reference>>>,
    /// Held by whoever carries, and by whoever has closed somebody where that holds back every
    /// writer of a site: each would wait for what the other has. None where it never does.
    turn: Option<Arc<Mutex<()>>>,
}

struct Ends {
    source: Box<dyn Reference>,
    targets: Vec<Target>,
    /// Notes that stood after the last try, and the calls since that left them alone.
    standing: BTreeSet<i64>,
    left_alone: u32,
}

struct Target {
    name: SiteName,
    reference: Box<dyn Reference>,
    /// Notes of rows that are kept here, by number.
    kept: BTreeMap<i64, ReferenceNote>,
    /// These rows, once somebody asked for them.
    rows: Option<Arc<ReferenceChanges>>,
}

/// What a call came to, and is still to be written down at the writing site.
#[derive(Default)]
struct Carried {
    /// Notes that every site has.
    done: Vec<i64>,
    /// Notes of which something else is true now than is written with them.
    marked: Vec<ReferenceNote>,
}

impl Carrier {
    /// Opens every site; opens none where there is no reference table.
    pub async fn open(
        sites: &[Arc<dyn Site>],
        writing: usize,
        closure: &Arc<Closure>,
    ) -> Result<Self> {
        if closure.reference.is_empty() {
            return Ok(Carrier { ends: None, writing: None, turn: turn(sites) });
        }
        let mut targets = Vec::new();
        for (at, site) in sites.iter().enumerate() {
            if at != writing {
                let reference = site.reference(closure.clone()).await?;
                let (name, kept) = (site.name().clone(), BTreeMap::new());
                targets.push(Target { name, reference, kept, rows: None });
            }
        }
        let source = sites[writing].reference(closure.clone()).await?;
        let forgetting = sites[writing].reference(closure.clone()).await?;
        let ends = Ends { source, targets, standing: BTreeSet::new(), left_alone: 0 };
        Ok(Carrier {
            ends: Some(Mutex::new(ends)),
            writing: Some(Mutex::new(forgetting)),
            turn: turn(sites),
        })
    }

    /// Waits until nobody carries and nobody else has closed somebody; neither begins until the
    /// guard is dropped.
    pub(crate) async fn take_turn(&self) -> Option<OwnedMutexGuard<()>> {
        match &self.turn {
            Some(turn) => Some(turn.clone().lock_owned().await),
            None => None,
        }
    }

    /// Carries everything that was committed at the writing site before this call, and forgets
    /// it there. What stood before and will stand again is not tried every time.
    pub async fn carry(&self) -> Result<(), Error> {
        let _turn = self.take_turn().await;
        let carried = self.try_all(false).await?;
        self.write_down(carried).await
    }

    /// The same, trying everything again.
    pub async fn carry_all(&self) -> Result<(), Error> {
        let _turn = self.take_turn().await;
        let carried = self.try_all(true).await?;
        self.write_down(carried).await
    }

    /// Carries to one site, and does not forget, which writes at the writing site: for whoever
    /// holds writers back, and has its turn. Every other site has time until the doors are open.
    pub(crate) async fn carry_ahead(&self, to: &SiteName) -> Result<(), Error> {
        let Some(ends) = &self.ends else { return Ok(()) };
        let mut ends = ends.lock().await;
        let Ends { source, targets, standing, .. } = &mut *ends;
        let Some(target) = targets.iter_mut().find(|target| target.name == *to) else {
            return Ok(());
        };
        let mut after = 0;
        loop {
            let changes = source.changes(after, NOTES_AT_ONCE).await?;
            let Some(last) = changes.notes.last() else { return Ok(()) };
            after = last.seq;
            if changes.notes.iter().any(|note| !standing.contains(&note.seq)) {
                target.apply(&changes).await?;
            }
            if changes.notes.len() < NOTES_AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    /// The rows that a site keeps because rows there refer to them, and that the writing site has
    /// deleted: they come along with whoever refers to them.
    pub(crate) async fn kept_at(&self, site: &SiteName) -> Result<Arc<ReferenceChanges>, Error> {
        let Some(ends) = &self.ends else { return Ok(Arc::default()) };
        let mut ends = ends.lock().await;
        let Some(target) = ends.targets.iter_mut().find(|target| target.name == *site) else {
            return Ok(Arc::default());
        };
        if let Some(rows) = &target.rows {
            return Ok(rows.clone());
        }
        let notes: Vec<ReferenceNote> = target.kept.values().cloned().collect();
        let rows = if notes.is_empty() {
            Arc::default()
        } else {
            Arc::new(target.reference.stand(&notes).await?)
        };
        target.rows = Some(rows.clone());
        Ok(rows)
    }

    async fn write_down(&self, carried: Carried) -> Result<(), Error> {
        let Some(writing) = &self.writing else { return Ok(()) };
        if !carried.done.is_empty() {
            writing.lock().await.forget(&carried.done).await?;
        }
        if !carried.marked.is_empty() {
            writing.lock().await.mark_refused(&carried.marked).await?;
        }
        Ok(())
    }

    async fn try_all(&self, is_due: bool) -> Result<Carried, Error> {
        let Some(ends) = &self.ends else { return Ok(Carried::default()) };
        let mut ends = ends.lock().await;
        let is_due = is_due || ends.left_alone >= TRIED_AGAIN;
        ends.left_alone = if is_due { 0 } else { ends.left_alone + 1 };
        let (mut after, mut carried) = (0, Carried::default());
        loop {
            let changes = ends.source.changes(after, NOTES_AT_ONCE).await?;
            let Some(last) = changes.notes.last() else { return Ok(carried) };
            after = last.seq;
            let is_known = changes.notes.iter().all(|note| ends.standing.contains(&note.seq));
            if is_due || !is_known {
                ends.apply(&changes, &mut carried).await?;
            }
            // What was noted since the call began may wait; else a busy writer would be chased.
            if changes.notes.len() < NOTES_AT_ONCE as usize {
                return Ok(carried);
            }
        }
    }
}

/// At SQLite one closed door holds back every writer.
fn turn(sites: &[Arc<dyn Site>]) -> Option<Arc<Mutex<()>>> {
    sites.iter().any(|site| site.engine() == Engine::Sqlite).then(Arc::default)
}

impl Ends {
    /// Applies changes at every site.
    async fn apply(
        &mut self,
        changes: &ReferenceChanges,
        carried: &mut Carried,
    ) -> Result<(), Error> {
        let mut kept: BTreeSet<i64> = BTreeSet::new();
        let mut refused: BTreeMap<i64, String> = BTreeMap::new();
        for target in &mut self.targets {
            let applied = target.apply(changes).await?;
            kept.extend(applied.kept.iter().map(|note| note.seq));
            for note in applied.refused {
                let reason = format!("{}: {}", target.name, note.refused.unwrap_or_default());
                let all = refused.entry(note.seq).or_default();
                *all = if all.is_empty() { reason } else { format!("{all}; {reason}") };
            }
        }
        for note in &changes.notes {
            let reason = refused.remove(&note.seq);
            if reason.is_none() && !kept.contains(&note.seq) {
                self.standing.remove(&note.seq);
                carried.done.push(note.seq);
                continue;
            }
            self.standing.insert(note.seq);
            if reason != note.refused {
                if let Some(reason) = &reason {
                    tracing::warn!(key = ?note.key, %reason, "a reference row is set aside");
                }
                carried.marked.push(ReferenceNote { refused: reason, ..note.clone() });
            }
        }
        Ok(())
    }
}

impl Target {
    /// What the site as a whole objects to is no reason to stop: whoever does not need these rows
    /// can move all the same.
    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Applied, Error> {
        self.rows = None;
        let applied = match self.reference.apply(changes).await {
            Err(error) if error.kind() == Kind::Operator => {
                let refuse = |note: &ReferenceNote| ReferenceNote {
                    refused: Some(error.to_string()),
                    ..note.clone()
                };
                Applied { kept: Vec::new(), refused: changes.notes.iter().map(refuse).collect() }
            }
            other => other?,
        };
        for note in &changes.notes {
            self.kept.remove(&note.seq);
        }
        self.kept.extend(applied.kept.iter().map(|note| (note.seq, note.clone())));
        Ok(applied)
    }
}
