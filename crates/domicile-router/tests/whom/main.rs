//! Statements at random. Where the router says that one concerns a single person, or nobody, it
//! must do in a database that holds that person's rows alone what it does in one that holds
//! everybody's: then it may run at that person's home.
//!
//! PostgreSQL is the judge: rows, error and what is left in the tables are compared.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure should stop where it happens")]

mod statements;

use domicile_router::classify::{About, Command, Handle, Operand, Statement, classify};
use domicile_router::schema::{Edge, Kind, Place, Schema, Table};
use domicile_router::shape::{Shape, Template};
use domicile_testkit::{Rounds, Server, TestDatabase, connect};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use statements::{PEOPLE, TABLES, statement};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tokio_postgres::{Client, SimpleQueryMessage};

const STATEMENTS: u64 = 4000;

/// A folder with a text in each file, which are judged instead of such that are drawn.
const CORPUS_ENV: &str = "DOMICILE_CORPUS";

const DEFINITIONS: &str = "
create table groups (id bigint primary key, n bigint);
create table users (id bigint primary key, group_id bigint references groups, n bigint);
create table posts (id bigint primary key, user_id bigint not null references users, n bigint);
create table comments (id bigint primary key, post_id bigint not null references posts, n bigint);
create table likes (user_id bigint references users, post_id bigint, n bigint,
    primary key (user_id, post_id));
insert into groups values (1, 1), (2, 2), (3, null);
";

/// Everybody's rows; some values of different people are equal.
const ROWS: &str = "
insert into users select u, nullif(u % 4, 0), nullif(u % 3, 0) from generate_series(1, 4) u;
insert into posts select u * 2 + k, u, nullif((u + k) % 3, 0)
    from generate_series(1, 4) u, generate_series(0, 1) k;
insert into comments select p * 2 + k, p, nullif(p % 3, 0)
    from generate_series(2, 9) p, generate_series(0, 1) k where p % 3 < 2;
insert into likes select u, p, u % 2 from generate_series(1, 4) u, generate_series(2, 9) p
    where (u + p) % 3 = 0;
";

/// Leaves this person's rows.
const ALONE: &str = "
delete from likes where user_id <> PERSON;
delete from comments where post_id in (select id from posts where user_id <> PERSON);
delete from posts where user_id <> PERSON;
delete from users where id <> PERSON;
";

fn schema() -> Schema {
    let edge = |parent: Place, column: &str| {
        Kind::Owned(Edge {
            parent,
            columns: vec![column.to_owned()],
            parent_columns: vec!["id".to_owned()],
        })
    };
    let kinds =
        [Kind::Reference, Kind::Root, edge(1, "user_id"), edge(2, "post_id"), edge(1, "user_id")];
    let tables = TABLES.iter().zip(kinds).map(|((name, columns), kind)| {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        let key = if *name == "likes" { columns[..2].to_vec() } else { columns[..1].to_vec() };
        Table {
            schema: "public".to_owned(),
            name: (*name).to_owned(),
            kind,
            types: columns.iter().map(|_| "bigint".to_owned()).collect(),
            columns,
            keys: vec![key],
            undecided: None,
        }
    });
    Schema::new(tables.collect(), [], Vec::new())
}

/// What each table holds, a row a line, with how often.
type Held = Vec<BTreeMap<String, i64>>;

/// One database and a client of it.
struct Stored {
    client: Client,
    held: Held,
    _database: TestDatabase,
}

/// What a statement did: its rows in no order, or its error; and what the tables hold after it.
#[derive(Debug, PartialEq, Eq)]
struct Did {
    said: Result<Vec<Vec<Option<String>>>, String>,
    held: Held,
}

impl Stored {
    async fn with(rows: &str) -> Stored {
        let database = Server::shared(0).unwrap().fresh_database("whom").unwrap();
        let client = connect(&database.app_url).await.unwrap();
        client.batch_execute(&format!("{DEFINITIONS}{ROWS}{rows}")).await.unwrap();
        client.batch_execute("set statement_timeout = '5s'").await.unwrap();
        let held = held(&client).await;
        Stored { client, held, _database: database }
    }

