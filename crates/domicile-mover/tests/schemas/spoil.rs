//! Schemas that cannot move: a good one, spoilt in one way, and what a plan must say of it.

use super::ddl::list;
use super::generate::Schema;
use domicile_mover::people::ResidenceColumns;
use domicile_mover::plan::TableKind::{self, Internal, Owned, Reference, Shared};
use domicile_mover::plan::Wishes;
use domicile_store::sql::literal;

/// One way to spoil a schema. In its statements `{o}` and `{p}` stand for columns that
/// name a person, `{n}` for such that may be NULL, `{to o}` for the foreign key of the first, `{key0}` and `{key1}` for two people.
pub(crate) struct Way {
    /// Runs at every site that has the schema.
    pub(super) sql: &'static str,
    /// Runs where the people are.
    pub(super) here: &'static str,
    /// Runs at the other site.
    pub(super) there: &'static str,
    pub(super) rules: &'static [(&'static str, Rule)],
    /// The table that must be named; nothing where there can be no plan at all.
    pub(crate) what: &'static str,
    /// What is said of it.
    pub(crate) why: &'static str,
}

/// What the user says of a table; `o` and `p` stand for all those columns.
pub(super) enum Rule {
    Is(TableKind),
    Owner(&'static str),
    Soft(&'static str),
    PerSite(&'static str),
    /// Not of the table, but of everything.
    Subjects,
    Residence,
    ReferenceSite,
}
use Rule::{Is, Owner, PerSite, ReferenceSite, Residence, Soft, Subjects};

pub(super) const fn way(sql: &'static str, why: &'static str) -> Way {
    Way { sql, here: "", there: "", rules: &[], what: "two.extra", why }
}

pub(super) const fn ruled(
    sql: &'static str,
    rules: &'static [(&'static str, Rule)],
    why: &'static str,
) -> Way {
    Way { rules, ..way(sql, why) }
}

/// Where the second site alone is changed.
const fn apart(there: &'static str, why: &'static str) -> Way {
    Way { there, ..way("{parts}", why) }
}

const EXTRA_AT_SQLITE: &str =
    "create table extra (id int primary key not null, body text, {o}, {to o});";
const EXTRA: &str = "create table two.extra (id int primary key, body text, {o}, {to o});";
const PARTS: &str = "create type two.size as enum ('s', 'l');
    create domain two.few as int constraint few_check check (value < 9);
    create type two.pair as (a int, b int);
    create table two.extra (id int, body text, note text, size two.size, few two.few[],
        pair two.pair, {o}, {to o}, primary key (id, body)) partition by list (body);
    create table two.part partition of two.extra for values in ('a');
    create table two.other partition of two.extra for values in ('b');";

const TWO: &str = "create table two.extra (id int primary key, {o}, {p}, {to o}, {to p});";

pub(crate) const WAYS: &[Way] = &[
    // The table itself.
    way("{extra} alter table two.extra drop constraint extra_pkey", "it has no primary key, so that a changed"),
    way("{extra} alter table two.extra set unlogged", "it is unlogged: a crash would empty it"),
    way("{extra} create rule quiet as on delete to two.extra do also select 1", "it has a rule (quiet)"),
    way("{extra} alter table two.extra add lo oid", "column lo may refer to a large object"),
    way(
        "{extra} alter table two.extra add constraint late exclude using btree (id with =) deferrable",
        "its constraint late is deferrable",
    ),
    way(
        "{extra} create publication sent for table two.extra; alter table two.extra replica identity nothing",
        "publication sent sends its deletions and it has no replica identity",
    ),
    way("{extra} create unique index alone on two.extra (body)", "alone would be unique at each site only"),
    way(
        "create table two.extra (id float8 primary key, {o}, {to o})",
        "key column id has the type double precision, whose equal values can have different texts",
    ),
    way(
        "create table two.extra (made int generated always as (1) stored primary key, {o}, {to o})",
        "key column made is generated",
    ),
    way(
        "create table two.upper (id numeric primary key, {o}, {to o});
         create table two.extra (id int primary key, upper numeric references two.upper)",
        "key column upper has the type numeric, whose equal values can have different texts",
    ),
    way(
        "create collation two.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table two.upper (id text collate two.blind primary key, {o}, {to o});
         create table two.extra (id int primary key, upper text collate two.blind references two.upper)",
        "key column upper has the type text, whose equal values can have different texts",
    ),
    ruled(
        "{extra} create table two.child () inherits (two.extra)",
        &[("two.child", Is(Internal))],
        "it takes part in table inheritance",
    ),
    way("{parts} alter table two.part set unlogged", "partition two.part: it is unlogged"),
    way(
        "{parts} alter table two.part add foreign key (id) references two.moods",
        "partition two.part: its foreign key part_id_fkey is not the whole table's",
    ),
    // Whose it is.
    way(TWO, "lead to a person equally well"),
    ruled("create table two.extra (id int primary key)", &[("two.extra", Is(Owned))], "it is declared owned, but"),
    way("create table two.extra (id int primary key)", "nothing says whose rows these are"),
    ruled("{extra}", &[("two.extra", Soft("nowhere"))], "there is no column nowhere"),
    ruled(
        "{extra}",
        &[("two.extra", Owner("o")), ("two.extra", Soft("o"))],
        "is said to name the owner and to be soft",
    ),
    Way { what: "two.nowhere", ..ruled("", &[("two.nowhere", Is(Internal))], "there is no such table") },
    // Edges between kinds.
    ruled(
        "create table two.lone (id int primary key);
         create table two.extra (id int primary key references two.lone, {o}, {to o})",
        &[("two.lone", Is(Internal))],
        "id → two.lone: refers to an internal table, which does not move",
    ),
    ruled("{extra}", &[("two.extra", Is(Internal))], "an internal table refers to a person's rows"),
    ruled("{extra}", &[("two.extra", Is(Reference))], "a reference table refers to rows that are not at every site"),
    ruled(
        "create table two.low (id int primary key);
         create table two.extra (id int primary key, low int references two.low);
         create table two.holder (e int primary key references two.extra, low int references two.low, {o}, {to o})",
        &[("two.low", Is(Shared)), ("two.extra", Is(Shared))],
        "low → two.low: a shared table refers to rows that do not travel with it",
    ),
    ruled(
        "create table two.low (id int primary key);
         create table two.extra (id int primary key, low int references two.low);
         create table two.holder (id int primary key, low int references two.low, {o}, {to o})",
        &[("two.low", Is(Shared)), ("two.extra", Is(Reference))],
        "low → two.low: refers to shared rows, which are only where people refer to them",
    ),
    // Shared and reference tables.
    ruled("create table two.extra (id int primary key)", &[("two.extra", Is(Shared))], "it is declared shared, but no"),
    ruled(
        "create table two.extra (id int not null constraint once unique);
         create table two.holder (e int primary key references two.extra (id), {o}, {to o})",
        &[("two.extra", Is(Shared)), ("two.extra", PerSite("once"))],
        "it has no primary key, so that a shared row cannot be named",
    ),
    ruled(
        "create table two.extra (id float8 primary key);
         create table two.holder (id int primary key, e float8 references two.extra, {o}, {to o})",
        &[("two.extra", Is(Shared))],
        "key column id is generated or of a type that rounds",
    ),
    ruled(
        "create type two.size as enum ('s'); create table two.extra (id two.size primary key);
         create table two.holder (id int primary key, e two.size references two.extra, {o}, {to o})",
        &[("two.extra", Is(Shared))],
        "two.extra.id has the type two.size, whose own idea of equal values is not known here",
    ),
    ruled(
        "create table two.extra (id int primary key, code int constraint once unique);
         create table two.holder (id int primary key, e int references two.extra (code) deferrable, {o}, {to o})",
        &[("two.extra", Is(Shared)), ("two.extra", PerSite("once"))],
        "two.holder.e refers to other columns than its key, by a deferrable foreign key",
    ),
    ruled(
        "create table two.extra (id int primary key);
         create rule quiet as on delete to two.extra do also select 1;
         create table two.holder (e int primary key references two.extra, {o}, {to o})",
        &[("two.extra", Is(Shared))],
        "it has a rule (quiet)",
    ),
    ruled("create table two.extra (id int)", &[("two.extra", Is(Reference))], "it has no primary key, so that a changed row cannot be carried"),
    ruled(
        "create table two.extra (id float8 primary key)",
        &[("two.extra", Is(Reference))],
        "key column id is generated or of a type that rounds",
    ),
    ruled(
        "create table two.extra (id int primary key); create table two.\"extra turn\" (id int primary key
            references two.extra); alter table two.extra add foreign key (id) references two.\"extra turn\"",
        &[("two.extra", Is(Reference)), ("two.extra turn", Is(Reference))],
        "reference tables refer to each other in a circle",
    ),
    way(
        "create table two.extra (id int primary key, mood int references two.moods on delete set null, {o}, {to o})",
        "its key extra_mood_fkey (mood → two.moods) is ON DELETE SET NULL",
    ),
    // Rows that belong to two people.
    Way {
        here: "insert into two.extra values (1, {key0}, {key1})",
        ..ruled(TWO, &[("two.extra", Owner("o"))], "that belong to others (1 rows now)")
    },
    ruled(
        TWO,
        &[("two.extra", Owner("o")), ("two.extra", Soft("p"))],
        "is soft, and its foreign key still stands at iad1",
    ),
    Way {
        here: "insert into two.upper values (1, {key0}); insert into two.extra values (1, null, 1)",
        ..ruled(
            "create table two.upper (id int primary key, {n}, {to n});
             create table two.extra (id int primary key, a int references two.upper, b int references two.upper)",
            &[("two.extra", Owner("a"))],
            "b refers to rows of two.upper that belong to others (1 rows now)",
        )
    },
    // Sites that differ.
    apart("alter table two.extra drop note", "it differs at site dub1: column note is missing"),
    apart("alter table two.extra add more int", "column more is unknown at the other site"),
    apart("alter table two.extra alter note type varchar", "column note is defined differently"),
    apart("alter table two.extra alter note set not null", "column note is defined differently"),
    apart("alter table two.extra add check (id > -9)", "the check constraints differ"),
    apart("alter table two.extra add foreign key (id) references two.moods", "the foreign keys differ"),
    apart("create unique index on two.extra (id, note, body)", "the unique constraints differ"),
    apart("alter type two.size add value 'm'", "the type of column size (two.size) is made differently"),
    apart("alter domain two.few drop constraint few_check", "the type of column few (two.few[]) is made differently"),
    apart("alter type two.pair rename attribute b to c", "the type of column pair (two.pair) is made differently"),
    apart("drop table two.other", "it has no partition FOR VALUES IN ('b'), as two.other"),
    // Everything.
    Way { what: "sites", ..ruled("", &[("two.moods", ReferenceSite)], "reference tables are to be written at nowhere") },
    Way { what: "", ..ruled("", &[("nowhere", Subjects)], "no site has a table nowhere") },
    Way { what: "", ..ruled("create table two.extra (id int)", &[("two.extra", Subjects)], "the subject table two.extra has no primary key") },
    Way { what: "", ..ruled("", &[("two.moods", Residence)], "has no column nowhere") },
];

