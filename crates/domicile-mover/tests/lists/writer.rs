//! A client that goes straight to the databases and where their refusals send it.

use super::platform::{Database, Told};
use super::{Journal, PEOPLE};
use domicile_sim::history::{Action, Operation, Outcome};
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PACE: Duration = Duration::from_millis(2);

/// What a transaction does with one person.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub person: u64,
    pub value: u64,
    /// Appends to the list on the person's row, and reads it.
    pub list: bool,
    /// Adds a row.
    pub row: bool,
}

/// Transactions of one or two people, until the round is over.
pub async fn write_until(
    databases: &dyn Database,
    journal: &Journal,
    process: u64,
    mut draw: StdRng,
) {
    let mut client = databases.client(process).await;
    let mut home: BTreeMap<u64, usize> = BTreeMap::new();
    let mut count = 0;
    while !journal.is_over.load(Ordering::SeqCst) {
        let first = draw.random_range(1..=PEOPLE);
        let second = draw.random_range(1..=PEOPLE);
        let at = home.get(&first).copied().unwrap_or(0);
        let mut people = vec![first];
        if second != first && home.get(&second).copied().unwrap_or(0) == at {
            people.push(second);
        }
        // In one order: a deadlock of two writers would hold up a move for a second.
        people.sort_unstable();
        // A row alone locks nothing that orders it among others, so it goes alone.
        let is_row_only = people.len() == 1 && draw.random_bool(0.3);
        let mut parts = Vec::new();
        for person in people {
            count += 1;
            let value = (process + 1) << 32 | count;
            let row = is_row_only || draw.random_bool(0.5);
            parts.push(Part { person, value, list: !is_row_only, row });
        }
        let is_lost = draw.random_bool(0.03);
        let started = journal.tick();
        let told = client.write(at, &parts, journal, is_lost).await;
        let ended = journal.tick();
        let (outcome, read) = match told {
            Told::Done(read) => (Outcome::Acknowledged, read),
            Told::Lost => (Outcome::Unknown, Vec::new()),
            Told::TryAgain => (Outcome::Refused, Vec::new()),
            Told::NotHere(person) => {
                home.insert(person, 1 - at);
                (Outcome::Refused, Vec::new())
            }
        };
        let actions = actions(&parts, read);
        journal.note(Operation { process, started, ended, actions, outcome });
        // A pace that lets others at the row, too.
        tokio::time::sleep(PACE).await;
    }
}

fn actions(parts: &[Part], read: Vec<Vec<u64>>) -> Vec<Action> {
    let mut read = read.into_iter();
    let mut actions = Vec::new();
    for part in parts {
        if part.list {
            let key = format!("{} list", part.person);
            actions.push(Action::Append { key: key.clone(), value: part.value });
            actions.extend(read.next().map(|observed| Action::Read { key, observed }));
        }
        if part.row {
            actions
                .push(Action::Append { key: format!("{} rows", part.person), value: part.value });
        }
    }
    actions
}
