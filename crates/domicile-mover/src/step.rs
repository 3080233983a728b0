//! One batch's state machine: people who leave one source for one target together.
//!
//! Pure. [`Batch::next`] says what to do, the driver does it and tells [`Batch::apply`] what came
//! of it. Time is passed in, as the duration since the batch began.
//!
//! Invariants, asserted by the tests over random answers:
//! - nobody is decided whose rows were not copied, compared, and caught up;
//! - nobody is decided after being withdrawn, and nobody is withdrawn after being decided;
//! - nobody is settled who is not decided, nobody erased who is not settled;
//! - whoever is closed is decided or opened again before anything else is closed.

mod apply;

use domicile_model::Subject;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many people are decided in one commit, and settled before the next: each waits for the
/// last of them.
pub const DECIDED_TOGETHER: usize = 64;
/// How long somebody may be in the way of a decision before new writers are made to wait.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How many decisions they must have missed by then: far from the target a second is one or two,
/// and of people who are written about now and then the next finds most at rest.
pub const MISSED: u32 = 3;
/// After how many rounds of catching up new writers are made to wait.
pub const ROUNDS: u32 = 6;
/// How long new writers have waited when the person is opened again rather than caught up with once
/// more.
pub const CLOSED_AT_MOST: Duration = Duration::from_secs(1);
/// How often one person's copy or closing is tried before the person has failed.
pub const TRIES: u32 = 4;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write `moving` at the source for everybody.
    Announce,
    /// Wait for writers from before the announcement at the source.
    SourceHorizon,
    /// Write `arriving` at the target for everybody.
    Expect,
    /// Wait for writers from before the announcement at the target.
    TargetHorizon,
    /// Copy and compare everything these people own, in one transaction at the target.
    Copy(Vec<Subject>),
    /// Ship what has been touched of these people since, and compare it.
    CatchUp(Vec<Subject>),
    /// Decide these people.
    Decide(Vec<Subject>),
    /// Make new writers about this person wait.
    Close(Subject),
    /// Let them go on.
    Reopen(Subject),
    /// Make the target their home in its own journal.
    Settle(Vec<Subject>),
    /// Take the announcement back at the source, then clear the target.
    Withdraw(Vec<Subject>),
    /// Let a moment pass before the next try: somebody is writing.
    Wait,
    /// Everybody is settled, withdrawn or failed.
    Finish,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Those who were announced or expected; the others are no longer ours.
    Taken(Vec<Subject>),
    /// A horizon passed, a person was closed or opened, a moment went by.
    Done,
    /// Rows were copied or shipped, compared and committed. These people no longer exist at the
    /// source.
    Shipped {
        /// People without a root row.
        vanished: Vec<Subject>,
    },
    /// Rows could not be shipped, and nothing of this group was committed; or a person could not
    /// be closed.
    NotShipped {
        /// Why, one sentence.
        reason: String,
    },
    /// One outcome for each person asked for.
    Decided(Vec<(Subject, Verdict)>),
    /// Those withdrawn; the others were decided already.
    Withdrawn(Vec<Subject>),
}

/// What came of one person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The home has changed.
    Decided,
    /// Ship first.
    Touched,
    /// Somebody is writing.
    Busy,
    /// Somebody put the person on hold.
    OnHold,
    /// The copy cannot be trusted any more.
    SchemaChanged,
    /// The journal says otherwise.
    NotOurs,
}

/// How far one person is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Announced; rows not yet copied.
    Announced,
    /// Copied; there may be touched rows.
    Copied,
    /// Copied, and nothing was touched when last looked.
    Clean,
    /// Decided, not yet settled.
    Decided,
    /// Settled.
    Settled,
    /// To be withdrawn, for this reason if it is a failure.
    Leaving(Option<String>),
    /// Withdrawn; failed for this reason, if any.
    Withdrawn(Option<String>),
    /// No longer ours: somebody else's announcement stands.
    NotOurs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Announce,
    SourceHorizon,
    Expect,
    TargetHorizon,
    Move,
}

