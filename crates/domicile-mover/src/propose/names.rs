//! What names of tables and columns say about people and their owners.

use domicile_model::category::words::{singular, words};

/// A list of words in the singular.
type Words = &'static [&'static str];

/// Tables of people, by how plainly the name says so.
const PEOPLE: &[(u32, Words)] = &[
    (
        30,
        &[
            "user",
            "utilisateur",
            "benutzer",
            "nutzer",
            "usuario",
            "utente",
            "gebruiker",
            "anvandare",
            "bruker",
            "bruger",
            "kayttaja",
            "uzytkownik",
            "utilizador",
        ],
    ),
    (28, &["customer", "kunde", "kunden", "cliente", "klant", "kund", "asiakas", "klient"]),
    (
        26,
        &[
            "member",
            "reader",
            "patient",
            "student",
            "mitglied",
            "mitglieder",
            "miembro",
            "membre",
            "socio",
            "lid",
            "leden",
        ],
    ),
    (24, &["player", "passenger", "resident", "citizen", "person", "persona", "personne"]),
    (
        22,
        &[
            "account",
            "client",
            "subscriber",
            "buyer",
            "borrower",
            "donor",
            "abonne",
            "konto",
            "compte",
            "participant",
            "cuenta",
            "shopper",
        ],
    ),
    (14, &["guest", "contact", "visitor"]),
    (12, &["profile", "author", "profil", "perfil"]),
];

/// Tables of those who work there.
const STAFF: Words = &[
    "employee",
    "staff",
    "admin",
    "administrator",
    "moderator",
    "operator",
    "agent",
    "superuser",
    "mitarbeiter",
    "empleado",
    "employe",
    "dipendente",
    "medewerker",
    "representative",
];

/// Last words of tables that tell of people but are no list of them.
const ABOUT_PEOPLE: Words = &[
    "log",
    "history",
    "session",
    "event",
    "audit",
    "token",
    "role",
    "permission",
    "setting",
    "version",
    "archive",
    "migration",
    "preference",
    "address",
    "group",
    "membership",
    "message",
    "notification",
    "order",
    "option",
    "field",
    "stat",
    "count",
    "type",
    "status",
    "invitation",
    "backup",
    "alias",
    "tag",
    "request",
    "warning",
    "note",
    "export",
    "device",
    "key",
    "email",
    "file",
    "image",
    "link",
    "action",
    "badge",
    "limit",
    "block",
    "import",
    "digest",
    "entry",
];

/// Tables that frameworks and migration tools keep for themselves.
const BOOKKEEPING: &[&str] = &[
    "schema_migrations",
    "schema_migration_details",
    "ar_internal_metadata",
    "alembic_version",
    "flyway_schema_history",
    "databasechangelog",
    "databasechangeloglock",
    "django_migrations",
    "django_session",
    "knex_migrations",
    "knex_migrations_lock",
    "migrations",
    "mikro_orm_migrations",
    "typeorm_metadata",
    "_prisma_migrations",
    "goose_db_version",
    "phinxlog",
    "doctrine_migration_versions",
    "__efmigrationshistory",
    "spatial_ref_sys",
    "delayed_jobs",
    "jobs",
    "failed_jobs",
    "cache",
    "cache_locks",
    "pghero_space_stats",
    "pghero_query_stats",
    "sequelizemeta",
    "schema_version",
];

/// How plainly a table's name says that it lists people, with the word; less where another word
/// follows.
pub(super) fn people(table: &str) -> Option<(u32, String)> {
    let words: Vec<String> = words(table).iter().map(|word| singular(word)).collect();
    let last = words.last()?;
    let find = |word: &String| {
        PEOPLE.iter().find(|(_, list)| list.contains(&word.as_str())).map(|(points, _)| *points)
    };
    find(last).map(|points| (points, last.clone()))
}

/// Whether a table's name says that it lists staff.
pub(super) fn is_staff(table: &str) -> bool {
    words(table).iter().any(|word| STAFF.contains(&singular(word).as_str()))
}

/// Whether a table's name ends in a word for something people have or do.
pub(super) fn is_about_people(table: &str) -> bool {
    words(table).last().is_some_and(|word| ABOUT_PEOPLE.contains(&singular(word).as_str()))
}

/// Whether a framework or a migration tool keeps the table for itself.
pub(super) fn is_bookkeeping(table: &str) -> bool {
    BOOKKEEPING.contains(&table.to_ascii_lowercase().as_str())
}

