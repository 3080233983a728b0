//! Both forms of one small plan, by snapshot, with names that try to be markup.

use super::graph::{Found, Graph};
use super::{Block, Document, Head, document, graph, html, markdown};
use domicile_model::{HomeRule, Homes, Operator, SiteSpec};
use domicile_mover::drive::Clock;
use domicile_mover::people::ResidenceColumns;
use domicile_mover::plan::{Plan, TableKind, TableRule, Wishes, measure, plan};
use domicile_store::Site;
use domicile_store::sqlite::SqliteSite;
use domicile_store::sqlite::application::Application;
use jiff::civil::date;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SCHEMA: &str = "
    CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE badges (id TEXT PRIMARY KEY NOT NULL);
    CREATE TABLE users (
        id INTEGER PRIMARY KEY, handle TEXT CONSTRAINT handles UNIQUE, country TEXT,
        badge TEXT REFERENCES badges (id), helper INTEGER REFERENCES staff (id));
    CREATE TABLE \"<script>alert(1)</script>\" (
        id TEXT PRIMARY KEY NOT NULL, \"a|b*c_d`e\" INTEGER NOT NULL REFERENCES users (id));
    CREATE TABLE likes (
        who INTEGER NOT NULL REFERENCES users (id),
        what TEXT NOT NULL REFERENCES \"<script>alert(1)</script>\" (id), PRIMARY KEY (who, what));
    CREATE TRIGGER \"[x](javascript:alert(1))\" AFTER INSERT ON users BEGIN SELECT 1; END;
    CREATE INDEX scripts ON \"<script>alert(1)</script>\" (\"a|b*c_d`e\");
    INSERT INTO staff VALUES (1, 'Sam');
    INSERT INTO badges VALUES ('new');
    INSERT INTO users VALUES (1, 'ada', 'IE', 'new', 1), (2, 'bob', 'US', 'new', 1), (3, 'eve', 'FR', NULL, NULL);
    INSERT INTO \"<script>alert(1)</script>\" VALUES ('p', 1), ('q', 2);
    INSERT INTO likes VALUES (1, 'p'), (1, 'q'), (2, 'p');";

async fn small_plan() -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let mut sites: Vec<Arc<dyn Site>> = Vec::new();
    let mut specs = Vec::new();
    for (name, territory) in [("iad1", "US"), ("dub1", "IE")] {
        let path = folder.path().join(name);
        let name: domicile_model::SiteName = name.parse().unwrap();
        if sites.is_empty() {
            Application::open(&path).unwrap().run(SCHEMA).unwrap();
        }
        sites.push(Arc::new(SqliteSite::create(name.clone(), &path).unwrap()));
        let operator = Operator {
            name: "Hosting & <Sons>".to_owned(),
            third_party: true,
            control: "US".parse().unwrap(),
        };
        let operator = (territory == "IE").then_some(operator);
        specs.push(SiteSpec { name, territory: territory.parse().unwrap(), weight: 1, operator });
    }
    let rule = |regime: &str, site: &str| HomeRule {
        regimes: vec![regime.to_owned()],
        sites: vec![site.parse().unwrap()],
        refuse_control: Vec::new(),
    };
    let homes = Homes::new(vec![rule("EU", "dub1"), rule("*", "iad1")], specs).unwrap();
    let internal = TableRule { kind: Some(TableKind::Internal), ..TableRule::default() };
    let soft = TableRule { soft: vec![vec!["helper".to_owned()]], ..TableRule::default() };
    let wishes = Wishes {
        subjects: "users".to_owned(),
        reference_site: None,
        residence: ResidenceColumns::Code("country".to_owned()),
        tables: BTreeMap::from([("staff".to_owned(), internal), ("users".to_owned(), soft)]),
    };
    let mut plan = plan(&sites, &homes, &wishes, date(2026, 11, 22)).await.unwrap();
    let ticks = AtomicU64::new(0);
    let clock: Clock =
        Arc::new(move || Duration::from_millis(10 * ticks.fetch_add(1, Ordering::Relaxed)));
    measure(&sites, &mut plan, &clock).await.unwrap();
    plan
}

