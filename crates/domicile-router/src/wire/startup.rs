//! How a connection begins: the messages without a letter.

use super::frame::{frame, put_text};
use super::{Body, Broken};

/// PostgreSQL takes no longer ones.
const STARTUP_BYTES_MAX: usize = 10_000;

const CANCEL: u32 = 1234 << 16 | 5678;
const TLS: u32 = 1234 << 16 | 5679;
const GSS: u32 = 1234 << 16 | 5680;

/// A request to cancel what another connection runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Which connection.
    pub process: u32,
    /// What only it was told.
    pub secret: Vec<u8>,
}

/// The beginning of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The minor version of protocol 3 that the client asks for.
    pub minor: u16,
    /// Settings in the order in which they were sent, `user` and `database` among them.
    pub parameters: Vec<(String, String)>,
}

impl Startup {
    /// A setting's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(parameter, _)| parameter == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The first message of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartupMessage {
    /// TLS is asked for.
    Tls,
    /// Encryption by GSSAPI is asked for.
    Gss,
    /// A running statement of another connection is to be cancelled.
    Cancel(Cancel),
    /// A session begins.
    Startup(Startup),
}

/// Reads the first message: what it is and its length; `None` while it is not whole.
pub fn read_startup(buffer: &[u8]) -> Result<Option<(StartupMessage, usize)>, Broken> {
    let Some(length) = buffer.get(..4) else { return Ok(None) };
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(Broken::Startup);
    }
    let Some(whole) = buffer.get(4..length) else { return Ok(None) };
    let mut body = Body::new(b' ', whole);
    let code = body.i32().map_err(|_| Broken::Startup)?.cast_unsigned();
    let message = match code {
        TLS if body.is_empty() => StartupMessage::Tls,
        GSS if body.is_empty() => StartupMessage::Gss,
        CANCEL => {
            let process = body.i32().map_err(|_| Broken::Startup)?.cast_unsigned();
            let secret = body.rest.to_vec();
            // Protocol 3.2 allows secrets of up to 256 bytes.
            if !(4..=256).contains(&secret.len()) {
                return Err(Broken::Startup);
            }
            StartupMessage::Cancel(Cancel { process, secret })
        }
        version if version >> 16 == 3 => {
            let parameters = read_parameters(body).map_err(|_| Broken::Startup)?;
            // The lower half.
            let minor = (version & 0xffff) as u16;
            StartupMessage::Startup(Startup { minor, parameters })
        }
        _ => return Err(Broken::Startup),
    };
    Ok(Some((message, length)))
}

fn read_parameters(mut body: Body<'_>) -> Result<Vec<(String, String)>, Broken> {
    let mut parameters = Vec::new();
    loop {
        let name = body.text()?;
        if name.is_empty() {
            body.end()?;
            return Ok(parameters);
        }
        parameters.push((name.to_owned(), body.text()?.to_owned()));
    }
}

impl Startup {
    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend([0; 4]);
        to.extend((3 << 16 | u32::from(self.minor)).to_be_bytes());
        for (name, value) in &self.parameters {
            put_text(to, name);
            put_text(to, value);
        }
        to.push(0);
        put_length(to, start);
    }
}

impl Cancel {
    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend([0; 4]);
        to.extend(CANCEL.to_be_bytes());
        to.extend(self.process.to_be_bytes());
        to.extend(&self.secret);
        put_length(to, start);
    }
}

fn put_length(to: &mut [u8], start: usize) {
    let length = u32::try_from(to.len() - start).unwrap_or(u32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends the answer to a client that asks for a newer minor version, or for options of the
/// protocol (`_pq_.…`) that nobody here knows.
pub fn negotiate(to: &mut Vec<u8>, minor: u16, unknown: &[&str]) {
    frame(to, b'v', |to| {
        to.extend((3 << 16 | u32::from(minor)).to_be_bytes());
        to.extend(u32::try_from(unknown.len()).unwrap_or(u32::MAX).to_be_bytes());
        for name in unknown {
            put_text(to, name);
        }
    });
}
