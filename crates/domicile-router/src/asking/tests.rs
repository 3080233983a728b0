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

/// A site that answers, or does not.
struct Site(&'static str, Option<Whereabouts>);

#[async_trait]
impl Residents for Site {
    fn name(&self) -> &SiteName {
        static NAMES: std::sync::LazyLock<[SiteName; 2]> =
            std::sync::LazyLock::new(|| ["a", "b"].map(|name| name.parse().expect("a name")));
        &NAMES[usize::from(self.0 == "b")]
    }

    async fn whereabouts(&self, _: &Subject) -> domicile_store::Result<Whereabouts> {
        self.1.clone().ok_or_else(gone_away)
    }

    async fn owners(
        &self,
        _: usize,
        _: &[String],
        _: &[String],
    ) -> domicile_store::Result<Vec<Subject>> {
        let said = self.1.clone().ok_or_else(gone_away)?;
        Ok(said.is_here.then(|| Subject::new("1")).into_iter().collect())
    }

    async fn settle(&self, _: MoveId, _: &Subject) -> domicile_store::Result<()> {
        Ok(())
    }

    async fn news(&self) -> domicile_store::Result<domicile_store::NewsStream> {
        Err(gone_away())
    }
}

fn gone_away() -> domicile_store::Error {
    domicile_store::Error::new(domicile_store::Kind::RetryLater, "the site is away")
}

#[tokio::test]
async fn a_site_that_is_away_hides_only_those_whom_no_other_knows() {
    let journals = |a, b| {
        let sites: Vec<Arc<dyn Residents>> = vec![Arc::new(Site("a", a)), Arc::new(Site("b", b))];
        Journals::new(sites, Box::new(|_| None), 0)
    };
    let here = || Some(said(true, None, "b"));
    let moved = || Some(said(true, Some(State::Moved), "b"));
    let not_here = || Some(said(false, None, "b"));
    for (a, b, site) in [(here(), None, 0), (None, here(), 1), (moved(), None, 1)] {
        let found = journals(a, b).home("1").await;
        assert_eq!(found.ok().flatten().map(|home| home.site), Some(site));
    }
    // They went on from there, it may be, to where nobody answers.
    let gone =
        Some(Whereabouts { gone_to: Some("b".parse().expect("a name")), ..said(false, None, "b") });
    for a in [not_here(), gone] {
        let unknown = journals(a, None).home("1").await;
        assert_eq!(unknown.err().map(|error| error.kind()), Some(Kind::SiteAway));
    }
    assert_eq!(journals(not_here(), not_here()).home("1").await.ok(), Some(None));
    let columns = ["id".to_owned()];
    let owners = async |a, b| journals(a, b).owners(0, &columns, &columns).await;
    assert_eq!(owners(here(), None).await.ok(), Some(vec!["1".to_owned()]));
    let unknown = owners(not_here(), None).await;
    assert_eq!(unknown.err().map(|error| error.kind()), Some(Kind::SiteAway));
}
