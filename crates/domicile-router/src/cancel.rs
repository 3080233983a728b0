//! Cancelling what a session runs, and nothing else.
//!
//! A client cancels by a number and a secret of ours; the router asks the site to cancel what the
//! session's connection runs at that moment. A connection about which such a request was made serves
//! nobody else any more, so that a request that arrives late meets no stranger's statement.

use crate::error::Result;
use crate::server::SiteAddress;
use crate::wire::Cancel;
use ring::hmac;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sessions of every thread, for cancelling.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    by_process: Arc<Mutex<HashMap<u32, Arc<Running>>>>,
}

/// A session that can be cancelled as long as this is kept.
pub(crate) struct Entered {
    process: u32,
    running: Arc<Running>,
    sessions: Sessions,
}

impl Entered {
    /// The number by which a client cancels.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// What it runs.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.clone()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.sessions.by_process).remove(&self.process);
    }
}

/// What one session runs.
pub(crate) struct Running {
    secret: Vec<u8>,
    at: Mutex<Option<At>>,
    /// Held while a site is asked: whoever cancels a thousand times opens one connection.
    turn: tokio::sync::Mutex<()>,
    /// How often a site has been asked.
    turns: AtomicU64,
}

struct At {
    site: Arc<SiteAddress>,
    cancel: Cancel,
    was_asked: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// Enters a session under a number that no other has; `draw` gives random ones.
    pub(crate) fn enter(&self, secret: Vec<u8>, mut draw: impl FnMut() -> u32) -> Entered {
        let running = Arc::new(Running {
            secret,
            at: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            turns: AtomicU64::new(0),
        });
        let mut sessions = lock(&self.by_process);
        loop {
            // Clients print it as a signed number.
            let process = draw() >> 1;
            if process != 0 && !sessions.contains_key(&process) {
                sessions.insert(process, running.clone());
                return Entered { process, running, sessions: self.clone() };
            }
        }
    }

    /// Does what a client asks. Whoever names a wrong secret is told nothing.
    pub(crate) async fn cancel(&self, request: &Cancel) -> Result<()> {
        let running = lock(&self.by_process).get(&request.process).cloned();
        let Some(running) = running else { return Ok(()) };
        let mark = hmac::Key::new(hmac::HMAC_SHA256, &request.process.to_be_bytes());
        let expected = hmac::sign(&mark, &running.secret);
        if hmac::verify(&mark, &request.secret, expected.as_ref()).is_err() {
            return Ok(());
        }
        running.cancel().await
    }
}

impl Running {
    /// Asks the site to cancel what runs; ends when it has taken note.
    async fn cancel(&self) -> Result<()> {
        let turns = self.turns.load(Ordering::SeqCst);
        let _turn = self.turn.lock().await;
        if self.turns.load(Ordering::SeqCst) > turns {
            // Somebody else has asked meanwhile, and later than this was wanted.
            return Ok(());
        }
        self.turns.fetch_add(1, Ordering::SeqCst);
        let asked = lock(&self.at).as_mut().map(|at| {
            at.was_asked = true;
            (at.site.clone(), at.cancel.clone())
        });
        match asked {
            Some((site, cancel)) => site.cancel(&cancel).await,
            None => Ok(()),
        }
    }

    /// Notes that the session runs on a connection.
    pub(crate) fn begins_at(&self, site: &Arc<SiteAddress>, cancel: &Cancel) {
        let at = At { site: site.clone(), cancel: cancel.clone(), was_asked: false };
        *lock(&self.at) = Some(at);
    }

    /// Notes that it does not any more; says whether somebody asked to cancel it there.
    pub(crate) fn ends(&self) -> bool {
        lock(&self.at).take().is_some_and(|at| at.was_asked)
    }
}
