//! What one connection answers, on its way to the client.

use super::Session;
use super::batch::{Batch, Part, broken};
use super::remote::{ARRIVING, CONFLICT, MOVED, moved};
use crate::error::{Error, Kind, Result};
use crate::pool::Lease;
use crate::relay::{Expected, Relay, Step};
use crate::stream::{Exchanged, exchange};
use crate::wire::{Broken, Frames, Notice, frame};

/// More of the answer than this goes to the client before the rest has come.
const OUT_BYTES: usize = 32 * 1024;

/// So much a client may say ahead while it waits.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;

/// How a batch ended.
pub(super) enum End {
    /// Everything is answered.
    Answered,
    /// A fence refused it before anything was answered.
    Refused(Notice),
}

impl Session {
    pub(super) async fn run_on(&mut self, lease: &mut Lease, batch: &Batch) -> Result<End> {
        let mut relay = Relay::new();
        let mut bytes = Vec::new();
        let (added, evicts) = self.say(lease, batch, &mut relay, &mut bytes)?;
        if batch.is_closed_here {
            frame(&mut bytes, b'S', |_| {});
            relay.expect(Expected::OurQuery);
        }
        let mark = self.out.len();
        let mut has_failed = false;
        lease.server.unsent.add(&bytes);
        while relay.is_waiting() {
            let mut out = std::mem::take(&mut self.out);
            let step = self.next_step(lease, &mut relay, &mut out).await;
            self.out = out;
            match step? {
                Step::Failed(notice) => {
                    has_failed = true;
                    // A plan that the schema has outrun fails every time; and what was to be taken off
                    // the connection before the error may still be there.
                    self.is_unsure |= notice.code() == "0A000" || evicts;
                    let missing = added.iter().filter(|(nth, _)| *nth >= relay.prepared());
                    missing.for_each(|(_, number)| lease.server.prepared.forget(*number));
                    let parsed = relay.parsed();
                    let is_new = !self.transaction.has_answered && !relay.has_answered();
                    if is_new
                        && batch.ends()
                        && matches!(notice.code(), MOVED | ARRIVING | CONFLICT)
                    {
                        relay.drop_error();
                        self.wait_for_ready(lease, &mut relay).await?;
                        self.out.truncate(mark);
                        return Ok(End::Refused(notice));
                    }
                    batch.take_back(&mut self.statements, parsed);
                    match notice.code() {
                        MOVED | ARRIVING => {
                            relay.drop_error();
                            self.tell(&moved(&notice), "ERROR");
                        }
                        _ => relay.pass_error(&mut self.out),
                    }
                    if !batch.ends() {
                        self.skips_to_sync = true;
                    }
                }
                Step::CopyIn => self.copy_in(lease, batch).await?,
                Step::Ready(_) | Step::More => {}
            }
            if relay.has_answered() {
                self.transaction.has_answered = true;
                if self.out.len() >= OUT_BYTES {
                    self.flush().await?;
                }
            }
        }
        self.note_status(relay.status(), batch, has_failed);
        Ok(End::Answered)
    }

    async fn wait_for_ready(&mut self, lease: &mut Lease, relay: &mut Relay) -> Result<()> {
        let mut nothing = Vec::new();
        while relay.is_waiting() {
            self.next_step(lease, relay, &mut nothing).await?;
        }
        Ok(())
    }

    /// The next thing that comes of what the site says. Ends when the client leaves: then the
    /// connection ends too, and with it what runs there.
    pub(super) async fn next_step(
        &mut self,
        lease: &mut Lease,
        relay: &mut Relay,
        to: &mut Vec<u8>,
    ) -> Result<Step> {
        let away = |error: Broken| {
            Error::new(Kind::SiteAway, "the site does not answer as PostgreSQL does").because(error)
        };
        loop {
            let arrived = lease.server.unused.bytes();
            let (count, step) = relay.advance(arrived, to).map_err(away)?;
            lease.server.unused.use_up(count);
            if step != Step::More || !relay.is_waiting() {
                return Ok(step);
            }
            if to.len() >= OUT_BYTES && relay.has_answered() {
                return Ok(Step::More);
            }
            let may_speak = self.unused.bytes().len() < AHEAD_BYTES_MAX;
            tokio::select! {
                biased;
                exchanged = exchange_with(lease) => exchanged?,
                read = self.unused.read(&mut self.client), if may_speak => {
                    if !matches!(read, Ok(true)) {
                        let (site, cancel) = (lease.site().clone(), lease.server.cancel.clone());
                        // Nobody waits for it any more, and it may take hours.
                        tokio::spawn(async move { site.cancel(&cancel).await });
                        return Err(Error::new(Kind::Client, "the client left").ends_session());
                    }
                }
            }
        }
    }

    /// Passes the client's rows on until it ends them. In the extended protocol the site takes no
    /// notice of a `Sync` before the end, and clients say another one behind it.
    async fn copy_in(&mut self, lease: &mut Lease, batch: &Batch) -> Result<()> {
        self.flush().await?;
        let is_query = matches!(batch.parts.last(), Some((Part::Query(_), _)));
        let last: &[u8] = if is_query { b"cf" } else { b"S" };
        let mut rows_end = false;
        loop {
            // What the client said up to here stays until the batch is done; its rows come behind.
            let bytes = &self.unused.bytes()[batch.length..];
            let (mut count, mut is_last) = (0, false);
            while let Some(frame) = Frames::Frontend.first(&bytes[count..]).map_err(broken)? {
                if !matches!(frame.tag, b'd' | b'c' | b'f' | b'H' | b'S') {
                    return Err(Error::new(Kind::Client, "a message comes amid rows"));
                }
                count += frame.whole.len();
                rows_end |= matches!(frame.tag, b'c' | b'f');
                if rows_end && last.contains(&frame.tag) {
                    is_last = true;
                    break;
                }
            }
            let rows = bytes[..count].to_vec();
            self.unused.cut(batch.length, count);
            lease.server.unsent.add(&rows);
            while !lease.server.unsent.is_sent() {
                exchange_with(lease).await?;
            }
            if is_last {
                return Ok(());
            }
            if !matches!(self.unused.read(&mut self.client).await, Ok(true)) {
                return Err(Error::new(Kind::Client, "the client left").ends_session());
            }
        }
    }
}

/// Sends and reads, whichever goes on first.
async fn exchange_with(lease: &mut Lease) -> Result<()> {
    let server = &mut lease.server;
    match exchange(&mut server.stream, &mut server.unsent, &mut server.unused).await {
        Ok(Exchanged::Sent | Exchanged::Arrived) => Ok(()),
        Ok(Exchanged::Ended) => Err(lease.site().away("it closed the connection").ends_session()),
        Err(error) => Err(lease.site().lost(error).ends_session()),
    }
}
