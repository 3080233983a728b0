//! Two installed sites with a small world in the first one.

use super::{App, Bed, End, Lane, people};
use domicile_model::{MoveId, State};
use domicile_store::closure::Check;
use domicile_store::{
    Announcement, Catalog, Closure, Installation, JournalEntry, OwnedTable, ParentEdge,
    ReferenceTable, Referrer, SharedTable, Site, Table,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Tables with rows, and which of them belong to people.
pub(crate) struct World {
    /// The tables, where `{id}` is the type of keys.
    pub(crate) schema: &'static str,
    /// Who owns what, the root first.
    pub(crate) owned: &'static [Owned],
    /// The shared tables.
    pub(crate) shared: &'static [&'static str],
    /// The reference tables.
    pub(crate) reference: &'static [&'static str],
    /// The statements that make the rows.
    pub(crate) rows: &'static str,
}

/// A table, and the edge to its owner: columns, parent, parent's columns, whether a foreign key.
pub(crate) type Owned = (&'static str, Option<Edge>);
type Edge = (&'static [&'static str], &'static str, &'static [&'static str], bool);

/// People with posts, comments two levels down, likes without foreign keys, and badges.
pub(crate) const WORLD: World = World {
    schema: "
        create table badges (id {id} primary key, name text not null);
        create table users (
            id {id} primary key, handle text not null unique, city text, note text,
            badge_id {id} references badges (id),
            tag text generated always as (lower(handle)) stored);
        create table posts (
            id {id} primary key, user_id {id} not null references users (id), body text);
        create table comments (
            id {id} primary key, post_id {id} not null references posts (id) on delete cascade,
            text text);
        create table likes (
            user_id {id} not null, post_id {id} not null, primary key (user_id, post_id));
        create index posts_by_user on posts (user_id);
        create index comments_by_post on comments (post_id);",
    owned: &[
        ("users", None),
        ("posts", Some((&["user_id"], "users", &["id"], true))),
        ("comments", Some((&["post_id"], "posts", &["id"], true))),
        ("likes", Some((&["user_id"], "users", &["id"], false))),
    ],
    shared: &[],
    reference: &["badges"],
    rows: "
        insert into badges (id, name) values (7, 'founder'), (8, 'guest');
        insert into users (id, handle, city, note, badge_id) values
            (1, 'Ada', 'Dublin', null, 7), (2, 'Bob', 'Cork', '', null), (10, 'Eve', null, 'a ', 8);
        insert into posts (id, user_id, body) values
            (11, 1, 'first'), (12, 1, ''), (21, 2, 'Bob''s'), (101, 10, null);
        insert into comments (id, post_id, text) values
            (111, 11, 'one'), (112, 11, null), (121, 12, 'two'), (211, 21, 'three');
        insert into likes (user_id, post_id) values (1, 21), (2, 11), (10, 11);",
};

/// Two sites with the same tables and fences, and the world's rows at the source.
pub(crate) struct Stage<B> {
    pub(crate) bed: B,
    pub(crate) source: Arc<dyn Site>,
    pub(crate) target: Arc<dyn Site>,
    pub(crate) closure: Arc<Closure>,
    last_move: AtomicI64,
}

impl<B: Bed> Stage<B> {
    /// The usual world, with the badges at both sites.
    pub(crate) async fn ready() -> Self {
        let stage = Self::of(&WORLD).await;
        stage.carry_reference().await;
        stage
    }

    /// Another world; reference tables are empty at the target.
    pub(crate) async fn of(world: &World) -> Self {
        Self::bare(world).await.installed().await
    }

    /// The same with tables and fences at both ends.
    pub(crate) async fn installed(self) -> Self {
        let names: Vec<_> = self.all_tables().await;
        let script = self.source.schema_script(&names).await.unwrap();
        self.target.apply_schema(&script).await.unwrap();
        self.source.install(&self.installation()).await.unwrap();
        self.target.install(&self.installation()).await.unwrap();
        self
    }

    /// Another world; nothing installed, nothing at the target.
    pub(crate) async fn bare(world: &World) -> Self {
        Self::within(B::make().await, world).await
    }

    /// As [`Stage::bare`], in databases that somebody else has made.
    pub(crate) async fn within(bed: B, world: &World) -> Self {
        let mut app = bed.app(End::Source).await;
        app.run(&world.schema.replace("{id}", B::ID)).await.unwrap();
        app.run(world.rows).await.unwrap();
        let (source, target) = (bed.site(End::Source).await, bed.site(End::Target).await);
        let closure = Arc::new(closure_of(world, &source.catalog().await.unwrap()));
        Stage { bed, source, target, closure, last_move: AtomicI64::new(0) }
    }

    pub(crate) fn site(&self, end: End) -> &Arc<dyn Site> {
        match end {
            End::Source => &self.source,
            End::Target => &self.target,
        }
    }

    pub(crate) async fn app(&self, end: End) -> Box<dyn App> {
        self.bed.app(end).await
    }

    pub(crate) fn installation(&self) -> Installation {
        let sites = [End::Source, End::Target].map(|end| end.name().parse().unwrap());
        Installation {
            closure: Arc::clone(&self.closure),
            sites: sites.to_vec(),
            reference_site: End::Source.name().parse().unwrap(),
        }
    }

    pub(crate) async fn all_tables(&self) -> Vec<domicile_store::TableName> {
        let catalog = self.source.catalog().await.unwrap();
        catalog.tables.into_iter().map(|table| table.name).collect()
    }

    pub(crate) async fn carry_reference(&self) {
        for table in &self.closure.reference {
            let rows = self.source.export_reference(table).await.unwrap();
            self.target.import_reference(table, rows).await.unwrap();
        }
    }

    /// What to tell one end about people who move away from `from`.
    pub(crate) fn announcement(&self, told: End, move_id: MoveId, who: &[&str]) -> Announcement {
        Announcement { move_id, peer: told.other().name().parse().unwrap(), subjects: people(who) }
    }

    pub(crate) fn new_move(&self) -> MoveId {
        MoveId(self.last_move.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// A lane from the source to the target; nobody announced yet.
    pub(crate) async fn lane(&self, who: &[&str]) -> Lane {
        self.lane_from(End::Source, who).await
    }

    /// A lane away from one end.
    pub(crate) async fn lane_from(&self, end: End, who: &[&str]) -> Lane {
        let move_id = self.new_move();
        Lane {
            from: self.site(end).departure(Arc::clone(&self.closure)).await.unwrap(),
            to: self.site(end.other()).arrival(Arc::clone(&self.closure)).await.unwrap(),
            leaving: self.announcement(end, move_id, who),
            coming: self.announcement(end.other(), move_id, who),
            tables: self.closure.loading_order().collect(),
        }
    }

    /// A lane whose people are announced, copied and compared.
    pub(crate) async fn copied(&self, who: &[&str]) -> Lane {
        let mut lane = self.lane(who).await;
        lane.announce().await;
        lane.copy().await;
        lane
    }

    /// A lane whose people are decided.
    pub(crate) async fn decided(&self, who: &[&str]) -> Lane {
        let mut lane = self.copied(who).await;
        assert_eq!(lane.decide().await, vec!["decided"; who.len()]);
        lane
    }

    /// Moves people from one end to the other, the whole way.
    pub(crate) async fn carry(&self, from: End, who: &[&str]) -> MoveId {
        let mut lane = self.lane_from(from, who).await;
        lane.announce().await;
        lane.copy().await;
        assert_eq!(lane.decide().await, vec!["decided"; who.len()]);
        lane.settle().await;
        lane.erase().await;
        lane.leaving.move_id
    }

    /// Everything in the usual world's owned tables, as the application sees it.
    pub(crate) async fn everything(&self, end: End) -> Vec<String> {
        self.rows_where(end, "true", "true", "true", "true").await
    }

    /// Everything one person of the usual world owns, as the application sees it.
    pub(crate) async fn rows_of(&self, end: End, who: &str) -> Vec<String> {
        let users = format!("id = {who}");
        let direct = format!("user_id = {who}");
        let deep = format!("post_id in (select id from posts where user_id = {who})");
        self.rows_where(end, &users, &direct, &deep, &direct).await
    }

    async fn rows_where(&self, end: End, u: &str, p: &str, c: &str, l: &str) -> Vec<String> {
        let mut app = self.app(end).await;
        let mut found = Vec::new();
        for (table, condition, order) in [
            ("users", u, "id"),
            ("posts", p, "id"),
            ("comments", c, "id"),
            ("likes", l, "user_id, post_id"),
        ] {
            let sql = format!("select * from {table} where {condition} order by {order}");
            found.extend(app.rows(&sql).await.into_iter().map(|row| format!("{table}: {row}")));
        }
        found
    }

    /// What the journal of one end says of a person.
    pub(crate) async fn entry(&self, end: End, who: &str) -> Option<JournalEntry> {
        let journal = self.site(end).journal().await.unwrap();
        journal.into_iter().find(|entry| entry.subject.as_str() == who)
    }

    /// The states of a person at source and target.
    pub(crate) async fn states(&self, who: &str) -> [Option<State>; 2] {
        let source = self.entry(End::Source, who).await;
        let target = self.entry(End::Target, who).await;
        [source, target].map(|entry| entry.map(|entry| entry.state))
    }

    /// The home that one end's tombstone names.
    pub(crate) async fn gone_to(&self, end: End, who: &str) -> Option<String> {
        let gone = self.site(end).gone(&people(&[who])).await.unwrap();
        gone.first().map(|(_, home)| home.to_string())
    }
}

/// The closure a world describes, on a catalog that has its tables.
pub(crate) fn closure_of(world: &World, catalog: &Catalog) -> Closure {
    let table = |name: &str| catalog.find(name).unwrap_or_else(|| panic!("no table {name}"));
    let place = |name: &str| world.owned.iter().position(|(owned, _)| *owned == name).unwrap();
    let plain = |name: &str, edge: Option<Edge>| OwnedTable {
        name: table(name).name.clone(),
        columns: table(name).copied_columns(),
        user_types: copied(table(name)).map(|column| column.user_type).collect(),
        types: copied(table(name)).map(|column| column.type_name.clone()).collect(),
        generated: generated(table(name)),
        key: table(name).primary_key.clone(),
        parent: edge.map(|(columns, parent, parent_columns, declared)| ParentEdge {
            table: place(parent),
            columns: texts(columns),
            parent_columns: texts(parent_columns),
            declared,
        }),
    };
    let owned = |(name, edge): &Owned| plain(name, *edge);
    let reference = |name: &&str| ReferenceTable {
        name: table(name).name.clone(),
        columns: table(name).copied_columns(),
        user_types: copied(table(name)).map(|column| column.user_type).collect(),
        types: copied(table(name)).map(|column| column.type_name.clone()).collect(),
        key: table(name).primary_key.clone(),
    };
    let checks = |(owned, (name, _)): (usize, &Owned)| {
        let table = table(name).clone();
        table.foreign_keys.clone().into_iter().map(move |key| Check {
            child: table.name.clone(),
            columns: key.columns,
            parent: key.parent,
            parent_columns: key.parent_columns,
            owned,
        })
    };
    let shared = |name: &&str| SharedTable {
        table: plain(name, None),
        referrers: world
            .owned
            .iter()
            .enumerate()
            .flat_map(checks)
            .filter(|check| check.parent.is_called(name))
            .map(|check| Referrer {
                owned: check.owned,
                columns: check.columns,
                parent_columns: check.parent_columns,
            })
            .collect(),
    };
    Closure {
        shared: world.shared.iter().map(shared).collect(),
        owned: world.owned.iter().map(owned).collect(),
        reference: world.reference.iter().map(reference).collect(),
        checks: world.owned.iter().enumerate().flat_map(checks).collect(),
        residence: table(world.owned[0].0)
            .column("city")
            .map(|c| c.name.clone())
            .into_iter()
            .collect(),
    }
}

fn copied(table: &Table) -> impl Iterator<Item = &domicile_store::Column> {
    table.columns.iter().filter(|column| !column.generated)
}

fn generated(table: &Table) -> Vec<String> {
    table.columns.iter().filter(|column| column.generated).map(|c| c.name.clone()).collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}
