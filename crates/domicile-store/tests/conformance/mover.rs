//! A mover in a straight line: no plan, no lanes side by side. It reads the journals first, so that
//! starting it again is its only recovery.

use super::sqlite_bed::SqliteBed;
use super::support::{End, Stage, WORLD, people};
use domicile_model::{MoveId, State, Subject};
use domicile_store::faulty::{Fault, Faults, Faulty};
use domicile_store::{
    Announcement, Applied, Arrival, Change, Closure, Departure, Directive, Extent, Horizon,
    JournalEntry, Kind, Outcome, ReferenceChanges, Result, Site,
};
use futures_util::TryStreamExt;
use std::sync::Arc;
use std::time::Duration;

/// The process that moves Ada and Eve, and takes Bob's announcement back.
struct Mover {
    stage: Stage<SqliteBed>,
    faults: Faults,
    source: Faulty,
    target: Faulty,
}

impl Mover {
    async fn new() -> Self {
        let (stage, faults) = (Stage::bare(&WORLD).await, Faults::none());
        let source = Faulty::new(Arc::clone(&stage.source), faults.clone());
        let target = Faulty::new(Arc::clone(&stage.target), faults.clone());
        Mover { stage, faults, source, target }
    }

    /// One life of the process, from the start to the end or to its death.
    async fn live(&self) -> Result<()> {
        let _claims = [self.source.claim().await?, self.target.claim().await?];
        self.prepare().await?;
        let closure = &self.stage.closure;
        let people: Vec<_> = self.source.people(closure).await?.try_collect().await?;
        assert!(!people.is_empty(), "Bob stays");
        let mut lane = Lane {
            from: self.source.departure(Arc::clone(closure)).await?,
            to: self.target.arrival(Arc::clone(closure)).await?,
            closure,
        };
        self.clean_up(&mut lane).await?;
        self.withdraw_bob(&mut lane).await?;
        self.move_the_others(&mut lane).await?;
        self.carry().await?;
        self.look_back().await
    }

    /// Makes the target's tables, its reference rows, and the fences.
    async fn prepare(&self) -> Result<()> {
        let (here, there) = (self.source.catalog().await?, self.target.catalog().await?);
        let names: Vec<_> = here.tables.iter().map(|table| table.name.clone()).collect();
        let closure = &self.stage.closure;
        self.source.count_crossing(closure, 3, &["post_id".into()], 1, &["id".into()]).await?;
        let badges = ["badge_id".to_owned()];
        self.source.count_sharing(closure, 0, &badges).await?;
        self.source.read_rows(closure.root(), 10).await?;
        let soft = [(closure.root().name.clone(), badges.to_vec())];
        self.source.remove_keys(&self.source.key_removal(&soft).await?).await?;
        if there.tables.is_empty() {
            let script = self.source.schema_script(&names).await?;
            self.target.apply_schema(&script).await?;
        }
        for (table, (_, rows, _)) in
            closure.reference.iter().zip(self.target.scan(closure).await?.reference)
        {
            if rows == 0 {
                let rows = self.source.export_reference(table).await?;
                self.target.import_reference(table, rows).await?;
            }
        }
        for site in [&self.source, &self.target] {
            site.install(&self.stage.installation()).await?;
            assert!(site.is_installed(&self.stage.installation()).await?);
        }
        Ok(())
    }

    /// Takes away what a withdrawal left at the target.
    async fn clean_up(&self, lane: &mut Lane<'_>) -> Result<()> {
        let leaving = self.source.journal().await?;
        for entry in self.target.journal().await? {
            let announced = leaving.iter().any(|other| is_same_move(other, &entry));
            if entry.state == State::Arriving && !announced {
                lane.to.abandon(entry.move_id, &[entry.subject]).await?;
            }
        }
        Ok(())
    }

    async fn withdraw_bob(&self, lane: &mut Lane<'_>) -> Result<()> {
        let bob = people(&["2"]);
        let move_id = match self.entry(&self.source, &bob[0]).await? {
            Some(entry) => entry.move_id,
            None => {
                let move_id = self.new_move().await?;
                lane.announce(move_id, &bob).await?;
                lane.copy(move_id, &bob).await?;
                move_id
            }
        };
        lane.from.withdraw(move_id, &bob).await?;
        lane.to.abandon(move_id, &bob).await
    }

