//! One writer, who stays with a person until they have moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::Barrier;
use tokio::time::{Instant, interval_at};

use super::super::application::{Application, Outcome};
use super::super::figures::Figures;
use super::super::world::Size;

/// Connections to both homes.
pub(super) struct Writer {
    old: Application,
    new: Application,
    every: Duration,
    /// How long it waits at first, so that writers do not write all at once.
    offset: Duration,
    is_over: Arc<AtomicBool>,
}

/// What a writer felt, in milliseconds; one figure for each person but in `writes`.
#[derive(Default)]
pub(super) struct Felt {
    pub(super) people: Vec<i64>,
    pub(super) pauses: Figures,
    pub(super) longest: Figures,
    pub(super) handovers: Figures,
    /// Acknowledged writes at the old home.
    pub(super) writes: Figures,
}

impl Writer {
    pub(super) async fn open(
        old: &str,
        new: &str,
        size: Size,
        every: Duration,
        offset: Duration,
        is_over: Arc<AtomicBool>,
    ) -> Result<Writer> {
        let old = Application::open(old, size).await?;
        let new = Application::open(new, size).await?;
        Ok(Writer { old, new, every, offset, is_over })
    }

    /// Writes about each person of its share in turn; tells when it has begun.
    pub(super) async fn follow(&self, share: &[i64], begun: &Barrier) -> Result<Felt> {
        let mut felt = Felt::default();
        let Some((first, _)) = share.split_first() else { bail!("more writers than people") };
        if self.old.update(*first, 0).await? != Outcome::Done {
            bail!("{first} is not at the old home before the move");
        }
        begun.wait().await;
        for person in share {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            self.stay_with(*person, &mut felt).await?;
        }
        Ok(felt)
    }

    async fn stay_with(&self, person: i64, felt: &mut Felt) -> Result<()> {
        let first = Instant::now() + self.offset;
        let mut ticks = (!self.every.is_zero()).then(|| interval_at(first, self.every));
        let mut longest = Duration::ZERO;
        for turn in 0.. {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            let is_over = self.is_over.load(Ordering::Relaxed);
            let sent = Instant::now();
            let outcome = self.old.update(person, turn).await?;
            let took = sent.elapsed();
            longest = longest.max(took);
            match outcome {
                // Could not be moved.
                Outcome::Done if is_over => return Ok(()),
                Outcome::Done => felt.writes.add_time(took),
                // Moved before this writer came.
                Outcome::Refused if turn == 0 => return Ok(()),
                // Moved and erased between two writes: nobody was refused.
                Outcome::NobodyHere => return Ok(()),
                Outcome::Refused => {
                    felt.people.push(person);
                    felt.pauses.add_time(took);
                    felt.longest.add_time(longest);
                    felt.handovers.add_time(self.first_success(person).await?);
                    return Ok(());
                }
                Outcome::Arriving => bail!("{person} arrives at the old home"),
            }
        }
        Ok(())
    }

    /// How long it takes until a write at the new home is acknowledged.
    async fn first_success(&self, person: i64) -> Result<Duration> {
        let refused = Instant::now();
        loop {
            match self.new.update(person, 0).await? {
                Outcome::Done => return Ok(refused.elapsed()),
                Outcome::Arriving => {}
                other => bail!("{other:?} at the new home of {person}"),
            }
        }
    }
}
