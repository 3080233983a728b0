use super::*;
use crate::plan::outline;
use domicile_store::catalog::{Column, ForeignKey, Table, Unique};
use jiff::civil::date;

/// A table from `name type, name type!` (`!` is NOT NULL; the first column is the key unless
/// `key` says otherwise), with foreign keys as `column > table.column`.
fn table(name: &str, columns: &str, keys: &[&str]) -> Table {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    let named = |name: &str, schema: &str| TableName {
        schema: Some(schema.to_owned()),
        name: name.to_owned(),
    };
    let columns: Vec<Column> = columns
        .split(", ")
        .map(|written| {
            let (name, type_name) = written.split_once(' ').unwrap();
            Column {
                not_null: type_name.ends_with('!'),
                ..Column::named(name, type_name.trim_end_matches('!'))
            }
        })
        .collect();
    let foreign_keys = keys
        .iter()
        .map(|key| {
            let (from, to) = key.split_once(" > ").unwrap();
            let (parent, column) = to.rsplit_once('.').unwrap();
            let (schema, parent) = parent.split_once('.').unwrap_or(("public", parent));
            ForeignKey {
                name: format!("{name}_{from}_fkey"),
                columns: vec![from.to_owned()],
                parent: named(parent, schema),
                parent_columns: vec![column.to_owned()],
                deferrable: false,
                on_delete: "NO ACTION".to_owned(),
                on_update: "NO ACTION".to_owned(),
            }
        })
        .collect();
    Table {
        primary_key: vec![columns[0].name.clone()],
        columns,
        foreign_keys,
        rows: 100,
        ..Table::named(named(name, schema))
    }
}

fn looked_at(tables: Vec<Table>) -> Look {
    let catalog =
        Catalog { tables, server: "a test".to_owned(), counters: Vec::new(), warnings: Vec::new() };
    Look { catalog, ..Look::default() }
}

fn asked() -> Asked {
    Asked { subjects: None, on: date(2026, 11, 22) }
}

/// The proposal, which a plan must be able to read.
fn proposed(look: &Look) -> Proposal {
    let proposal = propose(look, &asked()).unwrap();
    let wishes = proposal.wishes_so_far().unwrap();
    if let Ok((_, refused)) = outline(&look.catalog, &wishes) {
        for refusal in refused {
            let asked = |question: &Question| {
                question.blocking
                    && (question.about == refusal.what || refusal.why.contains(&question.about))
            };
            let soft = |accepted: &Accepted| refusal.why.starts_with(&accepted.names.join(", "));
            let is_soft = proposal.table(&refusal.what).is_some_and(|t| t.soft.iter().any(soft));
            assert!(is_soft || proposal.questions.iter().any(asked), "not asked: {refusal:?}");
        }
    }
    proposal
}

fn sampled(look: &mut Look, table: &str, columns: &[&str], rows: &[&[&str]]) {
    let name = look.catalog.find(table).unwrap().name.clone();
    let sample = Sample {
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        rows: rows
            .iter()
            .map(|row| row.iter().map(|&v| (v != "∅").then(|| v.to_owned())).collect())
            .collect(),
    };
    look.samples.insert(name, sample);
}

fn kind(proposal: &Proposal, table: &str) -> Option<TableKind> {
    proposal.table(table).unwrap().kind
}

fn soft(proposal: &Proposal, table: &str) -> Vec<String> {
    proposal.table(table).unwrap().soft.iter().map(|soft| soft.names.join("+")).collect()
}

fn is_asked(proposal: &Proposal, about: &str, words: &str) -> bool {
    proposal.questions.iter().any(|q| q.about == about && q.text.contains(words))
}

const USERS: &str = "id bigint!, email text!, password_hash text!, country text";

