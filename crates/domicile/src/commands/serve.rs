//! `domicile serve`: one address in front of all sites.

mod behind;
mod door;

use crate::cli::Global;
use crate::config::Serve;
use crate::exit::{Exit, Failure, Result};
use crate::screen;
use crate::stop::Signals;
use behind::Behind;
pub(super) use behind::read_schema;
use domicile_router::{Entrance, ServerTls};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Serves until a signal comes.
pub(crate) async fn run(global: &Global) -> Result<Exit> {
    allow_many_files();
    let mut signals = Signals::listen()?;
    let mut renewals = Signals::renewals()?;
    let (mut behind, serve) = Behind::read(&global.config, None).await?;
    let entrance = Entrance::new(behind.shared.clone(), tls(&serve)?)
        .map_err(|error| Failure::failed(error.to_string()).because(&error))?;
    if let Some(address) = serve.metrics {
        door::open(address, entrance.clone()).await?;
    }
    let mut all_ended = listen(&serve, &entrance)?;
    screen::say(format!("serving {} sites at {}", behind.shared.sites.len(), serve.listen));
    loop {
        tokio::select! {
            () = signals.next() => break,
            _ = renewals.recv() => {}
        }
        let renewed = tokio::select! {
            () = signals.next() => break,
            renewed = renew(&global.config, &serve, &mut behind, &entrance) => renewed,
        };
        match renewed {
            Ok(()) => screen::say("whoever comes now is served by the configuration as it is now"),
            Err(failure) => {
                screen::say(failure);
                screen::say("serving by the configuration as it was");
            }
        }
    }
    entrance.stop();
    screen::say(format!(
        "letting nobody more in; transactions have {} seconds to end, once more to end at once",
        serve.drain.as_secs()
    ));
    tokio::select! {
        _ = all_ended.recv() => {}
        () = signals.next() => {}
        () = tokio::time::sleep(serve.drain) => {}
    }
    Ok(Exit::Ok)
}

/// Serves on threads of their own; says when the last of them has ended.
fn listen(serve: &Serve, entrance: &Arc<Entrance>) -> Result<mpsc::Receiver<()>> {
    let (serving, all_ended) = mpsc::channel(1);
    for number in 0..threads(serve) {
        let listener = bind(serve.listen)?;
        let (entrance, serving) = (entrance.clone(), serving.clone());
        let thread = std::thread::Builder::new().name(format!("serve-{number}"));
        let run = move || {
            serve_on(entrance, listener);
            drop(serving);
        };
        thread
            .spawn(run)
            .map_err(|error| Failure::failed("a thread cannot be started").because(&error))?;
    }
    Ok(all_ended)
}

/// Reads the configuration again, for whoever comes from now on. After an error nothing is another.
async fn renew(
    path: &Path,
    running: &Serve,
    behind: &mut Behind,
    entrance: &Entrance,
) -> Result<()> {
    let (read, serve) = Behind::read(path, Some((behind, threads(running)))).await?;
    entrance.renew(read.shared.clone(), tls(&serve)?);
    *behind = read;
    let kept = [
        ("listen", serve.listen != running.listen),
        ("metrics", serve.metrics != running.metrics),
        ("threads", threads(&serve) != threads(running)),
        ("drain_seconds", serve.drain != running.drain),
    ];
    for (key, is_another) in kept {
        if is_another {
            tracing::warn!("[serve] {key} stays as it was until serve is started again");
        }
    }
    Ok(())
}

/// Every client is an open file. What a process gets at first is often 1,024, for the sake of programs
/// that use `select`; it may take as many as the hard limit says.
fn allow_many_files() {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: allowed.maximum, ..allowed };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "no more files can be opened than {:?}", allowed.current);
    }
}

fn threads(serve: &Serve) -> usize {
    match serve.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// A socket that several threads can listen on.
fn bind(address: SocketAddr) -> Result<TcpListener> {
    domicile_router::bind(address).map_err(|error| {
        Failure::failed(format!("cannot listen on {address}"))
            .hint("somebody else may listen there; choose another address in [serve] listen")
            .because(&error)
    })
}

fn serve_on(entrance: Arc<Entrance>, listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let serving = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        LocalSet::new().block_on(&runtime, entrance.serve(listener)).map_err(|e| e.to_string())
    });
    if let Err(error) = serving {
        tracing::error!(%error, "a thread serves no more");
    }
}

/// What TLS needs towards clients.
fn tls(serve: &Serve) -> Result<Option<ServerTls>> {
    let Some(tls) = &serve.tls else { return Ok(None) };
    let clients = tls.client_authorities.as_deref();
    domicile_router::tls(&tls.certificate, &tls.key, clients).map(Some).map_err(|error| {
        Failure::usage(format!("TLS cannot be spoken: {error}"))
            .hint("[serve] certificate, key and client_authorities are files in PEM")
    })
}
