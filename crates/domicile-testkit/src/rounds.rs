//! How long a test with random input goes on: a few rounds in the suite, minutes in a soak.
//!
//! Each round has a seed, and the seed alone says what happens in it:
//!
//! | variable | meaning |
//! |---|---|
//! | `DOMICILE_SEED` | the seed of the first round; 1 without it |
//! | `DOMICILE_ROUNDS` | so many rounds, instead of what the test asks for |
//! | `DOMICILE_SOAK_SECONDS` | rounds until that many seconds have passed |
//!
//! `cargo xtask soak` runs every test whose name begins with `soak_`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The seed of the first round.
pub const SEED_ENV: &str = "DOMICILE_SEED";
/// So many rounds, instead of what the test asks for.
pub const ROUNDS_ENV: &str = "DOMICILE_ROUNDS";
/// Rounds until that many seconds have passed.
pub const SOAK_SECONDS_ENV: &str = "DOMICILE_SOAK_SECONDS";

/// The seeds of a test's rounds, one after the other.
#[derive(Debug)]
pub struct Rounds {
    next: u64,
    end: u64,
    until: Option<Instant>,
}

impl Rounds {
    /// So many rounds in the suite; what the variables say elsewhere.
    ///
    /// # Errors
    /// When a variable is not a whole number.
    pub fn new(usual: u64) -> Result<Rounds> {
        Rounds::of(usual, |name| std::env::var(name).ok())
    }

    fn of(usual: u64, variable: impl Fn(&str) -> Option<String>) -> Result<Rounds> {
        let number = |name: &str| {
            let text = variable(name);
            let parsed = text.map(|text| {
                text.parse::<u64>().with_context(|| format!("{name} is not a whole number: {text}"))
            });
            parsed.transpose()
        };
        let first = number(SEED_ENV)?.unwrap_or(1);
        let soak = number(SOAK_SECONDS_ENV)?;
        let count = number(ROUNDS_ENV)?.unwrap_or(if soak.is_some() { u64::MAX } else { usual });
        let until = soak.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        Ok(Rounds { next: first, end: first.saturating_add(count), until })
    }
}

impl Iterator for Rounds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        if is_over || self.next >= self.end {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(usual: u64, variables: &[(&str, &str)]) -> Result<Rounds> {
        Rounds::of(usual, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_suite_runs_the_usual_rounds() {
        assert_eq!(rounds(3, &[]).unwrap().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn one_seed_can_be_run_again_alone() {
        let rounds = rounds(3, &[(SEED_ENV, "77"), (ROUNDS_ENV, "1")]).unwrap();
        assert_eq!(rounds.collect::<Vec<_>>(), [77]);
    }

    #[test]
    fn a_soak_goes_on_until_its_time_is_over() {
        let of = |seconds| rounds(3, &[(SOAK_SECONDS_ENV, seconds)]).unwrap();
        assert_eq!(of("3600").take(9).count(), 9);
        assert_eq!(of("0").count(), 0);
    }

    #[test]
    fn a_variable_that_is_no_number_is_named() {
        let error = rounds(3, &[(SEED_ENV, "seven")]).unwrap_err();
        assert_eq!(error.to_string(), "DOMICILE_SEED is not a whole number: seven");
    }
}
