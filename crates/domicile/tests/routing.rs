//! docs/routing.md is what the program says of two applications' ordinary statements. To write it
//! anew: `DOMICILE_UPDATE_DOCS=1 cargo nextest run -p domicile --test routing`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop where it happens"
)]

mod support;

use domicile_testkit::{Server, connect};
use serde_json::Value;
use std::fmt::Write as _;
use support::{finish, program};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routing.md");

const HEAD: &str = "\
# Where statements run

`domicile route` reads statements and tells where each would run behind `domicile serve`, and which it
would refuse, and why. It asks the sites for their tables and for nobody. Give it what your database
says it has run, before an application is pointed at the router:

```console
$ psql -At -c \"SELECT query || ';' FROM pg_stat_statements\" | domicile route
```

Exit code 1 means that something was refused. A statement that is refused needs one of four things: the
person's key in it, `domicile.subject` as a comment or setting, a site for its table under
`[serve.undecided]`, or another place to run, such as a warehouse.

Where a line names two places, the statement runs if they are one site, and is refused if not. Where a
new person lives is for the rules for homes to say.

Below is what it says of two applications. This page is made from the program, and a test compares the
two.
";

/// An application.
struct Application {
    title: &'static str,
    tables: &'static str,
    config: &'static str,
    statements: &'static str,
}

const APPLICATIONS: [Application; 2] = [
    Application {
        title: "Chinook, a shop",
        tables: include_str!("routing/chinook.sql"),
        config: include_str!("routing/chinook.toml"),
        statements: include_str!("routing/chinook_statements.sql"),
    },
    Application {
        title: "Book-Crossing, readers and their ratings",
        tables: include_str!("routing/book_crossing.sql"),
        config: include_str!("routing/book_crossing.toml"),
        statements: include_str!("routing/book_crossing_statements.sql"),
    },
];

async fn routes(application: &Application) -> Value {
    let sites = [0, 1].map(|at| Server::shared(at).unwrap().fresh_database("routing").unwrap());
    for site in &sites {
        connect(&site.app_url).await.unwrap().batch_execute(application.tables).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let [config, statements] =
        ["domicile.toml", "statements.sql"].map(|name| directory.path().join(name));
    let text = format!(
        "{}[sites.iad1]\nterritory = \"US\"\nurl = \"{}\"\n\
         [sites.dub1]\nterritory = \"IE\"\nurl = \"{}\"\n\
         [[homes]]\nregimes = [\"EU\"]\nsites = [\"dub1\"]\n\
         [[homes]]\nregimes = [\"unknown\", \"*\"]\nsites = [\"iad1\"]\n\
         [serve]\nnearest = \"dub1\"\n[serve.users.app]\npassword = \"x\"\n",
        application.config, sites[0].mover_url, sites[1].mover_url
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(&statements, application.statements).unwrap();
    let mut command = program();
    command.arg("--config").arg(&config).args(["--json", "route"]).arg(&statements);
    let ran = finish(command);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    ran.json()
}

fn section(application: &Application, routes: &Value) -> String {
    let statements = routes["statements"].as_array().unwrap();
    assert_eq!(statements.len(), application.statements.lines().count());
    let mut text = format!("\n## {}\n\n", application.title);
    let is_refused = |route: &&Value| route.get("refused").is_some();
    text += "| statement | runs at |\n|---|---|\n";
    for route in statements.iter().filter(|route| !is_refused(route)) {
        writeln!(text, "| `{}` | {} |", word(&route["statement"]), word(&route["runs"])).unwrap();
    }
    text += "\n| statement | refused, because |\n|---|---|\n";
    for route in statements.iter().filter(is_refused) {
        writeln!(text, "| `{}` | {} |", word(&route["statement"]), word(&route["refused"]))
            .unwrap();
    }
    text
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().replace('|', "\\\\|")
}

#[tokio::test]
async fn the_page_of_routes_is_what_the_program_says() {
    let mut page = HEAD.to_owned();
    for application in &APPLICATIONS {
        page += &section(application, &routes(application).await);
    }
    if std::env::var_os("DOMICILE_UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap();
    assert_eq!(written, page, "write it anew with DOMICILE_UPDATE_DOCS=1");
}
