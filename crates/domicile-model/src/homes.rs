//! Which site is a person's home: the first rule whose regimes match, then rendezvous hashing.

use crate::residence::Residence;
use crate::site::{SiteName, SiteSpec};
use crate::subject::Subject;
use crate::territory::Territory;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One `[[homes]]` rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HomeRule {
    /// Regime names, or `unknown`, or `*` (any known residence).
    pub regimes: Vec<String>,
    /// The sites that share the people of this rule.
    pub sites: Vec<SiteName>,
    /// Territories whose law must not be able to compel an operator of these sites.
    pub refuse_control: Vec<Territory>,
}

/// The rules in the order the user wrote them, with the sites they name.
#[derive(Clone, Debug)]
pub struct Homes {
    rules: Vec<HomeRule>,
    sites: BTreeMap<SiteName, SiteSpec>,
}

/// Where a person must live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// At this site.
    At(SiteName),
    /// No rule matches; the person stays where they are.
    Nowhere,
}

/// Why a set of home rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHomes {
    /// A rule names a site that is not configured.
    #[error("a home names the site {0}, which is not configured")]
    UnknownSite(SiteName),
    /// A rule has no site.
    #[error("the home for {0} has no sites")]
    NoSites(String),
    /// A rule's site can be compelled by a law the rule refuses.
    #[error(
        "the home for {regimes} refuses operators that {control} can compel, and {site} is one"
    )]
    RefusedControl {
        /// The rule's regimes.
        regimes: String,
        /// The site.
        site: SiteName,
        /// The refused territory.
        control: Territory,
    },
}

impl Homes {
    /// Checks the rules against the sites; every fault found is returned, not only the first.
    pub fn new(rules: Vec<HomeRule>, sites: Vec<SiteSpec>) -> Result<Self, Vec<BadHomes>> {
        let sites: BTreeMap<_, _> = sites.into_iter().map(|s| (s.name.clone(), s)).collect();
        let mut faults = Vec::new();
        for rule in &rules {
            let regimes = rule.regimes.join(", ");
            if rule.sites.is_empty() {
                faults.push(BadHomes::NoSites(regimes.clone()));
            }
            for name in &rule.sites {
                match sites.get(name) {
                    None => faults.push(BadHomes::UnknownSite(name.clone())),
                    Some(site) if rule.refuse_control.contains(&site.control()) => {
                        faults.push(BadHomes::RefusedControl {
                            regimes: regimes.clone(),
                            site: name.clone(),
                            control: site.control(),
                        });
                    }
                    Some(_) => {}
                }
            }
        }
        if faults.is_empty() { Ok(Homes { rules, sites }) } else { Err(faults) }
    }

    /// The home of a person with this residence.
    ///
    /// `*` does not match an unknown residence: a person nobody can place is held where the rule
    /// for `unknown` says, or stays.
    pub fn place(&self, subject: &Subject, residence: &Residence) -> Placement {
        let Some(rule) = self.rule_for(residence) else { return Placement::Nowhere };
        let best = rule
            .sites
            .iter()
            .filter_map(|name| self.sites.get(name))
            .map(|site| (score(subject, site), &site.name))
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)));
        best.map_or(Placement::Nowhere, |(_, name)| Placement::At(name.clone()))
    }

    fn rule_for(&self, residence: &Residence) -> Option<&HomeRule> {
        self.rules.iter().find(|rule| rule_matches(rule, residence))
    }

    /// Whether the rule for this residence has the site among its sites.
    pub fn allows(&self, residence: &Residence, site: &SiteName) -> bool {
        self.rule_for(residence).is_some_and(|rule| rule.sites.contains(site))
    }

    /// The sites, by name.
    pub fn sites(&self) -> impl Iterator<Item = &SiteSpec> {
        self.sites.values()
    }
}

fn rule_matches(rule: &HomeRule, residence: &Residence) -> bool {
    rule.regimes.iter().any(|regime| match regime.as_str() {
        "unknown" => residence.territory.is_none(),
        "*" => residence.territory.is_some(),
        name => residence.regimes.iter().any(|have| have.as_str() == name),
    })
}

