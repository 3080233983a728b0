//! Schemas of SQLite's that cannot move.

use super::spoil::Rule::{Is, Owner, PerSite, ReferenceSite, Soft, Subjects};
use super::spoil::{Rule, Way};
use domicile_mover::plan::TableKind::{Internal, Owned, Reference, Shared};

const fn way(sql: &'static str, why: &'static str) -> Way {
    Way { what: "extra", ..super::spoil::way(sql, why) }
}

const fn ruled(
    sql: &'static str,
    rules: &'static [(&'static str, Rule)],
    why: &'static str,
) -> Way {
    Way { rules, ..way(sql, why) }
}

/// Where the second site alone is changed.
const fn apart(there: &'static str, why: &'static str) -> Way {
    Way { there, ..way("{extra} alter table extra add note text", why) }
}

const TWO: &str = "create table extra (id int primary key not null, {o}, {p}, {to o}, {to p})";
const LONE: &str = "create table extra (id int primary key not null)";

pub(crate) const WAYS: &[Way] = &[
    // The table itself.
    way("create table extra (id int, {o}, {to o})", "it has no primary key, so that a changed row"),
    Way {
        here: "insert into extra values (null, {key0})",
        ..way(
            "create table extra (id int primary key, {o}, {to o})",
            "1 of its rows have NULL in the primary key \"id\"",
        )
    },
    way(
        "{extra} create trigger quiet after update on extra begin select raise(ignore); end",
        "its trigger quiet uses RAISE(IGNORE), which can skip a fence",
    ),
    way(
        "create table extra (id int primary key not null, a int references nowhere, {o}, {to o})",
        "extra(a) -> nowhere refers to a table that does not exist",
    ),
    way(
        "create table low (a int not null, b int not null, primary key (a, b));
         create table extra (id int primary key not null, a int references low, {o}, {to o})",
        "extra(a) -> low refers to no key of its parent",
    ),
    way(
        "create table low (id int primary key not null);
         create table extra (id int primary key not null, a text references low, {o}, {to o})",
        "extra(a) -> low compares columns of different types, so equal owners have unequal names",
    ),
    way("{extra} create unique index alone on extra (body)", "alone would be unique at each site only"),
    way(
        "create table extra (id real primary key not null, {o}, {to o})",
        "key column id has the type REAL, whose equal values can have different texts",
    ),
    way(
        "create table upper (id text collate nocase primary key not null, {o}, {to o});
         create table extra (id int primary key not null, upper text collate nocase references upper)",
        "key column upper has the type TEXT, whose equal values can have different texts",
    ),
    way(
        "create table upper (id blob primary key not null, {o}, {to o});
         create table extra (id int primary key not null, upper blob references upper)",
        "key column upper has the type BLOB, whose equal values can have different texts",
    ),
    // Whose it is.
    way(TWO, "lead to a person equally well"),
    ruled(LONE, &[("extra", Is(Owned))], "it is declared owned, but nothing leads"),
    way(LONE, "nothing says whose rows these are"),
    way("create virtual table extra using fts5(body)", "nothing says whose rows these are"),
    ruled("{extra}", &[("extra", Soft("nowhere"))], "there is no column nowhere"),
    // Edges between kinds.
    ruled(
        "create table lone (id int primary key not null);
         create table extra (id int primary key not null references lone, {o}, {to o})",
        &[("lone", Is(Internal))],
        "id → lone: refers to an internal table, which does not move",
    ),
    ruled("{extra}", &[("extra", Is(Internal))], "an internal table refers to a person's rows"),
    ruled("{extra}", &[("extra", Is(Reference))], "a reference table refers to rows that are not at"),
    // Shared and reference tables.
    ruled(LONE, &[("extra", Is(Shared))], "it is declared shared, but no foreign key"),
    ruled(
        "create table extra (id int not null); create unique index once on extra (id);
         create table holder (e int primary key not null references extra (id), {o}, {to o})",
        &[("extra", Is(Shared)), ("extra", PerSite("once"))],
        "it has no primary key, so that a shared row cannot be named",
    ),
    ruled(
        "create table extra (id text collate nocase primary key not null)",
        &[("extra", Is(Reference))],
        "key column id compares by nocase, so that equal keys can be written differently",
    ),
    ruled("create table extra (id int)", &[("extra", Is(Reference))], "so that a changed row cannot be carried"),
    way(
        "create table extra (id int primary key not null, {o},
            mood int references moods on delete set null, {to o})",
        "is ON DELETE SET NULL, which would change people's rows at one site only",
    ),
    // Rows that belong to two people.
    Way {
        here: "insert into extra values (1, {key0}, {key1})",
        ..ruled(TWO, &[("extra", Owner("o"))], "that belong to others (1 rows now)")
    },
    ruled(
        TWO,
        &[("extra", Owner("o")), ("extra", Soft("p"))],
        "is soft, and its foreign key still stands at iad1",
    ),
    Way {
        here: "insert into upper values (1, {key0}); insert into extra values (1, null, 1)",
        ..ruled(
            "create table upper (id int primary key not null, {n}, {to n});
             create table extra (id int primary key not null, a int references upper, b int references upper)",
            &[("extra", Owner("a"))],
            "b refers to rows of upper that belong to others (1 rows now)",
        )
    },
    Way {
        here: "insert into upper values (1, {key0}); insert into upper (id) values (2); insert into extra values (1, 1, 2)",
        ..ruled(
            "create table upper (id int primary key not null, {n}, {to n});
             create table extra (id int primary key not null, a int references upper, b int references upper)",
            &[("extra", Owner("a"))],
            "b refers to rows of upper that belong to others (1 rows now)",
        )
    },
    // Sites that differ.
    apart("alter table extra drop column note", "it differs at site dub1: column note is missing"),
    apart("alter table extra add more int", "column more is unknown at the other site"),
    apart(
        "alter table extra drop column note; alter table extra add note text collate nocase",
        "column note is defined differently",
    ),
    apart("alter table extra add more int check (more > 0)", "the check constraints differ"),
    apart("alter table extra add more int references moods", "the foreign keys differ"),
    apart("create unique index more on extra (id, body)", "the unique constraints differ"),
    // Everything.
    Way { what: "sites", ..ruled("", &[("moods", ReferenceSite)], "reference tables are to be written at nowhere") },
    Way { what: "", ..ruled("", &[("nowhere", Subjects)], "no site has a table nowhere") },
    Way { what: "nowhere", ..ruled("", &[("nowhere", Is(Internal))], "there is no such table") },
];
