//! A connection of the router's own to one site.

use crate::error::{Error, Kind, Result};
use crate::prepared::Remembered;
use crate::settings::Settings;
use crate::stream::{Stream, Unsent, Unused};
use crate::wire::{Cancel, Frame, Frames, Notice, ParameterStatus, Startup, frame};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

/// How to reach a site's database.
#[derive(Clone)]
pub struct SiteAddress {
    /// The site's name, for messages.
    pub name: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// How TLS is spoken with it; `None` for a connection in the clear.
    pub tls: Option<Arc<ClientConfig>>,
}

/// As whom.
#[derive(Clone)]
pub struct Account {
    /// The role.
    pub user: String,
    /// Its password; `None` where the site asks for none.
    pub password: Option<Password>,
}

/// A password; it does not print.
#[derive(Clone)]
pub struct Password(pub String);

/// How long a site may take to let a connection in.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// A connection to a site.
pub(crate) struct Server {
    pub(crate) stream: Stream,
    pub(crate) unused: Unused,
    pub(crate) unsent: Unsent,
    /// What cancels what runs here.
    pub(crate) cancel: Cancel,
    /// What the site told of its settings.
    pub(crate) statuses: Vec<(String, String)>,
    /// What has been set here since it was opened.
    pub(crate) applied: Settings,
    /// What has been prepared here.
    pub(crate) prepared: Remembered,
}

impl Server {
    /// Whether the other end is there, has been told everything and has said nothing that nobody
    /// asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.unused.bytes().is_empty() && self.unsent.is_sent() && self.stream.is_quiet()
    }
}

impl SiteAddress {
    /// Opens a connection.
    pub(crate) async fn open(&self, account: &Account) -> Result<Server> {
        let opening = tokio::time::timeout(OPENS_WITHIN, self.open_patiently(account)).await;
        opening.unwrap_or_else(|_| Err(self.away("it did not answer in time")))
    }

    async fn open_patiently(&self, account: &Account) -> Result<Server> {
        let stream = self.connect().await?;
        let parameters = [("user", &account.user), ("database", &self.database)];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.clone()));
        let mut hello = Vec::new();
        Startup { minor: 0, parameters: parameters.to_vec() }.write(&mut hello);
        let mut opening = Opening { site: self, account, stream, unused: Unused::default() };
        opening.send(&hello).await?;
        opening.authenticate().await?;
        opening.finish().await
    }

    async fn connect(&self) -> Result<Stream> {
        let reached = TcpStream::connect((self.host.as_str(), self.port)).await;
        let mut stream = reached.map_err(|error| self.lost(error))?;
        stream.set_nodelay(true).map_err(|error| self.lost(error))?;
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let request = [0, 0, 0, 8, 4, 210, 22, 47];
        stream.write_all(&request).await.map_err(|error| self.lost(error))?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await.map_err(|error| self.lost(error))?;
        if answer != *b"S" {
            return Err(self.away("it does not speak TLS"));
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| self.away("its host is no name for a certificate"))?;
        let tls = TlsConnector::from(tls.clone()).connect(name, stream).await;
        let tls = tls.map_err(|error| self.lost(error))?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(tls))))
    }

    /// Asks the site to cancel what runs on a connection; ends when the site has taken note.
    pub(crate) async fn cancel(&self, cancel: &Cancel) -> Result<()> {
        let mut stream = self.connect().await?;
        let mut bytes = Vec::new();
        cancel.write(&mut bytes);
        stream.write_all(&bytes).await.map_err(|error| self.lost(error))?;
        // The site closes the connection once it has sent the signal.
        let mut nothing = [0];
        stream.read(&mut nothing).await.map_err(|error| self.lost(error))?;
        Ok(())
    }

    pub(crate) fn lost(&self, error: std::io::Error) -> Error {
        self.away("it cannot be reached").because(error)
    }

    pub(crate) fn away(&self, why: &str) -> Error {
        Error::new(Kind::SiteAway, format!("site {}: {why}", self.name))
    }
}

/// A connection that is not let in yet.
struct Opening<'a> {
    site: &'a SiteAddress,
    account: &'a Account,
    stream: Stream,
    unused: Unused,
}

