//! Going on where an earlier run ended, from what the sites' journals say.
//!
//! | source | target | what is done |
//! |---|---|---|
//! | moving | nothing, or arriving without rows | both horizons again, then copy |
//! | moving | arriving with rows | catch up, decide |
//! | moved | arriving | settle |
//! | moved | resident | erase |
//! | nothing, or another move | arriving | settle if a tombstone names this site, else clear |
//! | moving | resident under the same move | refused: an answer for the operator |

use crate::error::{Error, Result};
use crate::people::Platform;
use crate::step::Progress;
use domicile_model::{MoveId, State, Subject};
use domicile_store::JournalEntry;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A batch to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The source, by place.
    pub source: usize,
    /// The target, by place.
    pub target: usize,
    /// The announcement.
    pub move_id: MoveId,
    /// How far each person came.
    pub people: BTreeMap<Subject, Progress>,
    /// People whose door was closed when the run ended.
    pub closed: Vec<Subject>,
}

/// People whose rows are to be erased at a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The source, by place.
    pub source: usize,
    /// The announcement.
    pub move_id: MoveId,
    /// The people.
    pub subjects: Vec<Subject>,
    /// When the first of them was decided, where the journal says.
    pub decided_at: Option<Timestamp>,
}

/// Arrivals without a departure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The target, by place.
    pub target: usize,
    /// The announcement.
    pub move_id: MoveId,
    /// The people.
    pub subjects: Vec<Subject>,
    /// Whether their tombstones at the source say that this is their home.
    pub is_home: bool,
}

/// What earlier runs left to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Batches to go on with.
    pub resume: Vec<Resume>,
    /// Rows to erase.
    pub erase: Vec<Erasure>,
    /// Arrivals without a departure.
    pub leftover: Vec<Leftover>,
    /// Everybody who is under way, per site, by place: nobody else may be announced there.
    pub under_way: Vec<BTreeSet<Subject>>,
}

/// Reads every journal and says what is to be done.
pub async fn find(platform: &Platform) -> Result<Found> {
    let mut journals = Vec::new();
    for site in &platform.sites {
        let entries = site.journal().await?;
        let by_subject: BTreeMap<Subject, JournalEntry> =
            entries.into_iter().map(|entry| (entry.subject.clone(), entry)).collect();
        journals.push(by_subject);
    }
    let mut found = sort(platform, &journals)?;
    prove_erasures(platform, &found, &journals).await?;
    let mut leftovers = Vec::new();
    for leftover in std::mem::take(&mut found.leftover) {
        leftovers.extend(by_tombstone(platform, leftover, &journals).await?);
    }
    found.leftover = leftovers;
    Ok(found)
}

/// Rows are erased only where the target shows that they arrived: it has the person as resident,
/// or passed them on since, by a later move or a tombstone. A target that shows nothing has been
/// restored or failed over, and what stands at the source is the last copy.
async fn prove_erasures(platform: &Platform, found: &Found, journals: &Journals) -> Result<()> {
    for erasure in &found.erase {
        for subject in &erasure.subjects {
            let Some(entry) = journals[erasure.source].get(subject) else { continue };
            let target = platform.configured(&entry.peer)?;
            let source = platform.sites[erasure.source].name();
            // An entry or tombstone about this source from before the decision shows nothing.
            let is_shown = journals[target].get(subject).is_some_and(|there| {
                if there.move_id == entry.move_id {
                    there.state == State::Resident
                } else {
                    there.peer != *source
                }
            });
            if is_shown {
                continue;
            }
            let gone = platform.sites[target].gone(std::slice::from_ref(subject)).await?;
            if !gone.iter().any(|(_, home)| home != source) {
                return Err(contradiction(subject));
            }
        }
    }
    Ok(())
}

/// Parts people whose tombstones at the source name the target as their home from the others:
/// for the first the decision was taken and erased behind, and what stands at the target is all
/// there is. Arrivals of the others are only cleared while their rows stand at the source.
async fn by_tombstone(
    platform: &Platform,
    leftover: Leftover,
    journals: &Journals,
) -> Result<Vec<Leftover>> {
    let Some(first) = leftover.subjects.first() else { return Ok(Vec::new()) };
    let Some(entry) = journals[leftover.target].get(first) else { return Ok(Vec::new()) };
    let source = platform.configured(&entry.peer)?;
    let target = platform.sites[leftover.target].name();
    let gone = platform.sites[source].gone(&leftover.subjects).await?;
    let home: BTreeSet<&Subject> =
        gone.iter().filter(|(_, home)| home == target).map(|(subject, _)| subject).collect();
    let (home, others): (Vec<Subject>, Vec<Subject>) =
        leftover.subjects.iter().cloned().partition(|subject| home.contains(subject));
    for subject in &others {
        let (_, person) = platform.sites[source].look_up(&platform.closure, subject).await?;
        let was_copied = journals[leftover.target].get(subject).is_some_and(|entry| entry.copied);
        if person.is_none() && was_copied {
            return Err(contradiction(subject));
        }
    }
    let part = |subjects, is_home| Leftover { subjects, is_home, ..leftover.clone() };
    Ok(vec![part(home, true), part(others, false)])
}

