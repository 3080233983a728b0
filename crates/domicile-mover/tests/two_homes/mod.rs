//! Two sites, one for the Union's people and one for everybody else's.

use domicile_model::{HomeRule, Homes, SiteSpec};

/// The sites, with the territory each stands in.
pub(crate) const SITES: [(&str, &str); 2] = [("iad1", "US"), ("dub1", "IE")];

pub(crate) fn homes() -> Homes {
    let rule = |regimes: &[&str], site: &str| HomeRule {
        regimes: regimes.iter().map(|regime| (*regime).to_owned()).collect(),
        sites: vec![site.parse().unwrap()],
        refuse_control: Vec::new(),
    };
    let sites = SITES.map(|(site, territory)| SiteSpec {
        name: site.parse().unwrap(),
        territory: territory.parse().unwrap(),
        weight: 1,
        operator: None,
    });
    Homes::new(vec![rule(&["EU", "EEA"], "dub1"), rule(&["*"], "iad1")], sites.to_vec()).unwrap()
}
