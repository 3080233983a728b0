//! An application that writes whenever it is asked, wherever the refusals send it, and remembers
//! what was acknowledged.

use super::model::{Model, Op, STANDING};
use super::world::World;
use crate::either::Connection;
use crate::two_homes::SITES;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a statement outside a run is tried: what a dead run held is let go soon.
const PATIENCE: Duration = Duration::from_secs(10);

/// In every so many turns somebody is written about who is not restless.
const OTHERS_EVERY: u64 = 3;

pub(crate) struct Writer {
    sites: Vec<Connection>,
    /// Where each person was found last.
    home: BTreeMap<u64, usize>,
    model: Model,
    /// Marks by key: owner, kind and slug.
    marks: BTreeMap<String, (u64, String, Option<String>)>,
    pub(crate) countries: BTreeMap<u64, &'static str>,
    /// Who is written about in turn.
    pub(crate) people: Vec<u64>,
    /// Written about in every turn, so that they are never done.
    pub(crate) restless: Option<u64>,
    turn: u64,
    /// How many statements of its turns were acknowledged.
    pub(crate) acknowledged: u64,
}

/// Where a statement came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Done,
    /// The person is at the other site, or will be.
    Away,
    /// Somebody else is at these rows.
    Busy,
}

fn came(answer: Result<u64, String>) -> Came {
    let text = match answer {
        Ok(1) => return Came::Done,
        // Everything that is named stands somewhere, so it stands elsewhere.
        Ok(0) => return Came::Away,
        Ok(rows) => panic!("{rows} rows"),
        Err(text) => text,
    };
    let is_any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is_any(&["DM001", "23503", "FOREIGN KEY"]) {
        Came::Away
    } else if is_any(&["DM002", "40001", "40P01", "55P03", "locked"]) {
        Came::Busy
    } else {
        panic!("{text}")
    }
}

impl Writer {
    pub(crate) async fn new(world: &World) -> Writer {
        let mut sites = Vec::new();
        for at in 0..SITES.len() {
            let mut app = world.databases.app(at).await;
            // The mover may hold locks in this very task: never wait for it.
            let pragmas =
                "PRAGMA busy_timeout = 0; PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF";
            let hurried = match app {
                Connection::Postgres(_) => "set lock_timeout = '10ms'",
                Connection::Sqlite(_) => pragmas,
            };
            app.run(hurried).await.unwrap();
            sites.push(app);
        }
        Writer {
            sites,
            home: BTreeMap::new(),
            model: Model::default(),
            marks: BTreeMap::new(),
            countries: BTreeMap::new(),
            people: Vec::new(),
            restless: None,
            turn: 0,
            acknowledged: 0,
        }
    }

    /// Writes once or twice.
    pub(crate) async fn take_turn(&mut self) {
        self.turn += 1;
        if let Some(person) = self.restless {
            self.say(person, Op::See { person }).await;
        }
        let turn = usize::try_from(self.turn / OTHERS_EVERY).unwrap();
        if self.people.is_empty() || !self.turn.is_multiple_of(OTHERS_EVERY) {
            return;
        }
        let person = self.people[turn % self.people.len()];
        if turn.is_multiple_of(5) {
            self.mark_newly(person).await;
        } else {
            let op = self.model.next(person, self.turn);
            self.say(person, op).await;
        }
    }

    /// A mark of a kind that has only just come up.
    async fn mark_newly(&mut self, person: u64) {
        let id = format!("m{}", self.turn);
        let kind = format!("insert into kinds values ('{id}', '{id}')");
        let is_new = came(self.sites[0].execute(&kind).await) == Came::Done;
        let kind = if is_new && self.home_of(person) == 0 { &id } else { "k0" }.to_owned();
        let sql = format!("insert into marks values ('{id}', {person}, '{kind}', null)");
        if self.tell(person, &sql).await {
            self.marks.insert(id, (person, kind, None));
        }
    }

    async fn say(&mut self, person: u64, op: Op) {
        let (sql, parameters) = op.sql();
        let sql = parameters.iter().zip(1..).fold(sql.to_owned(), |sql, (text, place)| {
            sql.replace(&format!("?{place}"), &format!("'{text}'"))
        });
        if self.tell(person, &sql).await {
            self.model.done(&op);
        }
    }

