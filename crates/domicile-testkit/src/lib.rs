//! Real PostgreSQL clusters for tests and benchmarks.
//!
//! A test that needs a database asks for one on a server that many tests share:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use domicile_testkit::{Server, connect};
//!
//! let database = Server::shared(0)?.fresh_database("orders")?;
//! let app = connect(&database.app_url).await?;
//! app.batch_execute("create table orders (id int primary key)").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A test that stops or crashes the server starts a [`Cluster`] of its own.
//!
//! Starting, stopping and making databases block the calling thread for a part of a second.
//! All of it may be called inside a Tokio runtime; a test that must keep other tasks running
//! meanwhile uses a multi-threaded runtime or `spawn_blocking`.
//!
//! What this crate promises: it ends only processes that it started, and it leaves neither a
//! process nor a directory behind, however the test ends (see the module `warden`).

mod account;
mod address;
mod binaries;
mod cluster;
mod proxy;
mod rounds;
mod server;
mod session;
mod warden;

pub use binaries::is_installed;
pub use cluster::{Cluster, Options, StopMode};
pub use proxy::{Direction, LinkFault, Proxy};
pub use rounds::{ROUNDS_ENV, Rounds, SEED_ENV, SOAK_SECONDS_ENV};
pub use server::{Server, TEST_SERVERS_ENV, TestDatabase};
pub use session::connect;
pub use tokio_postgres;

/// The role that moves people: may log in, superuser.
pub const MOVER_ROLE: &str = "domicile_mover";

/// The role of the platform's own application: may log in, owns the test databases, no superuser.
pub const APP_ROLE: &str = "app";

/// The role that `initdb` makes.
pub(crate) const SUPERUSER_ROLE: &str = "postgres";
