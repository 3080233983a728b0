//! Connections of the mover, every one set up alike.

use super::client::{self, Calls, Client};
use super::connecting::tls_config;
use crate::error::{Error, Kind, Result};
use crate::sql;
use domicile_model::SiteName;
use futures_util::future::{self, FutureExt as _};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Config, Notification, SimpleQueryMessage};

/// The first key of every advisory lock domicile takes: the bytes "domi".
pub(super) const LOCKS: i32 = 0x646f_6d69;
/// The second key of the lock that makes a mover the only one at a site.
const CLAIM: i32 = 1;
/// The second key of the lock that keeps raising and lowering the flag apart.
pub(super) const FLAG: i32 = 2;
/// The first key of the locks on which writers queue while a person is closing: "clos".
pub(super) const CLOSING: i32 = 0x636c_6f73;

/// What every session of the mover calls itself; the horizons leave such sessions of the mover's
/// own role out, since they write about nobody but the people of their own batch.
pub(super) const APPLICATION: &str = "domicile mover";

/// What the router's sessions call themselves.
const ROUTER: &str = "domicile router";

/// How long a site may leave a call without any sign of life, and an opening without an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Every setting a statement of ours depends on is pinned, so that text forms and durability are
/// the same at both ends whatever the database's or the role's defaults are. With the default cost
/// of a random page the planner reads whole tables for the rows of a few hundred people. The
/// keepalives are the server's, so that it lets go of the locks of a mover whose host is gone.
const SETTINGS: &str = "SET search_path = ''; SET row_security = off; \
    SET client_min_messages = warning; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; \
    SET xmloption = content; SET statement_timeout = 0; SET lock_timeout = 0; \
    SET default_transaction_isolation = 'read committed'; SET random_page_cost = 1.1; \
    SET idle_session_timeout = 0; SET idle_in_transaction_session_timeout = '10min'; SET jit = off; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SET tcp_user_timeout = '30s'; SET domicile.mover = 'on'; \
    SET plan_cache_mode = force_custom_plan";

/// A role that row-level security holds for sees what it may see, without an error.
const FOR_READING: &str = "SET default_transaction_read_only = on; SET row_security = on";

/// A named standby must have applied what we call done, or a failover takes it back.
const DURABLE: &str = "SELECT pg_catalog.set_config('synchronous_commit', \
    CASE WHEN pg_catalog.current_setting('synchronous_standby_names') = '' \
    THEN 'on' ELSE 'remote_apply' END, false)";

/// The application's triggers must not run a second time for rows that only travel, and rows arrive
/// in no order a foreign key would like: both are set aside in this session, and the keys are
/// rechecked by anti-join. The fences are ALWAYS triggers and stay.
const ASIDE: &str = "SET session_replication_role = replica";

/// What to do about a full disk.
const MAKE_ROOM: &str = "make room, then run the same command again";
const NO_ROOM_FOR_NEWS: &str = "a session that listens reads no notifications, and they have no room \
    left; end it (the server's log names it), then run the same command again";

/// Where notifications go.
pub(super) type Told = mpsc::UnboundedSender<Notification>;

/// How to open sessions at one site.
#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) name: SiteName,
    pub(super) config: Arc<Config>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Whether sessions are for reading alone and ask for no rights of the mover's.
    reads_only: bool,
    /// How long silence may last.
    pub(super) answers_within: Duration,
}

/// One connection. Dropping it closes the connection and rolls back what was open.
pub(super) struct Session {
    /// The site, for messages.
    pub(super) site: SiteName,
    pub(super) client: Client,
    /// Whether rows of people can be looked up along indexes here.
    pub(super) has_indexes: bool,
}

