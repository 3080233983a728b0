//! A client that says what it is told, message by message.

use anyhow::{Context as _, Result, bail};
use domicile_router::wire::{Frames, Parse, Query, Startup, frame};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A message: its letter and its body.
pub(crate) type Message = (char, Vec<u8>);

/// A client that is let in.
pub(crate) struct Raw {
    stream: TcpStream,
    unused: Vec<u8>,
    /// What is not sent yet.
    words: Vec<u8>,
}

impl Raw {
    /// Comes in as `ann`, with these parameters beside.
    pub(crate) async fn enter(port: u16, parameters: &[(&str, &str)]) -> Result<Raw> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut raw = Raw { stream, unused: Vec::new(), words: Vec::new() };
        let own = [("user", "ann"), ("database", "app")];
        let all = own.iter().chain(parameters);
        let parameters = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Startup { minor: 0, parameters: parameters.collect() }.write(&mut raw.words);
        raw.send().await?;
        raw.prove().await?;
        raw.until('Z').await?;
        Ok(raw)
    }

    async fn prove(&mut self) -> Result<()> {
        let mut scram = ScramSha256::new(b"secret", ChannelBinding::unsupported());
        self.receive().await?;
        let first = scram.message().to_vec();
        frame(&mut self.words, b'p', |to| {
            to.extend(b"SCRAM-SHA-256\0");
            to.extend(length(&first));
            to.extend(&first);
        });
        self.send().await?;
        let (_, challenge) = self.receive().await?;
        scram.update(challenge.get(4..).context("a challenge")?)?;
        let proof = scram.message().to_vec();
        frame(&mut self.words, b'p', |to| to.extend(&proof));
        self.send().await?;
        let (_, last) = self.receive().await?;
        scram.finish(last.get(4..).context("a proof")?)?;
        Ok(())
    }

    pub(crate) fn query(&mut self, text: &str) -> &mut Self {
        Query { text }.write(&mut self.words);
        self
    }

    pub(crate) fn parse(&mut self, name: &str, text: &str) -> &mut Self {
        Parse { name, text, types: &[0, 0] }.write(&mut self.words);
        self
    }

    /// Binds the unnamed portal to a statement; the values are texts.
    pub(crate) fn bind(&mut self, statement: &str, values: &[&str]) -> &mut Self {
        frame(&mut self.words, b'B', |to| {
            to.push(0);
            to.extend(statement.as_bytes());
            to.extend([0, 0, 0]);
            to.extend(&length(values)[2..]);
            for value in values {
                to.extend(length(value.as_bytes()));
                to.extend(value.as_bytes());
            }
            to.extend([0, 0]);
        });
        self
    }

    pub(crate) fn describe(&mut self, statement: &str) -> &mut Self {
        frame(&mut self.words, b'D', |to| {
            to.push(b'S');
            to.extend(statement.as_bytes());
            to.push(0);
        });
        self
    }

    /// Runs the unnamed portal for so many rows; 0 means all.
    pub(crate) fn execute(&mut self, rows: u32) -> &mut Self {
        frame(&mut self.words, b'E', |to| {
            to.push(0);
            to.extend(rows.to_be_bytes());
        });
        self
    }

    pub(crate) fn sync(&mut self) -> &mut Self {
        frame(&mut self.words, b'S', |_| {});
        self
    }

    pub(crate) fn flush(&mut self) -> &mut Self {
        frame(&mut self.words, b'H', |_| {});
        self
    }

    pub(crate) async fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.words).await?;
        self.words.clear();
        Ok(())
    }

    pub(crate) async fn receive(&mut self) -> Result<Message> {
        loop {
            if let Some(first) = Frames::Backend.first(&self.unused)? {
                let message = (char::from(first.tag), first.body.to_vec());
                let length = first.whole.len();
                self.unused.drain(..length);
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.unused).await? == 0 {
                bail!("the router closed the connection");
            }
        }
    }

    /// Says it, and listens up to a message of this letter.
    pub(crate) async fn until(&mut self, last: char) -> Result<Vec<Message>> {
        self.send().await?;
        let mut heard = Vec::new();
        while heard.last().is_none_or(|(tag, _)| *tag != last) {
            heard.push(self.receive().await?);
        }
        Ok(heard)
    }

    /// Says it, and gives the letters of the answers up to where the router waits again, with the
    /// SQLSTATE of an error and how the transaction stands.
    pub(crate) async fn answers(&mut self) -> Result<String> {
        let heard = self.until('Z').await?;
        Ok(heard.iter().map(letters).collect())
    }
}

/// How many there are, in four bytes.
fn length<T>(list: &[T]) -> [u8; 4] {
    u32::try_from(list.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// A message as a test writes it: `1`, `E(42703)`, `Z(I)`.
pub(crate) fn letters((tag, body): &Message) -> String {
    match tag {
        'Z' => format!("Z({})", char::from(body[0])),
        'E' => {
            let fields = body.split(|byte| *byte == 0);
            let code = fields.filter_map(|field| field.strip_prefix(b"C")).next();
            format!("E({})", String::from_utf8_lossy(code.unwrap_or_default()))
        }
        // Of a row or an end, the text.
        'D' => format!("D({})", String::from_utf8_lossy(body.get(6..).unwrap_or_default())),
        tag => tag.to_string(),
    }
}
