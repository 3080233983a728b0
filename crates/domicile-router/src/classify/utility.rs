//! Statements that read no rows: transactions, settings, and what the router leaves alone.

use super::Command;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    DiscardMode, TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt, a_const,
};

/// What a statement does with the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`; with `AND CHAIN`.
    Commit {
        /// Whether another one begins at once.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`; with `AND CHAIN`.
    Rollback {
        /// Whether another one begins at once.
        chain: bool,
    },
    /// `SAVEPOINT`, with its name.
    Savepoint(String),
    /// `RELEASE`, with the savepoint's name.
    Release(String),
    /// `ROLLBACK TO`, with the savepoint's name.
    RollbackTo(String),
}

impl Transaction {
    /// Whether it ends a transaction, or takes a failed one back to where it had not failed.
    pub fn ends_failure(&self) -> bool {
        self.ends() || matches!(self, Transaction::RollbackTo(_))
    }

    /// Whether it ends a transaction.
    pub fn ends(&self) -> bool {
        matches!(self, Transaction::Commit { .. } | Transaction::Rollback { .. })
    }
}

/// A change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The setting's name in small letters; `None` where it is all of them.
    pub name: Option<String>,
    /// The value as one text, where there is one; `None` sets it back.
    pub value: Option<String>,
    /// Until the transaction ends.
    pub is_local: bool,
}

/// What concerns the session or an open transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `DISCARD ALL`.
    DiscardAll,
    /// `DEALLOCATE ALL`.
    DeallocateAll,
    /// `SHOW`.
    Show,
    /// `SET TRANSACTION`, `SET CONSTRAINTS`.
    SetTransaction,
    /// `FETCH`, `MOVE`, `CLOSE`: what is open already is where it was opened.
    Cursor,
}

/// `None` where rows must be looked at.
pub(super) fn read(node: &NodeEnum) -> Option<Command> {
    Some(match node {
        NodeEnum::TransactionStmt(statement) => return transaction(statement),
        NodeEnum::VariableSetStmt(statement) => return set(statement),
        NodeEnum::VariableShowStmt(_) => Command::Control(Control::Show),
        NodeEnum::DiscardStmt(statement) if statement.target() == DiscardMode::DiscardAll => {
            Command::Control(Control::DiscardAll)
        }
        NodeEnum::DeallocateStmt(statement) if statement.name.is_empty() => {
            Command::Control(Control::DeallocateAll)
        }
        NodeEnum::FetchStmt(_) | NodeEnum::ClosePortalStmt(_) => Command::Control(Control::Cursor),
        NodeEnum::ConstraintsSetStmt(_) => Command::Control(Control::SetTransaction),
        _ => return None,
    })
}

fn transaction(statement: &TransactionStmt) -> Option<Command> {
    let chain = statement.chain;
    let name = || statement.savepoint_name.clone();
    Some(Command::Transaction(match statement.kind() {
        TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => {
            Transaction::Begin
        }
        TransactionStmtKind::TransStmtCommit => Transaction::Commit { chain },
        TransactionStmtKind::TransStmtRollback => Transaction::Rollback { chain },
        TransactionStmtKind::TransStmtSavepoint => Transaction::Savepoint(name()),
        TransactionStmtKind::TransStmtRelease => Transaction::Release(name()),
        TransactionStmtKind::TransStmtRollbackTo => Transaction::RollbackTo(name()),
        // Two-phase commit leaves a transaction that no session holds.
        _ => return None,
    }))
}

fn set(statement: &VariableSetStmt) -> Option<Command> {
    let value = match statement.kind() {
        VariableSetKind::VarSetValue => {
            let constants = statement.args.iter().map(|arg| match &arg.node {
                Some(NodeEnum::AConst(constant)) => Some(match constant.val.as_ref()? {
                    a_const::Val::Ival(number) => number.ival.to_string(),
                    a_const::Val::Fval(number) => number.fval.clone(),
                    a_const::Val::Sval(text) => text.sval.clone(),
                    a_const::Val::Boolval(value) => value.boolval.to_string(),
                    a_const::Val::Bsval(_) => return None,
                }),
                _ => None,
            });
            let constants: Option<Vec<String>> = constants.collect();
            let mut constants = constants?;
            if statement.name.eq_ignore_ascii_case("search_path") {
                // A list of names, whose case is kept.
                let quoted =
                    constants.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
                constants = quoted.collect();
            }
            Some(constants.join(", "))
        }
        VariableSetKind::VarSetDefault | VariableSetKind::VarReset => None,
        VariableSetKind::VarResetAll => {
            return Some(Command::Set(Set { name: None, value: None, is_local: false }));
        }
        // `SET TRANSACTION` and `SET SESSION CHARACTERISTICS`.
        VariableSetKind::VarSetMulti if statement.name == "TRANSACTION" => {
            return Some(Command::Control(Control::SetTransaction));
        }
        _ => return None,
    };
    if statement.name == "session_authorization" {
        return None;
    }
    let name = Some(statement.name.to_ascii_lowercase());
    Some(Command::Set(Set { name, value, is_local: statement.is_local }))
}

/// Why a statement that reads or writes no table known here goes nowhere by itself.
pub(super) fn why_not(node: &NodeEnum) -> String {
    let what = match node {
        NodeEnum::DeclareCursorStmt(_) => "a cursor WITH HOLD outlives its transaction",
        NodeEnum::CopyStmt(_) => "COPY moves rows of many people",
        NodeEnum::TruncateStmt(_) => "TRUNCATE empties a table for everybody",
        NodeEnum::LockStmt(_) => "LOCK holds a table for everybody at one site only",
        NodeEnum::PrepareStmt(_) | NodeEnum::ExecuteStmt(_) | NodeEnum::DeallocateStmt(_) => {
            "statements are prepared by the protocol here, not by SQL"
        }
        NodeEnum::ListenStmt(_) | NodeEnum::UnlistenStmt(_) | NodeEnum::NotifyStmt(_) => {
            "notifications reach the sessions of one site only"
        }
        NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_) => {
            "it runs code that may read or write anything"
        }
        NodeEnum::TransactionStmt(_) => {
            "a prepared transaction outlives the session that knows its site"
        }
        NodeEnum::VariableSetStmt(_) => "it sets something that the router cannot read",
        NodeEnum::MergeStmt(_) => "the router does not read MERGE",
        NodeEnum::VacuumStmt(_) => "it maintains one site, and does not say which",
        _ => "it is about a whole database, and does not say which",
    };
    what.to_owned()
}
