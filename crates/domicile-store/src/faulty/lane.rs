//! The sides that a site opens, each closed for good when the process dies or its connection is
//! lost.

use super::{Faults, Passage, lost};
use crate::error::Result;
use crate::site::{
    Announcement, Applied, Arrival, ByteStream, Decision, Departure, Erased, Extent, Horizon,
    Reference, ReferenceChanges, ReferenceNote, Standing, TableDigest, Touched,
};
use async_trait::async_trait;
use bytes::Bytes;
use domicile_model::{MoveId, Subject};
use futures_util::StreamExt;
use futures_util::stream;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A departure or an arrival of one life of the process.
pub(super) struct Lane<T: ?Sized> {
    /// Gone once anything has broken here: dropping it closes its connections.
    inner: Option<Box<T>>,
    /// A stream that was read from here has broken.
    is_broken: Arc<AtomicBool>,
    faults: Faults,
    life: u32,
}

impl<T: ?Sized> Lane<T> {
    pub(super) fn new(inner: Box<T>, faults: Faults) -> Self {
        let life = faults.life();
        Lane { inner: Some(inner), is_broken: Arc::default(), faults, life }
    }

    fn enter(&mut self, point: &'static str) -> Result<(&mut T, Passage)> {
        let passage = self.faults.pass(point);
        let is_broken = self.is_broken.load(Ordering::Relaxed);
        if passage.is_err() || is_broken || self.faults.life() != self.life {
            self.inner = None;
        }
        match (&mut self.inner, passage?) {
            (Some(inner), passage) => Ok((inner.as_mut(), passage)),
            (None, _) => Err(lost(point)),
        }
    }

    fn leave<R>(&mut self, passage: Passage, answer: Result<R>) -> Result<R> {
        if passage.breaks.is_some() {
            self.inner = None;
        }
        self.faults.finish(passage, answer)
    }
}

/// Makes the call between its point's entry and exit.
macro_rules! forward {
    ($self:ident, $point:literal, $method:ident($($argument:expr),*)) => {{
        let (inner, passage) = $self.enter($point)?;
        let answer = inner.$method($($argument),*).await;
        $self.leave(passage, answer)
    }};
}

#[async_trait]
impl Departure for Lane<dyn Departure> {
    async fn announce(&mut self, announcement: &Announcement) -> Result<Vec<Subject>> {
        forward!(self, "source.announce", announce(announcement))
    }

    async fn start_horizon(&mut self) -> Result<()> {
        forward!(self, "source.start_horizon", start_horizon())
    }

    async fn look_at_horizon(&mut self) -> Result<Horizon> {
        forward!(self, "source.look_at_horizon", look_at_horizon())
    }

    async fn open_snapshot(&mut self, subjects: &[Subject]) -> Result<Vec<Touched>> {
        forward!(self, "source.open_snapshot", open_snapshot(subjects))
    }

    async fn select(&mut self, extent: &Extent) -> Result<Vec<Subject>> {
        forward!(self, "source.select", select(extent))
    }

