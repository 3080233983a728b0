//! The scripts that make dropped foreign keys again, kept beside the configuration.

use crate::exit::{Failure, Result};
use domicile_mover::prepare::KeyDrop;
use domicile_store::Engine;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Writes a site's script before anything is dropped there, and returns where it is. What a
/// script says already is never taken away: what is new stands first, since keys dropped last are
/// made again first.
pub(crate) fn keep(config: &Path, drop: &KeyDrop) -> Result<PathBuf> {
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let path = config.with_file_name(format!("domicile-keys-{}.sql", drop.site));
    let wrong = |error: &std::io::Error| {
        Failure::failed(format!("the script {} cannot be written", path.display()))
            .hint("make its folder writable; nothing was dropped")
            .because(error)
    };
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(wrong(&error)),
    };
    let statements: String =
        drop.restore.iter().map(|statement| format!("{statement};\n")).collect();
    if before.contains(&statements) {
        return Ok(path);
    }
    let rest = if before.is_empty() { String::new() } else { format!("\n{before}") };
    let text = format!("{}{statements}{rest}", heading(drop));
    write(folder, &path, &text).map_err(|error| wrong(&error))?;
    Ok(path)
}

/// The whole file or none of it, and on the disk before anything is dropped.
fn write(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}

fn heading(drop: &KeyDrop) -> String {
    let keys: String =
        drop.keys.iter().map(|key| format!("--   {}\n", key.replace(['\n', '\r'], " "))).collect();
    let how = match drop.engine {
        Engine::Postgres => {
            "-- Run it with psql as the owner of the tables. VALIDATE fails while rows name somebody\n\
             -- who is not here; the key holds for new rows all the same.\n"
        }
        Engine::Sqlite => {
            "-- Run it with sqlite3 -bail -cmd '.dbconfig defensive off' FILE. It edits the tables'\n\
             -- text and stops, all undone, where that text is not what was left. PRAGMA\n\
             -- foreign_key_check then lists rows that name somebody who is not here.\n"
        }
    };
    format!(
        "-- Makes the foreign keys again that domicile dropped at site {}:\n{keys}{how}",
        drop.site
    )
}
