//! What is answered without a site: where a transaction belongs is not known before its first
//! statement that tells, and until then the router says what a site would say.

use super::batch::{Batch, Part};
use super::{SUBJECT, Session, statements_of};
use crate::classify::{Command, Control, Set, Statement, Transaction};
use crate::error::{Error, Kind, Result};
use crate::prepared::Prepared;
use crate::wire::{command_complete, frame, ready_for_query};

impl Session {
    /// Whether everything in a batch can be answered here, while no connection is held.
    pub(super) fn is_local(&self, batch: &Batch) -> bool {
        let mut is_open = self.transaction.is_open;
        // A site must say whether what was put off can be done at all.
        let is_put_off = self.transaction.prelude.len() > 1
            || statements_of(batch).any(|s| matches!(&s.command, Command::Set(s) if !is_ours(s)));
        let is_lost = self.transaction.has_failed && super::ends_failed(batch);
        if is_put_off && statements_of(batch).any(Statement::commits) && !is_lost {
            return false;
        }
        batch.parts.iter().all(|(part, _)| match part {
            Part::Query(prepared) | Part::Bind(prepared) => is_local(prepared, &mut is_open),
            Part::Parse(prepared) | Part::DescribeStatement(prepared) => {
                !super::read(prepared).is_empty() && is_local(prepared, &mut is_open.clone())
            }
            _ => true,
        })
    }

    /// Whether a batch says nothing but what only the router needs to know, wherever its transaction is.
    pub(super) fn is_ours_alone(&self, batch: &Batch) -> bool {
        let mut statements = statements_of(batch).peekable();
        statements.peek().is_some()
            && batch.ends()
            && statements.all(|statement| match &statement.command {
                Command::Set(set) => is_ours(set),
                Command::Control(control) => *control == Control::DeallocateAll,
                _ => false,
            })
    }

    /// Answers a batch that [`Session::is_local`] has taken.
    pub(super) fn answer_locally(&mut self, batch: &Batch) -> Result<()> {
        let mut bound = None;
        for (part, _) in &batch.parts {
            match part {
                Part::Query(prepared) => {
                    self.run_locally(prepared)?;
                    ready_for_query(&mut self.out, self.transaction.status());
                }
                Part::Parse(_) => frame(&mut self.out, b'1', |_| {}),
                Part::Bind(prepared) => {
                    bound = Some(prepared.clone());
                    frame(&mut self.out, b'2', |_| {});
                }
                // No parameters, no columns.
                Part::DescribeStatement(_) => {
                    frame(&mut self.out, b't', |to| to.extend([0, 0]));
                    frame(&mut self.out, b'n', |_| {});
                }
                Part::DescribePortal if bound.is_some() => frame(&mut self.out, b'n', |_| {}),
                Part::DescribePortal | Part::Execute => {
                    let Some(prepared) = &bound else {
                        return Err(Error::new(Kind::Client, "the portal does not exist")
                            .with_code("34000"));
                    };
                    self.run_locally(prepared)?;
                }
                Part::CloseStatement | Part::ClosePortal => frame(&mut self.out, b'3', |_| {}),
                Part::Sync => ready_for_query(&mut self.out, self.transaction.status()),
                Part::Flush => {}
            }
        }
        Ok(())
    }

    fn run_locally(&mut self, prepared: &Prepared) -> Result<()> {
        let statements = super::read(prepared);
        if statements.is_empty() {
            frame(&mut self.out, b'I', |_| {});
        }
        for statement in statements {
            let text = prepared.text[statement.span.clone()].trim();
            let tag = self.run_statement_locally(statement, text)?;
            command_complete(&mut self.out, tag);
        }
        Ok(())
    }

