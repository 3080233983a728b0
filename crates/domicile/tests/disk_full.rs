//! A SQLite site on a disk that is full, at either end: an error, a hint, an exit code, and a run
//! that finishes once there is room.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure should stop where it happens"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::Platform;

const PEOPLE: u64 = 60;
/// Twenty people come to each site, with 60,000 letters each: more than a small disk has room for.
const TEXT: &str = "UPDATE users SET city = 'somewhere' || hex(zeroblob(30000))";

/// Tells a test that it has a user namespace of its own, in which anybody may mount.
const INSIDE: &str = "DOMICILE_TEST_MAY_MOUNT";

/// Runs this test once more in a namespace; true there.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    let ended = command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// A small file system in memory. It goes with the namespace.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> SmallDisk {
        std::fs::create_dir(at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        let status = Command::new("mount").args(options).arg(at).status().unwrap();
        assert!(status.success(), "mount {}", at.display());
        SmallDisk(at.to_owned())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves so many kilobytes free.
    fn leave(&self, kilobytes: u64) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let mut taken = 0;
        let full = loop {
            match std::io::Write::write(&mut file, &[0; 4096]) {
                Ok(bytes) => taken += bytes as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        file.set_len(taken - kilobytes * 1024).unwrap();
    }

    /// There is room again. Not by a larger mount: only root may change one.
    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

/// A platform with one of its databases on a small disk.
fn on_a_small_disk(file: &str) -> (Platform, SmallDisk) {
    let mut platform = Platform::with_people(PEOPLE);
    let disk = SmallDisk::mount(&platform.path("small"));
    if platform.path(file).exists() {
        std::fs::copy(platform.path(file), disk.0.join(file)).unwrap();
        std::fs::remove_file(platform.path(file)).unwrap();
    }
    platform.configure(&format!("sqlite:{file}"), &format!("sqlite:small/{file}"));
    (platform, disk)
}

fn finishes(platform: &Platform, disk: &SmallDisk, files: [&str; 3]) {
    disk.make_room();
    platform.run(&["migrate"]).ok();
    platform.run(&["verify"]).ok();
    let people = files.map(|file| platform.count(file, "SELECT count(*) FROM users"));
    assert_eq!(people, [PEOPLE / 3; 3]);
    let ratings = files.map(|file| platform.count(file, "SELECT count(*) FROM ratings"));
    assert_eq!(ratings.iter().sum::<u64>(), 2 * PEOPLE);
}

#[test]
fn a_disk_that_fills_at_the_target_stops_the_run_and_no_more() {
    if !is_inside("a_disk_that_fills_at_the_target_stops_the_run_and_no_more") {
        return;
    }
    let (platform, disk) = on_a_small_disk("dub1.db");
    platform.sql("origin.db", TEXT);
    platform.run(&["prepare"]).ok();
    disk.leave(512);
    platform.run(&["migrate"]).failed_with(1, &["the disk is full", "hint: make room"]);
    finishes(&platform, &disk, ["origin.db", "small/dub1.db", "osl1.db"]);
}

#[test]
fn a_disk_full_at_the_source_keeps_the_journal_from_announcing_and_no_more() {
    if !is_inside("a_disk_full_at_the_source_keeps_the_journal_from_announcing_and_no_more") {
        return;
    }
    let (platform, disk) = on_a_small_disk("origin.db");
    let origin = "small/origin.db";
    platform.run(&["prepare"]).ok();
    // An application that is there already: the index of the log needs no room any more.
    let application = platform.open(origin);
    application.run("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    disk.leave(0);
    platform.run(&["migrate"]).failed_with(1, &["the disk is full", "hint: make room"]);
    assert_eq!(platform.count(origin, "SELECT count(*) FROM domicile_subject"), 0, "announced");
    assert_eq!(platform.count(origin, "SELECT count(*) FROM users"), PEOPLE);
    finishes(&platform, &disk, [origin, "dub1.db", "osl1.db"]);
}
