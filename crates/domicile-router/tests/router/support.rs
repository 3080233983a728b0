//! A router in front of two sites, with a schema of users and posts.

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use domicile_router::homes::{Home, Homes, SiteAt, Sites};
use domicile_router::schema::{Edge, Kind, Place, Schema, Table};
use domicile_router::scram::Verifier;
use domicile_router::{
    Account, Entrance, Metrics, Password, Proof, ServerTls, Shared, SiteAddress, User,
};
use domicile_testkit::{Server, TestDatabase, connect};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// What the application's tables are at every site.
const TABLES: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, country text); \
    CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text); \
    CREATE TABLE topics (id bigint PRIMARY KEY, title text); \
    CREATE TABLE visits (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users)";

/// Two sites and the router's address.
pub(crate) struct World {
    pub(crate) sites: [TestDatabase; 2],
    pub(crate) port: u16,
    pub(crate) homes: Arc<Homes>,
}

fn table(name: &str, kind: Kind, columns: &[(&str, &str)], keys: &[&str]) -> Table {
    Table {
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind,
        columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
        types: columns.iter().map(|(_, type_name)| (*type_name).to_owned()).collect(),
        keys: keys.iter().map(|key| vec![(*key).to_owned()]).collect(),
        undecided: None,
    }
}

fn schema() -> Schema {
    let edge = Edge {
        parent: 0,
        columns: vec!["user_id".to_owned()],
        parent_columns: vec!["id".to_owned()],
    };
    let users = [("id", "bigint"), ("email", "text"), ("country", "text")];
    let posts = [("id", "bigint"), ("user_id", "bigint"), ("body", "text")];
    let topics = [("id", "bigint"), ("title", "text")];
    let visits = [("id", "bigint"), ("user_id", "bigint")];
    let tables = vec![
        table("users", Kind::Root, &users, &["id", "email"]),
        table("posts", Kind::Owned(edge.clone()), &posts, &["id"]),
        table("topics", Kind::Reference, &topics, &["id"]),
        table("visits", Kind::Owned(edge), &visits, &["id"]),
    ];
    let mut schema = Schema::new(tables, [], Vec::new());
    assert!(schema.runs_undecided("visits", 1));
    schema
}

/// Asks the sites by plain statements.
struct Asked {
    sites: [Client; 2],
}

#[async_trait]
impl Sites for Asked {
    async fn home(&self, subject: &str) -> domicile_router::Result<Option<Home>> {
        for (site, client) in self.sites.iter().enumerate() {
            let rows = client.query("SELECT 1 FROM users WHERE id::text = $1", &[&subject]).await;
            if !rows.expect("the site answers").is_empty() {
                return Ok(Some(Home { site, is_under_way: false }));
            }
        }
        Ok(None)
    }

    async fn owners(
        &self,
        table: Place,
        columns: &[String],
        values: &[String],
    ) -> domicile_router::Result<Vec<String>> {
        let (name, owner) = [("users", "id"), ("posts", "user_id")][table];
        let statement =
            format!("SELECT DISTINCT {owner}::text FROM {name} WHERE {}::text = $1", columns[0]);
        let mut owners = Vec::new();
        for client in &self.sites {
            let rows = client.query(&statement, &[&values[0]]).await.expect("the site answers");
            owners.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        Ok(owners)
    }

    fn place(&self, row: &[(String, Option<String>)]) -> SiteAt {
        let country = row.iter().find(|(name, _)| name == "country");
        usize::from(country.and_then(|(_, value)| value.as_deref()) == Some("IE"))
    }

    async fn settle(&self, _subject: &str, _site: SiteAt) -> domicile_router::Result<()> {
        Ok(())
    }
}

fn address(database: &TestDatabase, name: &str) -> Result<SiteAddress> {
    let config: tokio_postgres::Config = database.app_url.parse()?;
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        _ => "127.0.0.1".to_owned(),
    };
    Ok(SiteAddress {
        name: name.to_owned(),
        host,
        port: *config.get_ports().first().context("a port")?,
        database: config.get_dbname().context("a database")?.to_owned(),
        tls: None,
    })
}

impl World {
    /// Two sites, and a router with so many connections to each.
    pub(crate) async fn start(connections: usize) -> Result<World> {
        World::start_with(connections, None).await
    }

    /// The same where TLS is spoken; bob comes by a certificate.
    pub(crate) async fn start_with(connections: usize, tls: Option<ServerTls>) -> Result<World> {
        let sites = [
            Server::shared(0)?.fresh_database("iad1")?,
            Server::shared(1)?.fresh_database("dub1")?,
        ];
        for site in &sites {
            connect(&site.app_url).await?.batch_execute(TABLES).await?;
        }
        let asked = Asked {
            sites: [connect(&sites[0].mover_url).await?, connect(&sites[1].mover_url).await?],
        };
        let account = Account { user: "app".to_owned(), password: Some(Password(String::new())) };
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared {
            schema: schema(),
            sites: vec![
                Arc::new(address(&sites[0], "iad1")?),
                Arc::new(address(&sites[1], "dub1")?),
            ],
            nearest: 0,
            reference: 1,
            users: vec![
                User {
                    name: "ann".to_owned(),
                    proof: Proof::Password(Verifier::of("secret", b"0123456789abcdef")),
                    account: account.clone(),
                },
                User { name: "bob".to_owned(), proof: Proof::Certificate, account },
            ],
            database: "app".to_owned(),
            homes: Arc::new(Homes::new(1000, Box::new(asked), 0, &metrics)),
            search_path: vec!["public".to_owned()],
            connections,
            waits_for_connection: Duration::from_secs(5),
            waits_for_move: Duration::from_secs(1),
            metrics,
        });
        let homes = shared.homes.clone();
        let listener = domicile_router::bind("127.0.0.1:0".parse()?)?;
        let port = listener.local_addr()?.port();
        let entrance = Entrance::new(shared, tls)?;
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            tokio::task::LocalSet::new().block_on(&runtime, entrance.serve(listener))
        });
        Ok(World { sites, port, homes })
    }

    /// A client of the router.
    pub(crate) async fn client(&self) -> Result<Client> {
        Ok(self.client_and_link().await?.0)
    }

    /// A client of the router, and what carries its words: ended, it has vanished.
    pub(crate) async fn client_and_link(&self) -> Result<(Client, JoinHandle<()>)> {
        let url = format!("postgres://ann:secret@127.0.0.1:{}/app?application_name=t", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        let link = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok((client, link))
    }

    /// What stands at a site.
    pub(crate) async fn at(&self, site: usize, query: &str) -> Result<String> {
        let client = connect(&self.sites[site].mover_url).await?;
        let rows = client.simple_query(query).await?;
        let texts = rows.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(texts.collect::<Vec<_>>().join(","))
    }
}
