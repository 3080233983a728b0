//! What the application itself finds afterwards, by its own SQL over all four files. It reads no
//! table of the mover and asks none of its code.

use super::people::Region;
use super::world::{LIVE_POSTS, Population, SITES, database};
use super::writers::{COUNTERS, Memory};
use crate::exit::Result;
use domicile_store::sqlite::application::Application;
use std::collections::BTreeMap;
use std::path::Path;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Acknowledged writes that are not there, not at the person's home, or there twice. The rows
    /// that everybody began with were acknowledged once, too.
    pub(super) lost: u64,
    /// People who do not stand at exactly one site, or at one where they must not.
    pub(super) misplaced: u64,
}

/// Counts what is lost.
pub(super) fn check(dir: &Path, population: &Population, memory: &Memory) -> Result<Account> {
    let mut sites = Vec::new();
    for site in &SITES {
        sites.push(Application::open(&database(dir, site))?);
    }
    let mut account = Account::default();
    let homes = homes(&sites, population, &mut account)?;
    account.lost += lost_posts(&sites, &homes, memory)?;
    for (counter, (_, sql)) in COUNTERS.iter().enumerate() {
        account.lost += lost_updates(&sites, &homes, memory, counter, sql)?;
    }
    for (table, expected) in population.rows {
        account.lost += first_rows(&sites, table)?.abs_diff(expected);
    }
    Ok(account)
}

type Homes = BTreeMap<u64, usize>;

/// Each person's home: where their row in `users` stands.
fn homes(sites: &[Application], population: &Population, account: &mut Account) -> Result<Homes> {
    let mut homes = Homes::new();
    for (at, site) in sites.iter().enumerate() {
        for [person] in numbers(site, "SELECT id FROM users")? {
            account.misplaced += u64::from(homes.insert(person, at).is_some());
        }
    }
    for (region, person) in population.regions.iter().zip(1..) {
        let is_right = homes.get(&person).is_some_and(|home| may_live(*region, SITES[*home].name));
        account.misplaced += u64::from(!is_right);
    }
    Ok(homes)
}

fn may_live(region: Region, site: &str) -> bool {
    match region {
        Region::Europe => ["dub1", "dub2", "osl1"].contains(&site),
        Region::Elsewhere => site == "iad1",
        Region::Unknown => site == "dub1",
    }
}

/// Each acknowledged post stands once, at its author's home; and no other one.
fn lost_posts(sites: &[Application], homes: &Homes, memory: &Memory) -> Result<u64> {
    let mut found: BTreeMap<u64, Vec<(u64, usize)>> = BTreeMap::new();
    let sql = format!("SELECT id, user_id FROM posts WHERE id >= {LIVE_POSTS}");
    for (at, site) in sites.iter().enumerate() {
        for [post, person] in numbers(site, &sql)? {
            found.entry(post).or_default().push((person, at));
        }
    }
    let mut lost = 0;
    for (post, person) in &memory.posts {
        let standing = found.remove(post).unwrap_or_default();
        let expected = homes.get(person).map(|home| vec![(*person, *home)]);
        lost += u64::from(Some(standing) != expected);
    }
    // What nobody acknowledged, or acknowledged once and found again.
    Ok(lost + found.len() as u64)
}

/// Each counter stands at its person's home and is what was acknowledged.
fn lost_updates(
    sites: &[Application],
    homes: &Homes,
    memory: &Memory,
    counter: usize,
    sql: &str,
) -> Result<u64> {
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for (at, site) in sites.iter().enumerate() {
        for [person, value] in numbers(site, sql)? {
            if homes.get(&person) == Some(&at) {
                found.insert(person, value);
            }
        }
    }
    let difference = |person: &u64| {
        let acknowledged = memory.updates.get(&(counter, *person)).copied().unwrap_or(0);
        found.get(person).copied().unwrap_or(0).abs_diff(acknowledged)
    };
    Ok(homes.keys().map(difference).sum())
}

/// Rows from before the writers, over all sites.
fn first_rows(sites: &[Application], table: &str) -> Result<u64> {
    let only = if table == "posts" { format!(" WHERE id < {LIVE_POSTS}") } else { String::new() };
    let mut rows = 0;
    for site in sites {
        let counts = numbers(site, &format!("SELECT count(*) FROM {table}{only}"))?;
        rows += counts.iter().map(|[count]| count).sum::<u64>();
    }
    Ok(rows)
}