/// A shop with staff, as Chinook is one.
fn shop() -> Look {
    looked_at(vec![
        table(
            "customer",
            "customer_id int!, first_name text!, email text!, city text, country text, support_rep_id int",
            &["support_rep_id > employee.employee_id"],
        ),
        table(
            "employee",
            "employee_id int!, last_name text, reports_to int, email text, birth_date date",
            &["reports_to > employee.employee_id"],
        ),
        table(
            "invoice",
            "invoice_id int!, customer_id int!, billing_city text",
            &["customer_id > customer.customer_id"],
        ),
        table(
            "invoice_line",
            "invoice_line_id int!, invoice_id int!, track_id int!",
            &["invoice_id > invoice.invoice_id", "track_id > track.track_id"],
        ),
        table("track", "track_id int!, name text!, genre_id int", &["genre_id > genre.genre_id"]),
        table("genre", "genre_id int!, name text", &[]),
        table("playlist", "playlist_id int!, name text", &[]),
        table(
            "playlist_track",
            "playlist_id int!, track_id int!",
            &["playlist_id > playlist.playlist_id", "track_id > track.track_id"],
        ),
    ])
}

#[test]
fn a_shop_with_staff() {
    let proposal = proposed(&shop());
    assert_eq!(proposal.candidates[0].table, "customer");
    assert_eq!(proposal.candidates.len(), 3, "the next best are shown");
    for owned in ["customer", "invoice", "invoice_line"] {
        assert_eq!(kind(&proposal, owned), Some(TableKind::Owned), "{owned}");
        assert!(proposal.table(owned).unwrap().owner.is_empty(), "foreign keys say it");
    }
    for reference in ["track", "genre", "playlist", "playlist_track"] {
        assert_eq!(kind(&proposal, reference), Some(TableKind::Reference), "{reference}");
    }
    assert!(!proposal.table("genre").unwrap().kind_is_written);
    assert!(proposal.table("playlist_track").unwrap().kind_is_written);
    assert_eq!(kind(&proposal, "employee"), Some(TableKind::Internal));
    assert_eq!(soft(&proposal, "customer"), ["support_rep_id"]);
    assert!(soft(&proposal, "employee").is_empty());
    assert!(is_asked(&proposal, "employee", "staff"));
    let waited: Vec<&Question> = proposal.questions.iter().filter(|q| q.blocking).collect();
    assert_eq!(waited.len(), 1, "the foreign key to staff must go: {waited:?}");
    assert_eq!(waited[0].about, "customer");
    let categories = &proposal.table("customer").unwrap().categories;
    let found: Vec<(&str, &str)> =
        categories.iter().map(|c| (c.column.as_str(), c.category.as_str())).collect();
    assert!(found.contains(&("customer_id", "user.unique_id")), "{found:?}");
    assert!(found.contains(&("email", "user.contact.email")), "{found:?}");
    assert!(proposal.table("genre").unwrap().categories.is_empty(), "nobody is called Rock");
}

#[test]
fn the_user_may_know_better() {
    let named = Asked { subjects: Some("employee".to_owned()), ..asked() };
    let proposal = propose(&shop(), &named).unwrap();
    assert_eq!(proposal.candidates[0].table, "employee");
    assert_eq!(proposal.candidates[0].reasons[0], "named on the command line");
    let wrong = Asked { subjects: Some("custommer".to_owned()), ..asked() };
    let error = propose(&shop(), &wrong).unwrap_err();
    assert_eq!(error.hint_text(), Some("the nearest name is customer"));
    assert!(propose(&looked_at(Vec::new()), &asked()).is_err());
}

#[test]
fn messages_belong_to_their_sender_and_the_other_end_is_soft() {
    let look = looked_at(vec![
        table("users", USERS, &[]),
        table(
            "messages",
            "id bigint!, to_user_id bigint!, from_user_id bigint!, body text",
            &["to_user_id > users.id", "from_user_id > users.id"],
        ),
        table(
            "notifications",
            "id bigint!, sender_id bigint, recipient_id bigint!",
            &["sender_id > users.id", "recipient_id > users.id"],
        ),
    ]);
    let proposal = proposed(&look);
    assert_eq!(proposal.table("messages").unwrap().owner, ["from_user_id"]);
    assert_eq!(soft(&proposal, "messages"), ["to_user_id"]);
    assert!(is_asked(&proposal, "messages", "does from_user_id own the row, and not to_user_id"));
    // A notification without a sender is still somebody's.
    assert_eq!(proposal.table("notifications").unwrap().owner, ["recipient_id"]);
}

