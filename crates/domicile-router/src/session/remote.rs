//! What runs at a site: where, on which connection, and again elsewhere when somebody has moved.

use super::answers::End;
use super::batch::{Batch, Part};
use super::local::is_ours;
use super::saying::Saying;
use super::{Session, statements_of};
use crate::classify::{Command, Control, Statement, Transaction};
use crate::error::{Error, Kind, Result};
use crate::homes::SiteAt;
use crate::pool::Lease;
use crate::relay::{Expected, Relay, Step};
use crate::route::{Fixed, Where};
use crate::wire::{Notice, Query, frame};
use domicile_store::sql::{ident, literal};
use std::time::{Duration, Instant};

/// The beginning of the statement that keeps a person where they are.
const STAY: &str = "SELECT domicile.stay(";
/// A person has moved; the new home is named.
pub(super) const MOVED: &str = "DM001";
/// After so long a home is looked at again.
const A_WHILE: Duration = Duration::from_millis(1);
/// A person is arriving; the old home is named.
pub(super) const ARRIVING: &str = "DM002";
/// A transaction of an older snapshot met a newer row: somebody may have moved.
pub(super) const CONFLICT: &str = "40001";

impl Session {
    /// Runs a batch where it belongs, and again where it belongs by now when a fence refuses it.
    pub(super) async fn run_at_site(&mut self, batch: &Batch) -> Result<()> {
        let (mut refused_since, mut conflicts) = (None, 0);
        loop {
            let place = self.find_place(batch).await?;
            if place == Where::Anywhere && self.may_be_aside(batch) {
                return self.run_aside(batch).await;
            }
            let (site, people, under_way) = match &place {
                Where::Anywhere => (self.any_site(), &[][..], &[][..]),
                Where::At { site, people, under_way } => (*site, &people[..], &under_way[..]),
            };
            self.stay(under_way);
            if self.hold(site).await? && self.look_up(batch).await? != place {
                // Somebody moved while a connection was waited for.
                self.forget_stays();
                self.abandon().await?;
                continue;
            }
            let Some((_, mut lease)) = self.lease.take() else { return Ok(()) };
            let end = self.run_counted(site, &mut lease, batch).await;
            // Whatever goes wrong on it, the connection is closed and not kept.
            let end = end.inspect_err(|_| {
                self.running.ends();
            })?;
            self.lease = Some((site, lease));
            match end {
                End::Answered => {
                    self.after(batch);
                    return Ok(());
                }
                End::Refused(notice) => {
                    self.forget_stays();
                    self.abandon().await?;
                    self.learn(&notice, people).await?;
                    self.worker.shared.metrics.replays(notice.code());
                    conflicts += u32::from(notice.code() == CONFLICT);
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if conflicts > 1 || since.elapsed() > self.worker.shared.waits_for_move {
                        return Err(moved(&notice));
                    }
                }
            }
        }
    }

    /// People who are about to leave are kept until the transaction ends: what begins at their home
    /// ends there.
    fn stay(&mut self, under_way: &[String]) {
        for subject in under_way {
            if !self.transaction.stays.contains(subject) {
                let text = format!("{STAY}{})", literal(subject));
                self.transaction.prelude.push(text);
                self.transaction.stays.push(subject.clone());
            }
        }
    }

    fn forget_stays(&mut self) {
        self.transaction.stays.clear();
        self.transaction.prelude.retain(|text| !text.starts_with(STAY));
    }

    /// Where a batch belongs by now, whatever the transaction holds.
    async fn look_up(&mut self, batch: &Batch) -> Result<Where> {
        let needs = self.needs(batch)?;
        self.is_unsure |= needs.taints;
        let shared = &self.worker.shared;
        let fixed = Fixed { internal: shared.reference, reference: shared.reference };
        needs.find(&shared.homes, &fixed).await
    }

    async fn find_place(&mut self, batch: &Batch) -> Result<Where> {
        let place = self.look_up(batch).await?;
        let shared = &self.worker.shared;
        match (&self.lease, &place) {
            (Some((held, _)), Where::At { site, .. }) if held != site => Err(Error::new(
                Kind::Apart,
                format!(
                    "the transaction runs at site {}, and this statement belongs to site {}",
                    shared.sites[*held].name, shared.sites[*site].name
                ),
            )
            .hint("end the transaction first: no transaction spans two sites")),
            _ => Ok(place),
        }
    }

    /// Whether a statement that concerns nobody may leave open where the transaction belongs. Above
    /// READ COMMITTED all statements of a transaction see one moment, and must be at one site.
    fn may_be_aside(&self, batch: &Batch) -> bool {
        let is_one_moment = |text: &String| {
            let text = text.to_ascii_uppercase();
            text.contains("REPEATABLE") || text.contains("SERIALIZABLE")
        };
        let leaves_something = |statement: &Statement| {
            matches!(
                statement.command,
                Command::Transaction(_)
                    | Command::Set(_)
                    | Command::Control(Control::SetTransaction)
            )
        };
        let may_see_another_moment = batch.only_prepares()
            || (!self.transaction.prelude.iter().any(is_one_moment)
                && self.settings.get("default_transaction_isolation").is_none());
        self.transaction.is_open
            && self.lease.is_none()
            && may_see_another_moment
            && !batch.keeps_portals
            && !statements_of(batch).any(leaves_something)
    }

