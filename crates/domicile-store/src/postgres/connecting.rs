//! From a URL to a connection with a server.

use super::Endpoint;
use super::client::{self, Calls};
use super::session::{Sessions, Told};
use crate::error::{Error, Kind, Result};
use domicile_model::SiteName;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

impl Sessions {
    /// Where the server listens.
    pub(super) fn endpoint(&self) -> Result<Endpoint> {
        let odd = |what: &str| {
            Error::new(Kind::Never, format!("the url of site {} names no {what}", self.name))
                .hint("write postgres://user@host:port/database")
        };
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => return Err(odd("host that is reached over the network")),
        };
        let user = self.config.get_user();
        let database = self.config.get_dbname().or(user).ok_or_else(|| odd("database"))?;
        Ok(Endpoint {
            host,
            port: self.config.get_ports().first().copied().unwrap_or(5432),
            database: database.to_owned(),
            // `prefer` is what a URL means that says nothing; the router encrypts where it is told to.
            tls: match self.config.get_ssl_mode() {
                SslMode::Require => self.tls.clone(),
                _ => None,
            },
        })
    }

    /// A connection as the server gives it. Calls on it end when silence is noticed, if `calls`
    /// are to be kept. Boxed, since who notices silence connects as well.
    pub(super) fn connect<'a>(
        &'a self,
        calls: Option<&'a Arc<Calls>>,
        told: Option<Told>,
    ) -> BoxFuture<'a, Result<tokio_postgres::Client, tokio_postgres::Error>> {
        let kept = calls.map(|calls| (self.clone(), calls.clone()));
        let name = self.name.clone();
        let connecting = async move {
            Ok(match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    tokio::spawn(run(name, connection, kept, told));
                    client
                }
                Some(tls) => {
                    let tls = MakeRustlsConnect::new(ClientConfig::clone(tls));
                    let (client, connection) = self.config.connect(tls).await?;
                    tokio::spawn(run(name, connection, kept, told));
                    client
                }
            })
        };
        connecting.boxed()
    }
}

/// Carries a connection's bytes until it ends, or until silence is noticed.
async fn run<S, T>(
    site: SiteName,
    mut connection: tokio_postgres::Connection<S, T>,
    kept: Option<(Sessions, Arc<Calls>)>,
    told: Option<Told>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let silence = async {
        match &kept {
            Some((sessions, calls)) => {
                client::silence(&site, sessions, calls, sessions.answers_within).await;
            }
            None => std::future::pending().await,
        }
    };
    let carrying = async {
        while let Some(message) = future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let (AsyncMessage::Notification(notification), Some(told)) = (message?, &told) {
                // Nobody listens any more once the session is given up.
                let _ = told.send(notification);
            }
        }
        Ok::<(), tokio_postgres::Error>(())
    };
    tokio::select! {
        ended = carrying => if let Err(error) = ended {
            tracing::debug!(%site, %error, "a connection ended");
        },
        () = silence => {}
    }
}

pub(super) fn tls_config(name: &SiteName) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A certificate of the system that rustls cannot read is one we do not trust.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::new(Kind::Never, format!("no TLS for site {name}")).because(error)
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