#[test]
fn an_edge_that_no_row_crosses_is_left_alone() {
    let mut look = looked_at(vec![
        table("users", USERS, &[]),
        table("posts", "id bigint!, user_id bigint!", &["user_id > users.id"]),
        table(
            "comments",
            "id bigint!, user_id bigint!, post_id bigint!",
            &["user_id > users.id", "post_id > posts.id"],
        ),
    ]);
    let edge = |look: &Look| {
        (look.catalog.find("comments").unwrap().name.clone(), vec!["post_id".to_owned()])
    };
    let key = edge(&look);
    look.crossing.insert(key.clone(), Some(0));
    assert!(soft(&proposed(&look), "comments").is_empty());
    look.crossing.insert(key.clone(), Some(7));
    let proposal = proposed(&look);
    assert_eq!(soft(&proposal, "comments"), ["post_id"]);
    assert!(proposal.table("comments").unwrap().soft[0].reason.starts_with("7 rows"));
    assert!(is_asked(&proposal, "comments", "post_id"));
}

#[test]
fn owners_without_foreign_keys_are_checked_by_values() {
    let mut look = looked_at(vec![
        table("users", USERS, &[]),
        table("posts", "id bigint!, user_id bigint!, last_editor_id bigint, topic_id bigint", &[]),
        table("topics", "id bigint!, title text", &[]),
        table("visits", "id bigint!, user_id text!", &[]),
        table("imports", "id bigint!, user_id bigint!", &[]),
    ]);
    let known = |look: &mut Look, table: &str, column: &str, counts| {
        let name = look.catalog.find(table).unwrap().name.clone();
        look.known.insert((name, column.to_owned()), counts);
    };
    known(&mut look, "posts", "user_id", (198, 200));
    known(&mut look, "imports", "user_id", (20, 200));
    let proposal = proposed(&look);
    let posts = proposal.table("posts").unwrap();
    assert_eq!(posts.owner, ["user_id"]);
    assert!(posts.reasons[0].starts_with("99 % of 200 sampled values"), "{:?}", posts.reasons);
    assert_eq!(kind(&proposal, "imports"), None, "a tenth is no proof");
    assert!(is_asked(&proposal, "imports", "only 10 % of 200"));
    assert_eq!(kind(&proposal, "visits"), Some(TableKind::Internal), "text is no bigint");
    assert_eq!(kind(&proposal, "topics"), Some(TableKind::Reference), "posts.topic_id names it");
}

#[test]
fn what_is_polymorphic_or_hangs_undeclared_is_left_open() {
    let look = looked_at(vec![
        table("users", USERS, &[]),
        table("posts", "id bigint!, user_id bigint!", &["user_id > users.id"]),
        table("blobs", "id bigint!, key text!", &[]),
        table(
            "attachments",
            "id bigint!, record_type text!, record_id bigint!, blob_id bigint!",
            &["blob_id > blobs.id"],
        ),
        table("post_links", "id bigint!, post_id bigint!", &[]),
        table("leads", "id bigint!, email text, ip_address text", &[]),
        table("settings", "id bigint!, value text", &[]),
        table("schema_migrations", "version text!", &[]),
    ]);
    let proposal = proposed(&look);
    for open in ["attachments", "post_links", "leads"] {
        assert_eq!(kind(&proposal, open), None, "{open}");
        assert!(proposal.questions.iter().any(|q| q.about == open && q.blocking), "{open}");
    }
    assert!(is_asked(&proposal, "post_links", "seem to hang from posts"));
    assert_eq!(kind(&proposal, "settings"), Some(TableKind::Internal));
    assert!(is_asked(&proposal, "settings", "does it hold nothing of anybody"));
    assert_eq!(kind(&proposal, "schema_migrations"), Some(TableKind::Internal));
    assert!(!is_asked(&proposal, "schema_migrations", ""));
}

#[test]
fn addresses_that_people_point_at_are_never_copied_everywhere() {
    let look = looked_at(vec![
        table("users", &format!("{USERS}, address_id bigint"), &["address_id > addresses.id"]),
        table("addresses", "id bigint!, street text, postal_code text", &[]),
    ]);
    let proposal = proposed(&look);
    assert_eq!(kind(&proposal, "addresses"), Some(TableKind::Shared));
    assert!(soft(&proposal, "users").is_empty());
    assert!(is_asked(&proposal, "addresses", "may two people point at one row"));
}