    /// Runs it and takes it back.
    async fn run(&self, text: &str, writes: bool) -> Did {
        self.client.batch_execute("begin").await.unwrap();
        let said = match self.client.simple_query(text).await {
            Ok(messages) => Ok(rows(&messages)),
            Err(error) => {
                Err(error.code().unwrap_or_else(|| panic!("{error}: {text}")).code().to_owned())
            }
        };
        let held = match writes && said.is_ok() {
            true => held(&self.client).await,
            false => self.held.clone(),
        };
        self.client.batch_execute("rollback").await.unwrap();
        Did { said, held }
    }
}

fn rows(messages: &[SimpleQueryMessage]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => rows.push(vec![Some(count.to_string())]),
            _ => {}
        }
    }
    rows.sort();
    rows
}

async fn held(client: &Client) -> Held {
    let mut all = Vec::new();
    for (table, _) in TABLES {
        let mut held = BTreeMap::new();
        let query = format!("select t::text from {table} t");
        for row in client.query(&query, &[]).await.unwrap() {
            *held.entry(row.get(0)).or_insert(0) += 1;
        }
        all.push(held);
    }
    all
}

/// What everybody's tables hold when one person's rows have become these.
fn with_another(all: &Held, before: &Held, after: &Held) -> Held {
    let mut held = all.clone();
    for (((held, before), after), (table, _)) in held.iter_mut().zip(before).zip(after).zip(TABLES)
    {
        // What is the same everywhere is nobody's.
        let is_everywhere = table == "groups";
        for (rows, sign) in [(before, -1), (after, 1)] {
            for (row, count) in rows.iter().filter(|_| !is_everywhere) {
                *held.entry(row.clone()).or_insert(0) += sign * count;
            }
        }
        held.retain(|_, count| *count != 0);
    }
    held
}

/// Who owns the rows that a handle names.
async fn owners(everybody: &Client, handle: &Handle) -> BTreeSet<i64> {
    let (table, _) = TABLES[handle.table];
    let conditions = handle.columns.iter().zip(&handle.values).map(|(column, value)| {
        let Operand::Constant { text, .. } = value else { panic!("a parameter of nothing") };
        format!("t.{column} = '{text}'")
    });
    let conditions: Vec<String> = conditions.collect();
    let owner = match table {
        "users" => "t.id",
        "comments" => "(select p.user_id from posts p where p.id = t.post_id)",
        _ => "t.user_id",
    };
    let query = format!("select {owner} from {table} t where {}", conditions.join(" and "));
    let found = everybody.query(&query, &[]).await.unwrap();
    found.iter().map(|row| row.get(0)).collect()
}

#[derive(Debug, Default)]
struct Counts {
    statements: u64,
    refused: u64,
    of_one: u64,
    of_nobody: u64,
    of_several: u64,
    /// Of those that were compared, how many PostgreSQL refuses.
    in_error: u64,
    /// They say nothing that could be compared.
    left_out: u64,
    rows: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { statements, refused, of_one, of_nobody, .. } = self;
        let Counts { of_several, in_error, left_out, rows, .. } = self;
        write!(
            f,
            "{statements} statements: {of_one} of one person, {of_nobody} of nobody, {of_several} of \
             several, {refused} refused, {left_out} left out; {in_error} that PostgreSQL refuses, \
             {rows} rows; 0 differ"
        )
    }
}

struct World {
    schema: Schema,
    everybody: Stored,
    /// The same again, where other things are other.
    everybody_too: Stored,
    alone: Vec<Stored>,
}

impl World {
    async fn start() -> World {
        let mut alone = Vec::new();
        for person in 1..=PEOPLE {
            alone.push(Stored::with(&ALONE.replace("PERSON", &person.to_string())).await);
        }
        World {
            schema: schema(),
            everybody: Stored::with("").await,
            everybody_too: Stored::with("").await,
            alone,
        }
    }

    /// The places that must do as everybody's does.
    async fn homes(&self, about: &About, counts: &mut Counts) -> Vec<&Stored> {
        let mut people = BTreeSet::new();
        for handle in &about.people {
            people.extend(owners(&self.everybody.client, handle).await);
        }
        let people: Vec<i64> = people.into_iter().collect();
        match people[..] {
            [] => {
                counts.of_nobody += 1;
                self.alone.iter().take(2).collect()
            }
            [person] => {
                counts.of_one += 1;
                vec![&self.alone[usize::try_from(person).unwrap() - 1]]
            }
            _ => {
                counts.of_several += 1;
                Vec::new()
            }
        }
    }

