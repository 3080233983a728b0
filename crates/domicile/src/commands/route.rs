//! `domicile route`: where statements would run.

use super::serve::read_schema;
use crate::cli::{Global, RouteArgs};
use crate::config::{Address, Config};
use crate::exit::{Exit, Failure, Result};
use crate::platform;
use crate::screen;
use crate::sites;
use domicile_mover::people::Platform;
use domicile_router::classify::{
    About, Command, Handle, Operand, SignUp, Statement, classify, split,
};
use domicile_router::schema::{Place, Schema};
use serde::Serialize;
use std::fs;
use std::io::{self, Read as _};

/// All of them.
#[derive(Debug, Serialize)]
struct Routes {
    statements: Vec<Route>,
    refused: usize,
}

/// One statement.
#[derive(Debug, Serialize)]
struct Route {
    statement: String,
    /// Where it runs; missing where it runs nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<String>,
    /// Why it runs nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Reads them, and decides as `serve` would. Asks the sites for tables, and for nobody.
pub(crate) async fn run(global: &Global, args: &RouteArgs) -> Result<Exit> {
    let text = read_text(args)?;
    let config = Config::read(&global.config)?;
    if config.sites.iter().any(|site| !matches!(site.address, Address::Postgres(_))) {
        return Err(Failure::usage("a site is on SQLite")
            .hint("serve stands in front of sites on PostgreSQL"));
    }
    let platform = platform::for_looking(&config, sites::open(&config).await?).await?;
    let schema = read_schema(&platform, config.serve.as_ref()).await?;
    let nearest = config.serve.as_ref().map_or(0, |serve| serve.nearest);
    let public = vec!["public".to_owned()];
    let search_path = config.serve.as_ref().map_or(&public, |serve| &serve.search_path);
    let reader = Reader { platform: &platform, schema: &schema, nearest, search_path };
    let statements: Vec<Route> = split(&text).into_iter().map(|text| reader.route(text)).collect();
    let refused = statements.iter().filter(|route| route.refused.is_some()).count();
    screen::show(global.json, &Routes { statements, refused }, show)?;
    Ok(if refused == 0 { Exit::Ok } else { Exit::Failed })
}

fn read_text(args: &RouteArgs) -> Result<String> {
    let (name, read) = match &args.file {
        Some(path) => (path.display().to_string(), fs::read(path)),
        None => {
            let mut bytes = Vec::new();
            ("stdin".to_owned(), io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes))
        }
    };
    let bytes = read.map_err(|error| {
        Failure::usage(format!("{name} cannot be read"))
            .hint("name a file of SQL, or give it on stdin")
            .because(&error)
    })?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{name} is not UTF-8")).hint("the router reads nothing else")
    })
}

/// What decides where a statement runs.
struct Reader<'a> {
    platform: &'a Platform,
    schema: &'a Schema,
    nearest: usize,
    search_path: &'a [String],
}

impl Reader<'_> {
    fn route(&self, text: &str) -> Route {
        let statement = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let decided = match classify(self.schema, self.search_path, text) {
            Ok(read) => read.iter().map(|statement| self.runs(statement)).collect(),
            Err(why) => Err(why.to_string()),
        };
        match decided {
            Ok(places) => {
                let places: Vec<String> = places;
                Route { statement, runs: Some(places.join("; ")), refused: None }
            }
            Err(why) => Route { statement, runs: None, refused: Some(why) },
        }
    }

    fn runs(&self, statement: &Statement) -> Result<String, String> {
        match (&statement.command, &statement.subject) {
            (Command::Query(Ok(about)), subject) => Ok(self.about(about, subject.as_deref())),
            (Command::Query(Err(_)), Some(subject)) => Ok(home_of(subject)),
            (Command::Query(Err(why)), None) => Err(why.to_string()),
            _ => Ok("where its session is".to_owned()),
        }
    }

    fn site(&self, at: usize) -> &str {
        self.platform.sites[at].name().as_str()
    }

    fn about(&self, about: &About, subject: Option<&str>) -> String {
        let mut places: Vec<String> = subject.map(home_of).into_iter().collect();
        places.extend(about.people.iter().map(|handle| self.of(handle)));
        places.extend(about.sign_ups.iter().map(|sign_up| self.of_new(sign_up)));
        let reference = self.site(self.platform.reference_site);
        if about.writes_reference {
            places.push(format!("{reference}, where reference tables are written"));
        }
        if about.internal {
            places.push(format!("{reference}, where tables of nobody stand"));
        }
        if subject.is_none() {
            let chosen = about.undecided.iter();
            places.extend(chosen.map(|site| format!("{}, which was chosen", self.site(*site))));
        }
        match places.is_empty() {
            true => format!("{}, the nearest", self.site(self.nearest)),
            false => places.join(", and "),
        }
    }

    /// Whom a handle means.
    fn of(&self, handle: &Handle) -> String {
        let root = self.schema.root();
        let columns = handle.columns.iter().zip(&handle.values);
        let named = self.named(handle.table, columns);
        match handle.table == root && handle.columns == self.schema.table(root).primary_key() {
            true => format!("home of {named}"),
            false => format!("home of whoever has {named}"),
        }
    }

    /// A new person, or whoever has that key already.
    fn of_new(&self, sign_up: &SignUp) -> String {
        let value = |name: &String| sign_up.row.iter().find(|(column, _)| column == name);
        let root = self.schema.table(self.schema.root());
        let key: Option<Vec<_>> = root.primary_key().iter().map(value).collect();
        let already = key.map(|key| {
            let columns = key.into_iter().map(|(column, value)| (column, value));
            format!("home of {} if there is one, else ", self.named(self.schema.root(), columns))
        });
        let said = self.platform.closure.residence.iter().filter(|name| value(name).is_some());
        let said: Vec<&str> = said.map(String::as_str).collect();
        let by = match said[..] {
            [] => ", whose residence it does not say".to_owned(),
            _ => format!(" by {}", said.join(", ")),
        };
        format!("{}home of a new person{by}", already.unwrap_or_default())
    }

    fn named<'o>(
        &self,
        table: Place,
        columns: impl Iterator<Item = (&'o String, &'o Operand)>,
    ) -> String {
        let table = &self.schema.table(table).name;
        let values = columns.map(|(column, value)| match value {
            Operand::Parameter(number) => format!("{table}.{column} = ${number}"),
            Operand::Constant { text, .. } => format!("{table}.{column} = {text}"),
        });
        values.collect::<Vec<_>>().join(" and ")
    }
}

fn home_of(subject: &str) -> String {
    format!("home of {subject}")
}

fn show(routes: &Routes) -> String {
    let mut text = String::new();
    for route in &routes.statements {
        let where_to = match (&route.runs, &route.refused) {
            (Some(place), _) => format!("runs at: {place}"),
            (None, why) => format!("refused: {}", why.as_deref().unwrap_or_default()),
        };
        text.push_str(&format!("{}\n    {where_to}\n", route.statement));
    }
    let all = routes.statements.len();
    text.push_str(&format!("\n{all} statements, {} refused\n", routes.refused));
    text
}
