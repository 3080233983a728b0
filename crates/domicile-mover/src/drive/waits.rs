//! Whom batches have waited for before they could be copied.

use crate::report::WaitedFor;
use domicile_model::SiteName;
use domicile_store::Blocker;
use std::collections::BTreeMap;
use std::time::Duration;

/// Who is named held somebody up for this long.
const NAMED_FROM: Duration = Duration::from_secs(1);
/// How many are named, those who were waited for longest.
const NAMED: usize = 100;

/// Older transactions, by site and process, with the time that batches have waited for them.
#[derive(Debug, Default)]
pub(crate) struct Waits(BTreeMap<(SiteName, Option<i32>), (String, Duration)>);

impl Waits {
    /// These have been in the way for so long since the last look.
    pub(super) fn note(&mut self, site: &SiteName, blockers: &[Blocker], since: Duration) {
        for Blocker { process, words } in blockers {
            let known = self.0.entry((site.clone(), *process)).or_default();
            known.0.clone_from(words);
            known.1 += since;
        }
    }

    /// Adds another batch's.
    pub(crate) fn add(&mut self, other: Waits) {
        for (who, (words, waited)) in other.0 {
            let known = self.0.entry(who).or_default();
            *known = (words, known.1 + waited);
        }
    }

    /// Whom to name, longest first.
    pub(crate) fn told(self) -> Vec<WaitedFor> {
        let long = self.0.into_iter().filter(|(_, (_, waited))| *waited >= NAMED_FROM);
        let mut told: Vec<WaitedFor> = long
            .map(|((site, process), (who, waited))| WaitedFor {
                site: site.to_string(),
                process,
                who,
                seconds: waited.as_secs_f64(),
            })
            .collect();
        told.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        told.truncate(NAMED);
        told
    }
}