impl Opening<'_> {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.map_err(|error| self.site.lost(error))?;
        self.stream.flush().await.map_err(|error| self.site.lost(error))
    }

    /// The next message: its letter and body. Errors are errors of ours.
    async fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            let first = Frames::Backend.first(self.unused.bytes());
            let first =
                first.map_err(|error| self.site.away("it is no PostgreSQL").because(error))?;
            let Some(frame) = first else {
                let read = self.unused.read(&mut self.stream).await;
                if !read.map_err(|error| self.site.lost(error))? {
                    return Err(self.site.away("it closed the connection"));
                }
                continue;
            };
            let (tag, body, length) = (frame.tag, frame.body.to_vec(), frame.whole.len());
            self.unused.use_up(length);
            match tag {
                b'E' => return Err(self.refused(&body)),
                b'N' => {}
                _ => return Ok((tag, body)),
            }
        }
    }

    fn refused(&self, body: &[u8]) -> Error {
        let frame = Frame { tag: b'E', body, whole: body };
        let notice = Notice::read(&frame).unwrap_or_default();
        let why = notice.field(b'M').unwrap_or("it refused the connection").to_owned();
        self.site.away(&why).with_code(notice.code())
    }

    async fn authenticate(&mut self) -> Result<()> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let (tag, body) = self.receive().await?;
            let (kind, rest) = match (tag, body.split_first_chunk()) {
                (b'R', Some((kind, rest))) => (u32::from_be_bytes(*kind), rest),
                _ => return Err(self.odd()),
            };
            match (kind, scram.as_mut()) {
                (0, _) => return Ok(()),
                (3, _) if self.stream.is_encrypted() => {
                    let password = self.password()?;
                    self.send_password(password.as_bytes(), true).await?;
                }
                (5, _) => {
                    let salt = rest.try_into().map_err(|_| self.odd())?;
                    let (user, password) = (self.account.user.as_bytes(), self.password()?);
                    let hash = md5_hash(user, password.as_bytes(), salt);
                    self.send_password(hash.as_bytes(), true).await?;
                }
                (10, _) => {
                    let client = ScramSha256::new(
                        self.password()?.as_bytes(),
                        ChannelBinding::unrequested(),
                    );
                    let mut first = Vec::new();
                    first.extend(sasl::SCRAM_SHA_256.as_bytes());
                    first.push(0);
                    let length = u32::try_from(client.message().len()).unwrap_or_default();
                    first.extend(length.to_be_bytes());
                    first.extend(client.message());
                    self.send_password(&first, false).await?;
                    scram = Some(client);
                }
                (11, Some(client)) => {
                    client.update(rest).map_err(|error| self.site.lost(error))?;
                    let message = client.message().to_vec();
                    self.send_password(&message, false).await?;
                }
                (12, Some(client)) => client.finish(rest).map_err(|error| self.site.lost(error))?,
                (3, _) => return Err(self.site.away("it asks for the password in the clear")),
                _ => return Err(self.site.away("it asks for a proof that the router cannot give")),
            }
        }
    }

    fn odd(&self) -> Error {
        self.site.away("it does not answer as PostgreSQL does")
    }

    fn password(&self) -> Result<String> {
        match &self.account.password {
            Some(Password(password)) => Ok(password.clone()),
            None => Err(self.site.away("it asks for a password, and none is configured")),
        }
    }

    async fn send_password(&mut self, bytes: &[u8], ends: bool) -> Result<()> {
        let mut message = Vec::new();
        frame(&mut message, b'p', |to| {
            to.extend(bytes);
            if ends {
                to.push(0);
            }
        });
        self.send(&message).await
    }

    /// From being let in to the first statement.
    async fn finish(mut self) -> Result<Server> {
        let mut statuses = Vec::new();
        let mut cancel = Cancel { process: 0, secret: Vec::new() };
        loop {
            let (tag, body) = self.receive().await?;
            let frame = Frame { tag, body: &body, whole: &body };
            match tag {
                b'S' => {
                    let status = ParameterStatus::read(&frame).map_err(|_| self.odd())?;
                    statuses.push((status.name.to_owned(), status.value.to_owned()));
                }
                b'K' if body.len() >= 8 => {
                    let (process, secret) = body.split_at(4);
                    let process = process.try_into().map(u32::from_be_bytes);
                    cancel = Cancel {
                        process: process.map_err(|_| self.odd())?,
                        secret: secret.to_vec(),
                    };
                }
                b'Z' => break,
                _ => return Err(self.odd()),
            }
        }
        Ok(Server {
            stream: self.stream,
            unused: self.unused,
            unsent: Unsent::default(),
            cancel,
            statuses,
            applied: Settings::default(),
            prepared: Remembered::default(),
        })
    }
}