    /// Runs a batch that concerns nobody in a transaction of its own that begins as the client's
    /// does and is rolled back: where the client's belongs is told by a later statement.
    async fn run_aside(&mut self, batch: &Batch) -> Result<()> {
        let site = self.any_site();
        self.hold(site).await?;
        let Some((_, mut lease)) = self.lease.take() else { return Ok(()) };
        let prelude = self.transaction.prelude.clone();
        let ended = self.run_counted(site, &mut lease, batch).await;
        let was_asked = self.running.ends();
        ended?;
        self.transaction.prelude = prelude;
        self.transaction.has_answered = false;
        self.transaction.is_open = true;
        // A connection that waits for the client's `Sync`, which is answered here, is closed.
        let is_closed = batch.ends() || batch.is_closed_here;
        if was_asked || !is_closed || std::mem::take(&mut self.is_unsure) {
            return Ok(());
        }
        self.run_ours(&mut lease, "ROLLBACK").await?;
        lease.give_back();
        Ok(())
    }

    async fn run_counted(&mut self, site: SiteAt, lease: &mut Lease, batch: &Batch) -> Result<End> {
        let sent = Instant::now();
        let end = self.run_on(lease, batch).await;
        self.worker.at_site(site).ran(sent.elapsed());
        end
    }

    fn any_site(&self) -> SiteAt {
        self.lease.as_ref().map_or(self.worker.shared.nearest, |(site, _)| *site)
    }

