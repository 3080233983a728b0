//! Where PostgreSQL's programs are on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Debian keeps one directory per major version here.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// The oldest major version that the project supports.
const VERSION_MIN: u32 = 15;

/// Whether this machine has a PostgreSQL that clusters can be started from.
pub fn is_installed() -> bool {
    Binaries::find().is_ok()
}

/// The directory that holds one version's `initdb`, `pg_ctl` and `postgres`.
#[derive(Debug)]
pub(crate) struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// The newest version on this machine.
    pub(crate) fn find() -> Result<Self> {
        let hint = "hint: `cargo xtask setup` installs it";
        let Some(dir) = newest_version(Path::new(DEBIAN_VERSIONS)).or_else(dir_on_path) else {
            bail!("PostgreSQL is not installed: no `initdb` in {DEBIAN_VERSIONS} or PATH\n{hint}");
        };
        let version = major_version(&dir.join("postgres"))?;
        if version < VERSION_MIN {
            bail!("PostgreSQL {version} in {} is older than {VERSION_MIN}\n{hint}", dir.display());
        }
        Ok(Self { dir })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The first executable of that name in PATH, or in the directories that only root's PATH has.
pub(crate) fn program_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn newest_version(versions: &Path) -> Option<PathBuf> {
    std::fs::read_dir(versions)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let dir = entry.path().join("bin");
            dir.join("initdb").is_file().then_some((version, dir))
        })
        .max()
        .map(|(_, dir)| dir)
}

/// Other systems put everything in PATH; `initdb` may be a link into the real directory.
fn dir_on_path() -> Option<PathBuf> {
    let initdb = program_on_path("initdb")?.canonicalize().ok()?;
    initdb.parent().map(Path::to_path_buf)
}

fn major_version(postgres: &Path) -> Result<u32> {
    let output = Command::new(postgres)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", postgres.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_major_version(&text)
        .with_context(|| format!("{} printed no version: {text}", postgres.display()))
}

/// Understands `postgres (PostgreSQL) 15.18 (Debian …)` and `postgres (PostgreSQL) 19beta1`.
fn parse_major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL)")?.1.trim_start();
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_postgres_prints() {
        assert_eq!(parse_major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"), Some(15));
        assert_eq!(parse_major_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_major_version("something else"), None);
    }

    #[test]
    fn the_newest_version_is_a_number_not_a_text() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "common"] {
            let bin = dir.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::write(bin.join("initdb"), "").unwrap();
        }
        std::fs::create_dir_all(dir.path().join("18/bin")).unwrap();
        assert_eq!(newest_version(dir.path()), Some(dir.path().join("17/bin")));
    }
}
