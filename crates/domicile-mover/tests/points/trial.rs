//! One trial: people who are to move, a run in which something breaks, and one more run.

use super::world::{Pair, World};
use super::writer::Writer;
use crate::let_in::when_let_in;
use domicile_model::{MoveId, Subject};
use domicile_mover::Error;
use domicile_mover::direct::hold;
use domicile_mover::locate::locate;
use domicile_mover::migrate::{Options, Surroundings, migrate};
use domicile_mover::people::Platform;
use domicile_mover::plan::Plan;
use domicile_mover::report::MigrateReport;
use domicile_mover::verify::verify;
use domicile_store::Kind;
use domicile_store::faulty::{Fault, Faults, Reach};
use futures_util::FutureExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};

/// Lives at dub1 from the start and stays there.
const KEEPER: u64 = 1;
/// So many people come with each trial; the first ones are there before.
const PEOPLE: u64 = 5;

/// What breaks, and at which passing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    pub(crate) point: &'static str,
    pub(crate) nth: u32,
    pub(crate) fault: Fault,
    pub(crate) reach: Reach,
}

/// What became of the run in which something was to break.
#[derive(Debug)]
pub(crate) struct Broke {
    pub(crate) faults: Faults,
    /// It came to its end all the same.
    pub(crate) is_ended: bool,
}

impl Broke {
    pub(crate) fn is_broken(&self) -> bool {
        self.faults.crashed_at().is_some() || self.faults.lost_at().is_some()
    }
}

/// A prepared pair of sites, and one trial after the other.
pub(crate) struct Trials {
    world: World,
    plan: Plan,
    writer: Arc<Mutex<Writer>>,
    next: u64,
}

/// Who is spoken of later in a trial.
struct Cast {
    number: u64,
    on_hold: Subject,
}

impl Trials {
    /// The keeper and the first to return are at dub1.
    pub(crate) async fn prepared(pair: Pair) -> Trials {
        let (world, writer) = Trials::people(pair).await;
        let plan = world.prepare(&Faults::none()).await.unwrap();
        let trials = Trials::begin(world, writer, plan);
        trials.recover("the start").await;
        trials
    }

    /// A world that is not prepared yet, and its people, who are all at iad1.
    pub(crate) async fn people(pair: Pair) -> (World, Writer) {
        let world = World::fresh(pair).await;
        let mut writer = Writer::new(&world).await;
        writer.must(0, "insert into addresses values (1, 'first')").await;
        for person in KEEPER..KEEPER + PEOPLE {
            writer.add(person, "FR", 1).await;
        }
        writer.mark(0, "keep", (KEEPER, "k0", Some("taken"))).await;
        (world, writer)
    }

    pub(crate) fn begin(world: World, writer: Writer, plan: Plan) -> Trials {
        Trials { world, plan, writer: Arc::new(Mutex::new(writer)), next: 1 }
    }

    pub(crate) async fn acknowledged(&self) -> u64 {
        self.writer.lock().await.acknowledged
    }

    /// Lets one run break, runs once more, and looks at everything.
    pub(crate) async fn run(&mut self, breaks: Option<Break>, seed: u64) -> Broke {
        let context =
            format!("{:?}, seed {seed}, trial {}: {breaks:?}", self.world.pair, self.next);
        let cast = self.stage().await;
        let faults = Faults::none();
        let platform = self.world.platform(&self.plan, &faults).await;
        if let Some(Break { point, nth, fault, reach }) = breaks {
            faults.arm_reaching(point, nth, fault, reach);
        }
        let ran = self.act(&platform, &cast).await;
        let came = Broke { faults, is_ended: ran.is_ok() };
        match ran {
            Ok(report) => {
                assert_eq!(came.faults.crashed_at(), None, "{context}: a crash goes unnoticed");
                assert!(came.is_broken() || report.failed == 1, "{context}: {report:?}");
            }
            Err(error) => {
                assert!(came.is_broken(), "{context}: {error:?}");
                assert_eq!(error.kind(), Kind::RetryLater, "{context}: {error:?}");
            }
        }
        drop(platform);
        self.mend(&cast).await;
        self.recover(&context).await;
        self.next += 1;
        came
    }