    fn run_statement_locally(&mut self, statement: &Statement, text: &str) -> Result<&'static str> {
        match &statement.command {
            Command::Transaction(transaction) => self.transact_locally(transaction, text),
            Command::Set(set) => {
                if self.transaction.is_open {
                    if !is_ours(set) {
                        self.transaction.prelude.push(text.to_owned());
                    }
                    self.note_setting(set);
                } else if !set.is_local {
                    self.apply_setting(set.name.as_deref(), set.value.as_deref());
                }
                Ok(if set.value.is_some() { "SET" } else { "RESET" })
            }
            Command::Control(Control::SetTransaction) => {
                if self.transaction.is_open {
                    self.transaction.prelude.push(text.to_owned());
                }
                Ok("SET")
            }
            Command::Control(Control::DiscardAll) if self.transaction.is_open => {
                Err(Error::new(Kind::Client, "DISCARD ALL cannot run inside a transaction block")
                    .with_code("25001"))
            }
            Command::Control(Control::DiscardAll) => {
                self.statements.clear();
                self.apply_setting(None, None);
                Ok("DISCARD ALL")
            }
            _ => {
                self.statements.clear();
                Ok("DEALLOCATE ALL")
            }
        }
    }

    fn transact_locally(&mut self, what: &Transaction, text: &str) -> Result<&'static str> {
        let is_open = self.transaction.is_open;
        match *what {
            Transaction::Begin => {
                if !is_open {
                    self.transaction.is_open = true;
                    self.transaction.prelude.push(text.to_owned());
                }
                Ok("BEGIN")
            }
            Transaction::Commit { chain } | Transaction::Rollback { chain } => {
                let is_commit =
                    matches!(what, Transaction::Commit { .. }) && !self.transaction.has_failed;
                if chain && !is_open {
                    return Err(outside("AND CHAIN"));
                }
                let begin = self.transaction.prelude.first().cloned().filter(|_| chain);
                self.end_transaction(is_commit);
                if let Some(begin) = begin {
                    self.transaction.is_open = true;
                    self.transaction.prelude.push(begin);
                }
                Ok(if is_commit { "COMMIT" } else { "ROLLBACK" })
            }
            Transaction::Savepoint(_) | Transaction::Release(_) | Transaction::RollbackTo(_)
                if !is_open =>
            {
                Err(outside("a savepoint"))
            }
            Transaction::Savepoint(_) => {
                self.put_off(what, text);
                Ok("SAVEPOINT")
            }
            Transaction::Release(ref name) | Transaction::RollbackTo(ref name) => {
                if !self.transaction.savepoints.iter().any(|made| made.name == *name) {
                    let message = format!("savepoint \"{name}\" does not exist");
                    return Err(Error::new(Kind::Client, message).with_code("3B001"));
                }
                self.put_off(what, text);
                let is_release = matches!(what, Transaction::Release(_));
                self.transaction.has_failed &= is_release;
                Ok(if is_release { "RELEASE" } else { "ROLLBACK" })
            }
        }
    }

    fn put_off(&mut self, what: &Transaction, text: &str) {
        self.transaction.prelude.push(text.to_owned());
        self.transaction.note_savepoint(what);
    }

    /// The transaction is over: what it set holds, or never held.
    pub(super) fn end_transaction(&mut self, is_commit: bool) {
        let ended = std::mem::take(&mut self.transaction);
        if is_commit {
            for (name, value) in ended.settings {
                self.apply_setting(name.as_deref(), value.as_deref());
            }
        }
    }

    /// A setting that holds once the transaction commits, or until it ends.
    pub(super) fn note_setting(&mut self, set: &Set) {
        match set.name.as_deref() {
            Some(SUBJECT) => self.transaction.subject = Some(set.value.clone()),
            Some("search_path") => self.transaction.search_path = Some(set.value.clone()),
            None => {
                self.transaction.subject = Some(None);
                self.transaction.search_path = Some(None);
            }
            _ => {}
        }
        if !set.is_local {
            self.transaction.settings.push((set.name.clone(), set.value.clone()));
        }
    }

    /// A setting that holds for the session. `None` sets all of them back.
    pub(super) fn apply_setting(&mut self, name: Option<&str>, value: Option<&str>) {
        match name {
            Some(SUBJECT) => self.subject = value.map(str::to_owned),
            Some(name) => self.settings.set(name, value),
            None => {
                self.settings.reset();
                self.subject = None;
            }
        }
    }
}

/// Whether every statement of a text can be answered here; `is_open` says whether a transaction is.
fn is_local(prepared: &Prepared, is_open: &mut bool) -> bool {
    let Ok(statements) = &prepared.read else { return false };

    statements.iter().all(|statement| match &statement.command {
        Command::Query(_) => false,
        Command::Transaction(transaction) => {
            *is_open = match transaction {
                Transaction::Begin => true,
                Transaction::Commit { chain } | Transaction::Rollback { chain } => *chain,
                _ => *is_open,
            };
            true
        }
        // Whether something can be set a site must say, unless a transaction waits for one.
        Command::Set(set) => *is_open || set.is_local || is_ours(set),
        Command::Control(control) => matches!(
            control,
            Control::DiscardAll | Control::DeallocateAll | Control::SetTransaction
        ),
    })
}

/// Settings that only the router reads.
pub(super) fn is_ours(set: &Set) -> bool {
    set.name.as_deref() == Some(SUBJECT)
}

fn outside(what: &str) -> Error {
    Error::new(Kind::Client, format!("{what} can only be used in transaction blocks"))
        .with_code("25P01")
}