fn head() -> Head {
    Head {
        read_at: "2026-11-22T09:30:00Z".parse().unwrap(),
        law_of: date(2026, 11, 22),
        config: "domicile.toml".to_owned(),
        digest: "0123456789abcdef".repeat(4),
    }
}

/// Page sizes and versions are SQLite's affair.
macro_rules! snapshot {
    ($name:literal, $text:expr) => {
        insta::with_settings!({filters => vec![
            (r"[0-9.]+ (KiB|MiB|B)\b", "[size]"), (r"SQLite [0-9.]+", "SQLite [version]"),
        ]}, { insta::assert_snapshot!($name, $text) })
    };
}

#[tokio::test]
async fn both_forms_of_a_small_plan() {
    let document = document(&head(), &small_plan().await);
    let (html, markdown) = (document.html(), document.markdown());
    for text in [&html, &markdown] {
        assert!(!text.contains("<script"), "a table's name became markup");
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
    assert!(!html.contains("<Sons>") && html.contains("Hosting &amp; &lt;Sons&gt;"));
    assert!(!markdown.contains("[x]("), "a trigger's name became a link");
    snapshot!("plan_html", html);
    snapshot!("plan_markdown", markdown);
}

/// Every element that is opened is closed, in order.
#[tokio::test]
async fn the_page_is_well_formed() {
    let html = document(&head(), &small_plan().await).html();
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').find(|n| !n.is_empty());
        let name = name.unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') && !["!doctype", "meta"].contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

/// Every row of a table has as many cells as its heading.
#[tokio::test]
async fn the_markdown_tables_are_whole() {
    let markdown = document(&head(), &small_plan().await).markdown();
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut heading = None;
    for line in markdown.lines() {
        match heading {
            _ if !line.starts_with('|') => heading = None,
            None => heading = Some(cells(line)),
            Some(expected) => assert_eq!(cells(line), expected, "{line}"),
        }
    }
}

#[test]
fn texts_stay_texts_in_markdown() {
    let blocks = vec![
        Block::Text("# *no* `heading`\n- no list <b>".to_owned()),
        Block::List(vec!["1. no list".to_owned(), "+ nor this".to_owned()]),
        Block::Text("see https://example.org, www.example.org, me@example.org".to_owned()),
        Block::Code(vec!["a ``` b".to_owned()]),
    ];
    let document = Document { title: "t".to_owned(), head: Vec::new(), blocks };
    let text = markdown::text(&document);
    assert!(text.contains("\\# \\*no\\* \\`heading\\` - no list &lt;b&gt;"), "{text}");
    assert!(text.contains("- 1\\. no list\n- \\+ nor this\n"), "{text}");
    assert!(
        text.contains("https&#58;//example.org, www&#46;example.org, me&#64;example.org"),
        "{text}"
    );
    assert!(text.contains("````sql\na ``` b\n````"), "{text}");
    assert_eq!(html::escaped("'\"<&>\u{1b}"), "&#39;&quot;&lt;&amp;&gt; ");
}

#[test]
fn sixty_tables_are_drawn_without_one_hiding_another() {
    let found = (0..60).map(|at| Found {
        name: format!("table_with_a_rather_long_name_{at}"),
        parent: (at > 0).then(|| (at - 1) / 3),
        edge: "owner_id".to_owned(),
        note: String::new(),
    });
    let mut graph = Graph::new(found.collect());
    graph.link(
        "table_with_a_rather_long_name_7",
        "table_with_a_rather_long_name_2",
        "x".to_owned(),
    );
    let svg = graph::svg(&graph);
    let corners: std::collections::BTreeSet<&str> =
        svg.split("<rect ").skip(1).map(|rect| rect.split("width").next().unwrap()).collect();
    assert_eq!(corners.len(), 60);
    assert_eq!(svg.matches("class=\"own\"").count(), 59);
    let width: usize =
        svg.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    assert!(width < 500, "{width} pixels are wider than a page");
}
