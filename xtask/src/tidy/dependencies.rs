//! Dependencies come in by decision: few, named in one place, each with its reason.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::house::Graph;

/// A cap on the packages in Cargo.lock: a dependency that brings many others along is noticed
/// when it comes in. Raise it with the reason in the commit.
pub(super) const LOCKED_MAX: usize = 290;

/// The lines in deny.toml between these two give the reasons.
const REASONS_BEGIN: &str = "# reasons:";
const REASONS_END: &str = "# end of reasons";

/// Cargo.lock has no more packages than the cap.
pub(super) fn check_locked(lock: &str, count_max: usize) -> Vec<String> {
    match lock.lines().filter(|line| *line == "[[package]]").count() {
        count if count > count_max => {
            vec![format!("Cargo.lock: {count} packages, at most {count_max}")]
        }
        _ => Vec::new(),
    }
}

/// Every third-party dependency of the workspace has its reason in deny.toml, and every reason
/// its dependency.
pub(super) fn check_reasons(manifest: &str, deny: &str) -> Result<Vec<String>> {
    let dependencies = third_party(manifest)?;
    let reasons = reasons(deny);
    let without = dependencies
        .iter()
        .filter(|name| reasons.get(name.as_str()).is_none_or(|reason| reason.is_empty()))
        .map(|name| format!("deny.toml: no reason for {name}; write `# {name}: reason`"));
    let stale = reasons
        .keys()
        .filter(|name| !dependencies.contains(**name))
        .map(|name| format!("deny.toml: a reason for {name}, which is no dependency"));
    Ok(without.chain(stale).collect())
}

/// The crates take their third-party dependencies from the workspace's list.
pub(super) fn check_origin(manifest: &str, graph: &Graph) -> Result<Vec<String>> {
    let listed = third_party(manifest)?;
    let mut problems = Vec::new();
    for member in &graph.members {
        for edge in graph.edges.get(member).map_or(&[][..], Vec::as_slice) {
            if !graph.members.contains(&edge.to) && !listed.contains(&edge.to) {
                let used = &edge.to;
                problems.push(format!("{member}: {used} is not in [workspace.dependencies]"));
            }
        }
    }
    Ok(problems)
}

/// The names in [workspace.dependencies] that are not paths into the workspace.
fn third_party(manifest: &str) -> Result<BTreeSet<String>> {
    let manifest: toml::Table = manifest.parse().context("reading Cargo.toml")?;
    let dependencies = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table)
        .context("Cargo.toml has no [workspace.dependencies]")?;
    let third_party = dependencies.iter().filter(|(_, value)| value.get("path").is_none());
    // Sorted, because the table's own order depends on a feature of `toml`.
    Ok(third_party.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>())
}

/// The lines `# name: reason`.
fn reasons(deny: &str) -> BTreeMap<&str, &str> {
    deny.lines()
        .skip_while(|line| *line != REASONS_BEGIN)
        .skip(1)
        .take_while(|line| *line != REASONS_END)
        .filter_map(|line| line.strip_prefix('#')?.split_once(':'))
        .map(|(name, reason)| (name.trim(), reason.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::house::Edge;
    use super::*;

    const MANIFEST: &str = "[workspace.dependencies]\n\
        ours = { path = \"crates/ours\" }\n\
        serde = { version = \"1\" }\n\
        bytes = \"1\"\n";

    fn deny(reasons: &str) -> String {
        format!("# early: not a reason\n{REASONS_BEGIN}\n{reasons}{REASONS_END}\n# late: neither\n")
    }

    #[test]
    fn one_package_too_many_is_found() {
        let lock = "[[package]]\nname = \"a\"\n\n[[package]]\nname = \"b\"\n";
        assert_eq!(check_locked(lock, 2), [""; 0]);
        assert_eq!(check_locked(lock, 1), ["Cargo.lock: 2 packages, at most 1"]);
    }

    #[test]
    fn every_dependency_has_a_reason() {
        let deny = deny("# serde: reads and writes\n# bytes: copies less\n");
        assert_eq!(check_reasons(MANIFEST, &deny).unwrap(), [""; 0]);
    }

    #[test]
    fn a_missing_an_empty_and_a_stale_reason_are_found() {
        assert_eq!(
            check_reasons(MANIFEST, &deny("# serde:\n# gone: was useful\n")).unwrap(),
            [
                "deny.toml: no reason for bytes; write `# bytes: reason`",
                "deny.toml: no reason for serde; write `# serde: reason`",
                "deny.toml: a reason for gone, which is no dependency"
            ]
        );
    }

    #[test]
    fn a_dependency_beside_the_workspaces_list_is_found() {
        let mut graph = Graph::default();
        graph.members.insert("ours".to_owned());
        let edge = |to: &str| Edge { to: to.to_owned(), dev: false };
        graph.edges.insert("ours".to_owned(), vec![edge("serde"), edge("aside")]);
        assert_eq!(
            check_origin(MANIFEST, &graph).unwrap(),
            ["ours: aside is not in [workspace.dependencies]"]
        );
    }
}