fn contradiction(subject: &Subject) -> Error {
    Error::refused(
        format!("the journals of both ends contradict each other about {subject}"),
        "one of the databases was restored or failed over; run verify, and restore the site that \
         lacks what the other knows before anything opens",
    )
}

type Journals = [BTreeMap<Subject, JournalEntry>];

/// The table above, without any effect.
fn sort(platform: &Platform, journals: &Journals) -> Result<Found> {
    let mut found = Found::default();
    let mut batches: BTreeMap<(usize, usize, MoveId), Resume> = BTreeMap::new();
    let mut erasures: BTreeMap<(usize, MoveId), Erasure> = BTreeMap::new();
    let mut leftovers: BTreeMap<(usize, MoveId), Leftover> = BTreeMap::new();
    for (place, journal) in journals.iter().enumerate() {
        let mut under_way = BTreeSet::new();
        for (subject, entry) in journal {
            if entry.state.is_fenced() {
                under_way.insert(subject.clone());
            }
            match entry.state {
                State::Moving | State::Closing | State::Moved => {
                    let target = platform.configured(&entry.peer)?;
                    let there = journals[target].get(subject);
                    let there = there.filter(|there| there.move_id == entry.move_id);
                    let key = (place, target, entry.move_id);
                    match progress(subject, entry, there)? {
                        Some(progress) => {
                            let batch = batches.entry(key).or_insert_with(|| Resume {
                                source: place,
                                target,
                                move_id: entry.move_id,
                                people: BTreeMap::new(),
                                closed: Vec::new(),
                            });
                            if entry.state == State::Closing {
                                batch.closed.push(subject.clone());
                            }
                            batch.people.insert(subject.clone(), progress);
                        }
                        None => note_erasure(&mut erasures, place, entry),
                    }
                }
                State::Arriving => {
                    let source = platform.configured(&entry.peer)?;
                    let there = journals[source].get(subject);
                    if there.is_none_or(|there| {
                        there.move_id != entry.move_id || !there.state.is_fenced()
                    }) {
                        let leftover =
                            leftovers.entry((place, entry.move_id)).or_insert_with(|| Leftover {
                                target: place,
                                move_id: entry.move_id,
                                subjects: Vec::new(),
                                is_home: false,
                            });
                        leftover.subjects.push(subject.clone());
                    }
                }
                State::Withdrawn | State::Resident => {}
            }
        }
        found.under_way.push(under_way);
    }
    found.resume = batches.into_values().collect();
    found.erase = erasures.into_values().collect();
    found.leftover = leftovers.into_values().collect();
    Ok(found)
}

/// How far a person came, from both journals; `None` when only erasing is left.
fn progress(
    subject: &Subject,
    entry: &JournalEntry,
    there: Option<&JournalEntry>,
) -> Result<Option<Progress>> {
    let at_target = there.map(|there| (there.state, there.copied));
    Ok(Some(match (entry.state, at_target) {
        (State::Moved, Some((State::Arriving, true))) => Progress::Decided,
        (State::Moved, Some((State::Arriving, false)))
        | (State::Moving | State::Closing, Some((State::Resident, _))) => {
            return Err(contradiction(subject));
        }
        // The target may have passed the person on since, under a move of its own.
        (State::Moved, _) => return Ok(None),
        (_, Some((State::Arriving, true))) => Progress::Copied,
        _ => Progress::Announced,
    }))
}

fn note_erasure(
    erasures: &mut BTreeMap<(usize, MoveId), Erasure>,
    source: usize,
    entry: &JournalEntry,
) {
    let erasure = erasures.entry((source, entry.move_id)).or_insert_with(|| Erasure {
        source,
        move_id: entry.move_id,
        subjects: Vec::new(),
        decided_at: entry.decided_at,
    });
    erasure.decided_at = erasure.decided_at.max(entry.decided_at);
    erasure.subjects.push(entry.subject.clone());
}