#[derive(Clone, Debug)]
struct Closing {
    subject: Subject,
    since: Duration,
    is_closed: bool,
}

/// Somebody whom decisions have missed.
#[derive(Clone, Debug)]
struct InTheWay {
    since: Duration,
    missed: u32,
}

/// One batch.
#[derive(Clone, Debug)]
pub struct Batch {
    phase: Phase,
    people: BTreeMap<Subject, Progress>,
    /// People whose rows are shipped together; a group that fails is split.
    groups: VecDeque<Vec<Subject>>,
    tries: BTreeMap<Subject, u32>,
    in_the_way: BTreeMap<Subject, InTheWay>,
    rounds: u32,
    closing: Option<Closing>,
    is_stopping: bool,
    must_wait: bool,
}

impl Batch {
    /// A batch to announce.
    pub fn announce(subjects: impl IntoIterator<Item = Subject>) -> Self {
        Self::begin(Phase::Announce, subjects.into_iter().map(|s| (s, Progress::Announced)))
    }

    /// A batch found in the journals. Announced people wait for both horizons again; if nobody
    /// is merely announced, it goes on where it stopped.
    pub fn resume(people: impl IntoIterator<Item = (Subject, Progress)>) -> Self {
        let people: BTreeMap<_, _> = people.into_iter().collect();
        let announced = people.values().any(|progress| *progress == Progress::Announced);
        let phase = if announced { Phase::SourceHorizon } else { Phase::Move };
        Self::begin(phase, people)
    }

    fn begin(phase: Phase, people: impl IntoIterator<Item = (Subject, Progress)>) -> Self {
        Batch {
            phase,
            people: people.into_iter().collect(),
            groups: VecDeque::new(),
            tries: BTreeMap::new(),
            in_the_way: BTreeMap::new(),
            rounds: 0,
            closing: None,
            is_stopping: false,
            must_wait: false,
        }
    }

    /// Everybody, with how far they are.
    pub fn people(&self) -> &BTreeMap<Subject, Progress> {
        &self.people
    }

