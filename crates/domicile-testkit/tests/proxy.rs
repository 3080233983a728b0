//! The proxy itself, before a server that sends back what it hears.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure should stop where it happens")]

use domicile_testkit::{Direction, LinkFault, Proxy};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// Long enough for loopback, if anything is to come at all.
const SILENCE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(10);

/// A proxy before a server that answers every byte with the same byte, and tells when a
/// connection to it has ended.
async fn echo() -> (Proxy, UnboundedReceiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, ends) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = sender.send(());
            });
        }
    });
    (Proxy::start(port).await.unwrap(), ends)
}

async fn client(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

async fn echoes(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
    let mut heard = vec![0; text.len()];
    timeout(SOON, client.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, text.as_bytes());
}

#[tokio::test]
async fn bytes_go_through_and_each_direction_has_its_delay() {
    let (proxy, _ends) = echo().await;
    let mut client = client(&proxy).await;
    echoes(&mut client, "at once").await;
    proxy.delay(Direction::ToServer, Duration::from_millis(60));
    proxy.delay(Direction::ToClient, Duration::from_millis(90));
    let began = Instant::now();
    echoes(&mut client, "later").await;
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(proxy.faults(), 0);
}

#[tokio::test]
async fn a_cut_ends_both_sides_and_lets_the_next_connection_in() {
    let (proxy, mut ends) = echo().await;
    let mut first = client(&proxy).await;
    echoes(&mut first, "before").await;
    proxy.fail(LinkFault::Cut);
    assert_eq!(timeout(SOON, first.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    timeout(SOON, ends.recv()).await.unwrap().unwrap();
    let mut second = client(&proxy).await;
    echoes(&mut second, "after").await;
    assert_eq!(proxy.faults(), 1);
}

#[tokio::test]
async fn a_half_open_link_swallows_bytes_and_tells_nobody_of_an_end() {
    let (proxy, mut ends) = echo().await;
    let mut first = client(&proxy).await;
    echoes(&mut first, "before").await;
    proxy.fail(LinkFault::HalfOpen);
    let mut second = client(&proxy).await;
    for silent in [&mut first, &mut second] {
        silent.write_all(b"lost").await.unwrap();
        assert!(timeout(SILENCE, silent.read(&mut [0])).await.is_err(), "an answer or an end");
    }
    drop(first);
    assert!(timeout(SILENCE, ends.recv()).await.is_err(), "the server heard of the end");
    proxy.heal();
    timeout(SOON, ends.recv()).await.unwrap().unwrap();
    let mut third = client(&proxy).await;
    echoes(&mut third, "after").await;
}

#[tokio::test]
async fn a_link_that_is_cut_after_some_bytes_delivers_no_more() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let (proxy, _ends) = echo().await;
        let mut client = client(&proxy).await;
        proxy.fail_after(direction, 40_000, LinkFault::Cut);
        let (mut read, mut write) = client.split();
        let writing = async {
            // The cut may come in the middle of it.
            let _ = write.write_all(&vec![7; 100_000]).await;
        };
        let reading = async {
            let mut heard = Vec::new();
            let mut buffer = vec![0; 4096];
            while let Ok(read @ 1..) = read.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..read]);
            }
            heard.len()
        };
        let ((), heard) = timeout(SOON, async { tokio::join!(writing, reading) }).await.unwrap();
        // What the server had yet to send back is lost in a cut.
        assert!(heard <= 40_000, "{direction:?}: {heard}");
        assert_eq!(proxy.faults(), 1, "{direction:?}");
    }
}

#[tokio::test]
async fn a_link_that_falls_silent_after_some_bytes_delivers_exactly_those() {
    let (proxy, _ends) = echo().await;
    let mut client = client(&proxy).await;
    proxy.fail_after(Direction::ToClient, 40_000, LinkFault::HalfOpen);
    let (mut read, mut write) = client.split();
    let writing = async { write.write_all(&vec![7; 100_000]).await.unwrap() };
    let reading = async { read.read_exact(&mut vec![0; 40_000]).await.unwrap() };
    timeout(SOON, async { tokio::join!(writing, reading) }).await.unwrap();
    assert!(timeout(SILENCE, client.read(&mut [0])).await.is_err(), "a byte more, or an end");
    assert_eq!(proxy.faults(), 1);
}
