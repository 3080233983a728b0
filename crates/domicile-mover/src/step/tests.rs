//! A batch against a simulated pair of sites that answers as it likes.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the simulated sites know of a person. The machine never sees it.
#[derive(Clone, Debug, Default)]
struct Truth {
    is_announced: bool,
    is_expected: bool,
    is_copied: bool,
    /// Rows changed since they were last shipped.
    is_touched: bool,
    is_closed: bool,
    is_decided: bool,
    is_settled: bool,
    is_withdrawn: bool,
}

/// Draws answers from a list of bytes; when it is used up, everything goes well.
struct Luck<'a>(std::slice::Iter<'a, u8>);

impl Luck<'_> {
    fn draw(&mut self, of: u8) -> u8 {
        self.0.next().map_or(0, |byte| byte % of)
    }
}

struct Simulation<'a> {
    truth: BTreeMap<Subject, Truth>,
    luck: Luck<'a>,
    source_horizon: bool,
    target_horizon: bool,
}

impl Simulation<'_> {
    fn person(&mut self, subject: &Subject) -> &mut Truth {
        self.truth.get_mut(subject).expect("the machine names only people it was given")
    }

    /// The application writes about somebody who is not closed and not decided.
    fn write(&mut self) {
        let names: Vec<Subject> = self.truth.keys().cloned().collect();
        let at = usize::from(self.luck.draw(u8::try_from(names.len() + 1).unwrap()));
        if let Some(name) = names.get(at.wrapping_sub(1)) {
            let person = self.person(name);
            if !person.is_closed && !person.is_decided {
                person.is_touched = true;
            }
        }
    }

    fn ship(&mut self, group: &[Subject], whole: bool) -> Answer {
        assert!(self.source_horizon && self.target_horizon, "rows travel after both horizons");
        if self.luck.draw(5) == 1 {
            return Answer::NotShipped { reason: "a test said so".to_owned() };
        }
        for subject in group {
            let person = self.person(subject);
            assert!(person.is_expected, "the target must know who is coming");
            assert!(!person.is_decided, "a decided person's rows do not change");
            assert!(whole || person.is_copied, "nothing to catch up with");
            person.is_copied = true;
            person.is_touched = false;
        }
        let vanished =
            if whole && self.luck.draw(9) == 1 { group[..1].to_vec() } else { Vec::new() };
        Answer::Shipped { vanished }
    }

    fn decide(&mut self, group: &[Subject]) -> Answer {
        let mut verdicts = Vec::new();
        for subject in group {
            let draw = self.luck.draw(6);
            let person = self.person(subject);
            assert!(person.is_copied, "{subject} decided before the copy");
            assert!(!person.is_withdrawn, "{subject} decided after being withdrawn");
            let verdict = match draw {
                1 if !person.is_closed => Verdict::Busy,
                2 => Verdict::SchemaChanged,
                3 => Verdict::OnHold,
                _ if person.is_touched => Verdict::Touched,
                _ => {
                    person.is_decided = true;
                    Verdict::Decided
                }
            };
            verdicts.push((subject.clone(), verdict));
        }
        Answer::Decided(verdicts)
    }

    fn take_part(&mut self, part: &[Subject]) -> Vec<Subject> {
        part.iter().filter(|_| self.luck.draw(8) != 1).cloned().collect()
    }

    fn carry_out(&mut self, effect: &Effect) -> Answer {
        let everybody: Vec<Subject> = self.truth.keys().cloned().collect();
        match effect {
            Effect::Announce => {
                let taken = self.take_part(&everybody);
                taken.iter().for_each(|s| self.person(s).is_announced = true);
                Answer::Taken(taken)
            }
            Effect::Expect => {
                let announced: Vec<Subject> = everybody
                    .into_iter()
                    .filter(|s| self.truth[s].is_announced && !self.truth[s].is_withdrawn)
                    .collect();
                let taken = self.take_part(&announced);
                taken.iter().for_each(|s| self.person(s).is_expected = true);
                Answer::Taken(taken)
            }
            Effect::SourceHorizon => {
                self.source_horizon = true;
                Answer::Done
            }
            Effect::TargetHorizon => {
                self.target_horizon = true;
                Answer::Done
            }
            Effect::Copy(group) => self.ship(group, true),
            Effect::CatchUp(group) => self.ship(group, false),
            Effect::Decide(group) => self.decide(group),
            Effect::Close(subject) => {
                assert!(self.truth.values().all(|t| !t.is_closed), "one door at a time");
                if self.luck.draw(4) == 1 {
                    return Answer::NotShipped { reason: "busy".to_owned() };
                }
                self.person(subject).is_closed = true;
                Answer::Done
            }
            Effect::Reopen(subject) => {
                self.person(subject).is_closed = false;
                Answer::Done
            }
            Effect::Settle(group) => {
                for subject in group {
                    let person = self.person(subject);
                    assert!(person.is_decided, "{subject} settled before the decision");
                    person.is_settled = true;
                }
                Answer::Done
            }
            Effect::Withdraw(group) => {
                for subject in group {
                    let person = self.person(subject);
                    assert!(!person.is_decided, "{subject} withdrawn after the decision");
                    person.is_withdrawn = true;
                }
                Answer::Withdrawn(group.clone())
            }
            Effect::Wait => Answer::Done,
            Effect::Finish => unreachable!("the loop ends first"),
        }
    }
}