    /// Whoever is not decided is withdrawn from now on.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    fn having(&self, wanted: impl Fn(&Progress) -> bool) -> Vec<Subject> {
        self.people.iter().filter(|(_, p)| wanted(p)).map(|(s, _)| s.clone()).collect()
    }

    fn set(&mut self, subject: &Subject, progress: Progress) {
        self.people.insert(subject.clone(), progress);
    }

    /// What to do next.
    pub fn next(&mut self, now: Duration) -> Effect {
        // Writers that were made to wait go on before anything else happens.
        if let Some(subject) = self.closed_and_done() {
            return Effect::Reopen(subject);
        }
        let decided = self.having(|p| *p == Progress::Decided);
        if !decided.is_empty() {
            return Effect::Settle(decided);
        }
        if self.is_stopping && self.closing.is_none() {
            self.leave_all();
        }
        if let Some(effect) = self.next_for_closing(now) {
            return effect;
        }
        let leaving = self.having(|p| matches!(p, Progress::Leaving(_)));
        if !leaving.is_empty() {
            // Before an announcement there is nothing to take back.
            if self.phase == Phase::Announce {
                for subject in &leaving {
                    self.set(subject, Progress::Withdrawn(None));
                }
            } else {
                return Effect::Withdraw(leaving);
            }
        }
        if self.having(is_under_way).is_empty() {
            return Effect::Finish;
        }
        match self.phase {
            Phase::Announce => Effect::Announce,
            Phase::SourceHorizon => Effect::SourceHorizon,
            Phase::Expect => Effect::Expect,
            Phase::TargetHorizon => Effect::TargetHorizon,
            Phase::Move => self.next_move(now),
        }
    }

    fn leave_all(&mut self) {
        for subject in self.having(is_under_way) {
            self.set(&subject, Progress::Leaving(None));
        }
    }

    /// The closed person, once nothing more is to be done for them behind closed doors.
    fn closed_and_done(&self) -> Option<Subject> {
        let closing = self.closing.as_ref()?;
        let progress = self.people.get(&closing.subject);
        let is_open = matches!(progress, Some(Progress::Copied | Progress::Clean));
        (!is_open).then(|| closing.subject.clone())
    }

    /// While a person is closed, only that person is served: every millisecond is pause.
    fn next_for_closing(&mut self, now: Duration) -> Option<Effect> {
        let closing = self.closing.clone()?;
        let subject = closing.subject;
        let progress = self.people.get(&subject)?.clone();
        if !closing.is_closed {
            return Some(Effect::Close(subject));
        }
        // Far from the target the last rows may take all the time there is.
        let is_clean = progress == Progress::Clean && !self.must_wait;
        if !is_clean && now.saturating_sub(closing.since) > CLOSED_AT_MOST {
            let tries = self.count_try(&subject);
            if tries >= TRIES {
                let reason = "writers about this person never drained".to_owned();
                self.set(&subject, Progress::Leaving(Some(reason)));
            }
            return Some(Effect::Reopen(subject));
        }
        if self.must_wait {
            return Some(Effect::Wait);
        }
        match progress {
            Progress::Clean => Some(Effect::Decide(vec![subject])),
            _ => Some(Effect::CatchUp(vec![subject])),
        }
    }

    fn next_move(&mut self, now: Duration) -> Effect {
        if self.must_wait && !self.groups.is_empty() {
            return Effect::Wait;
        }
        if let Some(group) = self.next_group() {
            return group;
        }
        let announced = self.having(|p| *p == Progress::Announced);
        if !announced.is_empty() {
            return Effect::Copy(announced);
        }
        let mut clean = self.having(|p| *p == Progress::Clean);
        if !clean.is_empty() && !self.must_wait {
            clean.truncate(DECIDED_TOGETHER);
            return Effect::Decide(clean);
        }
        if let Some(subject) = self.somebody_in_the_way(now) {
            self.closing = Some(Closing { subject: subject.clone(), since: now, is_closed: false });
            return Effect::Close(subject);
        }
        if self.must_wait {
            return Effect::Wait;
        }
        self.rounds += 1;
        Effect::CatchUp(self.having(|p| *p == Progress::Copied))
    }

    /// The next part of a group that failed as a whole.
    fn next_group(&mut self) -> Option<Effect> {
        while let Some(group) = self.groups.pop_front() {
            let group: Vec<Subject> = group
                .into_iter()
                .filter(|s| self.people.get(s).is_some_and(is_under_way))
                .collect();
            let Some(first) = group.first() else { continue };
            return Some(match self.people.get(first) {
                Some(Progress::Announced) => Effect::Copy(group),
                _ => Effect::CatchUp(group),
            });
        }
        None
    }

    /// Somebody for whom new writers must wait: never free for a while, or never done. Before the
    /// next door everybody is caught up with once more, and most need none then.
    fn somebody_in_the_way(&self, now: Duration) -> Option<Subject> {
        if self.rounds == 0 {
            return None;
        }
        self.people.iter().find_map(|(subject, progress)| {
            let InTheWay { since, missed } = self.in_the_way.get(subject)?;
            let is_late = now.saturating_sub(*since) >= PATIENCE && *missed >= MISSED;
            let is_ready = matches!(progress, Progress::Copied | Progress::Clean);
            (is_ready && (is_late || self.rounds >= ROUNDS)).then(|| subject.clone())
        })
    }

    fn count_try(&mut self, subject: &Subject) -> u32 {
        let tries = self.tries.entry(subject.clone()).or_insert(0);
        *tries += 1;
        *tries
    }
}

fn is_under_way(progress: &Progress) -> bool {
    matches!(
        progress,
        Progress::Announced
            | Progress::Copied
            | Progress::Clean
            | Progress::Decided
            | Progress::Leaving(_)
    )
}

#[cfg(test)]
mod tests;
