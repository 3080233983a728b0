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
    fn mount(at: &Path, kilobytes: u32) -> SmallDisk {
        std::fs::create_dir(at).unwrap();
        let disk = SmallDisk(at.to_owned());
        disk.run(&["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"]);
        disk
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        let full = loop {
            if let Err(error) = std::io::Write::write_all(&mut file, &[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn grow(&self) {
        self.run(&["-o", "remount,size=512m"]);
    }

    fn run(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(&self.0).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
    }
}

/// A platform with one of its databases on a small disk.
fn on_a_small_disk(file: &str, kilobytes: u32) -> (Platform, SmallDisk) {
    let mut platform = Platform::with_people(PEOPLE);
    let disk = SmallDisk::mount(&platform.path("small"), kilobytes);
    if platform.path(file).exists() {
        std::fs::copy(platform.path(file), disk.0.join(file)).unwrap();
        std::fs::remove_file(platform.path(file)).unwrap();
    }
    platform.configure(&format!("sqlite:{file}"), &format!("sqlite:small/{file}"));
    (platform, disk)
}

fn finishes(platform: &Platform, disk: &SmallDisk, files: [&str; 3]) {
    disk.grow();
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
    let (platform, disk) = on_a_small_disk("dub1.db", 1024);
    platform.sql("origin.db", TEXT);
    platform.run(&["prepare"]).ok();
    platform.run(&["migrate"]).failed_with(1, &["the disk is full", "hint: make room"]);
    finishes(&platform, &disk, ["origin.db", "small/dub1.db", "osl1.db"]);
}

#[test]
fn a_disk_full_at_the_source_keeps_the_journal_from_announcing_and_no_more() {
    if !is_inside("a_disk_full_at_the_source_keeps_the_journal_from_announcing_and_no_more") {
        return;
    }
    let (platform, disk) = on_a_small_disk("origin.db", 4096);
    let origin = "small/origin.db";
    platform.run(&["prepare"]).ok();
    // An application that is there already: the index of the log needs no room any more.
    let application = platform.open(origin);
    application.run("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    disk.fill();
    platform.run(&["migrate"]).failed_with(1, &["the disk is full", "hint: make room"]);
    assert_eq!(platform.count(origin, "SELECT count(*) FROM domicile_subject"), 0, "announced");
    assert_eq!(platform.count(origin, "SELECT count(*) FROM users"), PEOPLE);
    finishes(&platform, &disk, [origin, "dub1.db", "osl1.db"]);
}