/// Weighted rendezvous score: `-weight / ln(u)` with `u` uniform in (0, 1) from a hash of subject
/// and site (Mosko's logarithmic method). Adding a site moves only the people it wins.
#[expect(clippy::cast_precision_loss, reason = "53 bits of the hash are kept on purpose")]
fn score(subject: &Subject, site: &SiteSpec) -> f64 {
    let mut hash = Sha256::new();
    hash.update((subject.as_str().len() as u64).to_be_bytes());
    hash.update(subject.as_str().as_bytes());
    hash.update(site.name.as_str().as_bytes());
    let digest = hash.finalize();
    let mut head = [0_u8; 8];
    head.copy_from_slice(&digest[..8]);
    let uniform = ((u64::from_be_bytes(head) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(site.weight) / uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residence::from_code;
    use crate::site::Operator;
    use jiff::civil::date;

    fn site(name: &str, territory: &str, weight: u32) -> SiteSpec {
        SiteSpec {
            name: name.parse().unwrap(),
            territory: territory.parse().unwrap(),
            weight,
            operator: None,
        }
    }

    fn rule(regimes: &[&str], sites: &[&str]) -> HomeRule {
        HomeRule {
            regimes: regimes.iter().map(|r| (*r).to_owned()).collect(),
            sites: sites.iter().map(|s| s.parse().unwrap()).collect(),
            refuse_control: Vec::new(),
        }
    }

    fn sites() -> Vec<SiteSpec> {
        vec![site("iad1", "US", 1), site("dub1", "IE", 1), site("dub2", "IE", 2)]
    }

    fn home(homes: &Homes, subject: &str, code: &str) -> Option<String> {
        let residence = from_code(Some(code), date(2026, 11, 21));
        match homes.place(&Subject::new(subject), &residence) {
            Placement::At(site) => Some(site.to_string()),
            Placement::Nowhere => None,
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = vec![rule(&["EU"], &["dub1"]), rule(&["EU", "*"], &["iad1"])];
        let homes = Homes::new(rules, sites()).unwrap();
        assert_eq!(home(&homes, "1", "FR").as_deref(), Some("dub1"));
        assert_eq!(home(&homes, "1", "BR").as_deref(), Some("iad1"));
    }

    #[test]
    fn a_star_does_not_match_an_unknown_residence() {
        let homes = Homes::new(vec![rule(&["*"], &["iad1"])], sites()).unwrap();
        assert_eq!(home(&homes, "1", "n/a"), None);
        let rules = vec![rule(&["unknown"], &["dub1"]), rule(&["*"], &["iad1"])];
        let homes = Homes::new(rules, sites()).unwrap();
        assert_eq!(home(&homes, "1", "n/a").as_deref(), Some("dub1"));
    }

    #[test]
    fn weights_share_people_and_a_new_site_takes_only_its_own() {
        let place = |homes: &Homes| -> Vec<String> {
            (0..6000).map(|n| home(homes, &n.to_string(), "FR").unwrap()).collect()
        };
        let two = Homes::new(vec![rule(&["EU"], &["dub1", "dub2"])], sites()).unwrap();
        let before = place(&two);
        let at_dub2 = before.iter().filter(|site| *site == "dub2").count();
        assert!((3800..4200).contains(&at_dub2), "{at_dub2} of 6000 at twice the weight");
        let mut more = sites();
        more.push(site("osl1", "NO", 1));
        let three = Homes::new(vec![rule(&["EU"], &["dub1", "dub2", "osl1"])], more).unwrap();
        for (old, new) in before.iter().zip(place(&three)) {
            assert!(*old == new || new == "osl1", "{old} became {new}");
        }
    }

    #[test]
    fn an_operator_that_a_refused_law_can_compel_is_refused() {
        let mut sites = sites();
        sites[1].operator = Some(Operator {
            name: "Example".to_owned(),
            third_party: true,
            control: "CN".parse().unwrap(),
        });
        let mut refusing = rule(&["EU"], &["dub1", "nowhere"]);
        refusing.refuse_control = vec!["CN".parse().unwrap()];
        let faults = Homes::new(vec![refusing, rule(&["GB"], &[])], sites).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            matches!(&faults[0], BadHomes::RefusedControl { site, .. } if site.as_str() == "dub1")
        );
    }
}