    /// Whether a statement about somebody was acknowledged. Who is away is looked for elsewhere
    /// next time.
    async fn tell(&mut self, person: u64, sql: &str) -> bool {
        let at = self.home_of(person);
        let came = came(self.sites[at].execute(sql).await);
        if came == Came::Away {
            self.home.insert(person, 1 - at);
        }
        self.acknowledged += u64::from(came == Came::Done);
        came == Came::Done
    }

    fn home_of(&self, person: u64) -> usize {
        self.home.get(&person).copied().unwrap_or(0)
    }

    /// A statement between two runs, which must be let through.
    pub(crate) async fn must(&mut self, at: usize, sql: &str) {
        let asked = Instant::now();
        while came(self.sites[at].execute(sql).await) != Came::Done {
            assert!(asked.elapsed() < PATIENCE, "at {}: {sql}", SITES[at].0);
            tokio::task::yield_now().await;
        }
    }

    /// Somebody new at iad1, with a post and a comment.
    pub(crate) async fn add(&mut self, person: u64, country: &'static str, address: u64) {
        let user = format!("insert into users values ({person}, '{country}', 0, {address})");
        self.must(0, &user).await;
        let posts = format!("insert into posts values ('start-{person}', {person}, 'first')");
        self.must(0, &posts).await;
        let key = format!("start-{person}");
        let comment = format!("insert into comments values ('{key}', '{key}', 'first')");
        self.must(0, &comment).await;
        let Model { posts, comments, seen } = Model::of([person]);
        self.model.posts.extend(posts);
        self.model.comments.extend(comments);
        self.model.seen.extend(seen);
        self.countries.insert(person, country);
    }

    pub(crate) async fn mark(
        &mut self,
        at: usize,
        id: &str,
        (person, kind, slug): (u64, &str, Option<&str>),
    ) {
        let quoted = slug.map_or_else(|| "null".to_owned(), |slug| format!("'{slug}'"));
        let sql = format!("insert into marks values ('{id}', {person}, '{kind}', {quoted})");
        self.must(at, &sql).await;
        let mark = (person, kind.to_owned(), slug.map(str::to_owned));
        self.marks.insert(id.to_owned(), mark);
    }

    pub(crate) async fn change_slug(&mut self, at: usize, id: &str, slug: &str) {
        self.must(at, &format!("update marks set slug = '{slug}' where id = '{id}'")).await;
        self.marks.get_mut(id).unwrap().2 = Some(slug.to_owned());
    }

    pub(crate) async fn unmark(&mut self, at: usize, id: &str) {
        self.must(at, &format!("delete from marks where id = '{id}'")).await;
        self.marks.remove(id);
    }

    pub(crate) async fn change_country(&mut self, at: usize, person: u64, country: &'static str) {
        self.must(at, &format!("update users set country = '{country}' where id = {person}")).await;
        self.countries.insert(person, country);
    }

    /// Everything acknowledged stands once, over both sites, and nothing else does; everybody is
    /// at home.
    pub(crate) async fn check(&mut self, context: &str) {
        let (mut found, mut homes) = (Vec::new(), BTreeMap::new());
        let marks = "select id || '|' || user_id || '|' || kind || '|' || coalesce(slug, '-')
            from marks";
        for at in 0..SITES.len() {
            for sql in [STANDING, marks] {
                let lines = self.sites[at].lines(sql).await;
                found.extend(lines.into_iter().map(|line| line[0].clone().unwrap()));
            }
            for line in self.sites[at].lines("select id from users").await {
                homes.insert(line[0].as_ref().unwrap().parse().unwrap(), at);
            }
        }
        let mut expected = self.model.lines();
        expected.extend(self.marks.iter().map(|(id, (person, kind, slug))| {
            format!("{id}|{person}|{kind}|{}", slug.as_deref().unwrap_or("-"))
        }));
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{context}");
        let at_home = |(person, country): (&u64, &&str)| (*person, usize::from(*country != "US"));
        let expected: BTreeMap<u64, usize> = self.countries.iter().map(at_home).collect();
        assert_eq!(homes, expected, "{context}");
        self.home = homes;
    }
}
