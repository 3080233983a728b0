//! Connections to the servers.

use std::future::Future;

use anyhow::{Context, Result, anyhow};
use tokio_postgres::{Client, NoTls};

/// Connects without TLS; the connection is driven by a task of the current runtime and ends
/// when the client is dropped.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .with_context(|| format!("connecting to {url}"))?;
    // A broken connection shows itself at the client's next call.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// Runs a future to its end on a thread of its own, so that it may be called inside a runtime.
pub(crate) fn wait_for<T, F>(future: F) -> Result<T>
where
    T: Send,
    F: Future<Output = Result<T>> + Send,
{
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
        });
        thread.join().map_err(|_| anyhow!("the thread that talks to PostgreSQL panicked"))?
    })
}
