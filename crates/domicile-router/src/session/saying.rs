//! A batch as one connection needs it: statements that it lacks come first, those it has are spared.

use super::batch::{Part, broken};
use crate::error::Result;
use crate::pool::Lease;
use crate::prepared::{self, Prepared};
use crate::relay::{Expected, Relay};
use crate::wire::{Bind, Close, Describe, Frames, Named, Parse, Query, frame};

/// A batch on its way to one connection.
pub(super) struct Saying<'a> {
    pub(super) lease: &'a mut Lease,
    pub(super) relay: &'a mut Relay,
    pub(super) to: &'a mut Vec<u8>,
    /// How many `Parse` messages there are so far.
    pub(super) parses: usize,
    /// Statements that the connection gets by this, each with how many are prepared before it.
    pub(super) added: Vec<(usize, u64)>,
    /// Whether it takes statements off the connection.
    pub(super) evicts: bool,
}

impl Saying<'_> {
    /// A statement of ours before the client's; when it fails, the client's do not run.
    pub(super) fn prelude(&mut self, text: &str) {
        Parse { name: "", text, types: &[0, 0] }.write(self.to);
        self.parses += 1;
        frame(self.to, b'B', |to| to.extend([0; 8]));
        frame(self.to, b'E', |to| to.extend([0; 5]));
        self.relay.expect(Expected::Done { ours: true });
        self.relay.expect(Expected::Done { ours: true });
        self.relay.expect(Expected::Execute { ours: true });
    }

    pub(super) fn query(&mut self, prelude: &[String], text: &str) {
        if prelude.is_empty() {
            Query { text }.write(self.to);
        } else {
            let mut whole = prelude.join("\n;\n");
            whole.push_str("\n;\n");
            whole.push_str(text);
            Query { text: &whole }.write(self.to);
        }
        self.relay.expect(Expected::Query { hidden: prelude.len() });
    }

    pub(super) fn part(&mut self, part: &Part, whole: &[u8]) -> Result<()> {
        let first = Frames::Frontend.first(whole).map_err(broken)?;
        let Some(first) = first else { return Ok(()) };
        match part {
            Part::Parse(prepared) => {
                if !self.prepare(prepared, false) {
                    self.spare(b'1');
                }
            }
            Part::Bind(prepared) => {
                self.prepare(prepared, true);
                Bind::read(&first).map_err(broken)?.write_for(&prepared.name, self.to);
                self.relay.expect(Expected::Done { ours: false });
            }
            Part::DescribeStatement(prepared) => {
                self.prepare(prepared, true);
                Describe(Named::Statement(&prepared.name)).write(self.to);
                self.relay.expect(Expected::Statement { ours: false });
            }
            Part::CloseStatement => self.spare(b'3'),
            Part::DescribePortal => self.as_it_is(whole, Some(Expected::Portal)),
            Part::Execute => self.as_it_is(whole, Some(Expected::Execute { ours: false })),
            Part::ClosePortal => self.as_it_is(whole, Some(Expected::Done { ours: false })),
            Part::Sync => self.as_it_is(whole, Some(Expected::Sync)),
            Part::Flush => self.as_it_is(whole, None),
            Part::Query(_) => {}
        }
        Ok(())
    }

    fn as_it_is(&mut self, whole: &[u8], expected: Option<Expected>) {
        self.to.extend(whole);
        expected.into_iter().for_each(|expected| self.relay.expect(expected));
    }

    fn spare(&mut self, tag: u8) {
        let mut bytes = Vec::new();
        frame(&mut bytes, tag, |_| {});
        self.relay.expect(Expected::Spared(bytes));
    }

    /// Makes sure that the connection has a statement; `false` where it had it.
    fn prepare(&mut self, prepared: &Prepared, ours: bool) -> bool {
        let (was_there, must_go) = self.lease.server.prepared.make_use_of(prepared.number);
        if was_there {
            return false;
        }
        if let Some(number) = must_go {
            self.evicts = true;
            Close(Named::Statement(&prepared::name(number))).write(self.to);
            self.relay.expect(Expected::Done { ours: true });
        }
        Parse { name: &prepared.name, text: &prepared.text, types: &prepared.types }.write(self.to);
        self.relay.expect(Expected::Done { ours });
        self.added.push((self.parses, prepared.number));
        self.parses += 1;
        true
    }
}