impl Way {
    /// What runs at a site that has the schema.
    pub(crate) fn sql(&self, schema: &Schema, site: usize) -> String {
        let rest = if site == 0 { self.here } else { self.there };
        let mut sql = format!("{};\n{rest}", self.sql);
        let extra = if schema.dialect.at_sqlite { EXTRA_AT_SQLITE } else { EXTRA };
        let of = |prefix, null| person(schema, prefix, null);
        let (o, p, n) = (of("o", " not null"), of("p", ""), of("n", ""));
        let keys = [key_of(schema, 0), key_of(schema, 1)];
        for (sign, text) in [
            ("{extra}", extra),
            ("{parts}", PARTS),
            ("{o}", &o.0),
            ("{p}", &p.0),
            ("{n}", &n.0),
            ("{to o}", &o.1),
            ("{to p}", &p.1),
            ("{to n}", &n.1),
            ("{key0}", &keys[0]),
            ("{key1}", &keys[1]),
        ] {
            sql = sql.replace(sign, text);
        }
        sql
    }

    /// Whether the schema must stand at both sites.
    pub(crate) fn is_apart(&self) -> bool {
        !self.there.is_empty()
    }

    pub(crate) fn wishes(&self, schema: &Schema) -> Wishes {
        let mut wishes = schema.wishes();
        for (name, rule) in self.rules {
            let table = wishes.tables.entry((*name).to_owned());
            match rule {
                Is(kind) => table.or_default().kind = Some(*kind),
                Owner(columns) => table.or_default().owner = names(schema, columns),
                Soft(columns) => table.or_default().soft.push(names(schema, columns)),
                PerSite(unique) => table.or_default().unique_per_site.push((*unique).to_owned()),
                Subjects => (*name).clone_into(&mut wishes.subjects),
                Residence => wishes.residence = ResidenceColumns::Code("nowhere".to_owned()),
                ReferenceSite => wishes.reference_site = Some("nowhere".parse().unwrap()),
            }
        }
        wishes
    }
}

fn names(schema: &Schema, columns: &str) -> Vec<String> {
    let all =
        |prefix: &str| (0..schema.tables[0].key.len()).map(|n| format!("{prefix}{n}")).collect();
    if matches!(columns, "o" | "p") { all(columns) } else { vec![columns.to_owned()] }
}

/// Columns that name a person, each name behind `prefix`, and their foreign key.
fn person(schema: &Schema, prefix: &str, null: &str) -> (String, String) {
    let (root, types) = (&schema.tables[0], schema.types());
    let names: Vec<String> = (0..root.key.len()).map(|n| format!("{prefix}{n}")).collect();
    let typed = names.iter().zip(&root.key);
    let columns: Vec<String> = typed
        .map(|(name, theirs)| format!("{name} {}{null}", types[&(0, theirs.clone())]))
        .collect();
    let (names, theirs) = (names.join(", "), list(&root.key));
    let key = format!("foreign key ({names}) references {} ({theirs})", root.sql());
    (columns.join(", "), key)
}

/// One of the people, as values.
fn key_of(schema: &Schema, at: usize) -> String {
    let root = &schema.tables[0];
    let key = root.rows[at].key(root);
    key.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ")
}