impl Sessions {
    pub(super) fn new(name: &SiteName, url: &str) -> Result<Self> {
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            Error::new(Kind::Never, format!("the url of site {name} cannot be read"))
                .hint("write postgres://user@host:port/database")
                .because(error)
        })?;
        config.application_name(APPLICATION);
        config.keepalives(true);
        config.keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Arc::new(tls_config(name)?)),
        };
        Ok(Sessions {
            name: name.clone(),
            config: Arc::new(config),
            tls,
            reads_only: false,
            answers_within: ANSWERS_WITHIN,
        })
    }

    /// The same, with another time that silence may last.
    pub(super) fn answering_within(self, answers_within: Duration) -> Self {
        Sessions { answers_within, ..self }
    }

    /// The same, for sessions of the router, which is no mover: those who move wait for it as for
    /// anybody else.
    pub(super) fn into_router(self) -> Self {
        let mut config = Config::clone(&self.config);
        config.application_name(ROUTER);
        Sessions { config: Arc::new(config), ..self }
    }

    /// The same, for sessions that cannot write.
    pub(super) fn for_reading(self) -> Self {
        Sessions { reads_only: true, ..self }
    }

    pub(super) async fn open(&self) -> Result<Session> {
        self.open_in_time(None).await
    }

    /// A session, and what it is told without having asked.
    pub(super) async fn open_to_listen(
        &self,
    ) -> Result<(Session, mpsc::UnboundedReceiver<Notification>)> {
        let (told, notifications) = mpsc::unbounded_channel();
        Ok((self.open_in_time(Some(told)).await?, notifications))
    }

    async fn open_in_time(&self, told: Option<Told>) -> Result<Session> {
        // Nothing is at work for us yet that could take long.
        let opened = tokio::time::timeout(self.answers_within, self.open_patiently(told)).await;
        opened.unwrap_or_else(|_| Err(client::silent(&self.name)))
    }

    async fn open_patiently(&self, told: Option<Told>) -> Result<Session> {
        let calls = Arc::new(Calls::default());
        let client = self.connect(Some(&calls), told).await.map_err(|e| self.unreachable(e))?;
        let set = format!("{SETTINGS}; SELECT pg_catalog.pg_backend_pid()");
        let rest = match self.reads_only {
            true => client.batch_execute(FOR_READING).map(|set| (set, Ok(()))).left_future(),
            false => {
                let durable = client.batch_execute(DURABLE);
                let aside = client.batch_execute(ASIDE);
                future::join(durable, aside).right_future()
            }
        };
        // One trip for all of them.
        let (answer, (rest, aside)) = future::join(client.simple_query(&set), rest).await;
        let client = Client::new(client, calls);
        let session = Session { site: self.name.clone(), client, has_indexes: false };
        let process = answer.map_err(|e| session.failed(e))?.iter().find_map(|part| match part {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        if let Some(process) = process {
            session.client.answers_as(process);
        }
        rest.map_err(|e| session.failed(e))?;
        if let Err(error) = aside {
            if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                return Err(session.failed(error));
            }
            let text = format!("the mover's role at site {} may not set triggers aside", self.name);
            return Err(Error::new(Kind::Operator, text)
                .hint("GRANT SET ON PARAMETER session_replication_role TO the mover's role")
                .because(error));
        }
        Ok(session)
    }

    fn unreachable(&self, error: tokio_postgres::Error) -> Error {
        let (kind, hint) = match error.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                (Kind::Never, "create the database first, or correct the url")
            }
            Some(code) if code.code().starts_with("28") => {
                (Kind::Operator, "check the user and password in the url and pg_hba.conf")
            }
            // A session may have to write before it reads.
            Some(code) if *code == SqlState::DISK_FULL => (Kind::RetryLater, MAKE_ROOM),
            _ => (Kind::RetryLater, "check that the server runs and that host and port are right"),
        };
        Error::new(kind, format!("site {} does not let us in", self.name)).hint(hint).because(error)
    }
}

impl Session {
    /// Runs statements without parameters.
    pub(super) async fn batch(&self, statements: &str) -> Result<()> {
        self.client.batch_execute(statements).await.map_err(|e| self.failed(e))
    }

    /// Puts an error into our words.
    pub(super) fn failed(&self, error: tokio_postgres::Error) -> Error {
        self.client.failing(&self.site)(error)
    }

