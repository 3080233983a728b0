//! Waiting until the sites let a mover in.

use domicile_mover::Error;
use futures_util::future::BoxFuture;
use std::time::Duration;

const TRIES: u32 = 200;

/// Does it once. The claim of a run that ended without leave may outlast it a little.
pub(crate) async fn when_let_in<'a, T>(
    act: impl Fn() -> BoxFuture<'a, Result<T, Error>>,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match act().await {
            Err(error)
                if error.to_string().contains("somebody else is migrating") && tries < TRIES =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            ended => return ended,
        }
    }
}
