//! A lane along which people move, one call of the contract after the other.

use super::people;
use bytes::Bytes;
use domicile_store::{
    Announcement, Arrival, ByteStream, Departure, Error, Extent, Horizon, Kind, Outcome, Result,
    TableDigest, Touched,
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// How often a condition is looked at before the test gives up.
const LOOKS_MAX: u32 = 2_000;

/// The pace of the looks.
const PACE: Duration = Duration::from_millis(5);

/// A departure and an arrival, and who moves along them.
pub(crate) struct Lane {
    pub(crate) from: Box<dyn Departure>,
    pub(crate) to: Box<dyn Arrival>,
    /// As the source is told.
    pub(crate) leaving: Announcement,
    /// As the target is told.
    pub(crate) coming: Announcement,
    /// The places of the tables, in the order in which they are loaded.
    pub(crate) tables: Vec<usize>,
}

impl Lane {
    /// Announces at both ends and waits until nobody from before is under way.
    pub(crate) async fn announce(&mut self) {
        let announced = self.from.announce(&self.leaving).await.unwrap();
        assert_eq!(announced, self.leaving.subjects);
        let expected = self.to.expect(&self.coming).await.unwrap();
        assert_eq!(expected, self.coming.subjects);
        pass_source(self.from.as_mut()).await;
        pass_target(self.to.as_mut()).await;
    }

    /// Copies everything and compares it.
    pub(crate) async fn copy(&mut self) {
        self.try_to_copy().await.unwrap();
    }

    /// As [`Lane::copy`]; after an error nothing is open.
    pub(crate) async fn try_to_copy(&mut self) -> Result<()> {
        let subjects = self.leaving.subjects.clone();
        self.to.mark().await?;
        let notes = self.from.open_snapshot(&subjects).await?;
        if let Err(error) = self.ship(&Extent::People(subjects)).await {
            self.to.roll_back().await?;
            self.from.close_snapshot().await?;
            return Err(error);
        }
        self.from.forget(&seqs_of(&notes)).await
    }

    /// Ships what was touched since and compares it; returns the number of notes.
    pub(crate) async fn catch_up(&mut self) -> usize {
        self.try_to_catch_up().await.unwrap()
    }

    /// As [`Lane::catch_up`]; after an error nothing is open.
    pub(crate) async fn try_to_catch_up(&mut self) -> Result<usize> {
        self.to.mark().await?;
        let notes = self.from.open_snapshot(&self.leaving.subjects).await?;
        let seqs = seqs_of(&notes);
        if let Err(error) = self.ship(&Extent::Touched(notes)).await {
            self.to.roll_back().await?;
            self.from.close_snapshot().await?;
            return Err(error);
        }
        self.from.forget(&seqs).await?;
        Ok(seqs.len())
    }

    async fn ship(&mut self, extent: &Extent) -> Result<()> {
        ship(self.from.as_mut(), self.to.as_mut(), &self.coming, extent, &self.tables).await
    }

    /// Tries once to decide everybody; each outcome by its name.
    pub(crate) async fn decide(&mut self) -> Vec<&'static str> {
        let subjects = self.leaving.subjects.clone();
        let decisions = self.from.decide(self.leaving.move_id, &subjects).await.unwrap();
        let asked: Vec<_> = decisions.iter().map(|decision| decision.subject.clone()).collect();
        assert_eq!(asked, subjects, "one outcome per person asked for");
        decisions.iter().map(|decision| name_of(decision.outcome)).collect()
    }

    /// Catches up and decides until everybody is decided.
    pub(crate) async fn catch_up_and_decide(&mut self) {
        for _ in 0..50 {
            self.catch_up().await;
            if self.decide().await.iter().all(|&outcome| outcome == "decided") {
                return;
            }
        }
        panic!("never decided, although nobody writes");
    }

    pub(crate) async fn settle(&mut self) {
        self.to.settle(self.leaving.move_id, &self.leaving.subjects).await.unwrap();
    }

    /// Erases in small bites until nothing is left.
    pub(crate) async fn erase(&mut self) -> u64 {
        let mut rows = 0;
        for _ in 0..LOOKS_MAX {
            let subjects = &self.leaving.subjects;
            let erased = self.from.erase(self.leaving.move_id, subjects, 1_000).await.unwrap();
            rows += erased.rows;
            if erased.finished {
                return rows;
            }
        }
        panic!("the erasure never ends");
    }

    /// The digests of what one person owns at the source, from a snapshot of their own.
    pub(crate) async fn digest(&mut self, who: &str) -> Vec<TableDigest> {
        let who = people(&[who]);
        self.from.open_snapshot(&who).await.unwrap();
        self.from.select(&Extent::People(who)).await.unwrap();
        let digests = digests_of(self.from.digests().await.unwrap());
        self.from.close_snapshot().await.unwrap();
        digests
    }
}

