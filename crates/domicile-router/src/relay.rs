//! What a server answers, on its way to the client.
//!
//! A router sends more than its client asked for (a statement that this server has not prepared
//! yet, a setting, the beginning of a transaction that was put off) and less (a statement that it
//! has prepared already). [`Relay`] knows what every answer belongs to, drops the answers to what
//! was ours and adds those to what was left out, so that the client sees exactly the answers to what
//! it said. Pure: it is given the bytes that have arrived, and appends those that go on.

use crate::wire::{Broken, Frame, Frames, Notice};
use std::collections::VecDeque;

#[cfg(test)]
mod tests;

/// One message that was said to a server, or spared, and what answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `Parse`, `Bind` or `Close`: one message without content.
    Done {
        /// Whether the client knows nothing of it.
        ours: bool,
    },
    /// `Describe` of a statement: parameters, then columns or none.
    Statement {
        /// Whether the client knows nothing of it.
        ours: bool,
    },
    /// `Describe` of a portal: columns or none.
    Portal,
    /// `Execute`: rows, then the end.
    Execute {
        /// Whether the client knows nothing of it.
        ours: bool,
    },
    /// `Query`: any number of results, then that the next may come.
    Query {
        /// How many of its first results are of statements that were put before the client's.
        hidden: usize,
    },
    /// `Query` of which the client knows nothing.
    OurQuery,
    /// `Sync`: that the next may come.
    Sync,
    /// Nothing was said; the client gets this when its turn comes.
    Spared(Vec<u8>),
}

/// What has come of the bytes that have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of them are dealt with; more must come.
    More,
    /// Everything that was said is answered. The letter says how the transaction stands.
    Ready(u8),
    /// An error. It was not passed on: whoever drives does it by [`Relay::pass_error`], or, while
    /// [`Relay::has_answered`] is false, tries elsewhere. What comes up to the next
    /// [`Step::Ready`] belongs to it.
    Failed(Notice),
    /// The server wants rows from the client.
    CopyIn,
}

/// The answers of one server to one client, from the first message that is said to it.
#[derive(Clone, Debug, Default)]
pub struct Relay {
    expected: VecDeque<Expected>,
    /// Bytes of a long message that are still to come and go on as they are.
    passing: usize,
    /// Whether they go to the client.
    passes_to_client: bool,
    /// Whether the client has been told of something that was done.
    answered: bool,
    /// What the server last said of its transaction.
    status: u8,
    /// The error that was shown and not passed on yet.
    shown: Option<Vec<u8>>,
    /// How many statements the server has prepared.
    prepared: usize,
    /// How many of its own `Parse` messages the client knows to have succeeded.
    parsed: usize,
}

/// Messages longer than this go on as they arrive.
const WHOLE_BYTES_MAX: usize = 16 * 1024;

impl Relay {
    /// A relay for a transaction of which nothing has been answered.
    pub fn new() -> Self {
        Relay { status: b'I', ..Relay::default() }
    }

    /// Notes what was said, or spared, in order.
    pub fn expect(&mut self, expected: Expected) {
        self.expected.push_back(expected);
    }

    /// Whether anything is still to be answered.
    pub fn is_waiting(&self) -> bool {
        !self.expected.is_empty() || self.passing > 0
    }

    /// Whether the client has been told of something that was done, so that the transaction cannot
    /// be run again elsewhere unnoticed. Until then nothing that [`Relay::advance`] appended needs to
    /// be sent.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// What the server last said of its transaction: `I`, `T` or `E`.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// How many `Parse` messages have succeeded. What was prepared stays when something after it
    /// fails.
    pub fn prepared(&self) -> usize {
        self.prepared
    }

    /// How many `Parse` messages of the client's have succeeded, those that were spared included.
    pub fn parsed(&self) -> usize {
        self.parsed
    }

    /// Passes the error on that [`Step::Failed`] showed.
    pub fn pass_error(&mut self, to: &mut Vec<u8>) {
        if let Some(error) = self.shown.take() {
            self.answered = true;
            to.extend(error);
        }
    }

    /// Drops the error, and with it whatever the server says up to the next [`Step::Ready`].
    pub fn drop_error(&mut self) {
        self.shown = None;
    }

    /// Looks at bytes that have arrived; appends those for the client. Says how many were dealt
    /// with: the rest is the beginning of a message, or comes after the step.
    pub fn advance(&mut self, arrived: &[u8], to: &mut Vec<u8>) -> Result<(usize, Step), Broken> {
        let mut at = 0;
        loop {
            self.spare(to);
            let rest = &arrived[at..];
            if self.passing > 0 {
                let count = self.passing.min(rest.len());
                if self.passes_to_client {
                    to.extend(&rest[..count]);
                }
                self.passing -= count;
                at += count;
                if self.passing > 0 {
                    return Ok((at, Step::More));
                }
                continue;
            }
            let Some(length) = Frames::Backend.length(rest)? else { return Ok((at, Step::More)) };
            if length > rest.len() {
                if length > WHOLE_BYTES_MAX && is_passed_in_parts(rest[0]) {
                    self.passes_to_client = self.is_for_client()?;
                    self.answered |= self.passes_to_client;
                    self.passing = length;
                    continue;
                }
                return Ok((at, Step::More));
            }
            let whole = &rest[..length];
            at += length;
            let frame = Frame { tag: whole[0], body: &whole[5..], whole };
            if let Some(step) = self.take(&frame, to)? {
                return Ok((at, step));
            }
        }
    }

