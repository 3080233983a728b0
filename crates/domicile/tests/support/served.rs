//! The program in front of sites on PostgreSQL.

use crate::postgres::domicile;
use domicile_testkit::tokio_postgres::{self, Client, NoTls};
use std::fmt::Write as _;
use std::path::PathBuf;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// `domicile serve`; ended with this.
pub(crate) struct Served {
    pub(crate) config: PathBuf,
    pub(crate) port: u16,
    pub(crate) program: Child,
    /// Where monitoring looks.
    door: u16,
    said: mpsc::UnboundedReceiver<String>,
    _directory: tempfile::TempDir,
}

impl Served {
    /// Prepares the sites of a configuration, and stands before them.
    pub(crate) async fn start(mut text: String) -> Served {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("domicile.toml");
        let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, door] = free.map(|free| free.local_addr().unwrap().port());
        write!(
            text,
            "[serve]\nlisten = \"127.0.0.1:{port}\"\ndatabase = \"app\"\nthreads = 2\n\
             drain_seconds = 60\nmetrics = \"127.0.0.1:{door}\"\n\
             [serve.users.app]\npassword = \"secret\"\n"
        )
        .unwrap();
        std::fs::write(&config, text).unwrap();
        let prepared = domicile(&config, &["prepare"]).status().await.unwrap();
        assert!(prepared.success());
        // As many files as a login shell gives.
        let mut program = Command::new("sh");
        program.args(["-c", "ulimit -Sn 1024; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_domicile")]);
        program.arg("--config").arg(&config).arg("serve").kill_on_drop(true);
        let mut program = program.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
        let (tell, said) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("serve: {line}");
                let _ = tell.send(line);
            }
        });
        let mut served = Served { config, port, door, program, said, _directory: directory };
        served.says("serving").await;
        served
    }

    /// Waits until the program says something that begins so.
    pub(crate) async fn says(&mut self, beginning: &str) {
        while !self.said.recv().await.unwrap().starts_with(beginning) {}
    }

    pub(crate) fn signal(&self, signal: &str) {
        let program = self.program.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args([signal, &program]).status();
        assert!(sent.unwrap().success());
    }

    /// What the door for monitoring answers: the status, and the text.
    pub(crate) async fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.door)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), text.to_owned())
    }

    pub(crate) async fn enters(
        &self,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let url = format!("postgres://{user}:{password}@127.0.0.1:{}/app", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn client(&self) -> Client {
        self.enters("app", "secret").await.unwrap()
    }
}
