//! Two sites of either engine, and tables of every kind that a move knows.

use crate::either::{Databases, Engine};
use crate::let_in::when_let_in;
use crate::two_homes::{SITES, homes};
use domicile_mover::Error;
use domicile_mover::drive::Clock;
use domicile_mover::people::{Directives, Platform, ResidenceColumns};
use domicile_mover::plan::{Plan, TableKind, TableRule, Wishes, measure, plan};
use domicile_mover::prepare::{drop_keys, list_drops, prepare};
use domicile_store::faulty::Faults;
use futures_util::FutureExt as _;
use jiff::civil::date;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Which engines the two sites run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Sqlite,
    Postgres,
    /// From SQLite to PostgreSQL; nobody moves back.
    Crossing,
}

pub(crate) const PAIRS: [Pair; 3] = [Pair::Sqlite, Pair::Postgres, Pair::Crossing];

const SCHEMA: &str = "
create table kinds (id text not null primary key, label text not null);
create unique index kinds_label on kinds (label);
insert into kinds values ('k0', 'k0'), ('o0', 'o0'), ('r0', 'r0');
create table addresses (id bigint not null primary key, street text not null);
create table users (id bigint not null primary key, country text not null,
    seen bigint not null default 0, address_id bigint references addresses (id));
create index users_address on users (address_id);
create table posts (id text not null primary key,
    user_id bigint not null references users (id) on delete cascade, body text);
create index posts_user on posts (user_id);
create table comments (id text not null primary key, post_id text not null
    references posts (id) on update cascade on delete cascade, body text);
create index comments_post on comments (post_id);
create table marks (id text not null primary key, user_id bigint not null references users (id),
    kind text not null references kinds (id), slug text);
create index marks_user on marks (user_id);
create index marks_kind on marks (kind);
create unique index marks_slug on marks (slug);
create table likes (user_id bigint not null references users (id),
    post_id text not null references posts (id), primary key (user_id, post_id));
create index likes_post on likes (post_id);
";

pub(crate) struct World {
    pub(crate) pair: Pair,
    pub(crate) databases: Databases,
}

impl World {
    /// The tables stand at iad1, without people.
    pub(crate) async fn fresh(pair: Pair) -> World {
        let databases = match pair {
            Pair::Sqlite => Databases::fresh(Engine::Sqlite, SITES.len()),
            Pair::Postgres => Databases::fresh(Engine::Postgres, SITES.len()),
            Pair::Crossing => Databases::crossing(),
        };
        let world = World { pair, databases };
        world.databases.app(0).await.run(SCHEMA).await.unwrap();
        world
    }

    /// Drops keys that cross people, plans and prepares, which ends where the faults say.
    pub(crate) async fn prepare(&self, faults: &Faults) -> Result<Plan, Error> {
        let sites = self.databases.sites(&SITES.map(|(name, _)| name), faults).await;
        let on = date(2026, 11, 21);
        let crossing = plan(&sites, &homes(), &wishes(), on).await?;
        drop_keys(&sites, &list_drops(&sites, &crossing).await?).await?;
        let mut plan = plan(&sites, &homes(), &wishes(), on).await?;
        assert_eq!(plan.refused, []);
        let clock: Clock = Arc::new(|| Duration::ZERO);
        measure(&sites, &mut plan, &clock).await?;
        prepare(&sites, &plan).await?;
        if self.pair == Pair::Crossing {
            // Whoever makes tables by another engine's words grants them to nobody.
            let grant = "grant all on all tables in schema public to app";
            self.databases.superuser(1).await.run(grant).await.unwrap();
        }
        Ok(plan)
    }

    /// The same, without a fault. Claims of a process that died may outlast it a little.
    pub(crate) async fn prepare_when_let_in(&self, context: &str) -> Plan {
        let none = Faults::none();
        when_let_in(|| self.prepare(&none).boxed())
            .await
            .unwrap_or_else(|error| panic!("{context}: {error}"))
    }

    /// The sites as one process sees them.
    pub(crate) async fn platform(&self, plan: &Plan, faults: &Faults) -> Platform {
        Platform {
            sites: self.databases.sites(&SITES.map(|(name, _)| name), faults).await,
            closure: plan.closure.clone().unwrap(),
            homes: homes(),
            residence: ResidenceColumns::Code("country".to_owned()),
            reference_site: plan.reference_site,
            on: date(2026, 11, 21),
            directives: Directives::default(),
        }
    }
}

fn wishes() -> Wishes {
    let shared = TableRule { kind: Some(TableKind::Shared), ..TableRule::default() };
    let marks =
        TableRule { unique_per_site: vec!["marks_slug".to_owned()], ..TableRule::default() };
    let likes = TableRule {
        owner: vec!["user_id".to_owned()],
        soft: vec![vec!["post_id".to_owned()]],
        ..TableRule::default()
    };
    let tables = [("addresses", shared), ("marks", marks), ("likes", likes)];
    Wishes {
        subjects: "users".to_owned(),
        residence: ResidenceColumns::Code("country".to_owned()),
        tables: BTreeMap::from(tables.map(|(name, rule)| (name.to_owned(), rule))),
        reference_site: None,
    }
}