/// How a column's name relates a row to a person; the lower, the likelier that it owns the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    /// Whose it is: `user_id`, `owner_id`, the subject's own name.
    Owner,
    /// Who made it: `author_id`, `created_by`, `sender_id`.
    Maker,
    /// Somebody, the name does not say how.
    Somebody,
    /// Who is at the other end: `recipient_id`, `friend_id`.
    Other,
    /// Who handled it: `approved_by`, `moderator_id`.
    Handler,
}

const OWNERS: Words = &["user", "owner", "customer", "member", "account", "person", "client"];
const MAKERS: Words = &[
    "author",
    "creator",
    "created",
    "poster",
    "posted",
    "writer",
    "written",
    "uploader",
    "uploaded",
    "sender",
    "sent",
    "from",
    "buyer",
    "follower",
    "reporter",
    "requester",
    "requested",
    "giver",
    "rater",
    "voter",
    "commenter",
    "submitter",
    "submitted",
    "source",
    "autor",
    "ersteller",
];
const OTHERS: Words = &[
    "recipient",
    "receiver",
    "received",
    "to",
    "target",
    "followee",
    "followed",
    "following",
    "friend",
    "blocked",
    "muted",
    "addressee",
    "invitee",
    "seller",
    "second",
    "other",
    "empfanger",
    "destinataire",
    "befriended",
];
const HANDLERS: Words = &[
    "moderator",
    "moderated",
    "approved",
    "approver",
    "updated",
    "updater",
    "edited",
    "editor",
    "deleted",
    "deleter",
    "closed",
    "closer",
    "assigned",
    "assignee",
    "reviewer",
    "reviewed",
    "last",
    "locked",
    "invited",
    "inviter",
    "referred",
    "referrer",
    "hidden",
    "banned",
    "banner",
    "acting",
    "resolved",
    "handled",
    "redacted",
    "impersonator",
    "granted",
    "merged",
    "modified",
    "ignored",
    "disabled",
    "suspended",
    "verified",
    "canceler",
    "canceled",
    "support",
    "rep",
    "parent",
];

/// Words that say how, but not that it is a person.
const VAGUE: Words = &[
    "last",
    "parent",
    "source",
    "target",
    "to",
    "from",
    "second",
    "other",
    "support",
    "rep",
    "hidden",
    "following",
    "sent",
    "received",
    "merged",
    "created",
    "updated",
    "deleted",
    "closed",
    "locked",
    "edited",
    "posted",
    "written",
    "uploaded",
    "submitted",
    "requested",
    "by",
    "banner",
];

/// What a column's name says, where it says that it names a person; `subject` is the subject
/// table's singular.
pub(super) fn relation(column: &str, subject: &str) -> Option<Relation> {
    let words: Vec<String> = words(column).iter().map(|word| singular(word)).collect();
    let names_a_row = words.len() > 1
        && words.last().is_some_and(|last| {
            ["id", "uuid", "by", "key", "ref", "guid"].contains(&last.as_str())
        });
    let role = words.split_last().map_or(&words[..], |(_, rest)| rest);
    let has = |list: Words| role.iter().any(|word| list.contains(&word.as_str()));
    if !names_a_row {
        // `author integer`: a column called after the role itself.
        let [only] = words.as_slice() else { return None };
        return match only.as_str() {
            word if word == subject || word == "owner" => Some(Relation::Owner),
            word if MAKERS.contains(&word) && word.ends_with("or") => Some(Relation::Maker),
            _ => None,
        };
    }
    let subject_words: Vec<&str> = subject.split('_').collect();
    let is_whole = role.windows(subject_words.len()).any(|part| part == subject_words.as_slice());
    let is_subject = |word: &str| {
        (is_whole && subject_words.contains(&word)) || subject_words.last() == Some(&word)
    };
    let is_known = |word: &String| {
        let lists = [OWNERS, MAKERS, OTHERS, HANDLERS, &["by"]];
        is_subject(word) || lists.iter().any(|list| list.contains(&word.as_str()))
    };
    let says_person = has_by(&words)
        || role.iter().any(|word| is_subject(word) || !VAGUE.contains(&word.as_str()));
    // `last_post_id` names a post, and `parent_id` anything.
    if role.is_empty() || !role.iter().all(is_known) || !says_person {
        return None;
    }
    Some(if has(HANDLERS) {
        Relation::Handler
    } else if has(OTHERS) {
        Relation::Other
    } else if has(MAKERS) {
        Relation::Maker
    } else if has_by(&words) {
        Relation::Somebody
    } else {
        Relation::Owner
    })
}

fn has_by(words: &[String]) -> bool {
    words.iter().any(|word| word == "by")
}
