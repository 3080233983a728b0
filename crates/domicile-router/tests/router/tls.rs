//! Clients that speak TLS, and those that come by a certificate, as libpq does it.

use crate::support::World;
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Certificates of an authority of our own.
struct Authority {
    directory: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(program).args(arguments).output().context(program.to_owned())?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

fn openssl(arguments: &str) -> Result<()> {
    let (is_done, said) = run("openssl", &arguments.split(' ').collect::<Vec<_>>())?;
    ensure!(is_done, "openssl {arguments}: {said}");
    Ok(())
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

impl Authority {
    fn new() -> Result<Authority> {
        let authority = Authority { directory: tempfile::tempdir()? };
        let (key, certificate) = (authority.path("ca.key"), authority.path("ca.pem"));
        openssl(&format!("req -x509 {KEY} -keyout {key} -out {certificate} -subj /CN=ca -days 2"))?;
        Ok(authority)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A certificate for a common name, valid for this machine: its file, and that of its key.
    fn signs(&self, name: &str) -> Result<(String, String)> {
        let [key, request, certificate, more] =
            ["key", "csr", "pem", "ext"].map(|kind| self.path(&format!("{name}.{kind}")));
        std::fs::write(&more, "subjectAltName=IP:127.0.0.1")?;
        openssl(&format!("req {KEY} -keyout {key} -out {request} -subj /O=shop/CN={name}"))?;
        openssl(&format!(
            "x509 -req -in {request} -CA {} -CAkey {} -CAcreateserial -out {certificate} -days 2 \
             -extfile {more}",
            self.path("ca.pem"),
            self.path("ca.key"),
        ))?;
        Ok((certificate, key))
    }
}

/// What psql is told when it comes as `user`, with more of a connection string.
fn psql(world: &World, user: &str, more: &str) -> Result<(bool, String)> {
    let target = format!(
        "host=127.0.0.1 port={} dbname=app user={user} password=secret connect_timeout=10 {more}",
        world.port
    );
    run("psql", &["--no-psqlrc", "--tuples-only", "--no-align", "-c", "SELECT 40 + 2", &target])
}

async fn world(authority: &Authority) -> Result<World> {
    let (certificate, key) = authority.signs("router")?;
    let clients = PathBuf::from(authority.path("ca.pem"));
    let tls = domicile_router::tls(Path::new(&certificate), Path::new(&key), Some(&clients))?;
    World::start_with(2, Some(tls)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_checks_the_certificate() -> Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let world = world(&authority).await?;
    let trusting = |authority: &Authority| {
        format!("sslmode=verify-full sslrootcert={}", authority.path("ca.pem"))
    };
    let answer = psql(&world, "ann", &trusting(&authority))?;
    assert_eq!(answer, (true, "42\n".to_owned()));
    let (is_let_in, said) = psql(&world, "ann", &trusting(&other))?;
    assert!(!is_let_in && said.contains("certificate verify failed"), "{said}");
    assert!(psql(&world, "ann", "sslmode=disable")?.0, "TLS is offered, not asked for");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_lets_in_whom_it_names() -> Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let world = world(&authority).await?;
    let shown = |authority: &Authority, name: &str| -> Result<String> {
        let (certificate, key) = authority.signs(name)?;
        Ok(format!("sslmode=require sslcert={certificate} sslkey={key}"))
    };
    let bobs = shown(&authority, "bob")?;
    assert_eq!(psql(&world, "bob", &bobs)?, (true, "42\n".to_owned()));
    let refused = "certificate authentication failed for user \"bob\"";
    for more in [&shown(&authority, "eve")?, "sslmode=require sslcert=/nowhere", "sslmode=disable"]
    {
        let (is_let_in, said) = psql(&world, "bob", more)?;
        assert!(!is_let_in && said.contains(refused), "{more}: {said}");
    }
    // Somebody else's word about bob.
    let (is_let_in, said) = psql(&world, "bob", &shown(&other, "bob")?)?;
    assert!(!is_let_in && !said.contains("42"), "{said}");
    // A certificate is no password.
    let (is_let_in, said) = psql(&world, "ann", &format!("{bobs} password=wrong"))?;
    assert!(!is_let_in && said.contains("password authentication failed"), "{said}");
    Ok(())
}
