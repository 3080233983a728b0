//! Where somebody is, and how far along everybody is.

use crate::error::{Error, Result};
use crate::people::Platform;
use crate::reference::{standing, told};
use crate::report::RefusedChange;
use domicile_model::residence::Residence;
use domicile_model::{SiteName, State, Subject};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where one person is.
#[derive(Clone, Debug, Serialize)]
pub struct Location {
    /// The person.
    pub subject: Subject,
    /// The site that is their home now: writes belong there.
    pub home: Option<String>,
    /// `resident` when nothing is under way, else how far the move is: `announced`, `copied`,
    /// `decided`, `settled` (rows still stand, fenced, at the old site).
    pub state: &'static str,
    /// Their residence, with its evidence.
    pub residence: Residence,
    /// Sites where rows of theirs stand.
    pub standing_at: Vec<String>,
    /// Why they must neither move nor be erased, where somebody said so.
    pub hold: Option<String>,
    /// The site that somebody chose for them.
    pub directed_home: Option<SiteName>,
}

/// Finds somebody by asking every site.
pub async fn locate(platform: &Platform, subject: &Subject) -> Result<Location> {
    platform.read_directives().await?;
    let mut standing = Vec::new();
    let mut journal = Vec::new();
    let mut named_home = None;
    for (at, site) in platform.sites.iter().enumerate() {
        let (entry, person) = site.look_up(&platform.closure, subject).await?;
        if let Some(person) = person {
            standing.push((at, person));
        }
        if let Some(entry) = entry {
            journal.push((at, entry));
        } else if let Some((_, home)) = site.gone(std::slice::from_ref(subject)).await?.pop() {
            named_home = platform.place_of(&home);
        }
    }
    let at_state = |wanted: State| journal.iter().find(|(_, entry)| entry.state == wanted);
    let moving = at_state(State::Moving).or_else(|| at_state(State::Closing));
    let arriving = at_state(State::Arriving);
    let (home, state) = if let Some((at, _)) = moving {
        let is_copied = arriving.is_some_and(|(_, entry)| entry.copied);
        (Some(*at), if is_copied { "copied" } else { "announced" })
    } else if let Some((_, entry)) = at_state(State::Moved) {
        let state = if arriving.is_some() { "decided" } else { "settled" };
        (platform.place_of(&entry.peer), state)
    } else {
        let resident = at_state(State::Resident).map(|(at, _)| *at);
        let here = standing.first().map(|(at, _)| *at);
        (resident.or(here).or(named_home), "resident")
    };
    let person = home
        .and_then(|home| standing.iter().find(|(at, _)| *at == home))
        .or(standing.first())
        .map(|(_, person)| person);
    let Some(person) = person else {
        return Err(Error::refused(
            format!("no site has a row for {subject} in {}", platform.closure.root().name),
            "give the person's primary key as the database prints it",
        ));
    };
    let directive = platform.directives.about(subject);
    Ok(Location {
        hold: directive.as_ref().and_then(|directive| directive.hold.clone()),
        directed_home: directive.and_then(|directive| directive.home),
        subject: subject.clone(),
        home: home.map(|at| platform.sites[at].name().to_string()),
        state,
        residence: platform.home_of(person).0,
        standing_at: standing
            .iter()
            .map(|(at, _)| platform.sites[*at].name().to_string())
            .collect(),
    })
}

/// How far along everybody is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// People by the site where they stand open.
    pub by_site: BTreeMap<String, u64>,
    /// Everybody.
    pub subjects: u64,
    /// People at home.
    pub at_home: u64,
    /// People not yet at home, those under way included.
    pub to_move: u64,
    /// People under way just now.
    pub under_way: u64,
    /// People whose rows wait, fenced, to be erased.
    pub pending_erasure: u64,
    /// People away from home because they are on hold; not counted as to move.
    pub on_hold: u64,
    /// Changes of reference rows that are still to be carried to other sites.
    pub reference_behind: u64,
    /// Those of them that a site could not apply, the first hundred: they are tried again, and
    /// whoever does not need these rows moves all the same.
    pub reference_refused: Vec<RefusedChange>,
    /// People who came home per second, measured between two looks; `None` where only one was
    /// taken.
    pub people_per_second: Option<f64>,
    /// Seconds until everybody is home at that rate; `None` while nobody moves.
    pub seconds_left: Option<f64>,
}

/// Counts once. [`Status::with_rate`] adds the rate from a later count.
pub async fn status(platform: &Platform) -> Result<Status> {
    platform.read_directives().await?;
    let noted = standing(platform).await?;
    let mut status = Status {
        reference_behind: noted.notes,
        reference_refused: told(&platform.closure, noted.refused),
        ..Status::default()
    };
    for (at, site) in platform.sites.iter().enumerate() {
        let (mut closed, mut under_way) = (BTreeSet::new(), BTreeSet::new());
        for entry in site.journal().await? {
            match entry.state {
                State::Moved => {
                    status.pending_erasure += 1;
                    closed.insert(entry.subject);
                }
                State::Arriving => {
                    closed.insert(entry.subject);
                }
                State::Moving | State::Closing => {
                    under_way.insert(entry.subject);
                }
                State::Withdrawn | State::Resident => {}
            }
        }
        status.under_way += under_way.len() as u64;
        let mut here = 0;
        platform
            .visit(at, |person| {
                if closed.contains(&person.subject) {
                    return;
                }
                here += 1;
                let (_, home) = platform.home_of(&person);
                let is_home = home.is_none_or(|home| home == at);
                status.at_home += u64::from(is_home);
                let is_on_hold = !is_home && platform.directives.is_on_hold(&person.subject);
                status.on_hold += u64::from(is_on_hold);
                status.to_move += u64::from(!is_home && !is_on_hold);
            })
            .await?;
        status.by_site.insert(site.name().to_string(), here);
        status.subjects += here;
    }
    Ok(status)
}

impl Status {
    /// This count, with the rate since an earlier one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub fn with_rate(mut self, earlier: &Status, seconds: f64) -> Status {
        let moved = earlier.to_move.saturating_sub(self.to_move) as f64;
        if seconds > 0.0 {
            let rate = moved / seconds;
            self.people_per_second = Some(rate);
            self.seconds_left = (rate > 0.0).then(|| self.to_move as f64 / rate);
        }
        self
    }
}