/// Runs a batch to its end; returns the truth and what was done.
fn run(people: usize, luck: &[u8], stop_after: Option<usize>) -> BTreeMap<Subject, Truth> {
    let names: BTreeSet<Subject> = (0..people).map(|n| Subject::new(n.to_string())).collect();
    let mut batch = Batch::announce(names.clone());
    let mut simulation = Simulation {
        truth: names.into_iter().map(|name| (name, Truth::default())).collect(),
        luck: Luck(luck.iter()),
        source_horizon: false,
        target_horizon: false,
    };
    let mut now = Duration::ZERO;
    for step in 0..20_000 {
        if stop_after == Some(step) {
            batch.stop();
        }
        let effect = batch.next(now);
        if effect == Effect::Finish {
            check_end(&batch, &simulation.truth);
            return simulation.truth;
        }
        simulation.write();
        let answer = simulation.carry_out(&effect);
        now += Duration::from_millis(40);
        batch.apply(&effect, answer, now);
    }
    panic!("the batch never ended");
}

fn check_end(batch: &Batch, truth: &BTreeMap<Subject, Truth>) {
    for (subject, person) in truth {
        assert!(!person.is_closed, "{subject} is left behind a closed door");
        assert_eq!(person.is_decided, person.is_settled, "{subject} is decided but not settled");
        let ended = person.is_settled || person.is_withdrawn || !person.is_announced;
        assert!(ended, "{subject} is left half-way: {:?}", batch.people()[subject]);
    }
}

#[test]
fn when_all_goes_well_everybody_is_settled_in_one_round() {
    let truth = run(3, &[], None);
    assert!(truth.values().all(|person| person.is_settled));
}

#[test]
fn a_batch_that_is_stopped_at_once_announces_nobody() {
    let truth = run(3, &[], Some(0));
    assert!(truth.values().all(|person| !person.is_announced));
}

#[test]
fn a_resumed_decision_is_settled_and_nothing_else() {
    let subject = Subject::new("1");
    let mut batch = Batch::resume([(subject.clone(), Progress::Decided)]);
    let effect = batch.next(Duration::ZERO);
    assert_eq!(effect, Effect::Settle(vec![subject]));
    batch.apply(&effect, Answer::Done, Duration::ZERO);
    assert_eq!(batch.next(Duration::ZERO), Effect::Finish);
}

/// Where everything takes so long.
fn is_closed_and_decided(took: Duration) {
    let subject = Subject::new("1");
    let mut batch = Batch::resume([(subject.clone(), Progress::Copied)]);
    let mut now = Duration::ZERO;
    let mut is_closed = false;
    for _ in 0..200 {
        let effect = batch.next(now);
        now += took;
        let answer = match &effect {
            Effect::CatchUp(_) => Answer::Shipped { vanished: Vec::new() },
            Effect::Decide(_) => {
                let verdict = if is_closed { Verdict::Decided } else { Verdict::Touched };
                Answer::Decided(vec![(subject.clone(), verdict)])
            }
            Effect::Close(_) => {
                is_closed = true;
                Answer::Done
            }
            Effect::Finish => break,
            _ => Answer::Done,
        };
        batch.apply(&effect, answer, now);
    }
    assert!(is_closed);
    assert_eq!(batch.people()[&subject], Progress::Settled);
}

#[test]
fn somebody_who_is_written_about_without_pause_is_closed_and_decided() {
    is_closed_and_decided(Duration::from_millis(20));
}

#[test]
fn somebody_whose_last_rows_took_longer_than_a_door_may_be_closed_is_decided_all_the_same() {
    is_closed_and_decided(CLOSED_AT_MOST * 2);
}

/// Four hundred people, each of them written about every ten seconds, far from the target.
#[test]
fn people_who_are_written_about_now_and_then_need_no_door_however_far_they_move() {
    const EVERY: u64 = 10_000;
    let names: Vec<Subject> = (0..400).map(|n| Subject::new(n.to_string())).collect();
    let last_write = |now: u64, name: &Subject| {
        let phase = name.as_str().parse::<u64>().unwrap() * EVERY / 400;
        ((now + EVERY - phase) / EVERY * EVERY + phase).checked_sub(EVERY)
    };
    let mut shipped: BTreeMap<Subject, u64> = names.iter().map(|n| (n.clone(), 0)).collect();
    let mut batch = Batch::resume(names.into_iter().map(|name| (name, Progress::Copied)));
    let mut now = 0;
    loop {
        let effect = batch.next(Duration::from_millis(now));
        let answer = match &effect {
            Effect::CatchUp(group) => {
                group.iter().for_each(|name| *shipped.get_mut(name).unwrap() = now);
                now += 600;
                Answer::Shipped { vanished: Vec::new() }
            }
            Effect::Decide(group) => {
                now += 2;
                let is_touched = |name: &Subject| last_write(now, name) > Some(shipped[name]);
                let verdict =
                    |name| if is_touched(name) { Verdict::Touched } else { Verdict::Decided };
                Answer::Decided(group.iter().map(|n| (n.clone(), verdict(n))).collect())
            }
            Effect::Settle(_) => {
                now += 80;
                Answer::Done
            }
            Effect::Finish => break,
            other => panic!("{other:?}"),
        };
        batch.apply(&effect, answer, Duration::from_millis(now));
    }
    assert!(batch.people().values().all(|progress| *progress == Progress::Settled));
}

proptest! {
    #[test]
    fn the_invariants_hold_whatever_the_sites_answer(
        people in 1_usize..6,
        luck in prop::collection::vec(any::<u8>(), 0..400),
        stop_after in prop::option::of(0_usize..40),
    ) {
        run(people, &luck, stop_after);
    }
}
