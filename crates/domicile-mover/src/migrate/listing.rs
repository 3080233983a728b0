//! Who stands where, and who must move.

use crate::error::Result;
use crate::people::Platform;
use crate::recover::Found;
use crate::report::Failure;
use crate::verify::Merge;
use domicile_model::Subject;
use std::collections::{BTreeMap, BTreeSet};

/// What a look at all sites found.
#[derive(Default)]
pub(super) struct Listing {
    /// By source and target.
    pub(super) candidates: BTreeMap<(usize, usize), Vec<Subject>>,
    pub(super) already_home: u64,
    /// People who would move and are on hold.
    pub(super) on_hold: u64,
    pub(super) unknown: BTreeSet<Subject>,
    /// People who stand open at several sites, or whose home is a site to which nobody can move;
    /// they stay as they are.
    pub(super) doubles: Vec<Failure>,
    /// People who are to come back to where their old rows still wait to be erased, by place.
    pub(super) returning: BTreeSet<(usize, Subject)>,
}

pub(super) async fn list(platform: &Platform, found: &Found) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut merge = Merge::open(platform).await?;
    while let Some((subject, standing)) = merge.next().await? {
        let mut away = Vec::new();
        let mut open = Vec::new();
        for (source, person) in &standing {
            let (residence, home) = platform.home_of(person);
            if residence.territory.is_none() {
                listing.unknown.insert(subject.clone());
            }
            if found.under_way[*source].contains(&subject) {
                continue;
            }
            open.push(*source);
            away.extend(home.filter(|home| home != source).map(|home| (*source, home)));
        }
        match (away.as_slice(), open.as_slice()) {
            (_, []) => {}
            ([_], [_]) if platform.directives.is_on_hold(&subject) => listing.on_hold += 1,
            ([], _) => listing.already_home += 1,
            ([(_, home)], [_]) if !platform.takes_people(*home) => {
                listing.doubles.push(held(platform, subject, *home));
            }
            ([ends], [_]) => {
                if found.under_way[ends.1].contains(&subject) {
                    listing.returning.insert((ends.1, subject.clone()));
                }
                listing.candidates.entry(*ends).or_default().push(subject);
            }
            // Moving one would meet the other's rows, and which is the person nobody here knows.
            _ => listing.doubles.push(double(platform, subject, &open)),
        }
    }
    Ok(listing)
}

fn held(platform: &Platform, subject: Subject, home: usize) -> Failure {
    let home = platform.sites[home].name();
    let reason = format!(
        "stays: site {home} runs SQLite, to which nobody moves among sites on PostgreSQL; give \
         these people a home on PostgreSQL"
    );
    Failure { subject, reason }
}

fn double(platform: &Platform, subject: Subject, open: &[usize]) -> Failure {
    let names: Vec<&str> = open.iter().map(|at| platform.sites[*at].name().as_str()).collect();
    let reason = format!(
        "a different row stands under the same key at another site ({}); keep one of them",
        names.join(" and ")
    );
    Failure { subject, reason }
}