    /// Runs a text everywhere that it is said to belong; says what is wrong.
    async fn judge(&self, text: &str, counts: &mut Counts) -> Result<(), String> {
        counts.statements += 1;
        let path = ["public".to_owned()];
        let Ok(read) = classify(&self.schema, &path, text) else {
            counts.refused += 1;
            return Ok(());
        };
        let [Statement { command: Command::Query(Ok(about)), subject: None, .. }] = &read[..]
        else {
            counts.refused += 1;
            return Ok(());
        };
        let values = about.people.iter().flat_map(|handle| &handle.values);
        if values.into_iter().any(|value| matches!(value, Operand::Parameter(_)))
            || !about.sign_ups.is_empty()
            || about.writes_reference
            || about.internal
        {
            counts.left_out += 1;
            return Ok(());
        }
        let homes = self.homes(about, counts).await;
        if homes.is_empty() {
            return Ok(());
        }
        let whole = self.everybody.run(text, about.writes).await;
        counts.in_error += u64::from(whole.said.is_err());
        counts.rows += whole.said.as_ref().map_or(0, |rows| rows.len() as u64);
        for home in homes {
            let mut did = home.run(text, about.writes).await;
            did.held = with_another(&self.everybody.held, &home.held, &did.held);
            if did == whole {
                continue;
            }
            if self.everybody_too.run(text, about.writes).await != whole {
                // It tells of the time, the database, or chance.
                counts.left_out += 1;
                return Ok(());
            }
            return Err(format!(
                "{text}\nis said to concern {:?}, and there does {did:?} instead of {whole:?}",
                about.people
            ));
        }
        Ok(())
    }
}

/// Texts as a fuzzer has left them.
fn corpus(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let texts = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    // No text of PostgreSQL's holds a zero.
    let texts = texts.filter(|bytes| !bytes.contains(&0));
    texts.filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_whom_statements_concern() {
    let world = World::start().await;
    let mut counts = Counts::default();
    if let Ok(folder) = std::env::var(CORPUS_ENV) {
        for text in corpus(&folder) {
            world.judge(&text, &mut counts).await.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
        eprintln!("soak_whom: {folder}: {counts}");
        return;
    }
    let mut seeds = Vec::new();
    for seed in Rounds::new(1).unwrap() {
        seeds.push(seed);
        let mut draw = StdRng::seed_from_u64(seed);
        for _ in 0..STATEMENTS {
            let text = statement(&mut draw);
            let judged = world.judge(&text, &mut counts).await;
            judged.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        }
    }
    assert!(counts.of_one * 10 > counts.statements, "too few that say whom they concern");
    eprintln!("soak_whom: {} rounds from seed {}: {counts}", seeds.len(), seeds[0]);
}

#[test]
fn soak_texts_of_one_shape_are_read_as_one() {
    let (schema, path) = (schema(), ["public".to_owned()]);
    let (mut texts, mut filled) = (0, 0);
    for seed in Rounds::new(1).unwrap() {
        let mut draw = StdRng::seed_from_u64(seed);
        for _ in 0..STATEMENTS * 2 {
            let text = statement(&mut draw);
            let Some(shape) = Shape::of(&text) else { continue };
            let mut other = shape.marked.clone();
            while let Some(at) = other.find(['\u{1}', '\u{2}']) {
                let number = draw.random_range(0..9_i64).pow(draw.random_range(0..12));
                let literal = match other.as_bytes()[at] {
                    1 => number.to_string(),
                    _ => format!("'{number}'''"),
                };
                other.replace_range(at..=at, &literal);
            }
            let Ok(read) = classify(&schema, &path, &text) else { continue };
            texts += 1;
            let Some(template) = Template::of(&shape, &read) else { continue };
            let other_shape = Shape::of(&other).unwrap();
            assert_eq!(other_shape.marked, shape.marked, "{other}");
            let directly = classify(&schema, &path, &other).unwrap();
            assert_eq!([template.fill(&other_shape).unwrap()], directly[..], "{text}\n{other}");
            filled += 1;
        }
    }
    assert!(filled * 2 > texts, "{filled} of {texts}");
    eprintln!("soak_shapes: {texts} texts, {filled} read by their shape; 0 differ");
}
