//! A bad network: a proxy on loopback between one client and one server.
//!
//! It works above TCP. The kernel goes on acknowledging what a half-open link swallows, so that
//! keepalives and `tcp_user_timeout` see nothing: that is a middlebox or a frozen peer, not a
//! pulled cable.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Chunks that are on the way at most; what comes after them waits in the sender's kernel.
const CHUNKS_MAX: usize = 64;
const CHUNK_BYTES: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// Both sides of every connection are closed at once; new connections are let in.
    Cut,
    /// Bytes vanish and sockets stay open, those of new connections too, until [`Proxy::heal`].
    HalfOpen,
    /// As [`LinkFault::HalfOpen`], for the connections there are alone: new ones go through. A
    /// middlebox has lost its table.
    Forgotten,
}

/// A proxy on a loopback port; dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    link: Arc<watch::Sender<Link>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Link {
    /// How often everything was closed; a connection ends when this changes.
    cuts: u64,
    is_silent: bool,
    /// How often the connections of the time were forgotten; older ones are silent.
    forgotten: u64,
    to_server: Duration,
    to_client: Duration,
    armed: Option<Armed>,
    faults: u64,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    direction: Direction,
    bytes_left: usize,
    fault: LinkFault,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to the server's.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start(server_port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listening")?;
        let port = listener.local_addr()?.port();
        let link = Arc::new(watch::Sender::new(Link::default()));
        let of_connections = link.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server_port, of_connections.clone()));
            }
        });
        Ok(Self { port, link, accepting })
    }

    /// A proxy before the server of a URL.
    ///
    /// # Errors
    /// When the URL names no port after `127.0.0.1:`.
    pub async fn before(url: &str) -> Result<Self> {
        Self::start(port_of(url)?).await
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL, with this proxy in the place of its server.
    ///
    /// # Errors
    /// When the URL names no port after `127.0.0.1:`.
    pub fn url(&self, url: &str) -> Result<String> {
        let server = format!("127.0.0.1:{}", port_of(url)?);
        Ok(url.replacen(&server, &format!("127.0.0.1:{}", self.port), 1))
    }

    /// Lets bytes of one direction arrive so much later; what is on the way keeps its time.
    pub fn delay(&self, direction: Direction, by: Duration) {
        self.link.send_modify(|link| match direction {
            Direction::ToServer => link.to_server = by,
            Direction::ToClient => link.to_client = by,
        });
    }

    /// Breaks the link now.
    pub fn fail(&self, fault: LinkFault) {
        self.link.send_modify(|link| link.fail(fault));
    }

    /// Breaks the link once so many more bytes have gone that way, over all connections.
    pub fn fail_after(&self, direction: Direction, bytes: usize, fault: LinkFault) {
        self.link.send_modify(|link| {
            link.armed = Some(Armed { direction, bytes_left: bytes, fault });
        });
    }

    /// Lets bytes through again. What was silent is closed, since bytes of it are missing; what
    /// was armed and has not happened will not.
    pub fn heal(&self) {
        self.link.send_modify(|link| {
            link.armed = None;
            if std::mem::take(&mut link.is_silent) || std::mem::take(&mut link.forgotten) > 0 {
                link.cuts += 1;
            }
        });
    }

    /// How often the link broke.
    pub fn faults(&self) -> u64 {
        self.link.borrow().faults
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.link.send_modify(|link| link.cuts += 1);
    }
}

impl Link {
    fn fail(&mut self, fault: LinkFault) {
        self.faults += 1;
        match fault {
            LinkFault::Cut => self.cuts += 1,
            LinkFault::HalfOpen => self.is_silent = true,
            LinkFault::Forgotten => self.forgotten += 1,
        }
    }

    fn delay(&self, direction: Direction) -> Duration {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }

    /// Whether nothing goes through on a connection of that age.
    fn is_silent_since(&self, born: u64) -> bool {
        self.is_silent || self.forgotten != born
    }

    /// How many of these bytes go through, and what happens after them.
    fn pass(
        &mut self,
        direction: Direction,
        bytes: usize,
        born: u64,
    ) -> (usize, Option<LinkFault>) {
        if self.is_silent_since(born) {
            return (0, None);
        }
        match self.armed {
            Some(armed) if armed.direction == direction && armed.bytes_left <= bytes => {
                self.armed = None;
                (armed.bytes_left, Some(armed.fault))
            }
            Some(ref mut armed) if armed.direction == direction => {
                armed.bytes_left -= bytes;
                (bytes, None)
            }
            _ => (bytes, None),
        }
    }
}

fn port_of(url: &str) -> Result<u16> {
    let (_, rest) = url.split_once("127.0.0.1:").with_context(|| format!("{url}: no port"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("{url}: no port"))
}

async fn serve(mut client: TcpStream, server_port: u16, link: Arc<watch::Sender<Link>>) {
    let mut changes = link.subscribe();
    let (born, age) = {
        let link = changes.borrow();
        (link.cuts, link.forgotten)
    };
    // A server that is down looks as it does without a proxy: the connection ends.
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let carried = async {
        tokio::select! {
            () = pump(Direction::ToServer, from_client, to_server, &link, age) => {}
            () = pump(Direction::ToClient, from_server, to_client, &link, age) => {}
        }
        // On a half-open link one side does not hear that the other has left.
        if link.borrow().is_silent_since(age) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = carried => {}
        _ = changes.wait_for(|link| link.cuts != born) => {}
    }
}

async fn pump(
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    link: &watch::Sender<Link>,
    age: u64,
) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let reading = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let at = Instant::now() + link.borrow().delay(direction);
            if queue.send((at, buffer[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            let mut passing = (0, None);
            // Nobody waits for the count of bytes.
            link.send_if_modified(|link| {
                passing = link.pass(direction, bytes.len(), age);
                false
            });
            if to.write_all(&bytes[..passing.0]).await.is_err() {
                return;
            }
            if let Some(fault) = passing.1 {
                link.send_modify(|link| link.fail(fault));
                if fault == LinkFault::Cut {
                    // The end comes from `serve`; nothing more goes through until then.
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    tokio::join!(reading, writing);
}