    /// Refuses servers that are too old, and databases that are not UTF-8.
    pub(super) async fn check_version(&self) -> Result<()> {
        let row = self
            .client
            .query_one(
                "SELECT pg_catalog.current_setting('server_version_num')::int, \
                 pg_catalog.current_setting('server_encoding')",
                &[],
            )
            .await
            .map_err(|e| self.failed(e))?;
        let site = &self.site;
        let refuse = |text: String, hint: &str| Err(Error::new(Kind::Operator, text).hint(hint));
        let version: i32 = row.get(0);
        if version < 150_000 {
            return refuse(
                format!("site {site} runs PostgreSQL {}", version / 10_000),
                "domicile needs PostgreSQL 15 or later",
            );
        }
        let encoding: String = row.get(1);
        if encoding != "UTF8" {
            return refuse(
                format!("the database of site {site} has the encoding {encoding}"),
                "domicile moves databases in UTF8 only",
            );
        }
        Ok(())
    }

    /// Refuses servers and roles that cannot do what a move needs.
    pub(super) async fn check_server(&self) -> Result<()> {
        self.check_version().await?;
        let row = self
            .client
            .query_one(
                "SELECT r.rolsuper OR r.rolbypassrls, \
                 r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE'), \
                 pg_catalog.pg_is_in_recovery() \
                 FROM pg_catalog.pg_roles r WHERE r.rolname = session_user",
                &[],
            )
            .await
            .map_err(|e| self.failed(e))?;
        let site = &self.site;
        let refuse = |text: String, hint: &str| Err(Error::new(Kind::Operator, text).hint(hint));
        if !row.get::<_, bool>(0) {
            return refuse(
                format!(
                    "the mover's role at site {site} cannot see rows behind row-level security"
                ),
                "ALTER ROLE … BYPASSRLS",
            );
        }
        if !row.get::<_, bool>(1) {
            return refuse(
                format!("the mover's role at site {site} cannot see other sessions' snapshots"),
                "GRANT pg_read_all_stats TO the mover's role",
            );
        }
        if row.get::<_, bool>(2) {
            return refuse(format!("site {site} is a standby"), "give the url of the primary");
        }
        Ok(())
    }

    /// Takes the claim for as long as the session lives.
    /// A process that has just ended is waited for: its server may not have noticed yet.
    pub(super) async fn claim(&self) -> Result<()> {
        self.batch("SET lock_timeout = '1s'").await?;
        let lock = "SELECT pg_catalog.pg_advisory_lock($1, $2)";
        let locked = self.client.execute(lock, &[&LOCKS, &CLAIM]).await;
        self.batch("SET lock_timeout = 0").await?;
        match locked {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(Error::new(
                Kind::Operator,
                format!("somebody else is migrating site {}", self.site),
            )
            .hint("wait for the other domicile to end, or stop it; this one changed nothing")),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The role the session logged in as, as a literal.
    pub(super) async fn role_literal(&self) -> Result<String> {
        let row = self
            .client
            .query_one("SELECT session_user::text", &[])
            .await
            .map_err(|e| self.failed(e))?;
        Ok(sql::literal(row.get(0)))
    }
}

/// Puts a server's refusal into our words.
pub(super) fn refused(site: &SiteName, database: &DbError) -> Error {
    let code = database.code().code();
    let (kind, hint) = match code {
        "40001" | "40P01" | "55P03" => (Kind::RetryNow, None),
        "25P03" | "57P01" | "57P02" | "57P03" | "57P05" => (Kind::RetryLater, None),
        "23505" => (
            Kind::Operator,
            Some(
                "a different row stands there under the same key; if it passed between two \
                 people who move, the next run settles it, else keep one of the two"
                    .to_owned(),
            ),
        ),
        // Whoever is tried next would meet it too.
        "42501" => (
            Kind::Never,
            Some("the mover's role needs more rights; docs/trust.md lists them".to_owned()),
        ),
        "53100" => (Kind::RetryLater, Some(MAKE_ROOM.to_owned())),
        // The word stands in every language of the server's.
        "54000" if database.message().contains("NOTIFY") => {
            (Kind::RetryLater, Some(NO_ROOM_FOR_NEWS.to_owned()))
        }
        "DM003" => (
            Kind::Operator,
            Some("a cascade or trigger would have changed rows nobody named".to_owned()),
        ),
        _ => (Kind::Operator, database.hint().map(str::to_owned)),
    };
    // The detail of a database error may hold a person's values; the message does not.
    let text = format!("site {site} refused ({code}): {}", database.message());
    let error = Error::new(kind, text);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
