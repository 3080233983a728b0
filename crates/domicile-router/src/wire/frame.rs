//! Where one message ends and the next begins.

use super::Broken;

/// The letter and the length.
pub const HEADER_BYTES: usize = 5;

/// Longer messages are not held by PostgreSQL either.
const LARGE_BYTES_MAX: u32 = 0x3fff_ffff;

/// Of messages that hold no text or value of the user's.
const SMALL_BYTES_MAX: u32 = 10_000;

/// One whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its letter.
    pub tag: u8,
    /// What follows the header.
    pub body: &'a [u8],
    /// Header and body.
    pub whole: &'a [u8],
}

/// Which end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// A client.
    Frontend,
    /// A server.
    Backend,
}

impl Frames {
    /// How long a message of this kind may be; `None` where there is no such message.
    fn bytes_max(self, tag: u8) -> Option<u32> {
        match (self, tag) {
            (Frames::Frontend, b'Q' | b'P' | b'B' | b'd' | b'p' | b'F') => Some(LARGE_BYTES_MAX),
            (Frames::Frontend, b'D' | b'E' | b'C' | b'S' | b'H' | b'X' | b'c' | b'f') => {
                Some(SMALL_BYTES_MAX)
            }
            (
                Frames::Backend,
                b'D' | b'T' | b'E' | b'N' | b'A' | b'd' | b'S' | b'V' | b't' | b'R',
            ) => Some(LARGE_BYTES_MAX),
            (
                Frames::Backend,
                b'1' | b'2' | b'3' | b'C' | b'G' | b'H' | b'I' | b'K' | b'W' | b'Z' | b'c' | b'n'
                | b's' | b'v',
            ) => Some(SMALL_BYTES_MAX),
            _ => None,
        }
    }

    /// The length of the message that begins a buffer, header included; `None` while less than
    /// the header is there. Nothing that follows an error can be trusted.
    pub fn length(self, buffer: &[u8]) -> Result<Option<usize>, Broken> {
        let Some(&tag) = buffer.first() else { return Ok(None) };
        let max = self.bytes_max(tag).ok_or(Broken::Unknown { tag: char::from(tag) })?;
        let Some(length) = buffer.get(1..HEADER_BYTES) else { return Ok(None) };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        if !(4..=max).contains(&length) {
            return Err(Broken::Length { tag: char::from(tag), length });
        }
        // At most 2³⁰.
        Ok(Some(length as usize + 1))
    }

    /// The message that begins a buffer; `None` while it is not whole.
    pub fn first(self, buffer: &[u8]) -> Result<Option<Frame<'_>>, Broken> {
        let Some(length) = self.length(buffer)? else { return Ok(None) };
        Ok(buffer.get(..length).map(|whole| Frame {
            tag: whole[0],
            body: &whole[HEADER_BYTES..],
            whole,
        }))
    }
}

/// Appends a message; `body` appends what follows the header.
pub fn frame(to: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    to.push(tag);
    let start = to.len();
    to.extend([0; 4]);
    body(to);
    // Bodies that we write are bounded by messages that were read.
    let length = u32::try_from(to.len() - start).unwrap_or(u32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends text and the zero byte that ends it.
pub(crate) fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend(text.as_bytes());
    to.push(0);
}