    /// Has a site do what was put off, before the transaction commits: what cannot be set is told,
    /// and the transaction is over.
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        self.hold(self.any_site()).await?;
        let Some((site, mut lease)) = self.lease.take() else { return Ok(()) };
        let script = std::mem::take(&mut self.transaction.prelude).join("\n;\n");
        let done = self.run_ours(&mut lease, &script).await;
        self.lease = Some((site, lease));
        if done.is_err() {
            self.end_transaction(false);
            self.abandon().await?;
        }
        done
    }

    /// Takes a connection to a site, set up as the session is. Says whether that took a while.
    async fn hold(&mut self, site: SiteAt) -> Result<bool> {
        if self.lease.is_some() {
            return Ok(false);
        }
        let start = Instant::now();
        let mut lease = self.worker.pool(site, self.user).take(&self.settings).await?;
        let changes = lease.server.applied.changes(&self.settings);
        if !changes.is_empty() {
            let script: String =
                changes.iter().map(|(name, value)| setting(name, *value)).collect();
            self.run_ours(&mut lease, &script).await?;
            lease.server.applied = self.settings.clone();
        }
        self.running.begins_at(lease.site(), &lease.server.cancel);
        self.lease = Some((site, lease));
        Ok(start.elapsed() > A_WHILE)
    }

    /// Runs statements of ours of which the client is told nothing but their failure.
    async fn run_ours(&mut self, lease: &mut Lease, script: &str) -> Result<()> {
        let mut bytes = Vec::new();
        Query { text: script }.write(&mut bytes);
        let mut relay = Relay::new();
        relay.expect(Expected::OurQuery);
        lease.server.unsent.add(&bytes);
        let mut failure = None;
        loop {
            let mut nothing = Vec::new();
            match self.next_step(lease, &mut relay, &mut nothing).await? {
                Step::Failed(notice) => {
                    relay.drop_error();
                    failure = Some(notice);
                }
                Step::Ready(_) => break,
                Step::More | Step::CopyIn => {}
            }
        }
        match failure {
            None => Ok(()),
            Some(notice) => Err(Error::new(
                Kind::Client,
                notice.field(b'M').unwrap_or("the site refuses the session's settings"),
            )
            .with_code(notice.code())),
        }
    }

    /// Writes a batch as this connection needs it. Gives the numbers of the statements that it gets by
    /// this, each with how many are prepared before it.
    pub(super) fn say(
        &self,
        lease: &mut Lease,
        batch: &Batch,
        relay: &mut Relay,
        to: &mut Vec<u8>,
    ) -> Result<(Vec<(usize, u64)>, bool)> {
        let mut saying = Saying { lease, relay, to, parses: 0, added: Vec::new(), evicts: false };
        let is_query = matches!(batch.parts.first(), Some((Part::Query(_), _)));
        let prelude = &self.transaction.prelude;
        if !is_query {
            prelude.iter().for_each(|text| saying.prelude(text));
        }
        for (part, range) in &batch.parts {
            let whole = &self.unused.bytes()[range.clone()];
            match part {
                Part::Query(prepared) => saying.query(prelude, &prepared.text),
                part => saying.part(part, whole)?,
            }
        }
        Ok((saying.added, saying.evicts))
    }

    /// What the site says of the transaction, and what that means for what was set in it.
    pub(super) fn note_status(&mut self, status: u8, batch: &Batch, has_failed: bool) {
        self.transaction.prelude.clear();
        if !batch.ends() && !batch.is_closed_here {
            // What was set in it is not followed.
            let sets = |statement: &Statement| matches!(statement.command, Command::Set(_));
            self.is_unsure |= statements_of(batch).any(sets);
            self.transaction.is_open = true;
            return;
        }
        // Of several statements it is not told which one failed, or what they take back.
        let is_single = statements_of(batch).count() == 1;
        let sets = |s: &Statement| matches!(&s.command, Command::Set(set) if !is_ours(set));
        self.is_unsure |= statements_of(batch).any(sets) && (has_failed || !is_single);
        let chains = statements_of(batch).any(|statement| {
            use Transaction::{Commit, Rollback};
            matches!(
                statement.command,
                Command::Transaction(Commit { chain: true } | Rollback { chain: true })
            )
        });
        self.is_unsure |= chains && !self.transaction.settings.is_empty();
        self.commit_failed = has_failed;
        if !has_failed {
            for statement in statements_of(batch) {
                match &statement.command {
                    Command::Set(set) if !is_ours(set) => self.note_setting(set),
                    Command::Transaction(what) => self.transaction.note_savepoint(what),
                    _ => {}
                }
            }
        }
        self.transaction.is_open = status != b'I';
        self.transaction.has_failed = status == b'E';
        // What has begun at a site is not begun again elsewhere.
        self.transaction.has_answered |= self.transaction.is_open;
    }

    /// After a batch: a connection on which no transaction is open serves others.
    fn after(&mut self, batch: &Batch) {
        if self.transaction.is_open || self.skips_to_sync {
            return;
        }
        let rolls_back = statements_of(batch)
            .any(|s| matches!(s.command, Command::Transaction(Transaction::Rollback { .. })));
        self.end_transaction(!rolls_back && !self.commit_failed);
        let resets = statements_of(batch)
            .any(|s| matches!(s.command, Command::Control(Control::DiscardAll)));
        let Some((_, mut lease)) = self.lease.take() else { return };
        let was_asked = self.running.ends();
        if was_asked || resets || std::mem::take(&mut self.is_unsure) {
            return;
        }
        if lease.server.applied != self.settings {
            lease.server.applied = self.settings.clone();
        }
        lease.give_back();
    }

    /// Gives up what a refused transaction holds; nothing of it was answered.
    pub(super) async fn abandon(&mut self) -> Result<()> {
        let Some((_, mut lease)) = self.lease.take() else { return Ok(()) };
        let ended = self.run_ours(&mut lease, "ROLLBACK").await;
        let was_asked = self.running.ends();
        if ended.is_ok() && !was_asked && !std::mem::take(&mut self.is_unsure) {
            lease.give_back();
        }
        Ok(())
    }

    /// Takes in what a fence says of a person.
    async fn learn(&mut self, notice: &Notice, people: &[String]) -> Result<()> {
        // Whom the fence means it does not say: it may be somebody else than the statement names.
        let shared = &self.worker.shared;
        people.iter().for_each(|subject| shared.homes.forget(subject));
        if notice.code() == ARRIVING {
            for subject in people {
                if let Some(home) = shared.homes.find(subject).await? {
                    shared.homes.sites().settle(subject, home.site).await?;
                }
            }
        }
        Ok(())
    }

    /// Ends what an error left open at the site, as the client asks.
    pub(super) async fn sync_site(&mut self) -> Result<()> {
        let Some((site, mut lease)) = self.lease.take() else { return Ok(()) };
        let mut bytes = Vec::new();
        frame(&mut bytes, b'S', |_| {});
        let mut relay = Relay::new();
        relay.expect(Expected::Sync);
        lease.server.unsent.add(&bytes);
        let mut out = std::mem::take(&mut self.out);
        while relay.is_waiting() {
            let step = self.next_step(&mut lease, &mut relay, &mut out).await;
            step.inspect_err(|_| {
                self.running.ends();
            })?;
        }
        self.out = out;
        self.transaction.is_open = relay.status() != b'I';
        self.transaction.has_failed = relay.status() == b'E';
        self.lease = Some((site, lease));
        self.after(&Batch::default());
        Ok(())
    }
}

/// The statement that sets something, or sets it back.
fn setting(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => {
            format!("SELECT pg_catalog.set_config({}, {}, false);", literal(name), literal(value))
        }
        None => {
            let parts: Vec<String> = name.split('.').map(ident).collect();
            format!("RESET {};", parts.join("."))
        }
    }
}

/// What a client is told whose transaction cannot be run again unnoticed.
pub(super) fn moved(notice: &Notice) -> Error {
    let message = notice.field(b'M').unwrap_or("this person has moved");
    let message = match notice.code() {
        CONFLICT => message.to_owned(),
        _ => format!("{message} while the transaction ran"),
    };
    Error::new(Kind::Moved, message).hint("run the transaction again")
}
