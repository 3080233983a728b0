//! Batches waiting for a lane.

use crate::recover::Resume;
use domicile_model::Subject;
use std::collections::{BTreeMap, VecDeque};

/// A batch waiting for a lane.
pub(super) enum Work {
    New { source: usize, target: usize, subjects: Vec<Subject> },
    Resume(Resume),
}

impl Work {
    pub(super) fn people(&self) -> u64 {
        match self {
            Work::New { subjects, .. } => subjects.len() as u64,
            Work::Resume(resume) => resume.people.len() as u64,
        }
    }

    /// The first so many people, and the rest. A batch under way stays whole.
    pub(super) fn split(self, people: usize) -> (Work, Option<Work>) {
        match self {
            Work::New { source, target, mut subjects } if subjects.len() > people => {
                let rest = subjects.split_off(people);
                (
                    Work::New { source, target, subjects },
                    Some(Work::New { source, target, subjects: rest }),
                )
            }
            whole => (whole, None),
        }
    }

    pub(super) fn ends(&self) -> (usize, usize) {
        match self {
            Work::New { source, target, .. } => (*source, *target),
            Work::Resume(resume) => (resume.source, resume.target),
        }
    }
}

/// Interrupted batches first; then new ones, a batch of each pair of sites in turn, so that lanes
/// work at different targets.
pub(super) fn queue(
    resume: Vec<Resume>,
    candidates: BTreeMap<(usize, usize), Vec<Subject>>,
    batch: usize,
) -> VecDeque<Work> {
    let mut queue: VecDeque<Work> = resume.into_iter().map(Work::Resume).collect();
    let mut columns: Vec<_> = candidates
        .into_iter()
        .map(|((source, target), subjects)| {
            let parts: Vec<Vec<Subject>> = subjects.chunks(batch).map(<[_]>::to_vec).collect();
            (source, target, parts.into_iter())
        })
        .collect();
    loop {
        let before = queue.len();
        for (source, target, parts) in &mut columns {
            if let Some(subjects) = parts.next() {
                queue.push_back(Work::New { source: *source, target: *target, subjects });
            }
        }
        if queue.len() == before {
            return queue;
        }
    }
}
