//! No traces of the machine that the project was written on.

use super::File;

/// In pieces, so that this file has none of them.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/main"),
    concat!("/wo", "rk/shared"),
    concat!("/wo", "rk/.library"),
    concat!("/ro", "ot/"),
];

/// Where packages come from is a matter of the machine's own settings.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("deb.", "debian.org"),
    concat!("packages.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

/// No path of this machine and no registry's host in any file; lock files name their registry.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| !is_lock_file(&file.path)) {
        for (at, line) in file.text.lines().enumerate() {
            let line = line.to_lowercase();
            let place = || format!("{}:{}", file.path, at + 1);
            if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(**path)) {
                problems.push(format!("{}: a path of one machine: {path}", place()));
            }
            if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(**host)) {
                problems.push(format!("{}: a package registry's host: {host}", place()));
            }
        }
    }
    problems
}

fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".lock") || name == "package-lock.json"
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn each_trace_is_found_with_its_place() {
        for trace in MACHINE_PATHS.iter().chain(REGISTRY_HOSTS) {
            let text = format!("fine\nsee {} here\n", trace.to_uppercase());
            let problems = check(&[file("README.md", &text)]);
            assert_eq!(problems.len(), 1, "{trace}");
            assert!(problems[0].starts_with("README.md:2: a pa"), "{problems:?}");
        }
    }

    #[test]
    fn lock_files_name_their_registry() {
        let text = REGISTRY_HOSTS.concat();
        assert_eq!(
            check(&[file("Cargo.lock", &text), file("a/package-lock.json", &text)]),
            [""; 0]
        );
    }

    #[test]
    fn this_file_has_none() {
        assert_eq!(check(&[file("traces.rs", include_str!("traces.rs"))]), [""; 0]);
    }
}
