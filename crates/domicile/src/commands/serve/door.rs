//! Where monitoring looks: `/metrics` for Prometheus, `/health` for whoever shares clients out.

use crate::exit::{Failure, Result};
use domicile_router::Entrance;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Prometheus' text format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// How long a client may take to say what it wants.
const SAYS_WITHIN: Duration = Duration::from_secs(10);
/// So many are answered at a time: more never watch.
const CLIENTS_MAX: usize = 32;
/// How long to wait after a connection could not be accepted.
const ACCEPTS_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Opens the door; answers until it is dropped.
pub(super) async fn open(address: SocketAddr, entrance: Arc<Entrance>) -> Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!("cannot listen on {address}"))
            .hint("somebody else may listen there; choose another address in [serve] metrics")
            .because(&error)
    })?;
    tokio::spawn(answer_all(listener, entrance));
    Ok(())
}

async fn answer_all(listener: TcpListener, entrance: Arc<Entrance>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let entrance = entrance.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, entrance).await {
                        tracing::debug!(%error, "whoever watches left");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPTS_AGAIN_AFTER).await;
            }
        }
    }
}

/// Answers one request of a connection, which ends then: nobody keeps a place.
async fn answer(stream: TcpStream, entrance: Arc<Entrance>) -> hyper::Result<()> {
    let service = service_fn(|request| {
        let answered = page(&request, &entrance);
        async { Ok::<_, Infallible>(answered) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SAYS_WITHIN)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn page(request: &Request<Incoming>, entrance: &Entrance) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, METRICS, entrance.metrics()),
        (&Method::GET | &Method::HEAD, "/health") => match entrance.trouble() {
            None => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{trouble}\n")),
        },
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, TEXT, "there are /metrics and /health\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
