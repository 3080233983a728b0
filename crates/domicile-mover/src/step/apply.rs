//! What answers do to a batch.

use super::{Answer, Batch, Effect, InTheWay, Phase, Progress, TRIES, Verdict};
use domicile_model::Subject;
use std::collections::BTreeSet;
use std::time::Duration;

impl Batch {
    /// Takes in what came of `effect`.
    pub fn apply(&mut self, effect: &Effect, answer: Answer, now: Duration) {
        self.must_wait = false;
        match (effect, answer) {
            (Effect::Announce, Answer::Taken(taken)) => {
                self.keep_only(&taken);
                self.phase = Phase::SourceHorizon;
            }
            (Effect::SourceHorizon, _) => self.phase = Phase::Expect,
            (Effect::Expect, Answer::Taken(taken)) => {
                self.leave_out(&taken);
                self.phase = Phase::TargetHorizon;
            }
            (Effect::TargetHorizon, _) => self.phase = Phase::Move,
            (Effect::Copy(group), Answer::Shipped { vanished }) => {
                for subject in group {
                    self.set(subject, Progress::Copied);
                }
                for subject in &vanished {
                    self.set(subject, Progress::Leaving(None));
                }
            }
            (Effect::CatchUp(group), Answer::Shipped { .. }) => {
                for subject in group {
                    self.set(subject, Progress::Clean);
                }
            }
            (Effect::Copy(group) | Effect::CatchUp(group), Answer::NotShipped { reason }) => {
                self.split(group, &reason);
            }
            (Effect::Decide(_), Answer::Decided(verdicts)) => {
                for (subject, verdict) in verdicts {
                    self.judge(&subject, verdict, now);
                }
            }
            (Effect::Close(subject), Answer::NotShipped { reason }) => {
                self.closing = None;
                self.in_the_way.remove(subject);
                self.rounds = 0;
                if self.count_try(subject) >= TRIES {
                    self.set(subject, Progress::Leaving(Some(reason)));
                }
            }
            (Effect::Close(subject), _) => {
                if let Some(closing) = &mut self.closing {
                    closing.is_closed = true;
                    closing.since = now;
                }
                // Whoever was writing before the door closed may have touched something.
                self.set(subject, Progress::Copied);
            }
            (Effect::Reopen(subject), _) => {
                self.closing = None;
                self.in_the_way.remove(subject);
                self.rounds = 0;
            }
            (Effect::Settle(group), _) => {
                for subject in group {
                    self.set(subject, Progress::Settled);
                }
            }
            (Effect::Withdraw(group), Answer::Withdrawn(withdrawn)) => {
                self.take_back(group, &withdrawn);
            }
            _ => {}
        }
    }

    fn keep_only(&mut self, taken: &[Subject]) {
        let taken: BTreeSet<&Subject> = taken.iter().collect();
        for (subject, progress) in &mut self.people {
            if !taken.contains(subject) {
                *progress = Progress::NotOurs;
            }
        }
    }

    /// Announced people whom the target does not take are withdrawn at the source.
    fn leave_out(&mut self, taken: &[Subject]) {
        let taken: BTreeSet<&Subject> = taken.iter().collect();
        for (subject, progress) in &mut self.people {
            if *progress == Progress::Announced && !taken.contains(subject) {
                let reason = "the target has this person under another move".to_owned();
                *progress = Progress::Leaving(Some(reason));
            }
        }
    }

    fn split(&mut self, group: &[Subject], reason: &str) {
        match group {
            [] => {}
            [one] => {
                if self.count_try(one) >= TRIES {
                    self.set(one, Progress::Leaving(Some(reason.to_owned())));
                } else {
                    self.must_wait = true;
                    self.groups.push_back(vec![one.clone()]);
                }
            }
            many => {
                let (left, right) = many.split_at(many.len() / 2);
                self.groups.push_back(left.to_vec());
                self.groups.push_back(right.to_vec());
            }
        }
    }

    fn judge(&mut self, subject: &Subject, verdict: Verdict, now: Duration) {
        match verdict {
            Verdict::Decided => {
                self.set(subject, Progress::Decided);
                return;
            }
            Verdict::Touched => self.set(subject, Progress::Copied),
            Verdict::Busy => {
                self.set(subject, Progress::Copied);
                self.must_wait = true;
            }
            // Not a failure: they stay because somebody said so.
            Verdict::OnHold => self.set(subject, Progress::Leaving(None)),
            Verdict::SchemaChanged => {
                let reason = "the tables or their fences changed while rows were copied";
                self.set(subject, Progress::Leaving(Some(reason.to_owned())));
            }
            Verdict::NotOurs => self.set(subject, Progress::NotOurs),
        }
        let first = InTheWay { since: now, missed: 0 };
        self.in_the_way.entry(subject.clone()).or_insert(first).missed += 1;
    }

    fn take_back(&mut self, group: &[Subject], withdrawn: &[Subject]) {
        for subject in group {
            let reason = match self.people.get(subject) {
                Some(Progress::Leaving(reason)) => reason.clone(),
                _ => None,
            };
            let progress = if withdrawn.contains(subject) {
                Progress::Withdrawn(reason)
            } else {
                Progress::NotOurs
            };
            self.set(subject, progress);
        }
    }
}
