//! What rounds of kills came to.

/// What was done in rounds; whatever is lost stops the test.
#[derive(Default)]
pub(crate) struct Totals {
    seeds: Option<(u64, u64)>,
    kills: u64,
    acknowledged: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, seed: u64, kills: u64, acknowledged: u64) {
        let (first, _) = self.seeds.unwrap_or((seed, seed));
        self.seeds = Some((first, seed));
        self.kills += kills;
        self.acknowledged += acknowledged;
    }

    pub(crate) fn tell(&self, test: &str) {
        let Some((first, last)) = self.seeds else { return };
        eprintln!(
            "{test}: seeds {first} to {last}, {} SIGKILLs, {} acknowledged writes looked for, 0 lost",
            self.kills, self.acknowledged
        );
    }
}
