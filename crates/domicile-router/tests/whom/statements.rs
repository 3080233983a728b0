//! Statements at random over a few tables, most of them about one person somewhere.

use rand::RngExt as _;
use rand::rngs::StdRng;
use std::fmt::Write as _;

pub(crate) const PEOPLE: i64 = 4;

/// The tables with their columns, the key's first.
pub(crate) const TABLES: [(&str, &[&str]); 5] = [
    ("groups", &["id", "n"]),
    ("users", &["id", "group_id", "n"]),
    ("posts", &["id", "user_id", "n"]),
    ("comments", &["id", "post_id", "n"]),
    ("likes", &["user_id", "post_id", "n"]),
];

/// A name in a query's FROM, with the columns it has.
#[derive(Clone)]
struct Name {
    name: String,
    columns: Vec<String>,
    /// The table, where it is one.
    table: Option<usize>,
}

pub(crate) fn statement(draw: &mut StdRng) -> String {
    let person = draw.random_range(1..=PEOPLE);
    let mut drawing = Drawing { draw, person, outer: Vec::new(), common: Vec::new() };
    match drawing.below(10) {
        0 => drawing.update(),
        1 => drawing.delete(),
        2 => drawing.insert(),
        _ => drawing.query(3),
    }
}

struct Drawing<'a> {
    draw: &'a mut StdRng,
    /// Whom it is mostly about.
    person: i64,
    /// Names that a query inside can see, the innermost query's last.
    outer: Vec<Vec<Name>>,
    /// Names of WITH.
    common: Vec<Name>,
}