#[test]
fn people_that_others_point_at_are_for_the_user_to_decide() {
    let look = looked_at(vec![
        table("users", &format!("{USERS}, address_id bigint"), &["address_id > addresses.id"]),
        table(
            "orders",
            "id bigint!, user_id bigint!, seller_id bigint!",
            &["user_id > users.id", "seller_id > sellers.id"],
        ),
        table("sellers", "id bigint!, first_name text, last_name text, email text", &[]),
        table("addresses", "id bigint!, street text, postal_code text", &[]),
        table("visits", "id bigint!, address_id bigint", &["address_id > addresses.id"]),
    ]);
    let proposal = proposed(&look);
    for open in ["sellers", "addresses"] {
        assert!(is_asked(&proposal, open, "people's rows point at it"), "{open}");
        assert_ne!(kind(&proposal, open), Some(TableKind::Reference));
    }
    assert!(proposal.questions.iter().filter(|question| question.blocking).count() >= 2);
}

#[test]
fn who_handled_a_row_does_not_own_it() {
    let look = looked_at(vec![
        table("users", USERS, &[]),
        table("threads", "id bigint!, user_id bigint!", &["user_id > users.id"]),
        table(
            "posts",
            "id bigint!, approved_by bigint, thread_id bigint!",
            &["approved_by > users.id", "thread_id > threads.id"],
        ),
        table("pages", "id bigint!, updated_by bigint", &["updated_by > users.id"]),
    ]);
    let proposal = proposed(&look);
    assert_eq!(proposal.table("posts").unwrap().owner, ["thread_id"]);
    assert_eq!(soft(&proposal, "posts"), ["approved_by"]);
    assert!(is_asked(&proposal, "pages", "who handled them"));
}

#[test]
fn a_history_table_without_a_key_is_asked_about() {
    let mut history = table("points", "user_id bigint!, at timestamp!", &["user_id > users.id"]);
    history.primary_key.clear();
    let proposal = proposed(&looked_at(vec![table("users", USERS, &[]), history]));
    assert!(is_asked(&proposal, "points", "no primary key"));
    assert!(proposal.questions.iter().any(|question| question.blocking));
}

#[test]
fn users_in_another_schema_with_uuid_keys() {
    let look = looked_at(vec![
        table("auth.users", "id uuid!, email citext!, meta hstore", &[]),
        table(
            "profiles",
            "user_id uuid!, bio text, kind public.kind_enum",
            &["user_id > auth.users.id"],
        ),
        table("auth.sessions", "id uuid!, user_id uuid!, ip inet", &["user_id > auth.users.id"]),
    ]);
    let proposal = proposed(&look);
    assert_eq!(proposal.candidates[0].table, "auth.users");
    assert_eq!(kind(&proposal, "auth.sessions"), Some(TableKind::Owned));
    let users = proposal.table("auth.users").unwrap();
    assert!(users.categories.iter().any(|c| c.category.as_str() == "user.contact.email"));
}

#[test]
fn accounts_with_logins_beside_them() {
    // The login hangs from the account, and so does everything else.
    let account = "account_id > accounts.id";
    let look = looked_at(vec![
        table("accounts", "id bigint!, username text!, domain text, note text", &[]),
        table(
            "users",
            "id bigint!, account_id bigint!, email text!, encrypted_password text!",
            &[account],
        ),
        table(
            "statuses",
            "id bigint!, account_id bigint!, text text, in_reply_to_id bigint",
            &[account, "in_reply_to_id > statuses.id"],
        ),
        table(
            "follows",
            "id bigint!, account_id bigint!, target_account_id bigint!",
            &[account, "target_account_id > accounts.id"],
        ),
        table(
            "favourites",
            "id bigint!, account_id bigint!, status_id bigint!",
            &[account, "status_id > statuses.id"],
        ),
        table("sessions", "id bigint!, user_id bigint!, ip inet", &["user_id > users.id"]),
    ]);
    let proposal = proposed(&look);
    assert_eq!(proposal.candidates[0].table, "accounts");
    assert_eq!(proposal.candidates[1].table, "users");
    assert_eq!(kind(&proposal, "sessions"), Some(TableKind::Owned));
    assert_eq!(proposal.table("follows").unwrap().owner, ["account_id"]);
    assert_eq!(soft(&proposal, "follows"), ["target_account_id"]);
}

