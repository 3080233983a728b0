//! Every pair of words that two sites can say during a move means one home.

use super::*;
use domicile_model::MoveId;

fn said(is_here: bool, state: Option<State>, peer: &str) -> Whereabouts {
    let entry = state.map(|state| JournalEntry {
        subject: Subject::new("1"),
        state,
        move_id: MoveId(7),
        peer: peer.parse().expect("a name"),
        copied: false,
        decided_at: None,
    });
    Whereabouts { entry, is_here, gone_to: None }
}

fn at(name: &SiteName) -> Option<SiteAt> {
    ["a", "b"].iter().position(|site| *site == name.to_string())
}

fn home_of(source: Whereabouts, target: Whereabouts) -> Result<Option<Home>, Torn> {
    home(&[source, target], &at)
}

#[test]
fn at_each_state_of_a_move_there_is_one_home() {
    use State::{Arriving, Closing, Moved, Moving, Resident, Withdrawn};
    let at_source = |is_under_way| Ok(Some(Home { site: 0, is_under_way }));
    let at_target = Ok(Some(Home { site: 1, is_under_way: false }));
    let to_be_settled = Ok(Some(Home { site: 1, is_under_way: true }));
    let nothing = || said(false, None, "a");
    assert_eq!(home_of(said(true, None, "b"), nothing()), at_source(false));
    for state in [Moving, Closing] {
        assert_eq!(home_of(said(true, Some(state), "b"), nothing()), at_source(true));
        for has_rows in [false, true] {
            let arriving = said(has_rows, Some(Arriving), "a");
            assert_eq!(home_of(said(true, Some(state), "b"), arriving), at_source(true));
        }
    }
    assert_eq!(home_of(said(true, Some(Withdrawn), "b"), nothing()), at_source(false));
    let moved = || said(true, Some(Moved), "b");
    assert_eq!(home_of(moved(), said(true, Some(Arriving), "a")), to_be_settled);
    assert_eq!(home_of(moved(), said(true, Some(Resident), "a")), at_target);
    let mut gone = nothing();
    gone.gone_to = Some("b".parse().expect("a name"));
    assert_eq!(home_of(gone.clone(), said(true, Some(Resident), "a")), at_target);
    assert_eq!(home_of(gone.clone(), said(true, None, "a")), at_target);
    // Asked at the target before the rows came, at the source after they went.
    assert_eq!(home_of(gone, nothing()), to_be_settled);
    assert_eq!(home_of(nothing(), nothing()), Ok(None));
    assert_eq!(home_of(said(true, None, "b"), said(true, Some(Resident), "a")), Err(Torn));
}
