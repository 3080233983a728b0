//! What an application was told is done, and the SQL that does it at either engine.

use std::collections::BTreeMap;

/// What one writer's people must own, by everything that was acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Key to owner and body.
    pub posts: BTreeMap<String, (u64, String)>,
    /// Key to post and body.
    pub comments: BTreeMap<String, (String, String)>,
    pub seen: BTreeMap<u64, u64>,
}

/// One statement, with texts as parameters, and how many rows it must change.
#[derive(Clone, Debug)]
pub enum Op {
    Post { id: String, person: u64 },
    Comment { id: String, post: String },
    See { person: u64 },
    Edit { post: String, body: String },
    Rename { post: String, to: String },
    Delete { post: String },
    Uncomment { id: String },
}

impl Model {
    /// What [`Mixed::social`] gives these people.
    pub fn of(people: impl IntoIterator<Item = u64>) -> Model {
        let mut model = Model::default();
        for id in people {
            let key = format!("start-{id}");
            model.posts.insert(key.clone(), (id, "first".to_owned()));
            model.comments.insert(key.clone(), (key, "first".to_owned()));
            model.seen.insert(id, 0);
        }
        model
    }

    /// The `turn`th thing to do about a person.
    pub fn next(&self, person: u64, turn: u64) -> Op {
        let id = format!("n{person}-{turn}");
        let posts: Vec<&String> =
            self.posts.iter().filter(|(_, post)| post.0 == person).map(|(key, _)| key).collect();
        let pick = usize::try_from(turn / 7).unwrap() % posts.len().max(1);
        let Some(post) = posts.get(pick).map(|post| (*post).clone()) else {
            return Op::Post { id, person };
        };
        let comment = self.comments.iter().find(|(_, comment)| comment.0 == post);
        match (turn % 9, comment) {
            (0 | 1, _) => Op::Post { id, person },
            (2 | 3, _) => Op::Comment { id, post },
            (4, _) => Op::Edit { post, body: id },
            (5, _) => Op::Rename { post, to: id },
            (6, Some((comment, _))) => Op::Uncomment { id: comment.clone() },
            (7, _) if posts.len() > 2 => Op::Delete { post },
            _ => Op::See { person },
        }
    }

    /// Takes in what was acknowledged.
    pub fn done(&mut self, op: &Op) {
        match op.clone() {
            Op::Post { id, person } => drop(self.posts.insert(id, (person, "new".to_owned()))),
            Op::Comment { id, post } => {
                self.comments.insert(id, (post, "new".to_owned()));
            }
            Op::See { person } => *self.seen.entry(person).or_default() += 1,
            Op::Edit { post, body } => self.posts.get_mut(&post).unwrap().1 = body,
            Op::Rename { post, to } => {
                let moved = self.posts.remove(&post).unwrap();
                self.posts.insert(to.clone(), moved);
                for comment in self.comments.values_mut().filter(|comment| comment.0 == post) {
                    comment.0.clone_from(&to);
                }
            }
            Op::Delete { post } => {
                self.posts.remove(&post);
                self.comments.retain(|_, comment| comment.0 != post);
            }
            Op::Uncomment { id } => drop(self.comments.remove(&id)),
        }
    }

    /// What [`STANDING`] must find.
    pub fn lines(&self) -> Vec<String> {
        let posts = self.posts.iter().map(|(id, (user, body))| format!("{id}|{user}|{body}"));
        let comments = self.comments.iter().map(|(id, (post, body))| format!("{id}|{post}|{body}"));
        let seen = self.seen.iter().map(|(id, seen)| format!("{id}|{seen}"));
        let mut lines: Vec<String> = posts.chain(comments).chain(seen).collect();
        lines.sort();
        lines
    }
}

/// Every row that a model speaks of.
pub const STANDING: &str = "SELECT id || '|' || user_id || '|' || body FROM posts
    UNION ALL SELECT id || '|' || post_id || '|' || body FROM comments
    UNION ALL SELECT id || '|' || seen FROM users";

impl Op {
    /// The statement for SQLite, and its parameters.
    pub fn sql(&self) -> (&'static str, Vec<String>) {
        let number = |person: &u64| person.to_string();
        match self {
            Op::Post { id, person } => (
                "INSERT INTO posts VALUES (?1, CAST(?2 AS bigint), 'new')",
                vec![id.clone(), number(person)],
            ),
            Op::Comment { id, post } => {
                ("INSERT INTO comments VALUES (?1, ?2, 'new')", vec![id.clone(), post.clone()])
            }
            Op::See { person } => (
                "UPDATE users SET seen = seen + 1 WHERE id = CAST(?1 AS bigint)",
                vec![number(person)],
            ),
            Op::Edit { post, body } => {
                ("UPDATE posts SET body = ?1 WHERE id = ?2", vec![body.clone(), post.clone()])
            }
            Op::Rename { post, to } => {
                ("UPDATE posts SET id = ?1 WHERE id = ?2", vec![to.clone(), post.clone()])
            }
            Op::Delete { post } => ("DELETE FROM posts WHERE id = ?1", vec![post.clone()]),
            Op::Uncomment { id } => ("DELETE FROM comments WHERE id = ?1", vec![id.clone()]),
        }
    }

    /// The statement for PostgreSQL.
    pub fn sql_there(&self) -> String {
        (1..=2).fold(self.sql().0.to_owned(), |sql, place| {
            sql.replace(&format!("?{place}"), &format!("${place}::text"))
        })
    }
}
