//! `cargo xtask bench move`: seconds, beside the floor and beside other tools.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use super::contenders::{Contender, Ran};
use super::figures::{Figures, head, row};
use super::pair::Pair;
use super::program::Program;
use super::world::{Size, Template};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// People to move; as many again stay. Several numbers give a table each.
    #[arg(long, default_value = "50000", value_delimiter = ',')]
    pub(super) people: Vec<u32>,
    /// Five rows for each person, not 56.
    #[arg(long)]
    pub(super) light: bool,
    /// How often each contender runs.
    #[arg(long, default_value_t = 3)]
    pub(super) rounds: usize,
    /// Only contenders whose names begin so.
    #[arg(long, value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Lanes of `domicile migrate`; what it does by itself without.
    #[arg(long)]
    pub(super) lanes: Option<usize>,
}

pub(super) async fn measure(arguments: &Arguments, program: &Program) -> Result<String> {
    ensure!(arguments.rounds > 0, "no round, no figure");
    let mut contenders = Contender::all(program, arguments.lanes);
    if !arguments.only.is_empty() {
        contenders
            .retain(|c| arguments.only.iter().any(|name| c.name().starts_with(name.as_str())));
    }
    ensure!(!contenders.is_empty(), "no contender is called so");
    let mut text = String::new();
    for &leaving in &arguments.people {
        let pair = Pair::start(&[])?;
        let size = Size { is_light: arguments.light, ..Size::of(leaving) };
        let template = Template::make(&pair.source, &pair.target, size).await?;
        let mut rounds = Vec::new();
        for round in 0..arguments.rounds {
            // Nobody always comes first, when files are cold, or last, when the disk is full of logs.
            contenders.rotate_left(usize::from(round > 0));
            let mut runs = Vec::new();
            for contender in &contenders {
                let ran = contender.run(&pair, &template).await?;
                eprintln!("round {}: {}: {:.2} s", round + 1, contender.name(), ran.seconds);
                runs.push((contender.name(), ran));
            }
            rounds.push(runs);
        }
        text += &table(&template, &rounds);
    }
    Ok(text)
}

/// What ran in one round.
type Round = Vec<(&'static str, Ran)>;

/// Ratios are those of each round, to the faster floor of that round.
fn table(template: &Template, rounds: &[Round]) -> String {
    let size = template.size;
    let mut text = format!(
        "{} people move, {} rows; as many stay. The source database has {} MB.\n\n",
        size.leaving,
        size.leaving_rows(),
        template.bytes / 1_000_000
    );
    text += &head(&["contender", "seconds", "ratio to the faster floor", "copied after, seconds"]);
    let mut names: Vec<&str> = rounds.iter().flatten().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let [mut seconds, mut ratios, mut copied] = [(); 3].map(|()| Figures::default());
        for round in rounds {
            let floors = round.iter().filter(|(name, _)| name.starts_with("floor"));
            let floor = floors.map(|(_, ran)| ran.seconds).min_by(f64::total_cmp);
            for (_, ran) in round.iter().filter(|(found, _)| *found == name) {
                seconds.add(ran.seconds);
                ratios.extend(floor.map(|floor| ran.seconds / floor));
                copied.extend(ran.copied);
            }
        }
        text += &row(&[name.to_owned(), seconds.spread(1), ratios.spread(2), copied.spread(1)]);
    }
    for (name, migration) in
        rounds.iter().flatten().filter_map(|(name, ran)| Some((name, ran.migration.as_ref()?)))
    {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{name}: {:.3} ms a person; it reported pause_ms {}, handover_ms {} (p50 / p99 / max), \
            spent {}; memory at most {:.0} MB.\n",
            migration.seconds * 1e3 / f64::from(size.leaving),
            migration.tail("pause_ms"),
            migration.tail("handover_ms"),
            migration.report["spent"],
            migration.memory_mb
        );
    }
    text + "\n"
}
