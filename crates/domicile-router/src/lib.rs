//! One address in front of all sites: understands the application's statements and takes each to
//! the home of the person it concerns.

pub mod asking;
mod cancel;
mod certificate;
pub mod classify;
mod error;
pub mod homes;
pub mod key;
mod listen;
mod metrics;
mod pool;
mod prepared;
pub mod relay;
mod route;
pub mod schema;
pub mod scram;
mod server;
mod session;
mod settings;
pub mod shape;
mod socket;
mod stream;
pub mod wire;
mod worker;

pub use error::{Error, Kind, Result};
pub use listen::Entrance;
pub use metrics::Metrics;
pub use server::{Account, Password, SiteAddress};
pub use socket::{ServerTls, bind, tls};
pub use worker::{Proof, Shared, User};