    async fn move_the_others(&self, lane: &mut Lane<'_>) -> Result<()> {
        let who = people(&["1", "10"]);
        let entry = self.entry(&self.source, &who[0]).await?;
        let there = self.entry(&self.target, &who[0]).await?;
        let move_id = match (&entry, &there) {
            (Some(entry), _) => entry.move_id,
            (None, Some(there)) if there.state == State::Resident => return Ok(()),
            _ => self.new_move().await?,
        };
        if entry.is_none_or(|entry| entry.state != State::Moved) {
            lane.announce(move_id, &who).await?;
            lane.copy(move_id, &who).await?;
            self.application_writes().await;
            lane.catch_up(move_id, &who).await?;
            lane.from.close(move_id, &who[0]).await?;
            lane.decide(move_id, &who).await?;
            lane.from.reopen(move_id, &who[0]).await?;
        }
        lane.to.settle(move_id, &who).await?;
        while !lane.from.erase(move_id, &who, 3).await?.finished {}
        Ok(())
    }

    /// Somebody comments while Ada moves; the database acknowledges it.
    async fn application_writes(&self) {
        let mut app = self.stage.app(End::Source).await;
        app.run("update posts set body = 'written while moving' where id = 11").await.unwrap();
        app.run("delete from comments where id = 112").await.unwrap();
        let badge = "insert into badges select 9, 'late' where not exists (select 1 from badges where id = 9)";
        app.run(badge).await.unwrap();
    }

    /// Makes the badges equal, and keeps a word about Bob.
    async fn carry(&self) -> Result<()> {
        let closure = &self.stage.closure;
        let mut from = self.source.reference(Arc::clone(closure)).await?;
        let mut to = self.target.reference(Arc::clone(closure)).await?;
        let changes = from.changes(0, 100).await?;
        assert_eq!(to.apply(&changes).await?, Applied::default());
        assert_eq!(to.held(&changes.notes).await?, []);
        from.mark_refused(&changes.notes).await?;
        assert_eq!(from.standing().await?.notes, changes.notes.len() as u64);
        assert_eq!(to.stand(&changes.notes).await?.notes, changes.notes);
        let seqs: Vec<i64> = changes.notes.iter().map(|note| note.seq).collect();
        from.forget(&seqs).await?;
        let badges = from.digests(0).await?;
        assert_eq!((badges.len(), &badges), (3, &to.digests(0).await?));
        let bob = Directive { subject: Subject::new("2"), hold: Some("case 7".into()), home: None };
        self.source.direct(&bob.subject, &Change::Hold(bob.hold.clone())).await?;
        assert_eq!(self.source.directives().await?, [bob]);
        Ok(())
    }

    /// What a mover looks at when it is done.
    async fn look_back(&self) -> Result<()> {
        let (closure, ada) = (&self.stage.closure, Subject::new("1"));
        let (entry, person) = self.target.look_up(closure, &ada).await?;
        assert_eq!(entry.map(|entry| entry.state), Some(State::Resident));
        assert!(person.is_some());
        assert_eq!(self.source.gone(&[ada]).await?.len(), 1);
        for site in [&self.source, &self.target] {
            assert_eq!(site.scan(closure).await?.ownerless, []);
            site.refusals().await?;
            site.rest(Duration::from_secs(3600)).await?;
        }
        Ok(())
    }

    async fn entry(&self, site: &Faulty, who: &Subject) -> Result<Option<JournalEntry>> {
        Ok(site.journal().await?.into_iter().find(|entry| entry.subject == *who))
    }

    /// An id that neither journal has seen; Bob's may be used again once nobody knows it.
    async fn new_move(&self) -> Result<MoveId> {
        let journals = [self.source.journal().await?, self.target.journal().await?].concat();
        let last = journals.iter().map(|entry| entry.move_id.0).max().unwrap_or(0);
        Ok(MoveId(last.max(self.stage.new_move().0) + 1))
    }

    async fn everything(&self) -> [Vec<String>; 2] {
        [self.stage.everything(End::Source).await, self.stage.everything(End::Target).await]
    }
}

