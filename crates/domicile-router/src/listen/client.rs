//! What is said with a client before it is let in.

use crate::error::{Error, Kind, Result};
use crate::stream::{Stream, Unused};
use crate::wire::{Frames, StartupMessage, frame, read_startup};
use tokio::io::AsyncWriteExt as _;

/// A client that is not let in yet.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) unused: Unused,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.map_err(left)?;
        self.stream.flush().await.map_err(left)
    }

    async fn more(&mut self) -> Result<()> {
        match self.unused.read(&mut self.stream).await.map_err(left)? {
            true => Ok(()),
            false => Err(Error::new(Kind::Client, "the client left")),
        }
    }

    pub(super) async fn startup(&mut self) -> Result<StartupMessage> {
        loop {
            let read = read_startup(self.unused.bytes());
            let read = read.map_err(|error| Error::new(Kind::Client, error.to_string()))?;
            if let Some((message, length)) = read {
                self.unused.use_up(length);
                return Ok(message);
            }
            self.more().await?;
        }
    }

    /// The body of a password message.
    pub(super) async fn password(&mut self) -> Result<Vec<u8>> {
        /// What is longer is no proof.
        const BYTES_MAX: usize = 10_000;
        loop {
            let bytes = self.unused.bytes();
            let length = Frames::Frontend.length(bytes);
            let length = length.map_err(|error| Error::new(Kind::Client, error.to_string()))?;
            if bytes.first().is_some_and(|tag| *tag != b'p')
                || length.is_some_and(|l| l > BYTES_MAX)
            {
                return Err(Error::new(Kind::Client, "a password was asked for"));
            }
            if let Ok(Some(frame)) = Frames::Frontend.first(bytes) {
                let (body, length) = (frame.body.to_vec(), frame.whole.len());
                self.unused.use_up(length);
                return Ok(body);
            }
            self.more().await?;
        }
    }

    pub(super) async fn say(&mut self, kind: u32, text: &str) -> Result<()> {
        let mut bytes = Vec::new();
        frame(&mut bytes, b'R', |to| {
            to.extend(kind.to_be_bytes());
            to.extend(text.as_bytes());
        });
        self.send(&bytes).await
    }
}

pub(super) fn left(error: std::io::Error) -> Error {
    Error::new(Kind::Client, "the client left").because(error)
}