#[test]
fn reference_tables_in_a_circle_are_refused_by_name_and_not_for_ever() {
    let look = looked_at(vec![
        table("users", &format!("{USERS}, plan_id bigint"), &["plan_id > plans.id"]),
        table("plans", "id bigint!, price_id bigint", &["price_id > prices.id"]),
        table("prices", "id bigint!, plan_id bigint", &["plan_id > plans.id"]),
    ]);
    let proposal = proposed(&look);
    assert_eq!(kind(&proposal, "plans"), Some(TableKind::Reference));
    assert!(proposal.questions.iter().any(|q| q.blocking && q.text.contains("in a circle")));
}

#[test]
fn unique_constraints_say_what_becomes_of_them() {
    let mut users = table("users", USERS, &[]);
    let mut posts =
        table("posts", "id bigint!, user_id bigint!, slug text, ref uuid", &["user_id > users.id"]);
    let unique = |name: &str, on: &str| Unique {
        name: name.to_owned(),
        definition: format!("CREATE UNIQUE INDEX {name} ON t USING btree ({on})"),
    };
    users.uniques = vec![unique("users_email", "email"), unique("users_lower", "lower(email)")];
    posts.uniques = vec![unique("posts_slug", "user_id, slug"), unique("posts_ref", "ref")];
    let proposal = proposed(&looked_at(vec![users, posts]));
    assert!(is_asked(
        &proposal,
        "users",
        "may users_email (email) and users_lower (its expression) hold at each site only"
    ));
    assert!(!is_asked(&proposal, "posts", "each site only"), "its owner is in it");
    let posts = &proposal.table("posts").unwrap().unique_per_site;
    assert!(posts.iter().all(|unique| unique.reason.starts_with(uniques::SAFE)), "{posts:?}");
}

#[test]
fn residence_by_codes() {
    let mut look =
        looked_at(vec![table("users", "id bigint!, email text, lang text, country text", &[])]);
    let rows: Vec<[&str; 3]> = (0..30).map(|at| ["de", ["DE", "fr", "US"][at % 3], "x"]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..2]).collect();
    sampled(&mut look, "users", &["lang", "country"], &rows);
    let residence = proposed(&look).residence;
    assert_eq!(residence.code.as_deref(), Some("country"), "languages are no countries");
    assert_eq!((residence.answered, residence.sampled), (30, 30));
    assert_eq!(residence.regimes.get("EU"), Some(&20));
}

#[test]
fn residence_by_text_with_the_share_that_is_told() {
    let mut look = looked_at(vec![table(
        "users",
        "id bigint!, email text, city text, state text, country text",
        &[],
    )]);
    let told: &[&str] = &["berlin", "", "germany"];
    let untold: &[&str] = &["x", "∅", "everywhere and anywhere"];
    sampled(&mut look, "users", &["city", "state", "country"], &[told, told, told, untold]);
    let proposal = proposed(&look);
    assert_eq!(proposal.residence.text, ["city", "state", "country"]);
    assert_eq!((proposal.residence.answered, proposal.residence.sampled), (3, 4));
    assert!(is_asked(&proposal, "subjects", "better source of residence? Only 75 %"));
}

#[test]
fn residence_that_nobody_can_tell_is_the_first_question() {
    let mut look =
        looked_at(vec![table("users", "id bigint!, email text, home_lat real, mood text", &[])]);
    let rows: Vec<&[&str]> = vec![&["glad"]; 20];
    sampled(&mut look, "users", &["mood"], &rows);
    let proposal = proposed(&look);
    assert!(proposal.wishes().is_none());
    let first = &proposal.questions[0];
    assert!(first.blocking && first.text.starts_with("where do people live?"), "{first:?}");
    assert!(first.text.contains("home_lat"), "{first:?}");
}

#[test]
fn nothing_of_a_sample_is_in_a_proposal() {
    let mut look = shop();
    let secret = "zzsecretzz@example.org";
    let row = ["1", secret, "zzsecretzz"];
    let rows: Vec<&[&str]> = vec![&row; 30];
    sampled(&mut look, "customer", &["customer_id", "email", "country"], &rows);
    let proposal = proposed(&look);
    assert!(!format!("{proposal:?} {look:?}").contains("zzsecretzz"));
}