/// Rows of numbers; what is none counts as 0, which no key is.
fn numbers<const N: usize>(site: &Application, sql: &str) -> Result<Vec<[u64; N]>> {
    let mut found = Vec::new();
    site.each_row(sql, &[], |row| {
        let mut values = row.into_iter().map(|text| text.and_then(|t| t.parse().ok()));
        found.push(std::array::from_fn(|_| values.next().flatten().unwrap_or(0)));
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::world::{SCHEMA, favourite, fill};

    const PEOPLE: u64 = 40;
    const LIVE: u64 = LIVE_POSTS + 1;

    /// A platform on which nobody has moved, with one post and two updates by person 7.
    fn platform(dir: &Path) -> (Population, Memory) {
        let population = fill(dir, PEOPLE, |_| {}).unwrap();
        for site in &SITES[1..] {
            Application::open(&database(dir, site)).unwrap().run(SCHEMA).unwrap();
        }
        let (post, visit) = (format!("INSERT INTO posts VALUES ({LIVE}, 7, '')"), COUNTERS[0].0);
        at(dir, 0).run(&post).unwrap();
        at(dir, 0).execute(visit, &["7"]).unwrap();
        at(dir, 0).execute(COUNTERS[1].0, &["7", &favourite(7).to_string()]).unwrap();
        let mut memory = Memory::default();
        memory.posts.push((LIVE, 7));
        memory.updates.extend([((0, 7), 1), ((1, 7), 1)]);
        (population, memory)
    }

    fn at(dir: &Path, site: usize) -> Application {
        Application::open(&database(dir, &SITES[site])).unwrap()
    }

    #[test]
    fn nothing_is_lost_where_nothing_happened() {
        let dir = tempfile::tempdir().unwrap();
        let (population, memory) = platform(dir.path());
        let account = check(dir.path(), &population, &memory).unwrap();
        assert_eq!(account.lost, 0);
        let elsewhere = population.regions.iter().filter(|r| **r == Region::Elsewhere).count();
        assert_eq!(account.misplaced, PEOPLE - elsewhere as u64);
    }

    #[test]
    fn every_kind_of_loss_is_counted() {
        let live = format!("SELECT * FROM posts WHERE id = {LIVE}");
        let losses = [
            (0, format!("DELETE FROM posts WHERE id = {LIVE}")),
            (0, format!("UPDATE posts SET user_id = 8 WHERE id = {LIVE}")),
            (0, format!("INSERT INTO posts VALUES ({LIVE} + 1, 7, '')")),
            (0, "UPDATE users SET visits = visits - 1 WHERE id = 7".to_owned()),
            (0, "UPDATE users SET visits = visits + 1 WHERE id = 8".to_owned()),
            (0, "UPDATE videos_watched SET times = 1 WHERE user_id = 7".to_owned()),
            (0, "DELETE FROM settings WHERE user_id = 9".to_owned()),
            (0, "DELETE FROM posts WHERE id = 3".to_owned()),
            (1, format!("INSERT INTO posts {}", live.replace("posts", "origin.posts"))),
            (1, "INSERT INTO likes VALUES (7, 1)".to_owned()),
        ];
        for (site, loss) in losses {
            let dir = tempfile::tempdir().unwrap();
            let (population, memory) = platform(dir.path());
            let application = at(dir.path(), site);
            let origin = database(dir.path(), &SITES[0]);
            let attach = "ATTACH ?1 AS origin";
            application.execute(attach, &[&origin.display().to_string()]).unwrap();
            application.run("PRAGMA foreign_keys = OFF").unwrap();
            application.run(&loss).unwrap();
            assert_eq!(check(dir.path(), &population, &memory).unwrap().lost, 1, "{loss}");
        }
    }

    #[test]
    fn somebody_at_two_sites_or_at_none_is_misplaced() {
        let plant = "INSERT INTO users SELECT * FROM origin.users WHERE id = 7";
        for (site, change) in [(1, plant), (0, "DELETE FROM users WHERE id = 7")] {
            let dir = tempfile::tempdir().unwrap();
            let (mut population, memory) = platform(dir.path());
            population.regions.fill(Region::Elsewhere);
            let application = at(dir.path(), site);
            let origin = database(dir.path(), &SITES[0]).display().to_string();
            application.execute("ATTACH ?1 AS origin", &[&origin]).unwrap();
            application.run("PRAGMA foreign_keys = OFF").unwrap();
            application.run(change).unwrap();
            assert!(check(dir.path(), &population, &memory).unwrap().misplaced > 0, "{change}");
        }
    }
}
