//! Every state of the protocol is visited, and every rule that is left out is missed.

use domicile_sim::protocol::{ENDS, NOTHING_ADDED, NOTHING_LEFT, NOTHING_LOST, ONE_HOME, Protocol};
use domicile_sim::rules::{RULES, Rule};
use domicile_sim::world::{Isolation, Place};
use stateright::{Checker, Model};

const RC: (Place, Isolation) = (Place::Source, Isolation::ReadCommitted);
const RR: (Place, Isolation) = (Place::Source, Isolation::RepeatableRead);
const STRAY: (Place, Isolation) = (Place::Target, Isolation::ReadCommitted);

/// Crashes, a withdrawal, and a person who comes back.
fn everyday() -> Protocol {
    Protocol {
        writers: vec![RC, RR, STRAY],
        without: None,
        crashes: 2,
        withdrawals: 1,
        has_standby: false,
        has_backup: false,
        may_return: true,
    }
}

/// The source fails over to a standby that lacks the decision.
fn failover() -> Protocol {
    Protocol { has_standby: true, may_return: false, ..everyday() }
}

/// The target is restored to a day before anybody came.
fn restored() -> Protocol {
    Protocol { has_backup: true, may_return: false, ..everyday() }
}

#[test]
fn with_every_rule_all_properties_hold_in_every_state() {
    for protocol in [everyday(), failover(), restored()] {
        let checked = protocol.checker().threads(2).spawn_bfs().join();
        checked.assert_properties();
        println!("{} states, {} different", checked.state_count(), checked.unique_state_count());
        assert!(checked.unique_state_count() > 10_000, "too few to mean anything");
    }
}

/// The property that fails first when a rule is left out.
fn missed_by(rule: Rule) -> &'static str {
    match rule {
        Rule::SettleByMove => ONE_HOME,
        Rule::WaitAtTarget => NOTHING_ADDED,
        Rule::Abandon => NOTHING_LEFT,
        _ => NOTHING_LOST,
    }
}

#[test]
fn every_rule_left_out_is_missed() {
    for rule in RULES {
        let base = if rule == Rule::EraseByEvidence { restored() } else { everyday() };
        let mutant = Protocol { without: Some(rule), ..base };
        let checked = mutant.checker().threads(2).spawn_bfs().join();
        let found = checked.discoveries();
        let mut names: Vec<&str> = found.keys().copied().collect();
        names.sort_unstable();
        println!("without {rule:?}: {names:?}");
        let path = found.get(missed_by(rule));
        assert!(path.is_some(), "without {rule:?} only {names:?} fails");
    }
}

#[test]
fn every_move_ends_also_among_many_writers() {
    let quiet = Protocol { writers: vec![RC, RC, RR], crashes: 1, ..everyday() };
    let checked = quiet.checker().threads(2).spawn_bfs().join();
    assert!(checked.discovery(ENDS).is_none(), "{:?}", checked.discovery(ENDS));
    checked.assert_properties();
}