/// The two sides, while the process lives.
struct Lane<'a> {
    from: Box<dyn Departure>,
    to: Box<dyn Arrival>,
    closure: &'a Closure,
}

impl Lane<'_> {
    async fn announce(&mut self, move_id: MoveId, who: &[Subject]) -> Result<()> {
        self.from.announce(&announcement(End::Source, move_id, who)).await?;
        self.to.expect(&announcement(End::Target, move_id, who)).await?;
        self.from.start_horizon().await?;
        while self.from.look_at_horizon().await? != Horizon::Passed {
            tokio::task::yield_now().await;
        }
        self.to.start_horizon().await?;
        while self.to.look_at_horizon().await? != Horizon::Passed {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn copy(&mut self, move_id: MoveId, who: &[Subject]) -> Result<()> {
        self.to.mark().await?;
        let notes = self.from.open_snapshot(who).await?;
        self.ship(move_id, who, &Extent::People(who.to_vec())).await?;
        self.from.forget(&notes.iter().map(|note| note.seq).collect::<Vec<_>>()).await
    }

    async fn catch_up(&mut self, move_id: MoveId, who: &[Subject]) -> Result<()> {
        self.to.mark().await?;
        let notes = self.from.open_snapshot(who).await?;
        let seqs: Vec<i64> = notes.iter().map(|note| note.seq).collect();
        self.ship(move_id, who, &Extent::Touched(notes)).await?;
        self.from.forget(&seqs).await
    }

    async fn ship(&mut self, move_id: MoveId, who: &[Subject], extent: &Extent) -> Result<()> {
        self.from.select(extent).await?;
        self.to.roll_back().await?;
        self.to.begin(&announcement(End::Target, move_id, who), extent).await?;
        for table in 0..self.closure.owned.len() {
            let rows = self.from.export(table).await?;
            self.to.import(table, rows).await?;
        }
        let (mut left, mut here) = (self.from.digests().await?, self.to.digests().await?);
        for digests in [&mut left, &mut here] {
            digests.retain(|digest| digest.rows > 0);
            digests.sort();
        }
        assert_eq!(left, here);
        assert_eq!(self.to.check().await?, Vec::<String>::new());
        assert_eq!(self.to.bring(&ReferenceChanges::default()).await?, 0);
        self.to.commit().await?;
        self.from.close_snapshot().await
    }

    async fn decide(&mut self, move_id: MoveId, who: &[Subject]) -> Result<()> {
        for decision in self.from.decide(move_id, who).await? {
            assert!(matches!(decision.outcome, Outcome::Decided(_)), "{decision:?}");
        }
        Ok(())
    }
}

fn announcement(told: End, move_id: MoveId, who: &[Subject]) -> Announcement {
    let peer = told.other().name().parse().unwrap();
    Announcement { move_id, peer, subjects: who.to_vec() }
}

fn is_same_move(one: &JournalEntry, other: &JournalEntry) -> bool {
    (&one.subject, one.move_id) == (&other.subject, other.move_id)
}

/// What stands where when nothing goes wrong, and how often each point is passed.
pub(crate) async fn undisturbed() -> ([Vec<String>; 2], Faults) {
    let mover = Mover::new().await;
    mover.live().await.unwrap();
    (mover.everything().await, mover.faults)
}

/// Lets the process die at the nth passing of a point, starts it again, and compares.
pub(crate) async fn survives(point: &str, nth: u32, fault: Fault, expected: &[Vec<String>; 2]) {
    let mover = Mover::new().await;
    mover.faults.arm(point, nth, fault);
    let error = mover.live().await.expect_err("the process dies");
    assert_eq!(mover.faults.crashed_at(), Some(point), "{error}");
    if point != "source.export.stream" {
        assert_eq!(error.to_string(), format!("crashed at {point}"));
        assert_eq!(error.kind(), Kind::RetryLater);
    }
    assert!(mover.source.journal().await.is_err(), "a dead process calls nobody");
    mover.faults.revive();
    mover.live().await.unwrap_or_else(|error| panic!("{point} {nth} {fault:?}: {error}"));
    assert_eq!(&mover.everything().await, expected, "{point} {nth} {fault:?}");
}
