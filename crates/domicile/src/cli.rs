//! The command line as users write it.

use crate::exit::Exit;
use crate::screen;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use domicile_model::SiteName;
use domicile_model::territory::Territory;
use jiff::SignedDuration;
use jiff::civil::Date;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Moves each person's rows to a data centre under the law of the place they live in, while the
/// application runs.
#[derive(Debug, Parser)]
#[command(name = "domicile", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage, 10 denied by policy, \
                          11 verification mismatch, 12 stopped (run it again), 70 internal.";

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The configuration.
    #[arg(long, global = true, value_name = "PATH", default_value = "domicile.toml")]
    pub(crate) config: PathBuf,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress on the terminal.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Tell more of what happens, on stderr; twice for still more. `RUST_LOG` says it finer.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The commands, in the order in which they are used.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read a database and write a first, commented configuration. Changes nothing in it.
    Init(InitArgs),
    /// Show what would move where, every edge that crosses people, and everything refused.
    Plan(PlanArgs),
    /// Make every site ready: schema, reference tables, journal and fences.
    Prepare(PrepareArgs),
    /// Move everybody to their home. Stopped anywhere, it goes on when run again.
    Migrate(MigrateArgs),
    /// Count who is at home and who is not, with rate and time left while people move.
    Status(StatusArgs),
    /// Find one person.
    Locate(LocateArgs),
    /// Choose one person's home among the sites their rule has, and move them there now.
    Move(MoveArgs),
    /// Put one person on hold: their rows neither move nor are erased until the hold is ended.
    Hold(HoldArgs),
    /// Scan every site for what must not be there.
    Verify,
    /// Tell what is left of people's rows where they were erased, rung by rung, from evidence alone.
    ///
    /// Writes nothing but when nobody could see the erased rows any more; a VACUUM counts that begins
    /// after that.
    Erasure,
    /// Read residences from text lines on stdin; prints one JSON object per line.
    ///
    /// Segments are separated by commas, the widest last: "Lyon, France". A text that names no
    /// country is read by its cities, and is unknown where these do not say enough. Cities are from
    /// GeoNames (geonames.org), licence CC BY 4.0.
    Residence(ResidenceArgs),
    /// Tell where statements would run behind `serve`, and which it would refuse, and why.
    ///
    /// Reads SQL, from pg_stat_statements for example, with values or with $1 in their place.
    Route(RouteArgs),
    /// Stands in front of all sites at one address that speaks PostgreSQL's protocol, and takes each
    /// statement to the home of the person it concerns
    Serve,
    /// Move a made-up platform's people between four embedded sites under live writes.
    Demo(DemoArgs),
    /// Print what a shell needs to complete this command line.
    ///
    /// For bash: domicile completions bash >~/.local/share/bash-completion/completions/domicile
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command.
    Man(ManArgs),
}

/// `init`
#[derive(Clone, Debug, Args)]
pub(crate) struct InitArgs {
    /// The database your application uses: postgres://user@host:port/database or sqlite:FILE. Any
    /// role that may read will do.
    pub(crate) url: String,
    /// Where to write; `-` is stdout [default: what --config names].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What to call the site.
    #[arg(long, value_name = "NAME", default_value = "origin")]
    pub(crate) site: SiteName,
    /// Where the site stands, as an ISO 3166-1 code.
    #[arg(long, value_name = "CC")]
    pub(crate) territory: Option<Territory>,
    /// The table with one row per person, where you know better.
    #[arg(long, value_name = "TABLE")]
    pub(crate) subjects: Option<String>,
    /// Write over a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `plan`
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    /// Also write the plan as a Markdown document.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Also write the plan as one HTML page that can be read anywhere, printed and signed.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `prepare`
#[derive(Clone, Debug, Args)]
pub(crate) struct PrepareArgs {
    /// First drop the foreign keys whose columns the configuration lists as soft, at every site.
    /// The statements are listed, and a script that makes the keys again is written beside the
    /// configuration.
    #[arg(long)]
    pub(crate) drop_crossing_keys: bool,
}

/// `migrate`
#[derive(Clone, Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Batches under way at once.
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) lanes: NonZeroUsize,
    /// People per batch [default: 1000 at PostgreSQL; 100 at SQLite, where a batch arrives under the
    /// database's only write lock].
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroUsize>,
    /// Copy at most so many rows a second, and erase at most so many.
    #[arg(long, value_name = "N")]
    pub(crate) max_rows_per_second: Option<NonZeroU64>,
    /// Copy at most so many bytes a second. What is larger than a second's allowance goes at once,
    /// and the next batch waits until it has had its time.
    #[arg(long, value_name = "N")]
    pub(crate) max_bytes_per_second: Option<NonZeroU64>,
    /// Rest between batches while a replica of a site is further behind than this, beyond the least it
    /// was behind in this run; the pace then falls by halves, to a sixteenth at most. A standby that is
    /// delayed on purpose needs a longer time.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) max_replica_lag: Duration,
    /// Rest likewise while a table has so many dead rows more than at its best in this run, if they are
    /// also more than two fifths of the living and nothing vacuums them away.
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub(crate) max_dead_rows: u64,
    /// Keep going until told to stop: people who sign up, whose residence changes, and new
    /// reference rows are taken as they come. A site that stops answering is waited for.
    #[arg(long)]
    pub(crate) watch: bool,
    /// With --watch, the time from one look at everybody to the next, such as 500ms or 1m; looking
    /// itself takes at most a tenth of the time.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) every: Duration,
    /// Take back what an interrupted run announced and did not decide, and move nobody. Whoever is
    /// decided has moved.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) withdraw: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "a time cannot be negative".to_owned())
}

