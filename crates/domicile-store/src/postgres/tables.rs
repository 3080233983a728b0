//! A transaction's locks on the tables of a move, taken all together or not at all.
//!
//! Whoever waits for one table and holds another can meet somebody in a circle who locks tables in
//! another order, such as a migration of the schema, and the server may end the other. So a table
//! that somebody keeps to themselves is waited for while nothing is held.

use super::session::Session;
use crate::closure::Closure;
use crate::error::{Kind, Result};

/// Begins a transaction that may write to every table of the closure; fails with
/// [`Kind::RetryNow`] where one of them is kept by somebody else.
pub(super) fn beginning(closure: &Closure) -> String {
    let names: Vec<String> = closure.tables().map(|table| table.name.sql()).collect();
    format!("BEGIN; LOCK TABLE {} IN ROW EXCLUSIVE MODE NOWAIT", names.join(", "))
}

/// Waits until every table has been free once, in a transaction of its own for each.
pub(super) async fn wait(session: &Session, closure: &Closure) -> Result<()> {
    let texts: Vec<String> = closure
        .tables()
        .map(|table| {
            format!("BEGIN; LOCK TABLE {} IN ROW EXCLUSIVE MODE; COMMIT", table.name.sql())
        })
        .collect();
    run_or_roll_back(session, &texts.join(";")).await
}

/// Begins such a transaction as soon as nobody keeps any of the tables.
pub(super) async fn begin(session: &Session, closure: &Closure) -> Result<()> {
    let beginning = beginning(closure);
    loop {
        match run_or_roll_back(session, &beginning).await {
            Err(error) if error.kind() == Kind::RetryNow => wait(session, closure).await?,
            begun => return begun,
        }
    }
}

/// After an error no transaction is open.
async fn run_or_roll_back(session: &Session, text: &str) -> Result<()> {
    let done = session.batch(text).await;
    if done.is_err() {
        // A connection that is gone has rolled back already.
        let _ = session.batch("ROLLBACK").await;
    }
    done
}
