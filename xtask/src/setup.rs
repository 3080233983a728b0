//! `cargo xtask setup`: installs what is missing on this machine.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{docs, run};

/// One thing that the project needs, and Debian's packages that bring it.
struct Need {
    name: &'static str,
    is_there: fn() -> bool,
    debian_packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    Need {
        name: "PostgreSQL 15 or newer",
        is_there: domicile_testkit::is_installed,
        debian_packages: &["postgresql"],
    },
    Need {
        name: "sqlite3",
        is_there: || run::succeeds("sqlite3", &["--version"]),
        debian_packages: &["sqlite3"],
    },
    Need {
        // Tests of TLS make certificates by it.
        name: "openssl",
        is_there: || run::succeeds("openssl", &["version"]),
        debian_packages: &["openssl"],
    },
    Need {
        // A test goes through the router with each of these drivers, and with node-postgres.
        name: "psycopg and PostgreSQL's JDBC driver",
        is_there: has_drivers,
        debian_packages: &["python3-psycopg", "default-jdk-headless", "libpostgresql-jdbc-java"],
    },
    Need {
        name: "Node.js",
        is_there: || run::succeeds("node", &["--version"]) && run::succeeds("npm", &["--version"]),
        debian_packages: &["nodejs", "npm"],
    },
    Need {
        // The bundled SQLite and ring are C.
        name: "a C compiler",
        is_there: || run::succeeds("cc", &["--version"]),
        debian_packages: &["gcc", "libc6-dev"],
    },
    Need {
        // The grammar of PostgreSQL is C, and its bindings are made anew.
        name: "libclang",
        is_there: has_libclang,
        debian_packages: &["libclang-dev"],
    },
];

fn has_drivers() -> bool {
    run::succeeds("/usr/bin/python3", &["-c", "import psycopg"])
        && run::succeeds("javac", &["--version"])
        && Path::new("/usr/share/java/postgresql.jar").exists()
}

/// node-postgres as a test needs it, and where; npm says what else it brings.
const NODE_POSTGRES: &str = "pg@8.23.1";
const NODE_PACKAGES: &str = "target/node";

/// Whether a libclang is where bindgen looks for it: where `LIBCLANG_PATH` says, in the linker's
/// cache, or in LLVM's folders.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() || run::succeeds("llvm-config", &["--version"]) {
        return true;
    }
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut llvm =
        folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("llvm"));
    llvm.any(|folder| {
        let libraries =
            std::fs::read_dir(folder.path().join("lib")).into_iter().flatten().flatten();
        let mut names = libraries.map(|library| library.file_name().to_string_lossy().into_owned());
        names.any(|name| name.starts_with("libclang.so") || name.starts_with("libclang-1"))
    })
}

/// Installs what is missing; says what it does.
pub(crate) fn run() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if !missing.is_empty() {
        install_debian_packages(&missing)?;
    }
    if !run::succeeds("cargo", &["nextest", "--version"]) {
        eprintln!("setup: cargo-nextest is missing; building it");
        run::run(&mut run::cargo(["install", "cargo-nextest", "--locked"])?)?;
    }
    if docs::mdbook().is_none() {
        eprintln!("setup: mdbook is missing; building it");
        run::run(&mut run::cargo(["install", "mdbook", "--locked", "--no-default-features"])?)?;
    }
    if !run::top()?.join(NODE_PACKAGES).join("node_modules/pg").exists() {
        eprintln!("setup: node-postgres is missing; fetching it");
        let install =
            ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", NODE_PACKAGES];
        run::run(run::command("npm", install)?.arg(NODE_POSTGRES))?;
    }
    for component in ["fmt", "clippy"] {
        if !run::succeeds("cargo", &[component, "--version"]) {
            bail!(
                "`cargo {component}` is missing\nhint: it is a component of the Rust toolchain; \
                 or leave the lints out with `cargo xtask test --no-lint`"
            );
        }
    }
    eprintln!("setup: everything is there");
    Ok(())
}

fn install_debian_packages(missing: &[&Need]) -> Result<()> {
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<&str> =
        missing.iter().flat_map(|need| need.debian_packages).copied().collect();
    eprintln!("setup: missing: {}; installing {}", names.join(", "), packages.join(" "));
    let Some(as_root) = words_before_apt() else {
        bail!(
            "cannot install {}: neither root nor `sudo -n`, or no apt-get\n\
             hint: install it by hand and run `cargo xtask setup` again",
            packages.join(" ")
        );
    };
    apt_get(as_root, &["update"])?;
    apt_get(as_root, &[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat())?;
    match missing.iter().find(|need| !(need.is_there)()) {
        Some(need) => bail!("{} is still missing after the installation", need.name),
        None => Ok(()),
    }
}

/// What stands before `apt-get`, or nothing when packages cannot be installed here.
fn words_before_apt() -> Option<&'static [&'static str]> {
    if !run::succeeds("apt-get", &["--version"]) {
        None
    } else if run::succeeds("sh", &["-c", r#"[ "$(id -u)" = 0 ]"#]) {
        Some(&[])
    } else if run::succeeds("sudo", &["-n", "true"]) {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}

fn apt_get(as_root: &[&str], arguments: &[&str]) -> Result<()> {
    let words = [as_root, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], arguments];
    let words = words.concat();
    run::run(&mut run::command(words[0], &words[1..])?)
}
