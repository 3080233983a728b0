//! `domicile erasure`: what is left of people's rows where they were erased.

use crate::ambient;
use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Exit, Result};
use crate::platform;
use crate::screen::{self, aligned};
use crate::sites;
use domicile_mover::erasure::{ErasureAccount, Retention, account};
use domicile_store::RungState;
use std::fmt::Write as _;

/// How many moves of each site the text tells of, the last ones; JSON tells of all.
const TOLD: usize = 10;

/// Asks every site.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    let config = Config::read(&global.config)?;
    let keep = Retention {
        tombstones: config.erase.tombstones,
        archives: config.erase.archives,
        backups: config.erase.backups,
    };
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    let found = account(&platform, &keep, ambient::now()).await?;
    screen::show(global.json, &found, text)?;
    Ok(Exit::Ok)
}

fn text(account: &ErasureAccount) -> String {
    let mut text = String::new();
    for site in &account.sites {
        let untold = site.moves.len().saturating_sub(TOLD);
        // Writing to a String cannot fail.
        if untold > 0 {
            let _ =
                writeln!(text, "{}: {untold} earlier moves are left out; see --json", site.site);
        }
        for erased in &site.moves[untold..] {
            let _ = writeln!(
                text,
                "{}: {} people left for {} (move {})",
                site.site, erased.people, erased.home, erased.move_id
            );
            let rows: Vec<Vec<String>> = erased
                .rungs
                .iter()
                .map(|rung| {
                    let at = rung.at.map_or_else(String::new, |at| at.strftime("%F").to_string());
                    vec![
                        rung.rung.replace('_', " "),
                        word(rung.state).to_owned(),
                        at,
                        rung.why.clone(),
                    ]
                })
                .collect();
            text.push_str(&aligned(&rows));
            for hint in erased.rungs.iter().filter_map(|rung| rung.hint.as_ref()) {
                let _ = writeln!(text, "  hint: {hint}");
            }
        }
    }
    if text.is_empty() {
        text.push_str("nothing has been erased\n");
    }
    text
}

const fn word(state: RungState) -> &'static str {
    match state {
        RungState::Done => "done",
        RungState::NotYet => "not yet",
        RungState::NotKnown => "not known",
        RungState::Declared => "declared",
    }
}