/// Ships what an open snapshot shows of an extent, in one transaction of the target.
pub(crate) async fn ship(
    from: &mut dyn Departure,
    to: &mut dyn Arrival,
    coming: &Announcement,
    extent: &Extent,
    tables: &[usize],
) -> Result<()> {
    from.select(extent).await?;
    to.begin(coming, extent).await?;
    for table in tables {
        let rows = from.export(*table).await?;
        to.import(*table, rows).await?;
    }
    let [left, here] = [from.digests().await?, to.digests().await?];
    assert_eq!(digests_of(left), digests_of(here), "source and target read different rows");
    assert_eq!(to.check().await?, Vec::<String>::new());
    to.commit().await?;
    from.close_snapshot().await
}

/// The numbers of notes.
pub(crate) fn seqs_of(notes: &[Touched]) -> Vec<i64> {
    notes.iter().map(|note| note.seq).collect()
}

/// Digests in a fixed order, tables without rows left out.
fn digests_of(mut digests: Vec<TableDigest>) -> Vec<TableDigest> {
    digests.retain(|digest| digest.rows > 0);
    digests.sort();
    digests
}

/// Reads a stream to its end.
pub(crate) async fn drain(rows: ByteStream<'_>) -> Result<Vec<Bytes>> {
    rows.collect::<Vec<_>>().await.into_iter().collect()
}

/// Waits until nobody from before the announcement writes at the source.
pub(crate) async fn pass_source(from: &mut dyn Departure) {
    from.start_horizon().await.unwrap();
    let mut looks = 0;
    while let Horizon::Waiting { blockers } = from.look_at_horizon().await.unwrap() {
        look_again(&mut looks, &format!("held up by {blockers:?}")).await;
    }
}

/// Waits until nobody from before the announcement writes at the target.
pub(crate) async fn pass_target(to: &mut dyn Arrival) {
    to.start_horizon().await.unwrap();
    let mut looks = 0;
    while let Horizon::Waiting { blockers } = to.look_at_horizon().await.unwrap() {
        look_again(&mut looks, &format!("held up by {blockers:?}")).await;
    }
}

/// Paces the looks at a condition, and gives up after many.
pub(crate) async fn look_again(looks: &mut u32, what: &str) {
    *looks += 1;
    assert!(*looks < LOOKS_MAX, "{what}");
    tokio::time::sleep(PACE).await;
}

/// The first half of a stream's bytes, then an error, as when the line goes dead.
pub(crate) fn broken(rows: &[Bytes]) -> ByteStream<'static> {
    let mut half = rows.concat();
    half.truncate(half.len() / 2);
    let error = Error::new(Kind::RetryLater, "the line went dead");
    stream::iter([Ok(half.into()), Err(error)]).boxed()
}

fn name_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Decided(_) => "decided",
        Outcome::Touched => "touched",
        Outcome::Busy => "busy",
        Outcome::OnHold => "on hold",
        Outcome::SchemaChanged => "schema changed",
        Outcome::NotOurs => "not ours",
    }
}
