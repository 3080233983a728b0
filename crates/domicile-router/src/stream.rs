//! A connection with or without TLS, and the bytes of it that have been read and not used.

use crate::certificate;
use futures_util::FutureExt as _;
use socket2::SockRef;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether nobody between the two ends can read along.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// The common name in the certificate that the other end, a client, has shown and that was found
    /// to be good.
    pub(crate) fn peer_name(&self) -> Option<String> {
        let Stream::Tls(stream) = self else { return None };
        let shown = stream.get_ref().1.peer_certificates()?.first()?;
        certificate::common_name(shown)
    }

    /// Whether nothing has come, not even the end. Looks without waiting; reads nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        let tcp = match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        // Without word of anything there is nothing to look at.
        if tcp.ready(Interest::READABLE).now_or_never().is_none() {
            return true;
        }
        let peeked = tcp
            .try_io(Interest::READABLE, || SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]));
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// So much is asked for at a time.
const READ_BYTES: usize = 32 * 1024;

thread_local! {
    /// Where everything on this thread arrives: whoever waits for something has no buffer.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Bytes that have been read and not used yet. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Unused {
    bytes: Vec<u8>,
    start: usize,
}

impl Unused {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Takes bytes off the front.
    pub(crate) fn use_up(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Takes bytes out of the middle.
    pub(crate) fn cut(&mut self, at: usize, count: usize) {
        let start = self.start + at;
        self.bytes.drain(start..start + count);
    }

    /// Gives the memory back, where it holds nothing.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }

    /// Reads what has come, at least a byte; `false` at the end. May be dropped at any time.
    pub(crate) async fn read(&mut self, stream: &mut Stream) -> io::Result<bool> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut arrived = ReadBuf::new(scratch);
                ready!(Pin::new(&mut *stream).poll_read(context, &mut arrived))?;
                self.bytes.extend(arrived.filled());
                Poll::Ready(Ok(!arrived.filled().is_empty()))
            })
        })
        .await
    }
}

/// Bytes that are still to be written, while whoever gets them may be busy writing too.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    start: usize,
}

impl Unsent {
    /// Adds bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Whether everything is on its way.
    pub(crate) fn is_sent(&self) -> bool {
        self.bytes.is_empty()
    }

    fn poll_send(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.start < self.bytes.len() {
            let rest = &self.bytes[self.start..];
            match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.start += count,
            }
        }
        ready!(Pin::new(stream).poll_flush(context))?;
        self.bytes.clear();
        self.bytes.shrink_to(READ_BYTES);
        self.start = 0;
        Poll::Ready(Ok(()))
    }
}

/// What came of a look at both directions of a connection.
pub(crate) enum Exchanged {
    /// Everything is sent.
    Sent,
    /// Bytes have come.
    Arrived,
    /// The other end has closed the connection.
    Ended,
}

/// Sends what is unsent and reads what comes, whichever goes on first: the other end may read
/// nothing more before somebody reads what it has to say. May be dropped at any time.
pub(crate) async fn exchange(
    stream: &mut Stream,
    unsent: &mut Unsent,
    unused: &mut Unused,
) -> io::Result<Exchanged> {
    poll_fn(|context| {
        if !unsent.is_sent() && unsent.poll_send(stream, context)?.is_ready() {
            return Poll::Ready(Ok(Exchanged::Sent));
        }
        let read = ready!(pin!(unused.read(stream)).poll(context))?;
        Poll::Ready(Ok(if read { Exchanged::Arrived } else { Exchanged::Ended }))
    })
    .await
}
