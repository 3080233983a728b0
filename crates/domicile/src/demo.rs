//! `domicile demo`: a made-up platform whose people move home while writers write.
//!
//! It goes the way of every other command, from the configuration to the move; only the platform
//! is made up. What it claims at the end is what the application finds: see [`oracle`].

mod directory;
mod map;
mod oracle;
mod people;
mod report;
mod world;
mod writers;

use crate::ambient;
use crate::cli::{DemoArgs, Global};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::platform;
use crate::screen;
use crate::sites;
use crate::stop::Signals;
use domicile_mover::migrate::{Progress, Surroundings, migrate};
use domicile_mover::people::Platform;
use domicile_mover::prepare::prepare;
use domicile_mover::report::MigrateReport;
use domicile_mover::verify::verify;
use indicatif::ProgressBar;
use map::Map;
use report::Report;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use world::Population;
use writers::{Memory, Writers};

/// Runs the demo. The first signal stops the move at its next safe point, the second everything.
pub(crate) async fn run(args: DemoArgs, global: &Global) -> Result<Exit> {
    if args.subjects == 0 {
        return Err(Failure::usage("a platform without people has nothing to show")
            .hint("ask for one or more with --subjects"));
    }
    let mut signals = Signals::listen()?;
    let stage =
        Stage { dir: args.dir, json: global.json, quiet: global.quiet, stop: signals.stop() };
    let config = stage.dir.join(directory::CONFIG);
    let ended = tokio::select! {
        ended = stage.play(args.subjects) => ended?,
        () = signals.second() => Exit::Stopped,
    };
    if ended == Exit::Stopped {
        let config = config.display();
        screen::say(format!("hint: run domicile --config {config} migrate; it goes on from there"));
    }
    Ok(ended)
}

/// Where the demo plays, and how it is told to stop.
struct Stage {
    dir: PathBuf,
    json: bool,
    quiet: bool,
    stop: watch::Receiver<bool>,
}

impl Stage {
    async fn play(&self, people: u64) -> Result<Exit> {
        directory::prepare(&self.dir).await?;
        let population = self.fill(people).await?;
        let (config, platform) = self.make_ready().await?;
        let before = Map::read(&self.dir, platform.on)?;
        self.show("before", &before)?;
        let (moved, memory) = self.move_people(&config, &platform, &population).await?;
        let after = Map::read(&self.dir, platform.on)?;
        self.show("after", &after)?;
        let account = oracle::check(&self.dir, &population, &memory)?;
        let verified = verify(&platform).await?;
        let report = Report::new(moved, &verified, &memory, &account, (&before, &after));
        screen::show(self.json, &report, |report| report.text(&self.dir))?;
        Ok(report.exit())
    }

    fn bar(&self, people: u64, what: &'static str) -> ProgressBar {
        let bar = screen::bar(self.quiet).with_message(what);
        bar.set_length(people);
        bar
    }

    async fn fill(&self, people: u64) -> Result<Population> {
        let bar = self.bar(people, "made up");
        let (dir, shown) = (self.dir.clone(), bar.clone());
        let filling = move || world::fill(&dir, people, |done| shown.set_position(done));
        let filled = tokio::task::spawn_blocking(filling).await;
        bar.finish_and_clear();
        filled.map_err(|_| Failure::internal("the thread that made people up died"))?
    }

    /// What `prepare` does.
    async fn make_ready(&self) -> Result<(Config, Platform)> {
        let config = Config::read(&self.dir.join(directory::CONFIG))?;
        let sites = sites::open(&config).await?;
        let plan = platform::plan_schema(&config, &sites).await?;
        platform::demand_accepted(&plan)?;
        prepare(&sites, &plan).await?;
        let platform = platform::of_plan(&config, sites, &plan)?;
        Ok((config, platform))
    }

    /// What `migrate` does, while writers write. They begin before and end after.
    async fn move_people(
        &self,
        config: &Config,
        platform: &Platform,
        population: &Population,
    ) -> Result<(MigrateReport, Memory)> {
        let options = config.options();
        let bar = self.bar(population.count(), "moved");
        let shown = bar.clone();
        let surroundings = Surroundings {
            clock: ambient::clock(),
            now: Arc::new(ambient::now),
            move_id: ambient::move_ids(),
            progress: Arc::new(move |progress: Progress| {
                shown.set_length(progress.to_move);
                shown.set_position(progress.moved);
            }),
            stop: self.stop.clone(),
        };
        let writers = Writers::start(&self.dir, population)?;
        writers.people_are_moving(true);
        let moved = migrate(platform, &options, &surroundings).await;
        writers.people_are_moving(false);
        let memory = writers.stop();
        bar.finish_and_clear();
        Ok((moved?, memory?))
    }

    /// A map, for people only: in JSON it is part of the report.
    fn show(&self, when: &str, map: &Map) -> Result<()> {
        if self.json {
            return Ok(());
        }
        screen::show(false, map, |map| format!("{when}\n{}\n", map.draw()))
    }
}
