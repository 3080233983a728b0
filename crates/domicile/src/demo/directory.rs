//! The demo's directory: made, or emptied of an earlier demo; never of anything else.

use super::world::{MARKER, SITES, config, database};
use crate::exit::{Failure, Result};
use domicile_store::Site as _;
use domicile_store::sqlite::SqliteSite;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The configuration's name.
pub(super) const CONFIG: &str = "domicile.toml";

/// What SQLite and the mover put beside a database.
const BESIDE: [&str; 5] = ["", "-wal", "-shm", "-journal", "-domicile-lock"];

/// Makes the directory ready for a new demo and writes its configuration, before anything else,
/// so that a demo that is interrupted from here on is known as one.
pub(super) async fn prepare(dir: &Path) -> Result<()> {
    let failed = |error: io::Error| {
        Failure::failed(format!("{} cannot be used", dir.display()))
            .hint("choose another directory with --dir")
            .because(&error)
    };
    fs::create_dir_all(dir).map_err(failed)?;
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        if !is_ours(dir).map_err(failed)? {
            return Err(Failure::usage(format!(
                "{} is not empty, and nothing there says that a demo made it",
                dir.display()
            ))
            .hint("choose an empty or a new directory with --dir"));
        }
        remove_earlier(dir, failed).await?;
    }
    fs::write(dir.join(CONFIG), config()).map_err(failed)
}

fn is_ours(dir: &Path) -> io::Result<bool> {
    match fs::read(dir.join(CONFIG)) {
        Ok(text) => Ok(text.split(|byte| *byte == b'\n').next() == Some(MARKER.as_bytes())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes an earlier demo's databases, unless somebody is migrating them just now. The
/// configuration stays until it is written over.
async fn remove_earlier(dir: &Path, failed: impl Fn(io::Error) -> Failure) -> Result<()> {
    let mut claims = Vec::new();
    for site in &SITES {
        // What cannot be opened is an earlier demo's ruin; nobody can be working on it.
        let opened =
            site.name.parse().ok().map(|name| SqliteSite::open(name, &database(dir, site)));
        if let Some(Ok(opened)) = opened {
            claims.push(opened.claim().await?);
        }
    }
    for site in &SITES {
        for suffix in BESIDE {
            let mut file = OsString::from(database(dir, site));
            file.push(suffix);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
    }
    Ok(())
}
