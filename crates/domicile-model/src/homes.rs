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
        let matching = self.rules.iter().find(|rule| rule_matches(rule, residence));
        let Some(rule) = matching else { return Placement::Nowhere };
        let best = rule
            .sites
            .iter()
            .filter_map(|name| self.sites.get(name))
            .map(|site| (score(subject, site), &site.name))
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)));
        best.map_or(Placement::Nowhere, |(_, name)| Placement::At(name.clone()))
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