/// `status`
#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    /// Count again and again until interrupted; with --json, one line for each time.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `route`
#[derive(Clone, Debug, Args)]
pub(crate) struct RouteArgs {
    /// A file of statements with semicolons between them; stdin without it.
    pub(crate) file: Option<PathBuf>,
}

/// `locate`
#[derive(Clone, Debug, Args)]
pub(crate) struct LocateArgs {
    /// The person's primary key as the database prints it; of several columns, a JSON array.
    pub(crate) subject: String,
}

/// `move`
#[derive(Clone, Debug, Args)]
pub(crate) struct MoveArgs {
    /// The person's primary key as the database prints it; of several columns, a JSON array.
    pub(crate) subject: String,
    /// The site; it stays their home until another is chosen or their rule no longer has it.
    #[arg(long, value_name = "SITE", required_unless_present = "by_rule")]
    pub(crate) to: Option<String>,
    /// Leave their home to the rules again.
    #[arg(long, conflicts_with = "to")]
    pub(crate) by_rule: bool,
}

/// `hold`
#[derive(Clone, Debug, Args)]
pub(crate) struct HoldArgs {
    /// The person's primary key as the database prints it; of several columns, a JSON array.
    pub(crate) subject: String,
    /// Why; kept at every site, without data of the person.
    #[arg(long, value_name = "TEXT", default_value = "legal hold", conflicts_with = "end")]
    pub(crate) reason: String,
    /// End the hold.
    #[arg(long)]
    pub(crate) end: bool,
}

/// `residence`
#[derive(Clone, Debug, Args)]
pub(crate) struct ResidenceArgs {
    /// The day whose law applies, as YYYY-MM-DD; today without it.
    #[arg(long, value_name = "DATE")]
    pub(crate) on: Option<Date>,
}

/// `demo`
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many people the platform has.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) subjects: u64,
    /// Where the sites' databases and the configuration are left.
    #[arg(long, value_name = "D", default_value = "./demo")]
    pub(crate) dir: PathBuf,
}

/// `completions`
#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

/// `man`
#[derive(Clone, Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Tells what the command line came to when it is no command: help, the version, or a mistake in
/// the form all errors have.
pub(crate) fn answer(told: &clap::Error) -> Exit {
    let help = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !told.use_stderr() || told.kind() == help {
        // A closed stream leaves nobody to tell.
        let _ = told.print();
        return if told.use_stderr() { Exit::Usage } else { Exit::Ok };
    }
    screen::say(as_house_error(&told.to_string()));
    Exit::Usage
}

fn as_house_error(text: &str) -> String {
    let mut lines = Vec::new();
    let mut hint = "try --help";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("tip: ") {
            Some(tip) => hint = tip,
            None if line.starts_with("Usage: ") || line.starts_with("For more info") => {}
            None => lines.push(line),
        }
    }
    format!("{}\nhint: {hint}", lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> String {
        as_house_error(&Cli::try_parse_from(arguments).unwrap_err().to_string())
    }

    #[test]
    fn mistakes_have_the_form_of_all_errors() {
        assert_eq!(
            told(&["domicile", "plann"]),
            "error: unrecognized subcommand 'plann'\nhint: a similar subcommand exists: 'plan'"
        );
        assert_eq!(
            told(&["domicile", "locate"]),
            "error: the following required arguments were not provided: <SUBJECT>\nhint: try --help"
        );
    }
}
