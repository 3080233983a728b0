//! A small file system in memory, for which nobody needs to be root.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A mount in a user namespace of its own: a process holds it, its folder is reached through
/// `/proc`, and both are gone when the process has ended.
pub(crate) struct SmallDisk {
    holder: Child,
    folder: tempfile::TempDir,
}

/// Mounts, then leaves so many kilobytes free as it is told, or all.
const HOLD: &str = r#"mount -t tmpfs -o size=96m,mode=0700 tmpfs "$0" && cd "$0" && echo mounted
while read left; do
    rm -f filler
    [ "$left" = all ] || head -c $(($(df -k --output=avail . | tail -1) - left))K /dev/zero > filler
    echo done
done"#;

impl SmallDisk {
    /// For the processes of this user and group.
    pub(crate) fn of((user, group): (u32, u32)) -> SmallDisk {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD]);
        command.arg(folder.path());
        let own = std::os::unix::fs::MetadataExt::uid(&folder.path().metadata().unwrap());
        if user != own {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
            command.uid(user).gid(group);
        }
        let holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut disk = SmallDisk { holder, folder };
        disk.hears("mounted");
        disk
    }

    pub(crate) fn path(&self) -> PathBuf {
        let folder = self.folder.path().strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(folder)
    }

    /// Leaves so many kilobytes free.
    pub(crate) fn leave(&mut self, kilobytes: u32) {
        self.tell(&kilobytes.to_string());
    }

    /// There is room again.
    pub(crate) fn make_room(&mut self) {
        self.tell("all");
    }

    fn tell(&mut self, left: &str) {
        writeln!(self.holder.stdin.as_mut().unwrap(), "{left}").unwrap();
        self.hears("done");
    }

    fn hears(&mut self, word: &str) {
        let mut line = String::new();
        BufReader::new(self.holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It reads no more word, and ends.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
