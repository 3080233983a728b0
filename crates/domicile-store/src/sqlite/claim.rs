//! The claim to be the only mover at a site.

use crate::error::{Error, Kind, Result};
use crate::site::Claim;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A locked file beside the database. The operating system gives the lock back when the process
/// ends, however it ends; the database itself stays free for its applications.
struct LockFile {
    _locked: File,
}

impl Claim for LockFile {}

/// Claims the site of this database.
pub(super) fn claim(database: &Path) -> Result<Box<dyn Claim>> {
    let path = beside(database);
    let cannot = |error: std::io::Error| {
        Error::new(Kind::Operator, format!("{} cannot be locked", path.display()))
            .hint("domicile must be able to write files beside the database")
            .because(error)
    };
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Box::new(LockFile { _locked: file })),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            Kind::Operator,
            format!("somebody else is migrating {}", database.display()),
        )
        .hint("wait until that run has ended; its lock goes with its process")),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-domicile-lock");
    PathBuf::from(name)
}