    /// New people at iad1, and what makes a run pass as many points as there are.
    async fn stage(&self) -> Cast {
        let (number, first) = (self.next, KEEPER + PEOPLE * self.next);
        let (before, next) = (number - 1, number);
        let mut writer = self.writer.lock().await;
        writer.must(0, &format!("insert into addresses values ({first}, 'new')")).await;
        for (person, country) in (first..).zip(["FR", "FR", "FR", "FR", "US"]) {
            writer.add(person, country, first).await;
        }
        for kind in ["o", "r"] {
            let sql = format!("insert into kinds values ('{kind}{next}', '{kind}{next}')");
            writer.must(0, &sql).await;
        }
        // Has the slug of somebody who is there, so that they cannot arrive.
        writer.mark(0, &format!("c{number}"), (first + 1, "k0", Some("taken"))).await;
        // Kept at dub1 because of its mark, so that a new kind of this label is refused there.
        let (refused, kept) = (format!("r{before}"), format!("o{before}"));
        writer.mark(1, &refused, (KEEPER, &refused, None)).await;
        writer.must(0, &format!("delete from kinds where id = '{refused}'")).await;
        writer.must(0, &format!("insert into kinds values ('x{number}', '{refused}')")).await;
        // Goes back to iad1, with a mark of a kind that is deleted there.
        let returning = (self.world.pair != Pair::Crossing).then_some(first - PEOPLE + 1);
        if let Some(person) = returning {
            writer.mark(1, &kept, (person, &kept, None)).await;
            writer.must(0, &format!("delete from kinds where id = '{kept}'")).await;
            writer.change_country(1, person, "US").await;
        }
        writer.restless = Some(first + 2);
        writer.people = (first..first + PEOPLE).chain(returning).chain([KEEPER]).collect();
        let on_hold = Subject::new((first + 3).to_string());
        Cast { number, on_hold }
    }

    /// What is done while something may break.
    async fn act(&self, platform: &Platform, cast: &Cast) -> Result<MigrateReport, Error> {
        hold(platform, &cast.on_hold, Some("wait".to_owned())).await?;
        hold(platform, &cast.on_hold, None).await?;
        let (options, (surroundings, _stop)) = (options(), self.surroundings());
        let report = when_let_in(|| migrate(platform, &options, &surroundings).boxed()).await?;
        locate(platform, &cast.on_hold).await?;
        verify(platform).await?;
        Ok(report)
    }

    /// Takes out of the way what would be in the way for ever.
    async fn mend(&self, cast: &Cast) {
        let number = cast.number;
        let mut writer = self.writer.lock().await;
        writer.change_slug(0, &format!("c{number}"), &format!("own{number}")).await;
        writer.unmark(1, &format!("r{}", number - 1)).await;
        writer.restless = None;
        let platform = self.world.platform(&self.plan, &Faults::none()).await;
        hold(&platform, &cast.on_hold, None).await.unwrap();
    }

    /// One run, after which everybody is at home and everything is there.
    pub(super) async fn recover(&self, context: &str) {
        let platform = self.world.platform(&self.plan, &Faults::none()).await;
        let (options, (surroundings, _stop)) = (options(), self.surroundings());
        let again = when_let_in(|| migrate(&platform, &options, &surroundings).boxed()).await;
        let again = again.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!((again.failed, again.pending_erasure), (0, 0), "{context}: {again:?}");
        let found = verify(&platform).await.unwrap();
        assert!(found.is_clean() && found.reference_refused == 0, "{context}: {found:?}");
        self.writer.lock().await.check(context).await;
    }

    /// A clock that gives the application a turn whenever the mover looks at it. Turns are tasks:
    /// a runtime entered anew on this thread would swallow wake-ups that are the mover's.
    fn surroundings(&self) -> (Surroundings, watch::Sender<bool>) {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        let (sender, stop) = watch::channel(false);
        let (writer, ticks) = (self.writer.clone(), AtomicU64::new(0));
        let write = move || {
            let (writer, (sender, done)) = (writer.clone(), std::sync::mpsc::channel());
            Handle::current().spawn(async move {
                writer.lock().await.take_turn().await;
                let _ = sender.send(());
            });
            tokio::task::block_in_place(|| done.recv()).unwrap();
            Duration::from_millis(ticks.fetch_add(10, Ordering::Relaxed))
        };
        let surroundings = Surroundings {
            clock: Arc::new(write),
            now: Arc::new(jiff::Timestamp::now),
            move_id: Arc::new(|| MoveId(NEXT.fetch_add(1, Ordering::Relaxed))),
            progress: Arc::new(|_| {}),
            stop,
        };
        (surroundings, sender)
    }
}

fn options() -> Options {
    Options { batch: Some(2), quiet: Duration::from_millis(10), ..Options::default() }
}