impl Drawing<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.draw.random_range(0..end)
    }

    fn is(&mut self, of_ten: usize) -> bool {
        self.below(10) < of_ten
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// Somebody's key, mostly that of whom it is about.
    fn someone(&mut self) -> String {
        match self.below(8) {
            0 => self.draw.random_range(1..=PEOPLE + 1).to_string(),
            _ => self.person.to_string(),
        }
    }

    /// A value for a column of a table, mostly of the same person.
    fn value(&mut self, table: Option<usize>, column: &str) -> String {
        let is_post = matches!((table, column), (Some(2), "id") | (_, "post_id"));
        match (table, column) {
            (Some(1), "id") | (_, "user_id") => self.someone(),
            _ if is_post && self.is(7) => {
                (self.person * 2 + self.draw.random_range(0..2)).to_string()
            }
            (Some(3), "id") if self.is(7) => {
                (self.person * 4 + self.draw.random_range(0..4)).to_string()
            }
            _ => self.pick(&["0", "1", "2", "3", "NULL"]).to_owned(),
        }
    }

    /// SELECT with what may stand before and behind it.
    fn query(&mut self, depth: usize) -> String {
        let known = self.common.len();
        let mut text = String::new();
        if depth > 1 && self.is(2) {
            text = self.with(depth - 1);
        }
        text += &match self.below(8) {
            0 if depth > 0 => {
                let operation = self.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]);
                let [left, right] = [(); 2].map(|()| self.select(depth - 1, Some(1)));
                format!("{left} {operation} {right}")
            }
            _ => self.select(depth, None),
        };
        self.common.truncate(known);
        text
    }

    fn with(&mut self, depth: usize) -> String {
        let name = self.pick(&["c", "d", "posts"]).to_owned();
        if self.is(2) {
            let person = self.someone();
            let text = format!(
                "WITH RECURSIVE {name} (id) AS (SELECT id FROM posts p WHERE p.user_id = {person} \
                 UNION SELECT k.id FROM {name} r JOIN comments k ON k.post_id = r.id) "
            );
            self.common.push(Name { name, columns: vec!["id".to_owned()], table: None });
            return text;
        }
        let columns = 1 + self.below(3);
        let query = match self.below(6) {
            0 => self.changing(columns),
            _ => self.select(depth, Some(columns)),
        };
        let hint = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let names: Vec<String> = (0..columns).map(|at| format!("x{at}")).collect();
        let text = format!("WITH {name} ({}) AS {hint}({query}) ", names.join(", "));
        self.common.push(Name { name, columns: names, table: None });
        text
    }

    /// A change in WITH, which gives so many columns.
    fn changing(&mut self, columns: usize) -> String {
        let (table, condition) = self.anchored();
        let returned = vec!["n"; columns].join(", ");
        format!("UPDATE {table} SET n = 5 WHERE {condition} RETURNING {returned}")
    }

    /// A table and a condition by which its rows are one person's.
    fn anchored(&mut self) -> (&'static str, String) {
        let at = 1 + self.below(4);
        let (table, columns) = TABLES[at];
        let column = if at == 1 { columns[0] } else { columns[self.below(2)] };
        let value = self.value(Some(at), column);
        (table, format!("{table}.{column} = {value}"))
    }

    fn select(&mut self, depth: usize, columns: Option<usize>) -> String {
        let (from, names) = self.from(depth);
        self.outer.push(names.clone());
        let mut text = "SELECT ".to_owned();
        let is_grouped = self.is(1);
        if columns.is_none() && self.is(2) {
            text += "*";
        } else {
            let count = columns.unwrap_or_else(|| 1 + self.below(3));
            let targets: Vec<String> = (0..count)
                .map(|_| match is_grouped {
                    true => format!("{}({})", self.pick(&["count", "max", "sum"]), self.column()),
                    false => self.operand(depth),
                })
                .collect();
            if !is_grouped && self.is(1) {
                text += "DISTINCT ";
            }
            text += &targets.join(", ");
        }
        let _ = write!(text, " FROM {from}");
        if self.is(9) {
            let _ = write!(text, " WHERE {}", self.conditions(&names, depth));
        }
        if is_grouped && self.is(5) {
            let _ = write!(text, " HAVING count(*) < {}", self.below(5));
        }
        self.outer.pop();
        text
    }

    /// FROM's list, and the names it gives.
    fn from(&mut self, depth: usize) -> (String, Vec<Name>) {
        let mut names = Vec::new();
        let mut text = self.item(depth, &mut names);
        for _ in 0..self.below(3) {
            let join = self.pick(&[
                ", ",
                " JOIN ",
                " JOIN ",
                " LEFT JOIN ",
                " RIGHT JOIN ",
                " FULL JOIN ",
            ]);
            let item = self.item(depth, &mut names);
            text += join;
            text += &item;
            if join == ", " {
                continue;
            }
            if self.is(1) {
                text += " USING (n)";
                continue;
            }
            // Names before a comma cannot be seen here; then PostgreSQL says so.
            self.outer.push(names.clone());
            let condition = match self.is(7) {
                true => self.link(&names),
                false => self.condition(1),
            };
            let _ = write!(text, " ON {condition}");
            self.outer.pop();
        }
        (text, names)
    }

    fn item(&mut self, depth: usize, names: &mut Vec<Name>) -> String {
        // Few names, so that those inside hide those outside.
        let free = ["a", "b", "e", "f"].into_iter().filter(|n| names.iter().all(|k| k.name != *n));
        let free: Vec<&str> = free.collect();
        let alias = self.pick(&free).to_owned();
        if depth > 0 && self.is(2) {
            let columns = 1 + self.below(2);
            let query = self.select(depth - 1, Some(columns));
            let columns: Vec<String> = (0..columns).map(|at| format!("y{at}")).collect();
            let text = format!("({query}) {alias} ({})", columns.join(", "));
            names.push(Name { name: alias, columns, table: None });
            return text;
        }
        if depth > 0 && self.is(1) {
            // What it calls a column is the inner query's name for it.
            self.outer.push(names.clone());
            let (table, condition) = self.anchored();
            let lateral = self.pick(&["", "LATERAL "]);
            let text =
                format!("{lateral}(SELECT {table}.* FROM {table} WHERE {condition}) {alias}");
            self.outer.pop();
            let (_, columns) = TABLES.into_iter().find(|(name, _)| *name == table).unwrap();
            let columns = columns.iter().map(|column| (*column).to_owned()).collect();
            names.push(Name { name: alias, columns, table: None });
            return text;
        }
        if !self.common.is_empty() && self.is(6) {
            let at = self.below(self.common.len());
            let common = self.common[at].clone();
            let text = format!("{} {alias}", common.name);
            names.push(Name { name: alias, ..common });
            return text;
        }
        let at = match self.below(9) {
            0 => 0,
            other => 1 + other % 4,
        };
        let (table, columns) = TABLES[at];
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        // A name of WITH hides the table; then some columns are missing, and PostgreSQL says so.
        let text = format!("{table} {alias}");
        names.push(Name { name: alias, columns, table: Some(at) });
        text
    }

    /// Two names that hang together, if they can.
    fn link(&mut self, names: &[Name]) -> String {
        let pairs = [
            ("user_id", 1, "id"),
            ("post_id", 2, "id"),
            ("user_id", 2, "user_id"),
            ("user_id", 4, "user_id"),
        ];
        let mut links = Vec::new();
        for left in names {
            for (column, table, other) in pairs {
                for right in names.iter().filter(|name| name.table == Some(table)) {
                    if left.columns.iter().any(|c| c == column) && left.name != right.name {
                        links.push(format!("{}.{column} = {}.{other}", left.name, right.name));
                    }
                }
            }
        }
        match links.is_empty() {
            true => self.condition(1),
            false => links[self.below(links.len())].clone(),
        }
    }

    /// Conditions on a query's names, most of which say whose rows are meant.
    fn conditions(&mut self, names: &[Name], depth: usize) -> String {
        let mut all = Vec::new();
        for name in names {
            if self.is(7) {
                let wanted = ["user_id", "post_id", "id"];
                let column = wanted.iter().find(|w| name.columns.iter().any(|c| c == *w));
                if let Some(column) = column {
                    let value = self.value(name.table, column);
                    all.push(match self.is(9) {
                        true => format!("{}.{column} = {value}", name.name),
                        false => format!("{value} = {}.{column}", name.name),
                    });
                }
            }
        }
        if names.len() > 1 && self.is(5) {
            all.push(self.link(names));
        }
        if all.is_empty() || self.is(4) {
            all.push(self.condition(depth));
        }
        let by = if self.is(9) { " AND " } else { " OR " };
        all.join(by)
    }

    fn condition(&mut self, depth: usize) -> String {
        let simple = depth == 0;
        match self.below(if simple { 7 } else { 14 }) {
            0 | 1 => {
                let comparison = self.pick(&["=", "=", "=", "<", "<>", "IS NOT DISTINCT FROM"]);
                format!("{} {comparison} {}", self.column(), self.column())
            }
            2 | 3 => {
                let (name, column) = self.named();
                let value = self.value(name.table, &column);
                format!("{}.{column} = {value}", name.name)
            }
            4 => format!("{} IN ({}, {})", self.column(), self.someone(), self.below(9)),
            5 => format!("{} IS {}NULL", self.column(), self.pick(&["", "NOT "])),
            6 => format!("{} = ANY (ARRAY[{}])", self.column(), self.someone()),
            7 => {
                let not = self.pick(&["", "NOT "]);
                format!("{not}EXISTS ({})", self.select(depth - 1, Some(1)))
            }
            8 => {
                let not = self.pick(&["", "NOT "]);
                format!("{} {not}IN ({})", self.column(), self.select(depth - 1, Some(1)))
            }
            9 => format!("NOT ({})", self.condition(depth - 1)),
            10 => format!("({} AND {})", self.condition(depth - 1), self.condition(depth - 1)),
            11 => format!("({} OR {})", self.condition(depth - 1), self.condition(depth - 1)),
            12 => format!(
                "{} = (SELECT max({}) FROM ({}) z (z0))",
                self.column(),
                "z0",
                self.select(depth - 1, Some(1))
            ),
            _ => {
                let [left, right] = [self.column(), self.column()];
                format!("({left}, {right}) = ({}, {})", self.someone(), self.below(4))
            }
        }
    }

    /// A name that can be seen here, and one of its columns.
    fn named(&mut self) -> (Name, String) {
        let levels = self.outer.len();
        let level = match levels > 1 && self.is(2) {
            true => self.below(levels),
            false => levels - 1,
        };
        let at = self.below(self.outer[level].len());
        let name = self.outer[level][at].clone();
        let column = name.columns[self.below(name.columns.len())].clone();
        (name, column)
    }

    fn column(&mut self) -> String {
        let (name, column) = self.named();
        format!("{}.{column}", name.name)
    }

    fn operand(&mut self, depth: usize) -> String {
        match self.below(9) {
            0 => self.below(5).to_string() + "::bigint",
            1 => format!("coalesce({}, 7)", self.column()),
            2 if depth > 0 => {
                format!("(SELECT count(*) FROM ({}) z)", self.select(depth - 1, Some(1)))
            }
            3 => format!("CASE WHEN {} THEN {} END", self.condition(0), self.column()),
            _ => self.column(),
        }
    }

    fn update(&mut self) -> String {
        let at = 1 + self.below(4);
        let (table, columns) = TABLES[at];
        let own = Name {
            name: "t".to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            table: Some(at),
        };
        let mut names = vec![own];
        let (mut from, mut others) = (String::new(), Vec::new());
        if self.is(4) {
            let (text, found) = self.from(1);
            from = format!(" FROM {text}");
            others = found;
        }
        names.append(&mut others);
        self.outer.push(names.clone());
        // Where several rows of FROM belong to one, PostgreSQL takes any of them.
        let value = match from.is_empty() {
            true => self.operand(1),
            false => format!("t.{} + 1", columns[0]),
        };
        let conditions = self.conditions(&names, 2);
        let returned = if self.is(4) { " RETURNING t.*" } else { "" };
        self.outer.pop();
        format!("UPDATE {table} t SET n = {value}{from} WHERE {conditions}{returned}")
    }

    fn delete(&mut self) -> String {
        let at = 3 + self.below(2);
        let (table, columns) = TABLES[at];
        let own = Name {
            name: "t".to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            table: Some(at),
        };
        let mut names = vec![own];
        let mut using = String::new();
        if self.is(4) {
            let (text, mut found) = self.from(1);
            using = format!(" USING {text}");
            names.append(&mut found);
        }
        self.outer.push(names.clone());
        let conditions = self.conditions(&names, 2);
        let returned = if self.is(4) { " RETURNING t.n" } else { "" };
        self.outer.pop();
        format!("DELETE FROM {table} t{using} WHERE {conditions}{returned}")
    }

    /// New rows have keys that nobody has.
    fn insert(&mut self) -> String {
        let key = 1000 + self.below(1000);
        let person = self.someone();
        let post = self.value(None, "post_id");
        let end = self.pick(&["", " ON CONFLICT DO NOTHING", " RETURNING *", " RETURNING n"]);
        match self.below(5) {
            0 => format!("INSERT INTO posts (id, user_id, n) VALUES ({key}, {person}, 1){end}"),
            1 => format!("INSERT INTO comments (id, post_id, n) VALUES ({key}, {post}, 1){end}"),
            2 => format!(
                "INSERT INTO likes (user_id, post_id, n) VALUES ({person}, {key}, 1), ({person}, {}, 2){end}",
                key + 5000
            ),
            3 => {
                let query = self.select(2, Some(1));
                format!(
                    "INSERT INTO likes (user_id, post_id, n) SELECT {person}, {key}, max(q.q0) FROM ({query}) q (q0){end}"
                )
            }
            _ => {
                let other = self.someone();
                format!(
                    "INSERT INTO posts (id, user_id, n) SELECT a.id + {key}, a.user_id, a.n FROM posts a \
                     WHERE a.user_id = {other}{end}"
                )
            }
        }
    }
}
