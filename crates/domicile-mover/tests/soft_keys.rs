//! What a plan says of edges that cross people, and dropping their keys when the process dies.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure should stop where it happens")]

use domicile_mover::people::ResidenceColumns;
use domicile_mover::plan::{Plan, TableRule, Wishes, plan_schema};
use domicile_mover::prepare::{drop_keys, list_drops};
use domicile_store::Site;
use domicile_store::faulty::{FAULTS, Faults, Faulty};
use domicile_store::sqlite::SqliteSite;
use domicile_store::sqlite::application::Application;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const SITES: [&str; 2] = ["iad1", "dub1"];

const SCHEMA: &str = "
    CREATE TABLE addresses (id INTEGER PRIMARY KEY, street TEXT);
    CREATE TABLE users (id INTEGER PRIMARY KEY, country TEXT,
        address_id INTEGER REFERENCES addresses (id));
    CREATE TABLE friends (a INTEGER NOT NULL REFERENCES users (id),
        b INTEGER NOT NULL REFERENCES users (id), since TEXT, PRIMARY KEY (a, b));
    CREATE INDEX friends_b ON friends (b);";

/// Two equal sites; the people are at the first.
fn platform(folder: &TempDir, faults: &Faults) -> Vec<Arc<dyn Site>> {
    SITES
        .iter()
        .map(|name| {
            let path: PathBuf = folder.path().join(name);
            let is_new = !path.exists();
            let site = SqliteSite::create(name.parse().unwrap(), &path).unwrap();
            let app = Application::open(&path).unwrap();
            if is_new {
                app.run(SCHEMA).unwrap();
            }
            if is_new && *name == "iad1" {
                for id in 1..=30 {
                    // The last two share an address.
                    let address = id.min(29);
                    app.run(&format!(
                        "INSERT OR IGNORE INTO addresses VALUES ({address}, 'Main Street');
                         INSERT INTO users VALUES ({id}, 'FR', {address})"
                    ))
                    .unwrap();
                }
                app.run("INSERT INTO friends VALUES (1, 2, NULL), (2, 1, NULL), (3, 3, NULL)")
                    .unwrap();
            }
            Arc::new(Faulty::new(Arc::new(site), faults.clone())) as Arc<dyn Site>
        })
        .collect()
}

fn wishes(rules: &[(&str, TableRule)]) -> Wishes {
    let named = rules.iter().map(|(name, rule)| ((*name).to_owned(), rule.clone()));
    Wishes {
        subjects: "users".to_owned(),
        reference_site: None,
        residence: ResidenceColumns::Code("country".to_owned()),
        tables: named.collect(),
    }
}

fn owned_by(owner: &str, soft: &str) -> TableRule {
    TableRule {
        owner: vec![owner.to_owned()],
        soft: vec![vec![soft.to_owned()]],
        ..TableRule::default()
    }
}

fn reference() -> TableRule {
    TableRule { kind: Some(domicile_mover::plan::TableKind::Reference), ..TableRule::default() }
}

fn why(plan: &Plan, what: &str) -> Vec<String> {
    let found = plan.refused.iter().filter(|refusal| refusal.what == what);
    found.map(|refusal| format!("{} | {}", refusal.why, refusal.hint)).collect()
}

#[tokio::test]
async fn a_table_between_two_people_is_told_with_what_each_rule_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let sites = platform(&folder, &Faults::none());
    let plan = plan_schema(&sites, &wishes(&[("addresses", reference())])).await.unwrap();
    let [ambiguous, crossing] = why(&plan, "friends").try_into().unwrap();
    assert!(ambiguous.contains("lead to a person equally well"), "{ambiguous}");
    assert!(crossing.contains("(2 rows now)"), "{crossing}");
    let edges: BTreeMap<String, (u64, Vec<String>)> = plan
        .edges
        .iter()
        .map(|edge| {
            let sets = edge.choices.iter().map(|choice| choice.set.clone()).collect();
            (edge.columns.join("+"), (edge.crossing, sets))
        })
        .collect();
    let owner = &plan.tables.iter().find(|table| table.table == "friends").unwrap().owner[0];
    let other = if owner == "a" { "b" } else { "a" };
    assert_eq!(edges[owner.as_str()], (0, vec![]));
    assert_eq!(
        edges[other],
        (
            2,
            vec![
                format!("[tables.friends] soft = [\"{other}\"]"),
                format!("[tables.friends] owner = \"{other}\", soft = [\"{owner}\"]"),
            ]
        )
    );
    for (owner, other) in [("a", "b"), ("b", "a")] {
        let rules = [("addresses", reference()), ("friends", owned_by(owner, other))];
        let plan = plan_schema(&sites, &wishes(&rules)).await.unwrap();
        assert_eq!(plan.refused_otherwise(), []);
        assert_eq!(plan.crossing_keys.len(), 1);
        assert_eq!(plan.crossing_keys[0].columns, [other]);
        assert_eq!(plan.crossing_keys[0].sites, SITES);
    }
    let both = [("addresses", reference()), ("friends", owned_by("a", "a"))];
    let plan = plan_schema(&sites, &wishes(&both)).await.unwrap();
    assert!(why(&plan, "friends")[0].contains("to name the owner and to be soft"));
}

#[tokio::test]
async fn rows_that_look_like_peoples_own_are_not_taken_for_a_list_of_values() {
    let folder = tempfile::tempdir().unwrap();
    let sites = platform(&folder, &Faults::none());
    let friends = ("friends", owned_by("a", "b"));
    let plan = plan_schema(&sites, &wishes(std::slice::from_ref(&friends))).await.unwrap();
    let [refused] = why(&plan, "addresses").try_into().unwrap();
    assert!(refused.starts_with("28 of its rows are named by one person each"), "{refused}");
    assert!(refused.contains("1 by several"), "{refused}");
    assert!(refused.contains("[tables.addresses] kind = \"shared\""), "{refused}");
    let plan = plan_schema(&sites, &wishes(&[friends, ("addresses", reference())])).await.unwrap();
    assert_eq!(why(&plan, "addresses"), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_dies_between_two_sites_is_run_again() {
    let rules = wishes(&[("addresses", reference()), ("friends", owned_by("a", "b"))]);
    for fault in FAULTS {
        for site in [1, 2] {
            let folder = tempfile::tempdir().unwrap();
            let faults = Faults::none();
            let sites = platform(&folder, &faults);
            let plan = plan_schema(&sites, &rules).await.unwrap();
            let drops = list_drops(&sites, &plan).await.unwrap();
            assert_eq!(drops.len(), 2);
            faults.arm("site.remove_keys", site, fault);
            drop_keys(&sites, &drops).await.unwrap_err();
            faults.revive();

            let plan = plan_schema(&sites, &rules).await.unwrap();
            assert_eq!(plan.refused_otherwise(), [], "half-dropped keys are no other difference");
            drop_keys(&sites, &list_drops(&sites, &plan).await.unwrap()).await.unwrap();
            let plan = plan_schema(&sites, &rules).await.unwrap();
            assert_eq!((plan.refused.len(), plan.crossing_keys.len()), (0, 0), "{fault:?} {site}");
            assert_eq!(list_drops(&sites, &plan).await.unwrap(), []);
        }
    }
}
