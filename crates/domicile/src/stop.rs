//! SIGINT and SIGTERM: the first asks for a clean stop, the second ends the program. SIGHUP, where
//! it is listened for: read the configuration again.

use crate::exit::{Failure, Result};
use crate::screen;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Both signals, from now on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    stop: watch::Sender<bool>,
}

impl Signals {
    /// Takes both signals over. From here on the program no longer dies of the first one.
    pub(crate) fn listen() -> Result<Self> {
        Ok(Signals {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            stop: watch::Sender::new(false),
        })
    }

    /// SIGHUP: the configuration may be another.
    pub(crate) fn renewals() -> Result<Signal> {
        take(SignalKind::hangup())
    }

    /// Becomes true with the first signal.
    pub(crate) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Passes the first signal on; returns with the second, when the caller must end at once.
    pub(crate) async fn second(&mut self) {
        self.next().await;
        self.stop.send_replace(true);
        screen::say("stopping at the next safe point; once more to end at once");
        self.next().await;
    }

    /// Returns with the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn take(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Failure::failed("signals cannot be heard").because(&error))
}