    async fn export(&mut self, table: usize) -> Result<ByteStream<'_>> {
        let (inner, passage) = self.enter("source.export")?;
        if passage.breaks.is_some() {
            let answer = inner.export(table).await.map(drop);
            self.leave(passage, answer)?;
        }
        let (faults, is_broken) = (self.faults.clone(), self.is_broken.clone());
        let Some(inner) = &mut self.inner else { return Err(lost("source.export")) };
        Ok(breakable(inner.export(table).await?, faults, is_broken))
    }

    async fn digests(&mut self) -> Result<Vec<TableDigest>> {
        forward!(self, "source.digests", digests())
    }

    async fn close_snapshot(&mut self) -> Result<()> {
        forward!(self, "source.close_snapshot", close_snapshot())
    }

    async fn forget(&mut self, seqs: &[i64]) -> Result<()> {
        forward!(self, "source.forget", forget(seqs))
    }

    async fn decide(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Decision>> {
        forward!(self, "source.decide", decide(move_id, subjects))
    }

    async fn close(&mut self, move_id: MoveId, subject: &Subject) -> Result<()> {
        forward!(self, "source.close", close(move_id, subject))
    }

    async fn reopen(&mut self, move_id: MoveId, subject: &Subject) -> Result<()> {
        forward!(self, "source.reopen", reopen(move_id, subject))
    }

    async fn withdraw(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>> {
        forward!(self, "source.withdraw", withdraw(move_id, subjects))
    }

    async fn erase(&mut self, move_id: MoveId, subjects: &[Subject], limit: u64) -> Result<Erased> {
        forward!(self, "source.erase", erase(move_id, subjects, limit))
    }
}

#[async_trait]
impl Arrival for Lane<dyn Arrival> {
    async fn expect(&mut self, announcement: &Announcement) -> Result<Vec<Subject>> {
        forward!(self, "target.expect", expect(announcement))
    }

    async fn start_horizon(&mut self) -> Result<()> {
        forward!(self, "target.start_horizon", start_horizon())
    }

    async fn look_at_horizon(&mut self) -> Result<Horizon> {
        forward!(self, "target.look_at_horizon", look_at_horizon())
    }

    async fn mark(&mut self) -> Result<()> {
        forward!(self, "target.mark", mark())
    }

    async fn begin(&mut self, announcement: &Announcement, extent: &Extent) -> Result<()> {
        forward!(self, "target.begin", begin(announcement, extent))
    }

    async fn import(&mut self, table: usize, rows: ByteStream<'_>) -> Result<u64> {
        forward!(self, "target.import", import(table, rows))
    }

    async fn digests(&mut self) -> Result<Vec<TableDigest>> {
        forward!(self, "target.digests", digests())
    }

    async fn check(&mut self) -> Result<Vec<String>> {
        forward!(self, "target.check", check())
    }

    async fn bring(&mut self, kept: &ReferenceChanges) -> Result<u64> {
        forward!(self, "target.bring", bring(kept))
    }

    async fn commit(&mut self) -> Result<()> {
        forward!(self, "target.commit", commit())
    }

    async fn roll_back(&mut self) -> Result<()> {
        forward!(self, "target.roll_back", roll_back())
    }

    async fn settle(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<Vec<Subject>> {
        forward!(self, "target.settle", settle(move_id, subjects))
    }

    async fn abandon(&mut self, move_id: MoveId, subjects: &[Subject]) -> Result<()> {
        forward!(self, "target.abandon", abandon(move_id, subjects))
    }
}

/// Where a stream of rows stands with regard to its point.
enum Rows<'a> {
    Untouched(ByteStream<'a>),
    Flowing(ByteStream<'a>),
    /// The first chunk went out; it breaks before the next.
    Breaking(Passage),
    Ended,
}

/// A stream that passes `source.export.stream` with its first chunk.
fn breakable(rows: ByteStream<'_>, faults: Faults, is_broken: Arc<AtomicBool>) -> ByteStream<'_> {
    stream::unfold((Rows::Untouched(rows), faults, is_broken), next_chunk).boxed()
}

type Stream<'a> = (Rows<'a>, Faults, Arc<AtomicBool>);

async fn next_chunk((rows, faults, is_broken): Stream<'_>) -> Option<(Chunk, Stream<'_>)> {
    let (chunk, rest) = match rows {
        Rows::Untouched(mut rows) => match (rows.next().await?, faults.pass(STREAM)) {
            (_, Err(error)) => (Err(error), Rows::Ended),
            (chunk, Ok(Passage { breaks: None })) => (chunk, Rows::Flowing(rows)),
            (chunk, Ok(passage)) => (chunk, Rows::Breaking(passage)),
        },
        Rows::Flowing(mut rows) => (rows.next().await?, Rows::Flowing(rows)),
        Rows::Breaking(passage) => (faults.finish(passage, Err(lost(STREAM))), Rows::Ended),
        Rows::Ended => return None,
    };
    // What the inner stream objects to is no broken connection.
    is_broken.fetch_or(matches!(rest, Rows::Ended), Ordering::Relaxed);
    Some((chunk, (rest, faults, is_broken)))
}

type Chunk = Result<Bytes>;

const STREAM: &str = "source.export.stream";

#[async_trait]
impl Reference for Lane<dyn Reference> {
    async fn changes(&mut self, after: i64, limit: u32) -> Result<ReferenceChanges> {
        forward!(self, "reference.changes", changes(after, limit))
    }

    async fn forget(&mut self, seqs: &[i64]) -> Result<()> {
        forward!(self, "reference.forget", forget(seqs))
    }

    async fn standing(&mut self) -> Result<Standing> {
        forward!(self, "reference.standing", standing())
    }

    async fn mark_refused(&mut self, notes: &[ReferenceNote]) -> Result<()> {
        forward!(self, "reference.mark_refused", mark_refused(notes))
    }

    async fn apply(&mut self, changes: &ReferenceChanges) -> Result<Applied> {
        forward!(self, "reference.apply", apply(changes))
    }

    async fn held(&mut self, notes: &[ReferenceNote]) -> Result<Vec<ReferenceNote>> {
        forward!(self, "reference.held", held(notes))
    }

    async fn stand(&mut self, notes: &[ReferenceNote]) -> Result<ReferenceChanges> {
        forward!(self, "reference.stand", stand(notes))
    }

    async fn digests(&mut self, table: usize) -> Result<BTreeMap<Vec<String>, [u8; 32]>> {
        forward!(self, "reference.digests", digests(table))
    }
}