    /// Gives the client what was spared, as far as it is its turn.
    fn spare(&mut self, to: &mut Vec<u8>) {
        while let Some(Expected::Spared(bytes)) = self.expected.front() {
            to.extend(bytes);
            self.parsed += usize::from(bytes.first() == Some(&b'1'));
            self.expected.pop_front();
        }
    }

    /// Whether the answer that comes belongs to something the client said.
    fn is_for_client(&self) -> Result<bool, Broken> {
        match self.expected.front() {
            Some(
                Expected::Done { ours } | Expected::Statement { ours } | Expected::Execute { ours },
            ) => Ok(!ours),
            Some(Expected::Query { hidden }) => Ok(*hidden == 0),
            Some(Expected::OurQuery) => Ok(false),
            Some(_) => Ok(true),
            None => Err(Broken::Unknown { tag: 'D' }),
        }
    }

    fn take(&mut self, frame: &Frame<'_>, to: &mut Vec<u8>) -> Result<Option<Step>, Broken> {
        let unexpected = Broken::Unknown { tag: char::from(frame.tag) };
        match frame.tag {
            // What comes at any time belongs to nothing.
            b'N' | b'S' | b'A' => {
                to.extend(frame.whole);
                Ok(None)
            }
            b'E' => self.error(frame),
            b'Z' => {
                let [status] = *frame.body else {
                    return Err(Broken::Body { tag: 'Z' });
                };
                self.status = status;
                self.ready(to, frame).ok_or(unexpected)
            }
            _ => {
                let is_for_client = self.is_for_client().map_err(|_| unexpected.clone())?;
                if !self.fits(frame.tag) {
                    return Err(unexpected);
                }
                self.prepared += usize::from(frame.tag == b'1');
                if is_for_client {
                    self.parsed += usize::from(frame.tag == b'1');
                    self.answered |= matches!(frame.tag, b'D' | b'C' | b'I' | b's' | b'G' | b'H');
                    to.extend(frame.whole);
                }
                Ok((frame.tag == b'G' && is_for_client).then_some(Step::CopyIn))
            }
        }
    }

    /// Whether a message may answer what is expected next; what it ends is taken off.
    fn fits(&mut self, tag: u8) -> bool {
        let Some(expected) = self.expected.front_mut() else { return false };
        if let (Expected::Query { hidden }, b'C' | b'I') = (&mut *expected, tag) {
            *hidden = hidden.saturating_sub(1);
        }
        let (fits, ends) = match (&*expected, tag) {
            (Expected::Done { .. }, b'1' | b'2' | b'3') => (true, true),
            (Expected::Statement { .. }, b't') => (true, false),
            (Expected::Statement { .. } | Expected::Portal, b'T' | b'n') => (true, true),
            (Expected::Execute { .. }, b'D' | b'G' | b'H' | b'd' | b'c') => (true, false),
            (Expected::Execute { .. }, b'C' | b'I' | b's') => (true, true),
            (
                Expected::Query { .. } | Expected::OurQuery,
                b'T' | b'D' | b'C' | b'I' | b'G' | b'H' | b'd' | b'c',
            ) => (true, false),
            _ => (false, false),
        };
        if ends {
            self.expected.pop_front();
        }
        fits
    }

    /// After an error the server answers nothing up to the next `Sync`, or ends the `Query`.
    fn error(&mut self, frame: &Frame<'_>) -> Result<Option<Step>, Broken> {
        while !matches!(
            self.expected.front(),
            None | Some(Expected::Sync | Expected::Query { .. } | Expected::OurQuery)
        ) {
            self.expected.pop_front();
        }
        self.shown = Some(frame.whole.to_vec());
        Ok(Some(Step::Failed(Notice::read(frame)?)))
    }

    /// `None` where nothing was to end.
    fn ready(&mut self, to: &mut Vec<u8>, frame: &Frame<'_>) -> Option<Option<Step>> {
        let is_for_client = match self.expected.pop_front()? {
            Expected::Sync | Expected::Query { .. } => true,
            Expected::OurQuery => false,
            _ => return None,
        };
        if is_for_client {
            to.extend(frame.whole);
        }
        self.spare(to);
        Some(self.expected.is_empty().then_some(Step::Ready(self.status)))
    }
}

/// Long messages that need not be understood.
fn is_passed_in_parts(tag: u8) -> bool {
    matches!(tag, b'D' | b'd')
}
