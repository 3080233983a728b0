//! The warden: a small process that cleans up after a cluster when the test is gone.
//!
//! It waits at the other end of a pipe. When the cluster is dropped, and also when the test
//! panics, exits with the cluster in a static, or is killed, the pipe closes; then the warden
//! stops the server and removes the directory. One path for all endings.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// `$1` is the directory, the rest is the command that stops the server.
///
/// More than one try, because the test may be killed while `initdb` or `pg_ctl start` runs on.
const SCRIPT: &str = r#"
cat >/dev/null
home=$1
shift
for pause_s in 0 1 3; do
    sleep "$pause_s"
    "$@" >/dev/null 2>&1
    rm -rf -- "$home" && sleep 0.05 && [ ! -e "$home" ] && exit 0
done
exit 1
"#;

/// Holds the pipe; dropping it has the server stopped and the directory removed.
#[derive(Debug)]
pub(crate) struct Warden {
    child: Child,
}

impl Warden {
    /// Hands the directory over to a new warden.
    pub(crate) fn over(home: TempDir, stop_server: &[OsString]) -> Result<Self> {
        let child = spawn(home.path(), stop_server).context("cannot start `sh`")?;
        // From here on the warden removes the directory.
        let _ = home.keep();
        Ok(Self { child })
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        // Waiting closes the pipe first. Nothing can be done about a failure here: the server
        // also stops by itself when its directory is gone.
        let _ = self.child.wait();
    }
}

/// A process group of its own keeps the warden alive when the test's group is killed.
fn spawn(home: &Path, stop_server: &[OsString]) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", SCRIPT, "warden"])
        .arg(home)
        .args(stop_server)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}
