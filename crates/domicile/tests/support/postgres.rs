//! The program on the small platform of three PostgreSQL sites.

use crate::world::{SITES, World};
use std::fmt::Write as _;
use std::path::Path;
use tokio::process::Command;

/// The configuration, with this role for the mover.
pub(crate) fn configuration(world: &World, role: &str) -> String {
    let mut text = "[subjects]\ntable = \"users\"\nresidence = { code = \"country\" }\n".to_owned();
    for ((name, territory), database) in SITES.iter().zip(&world.databases) {
        let url = database.mover_url.replace(domicile_testkit::MOVER_ROLE, role);
        writeln!(text, "[sites.{name}]\nterritory = \"{territory}\"\nurl = \"{url}\"").unwrap();
    }
    text.push_str(
        "[[homes]]\nregimes = [\"EU\", \"EEA\"]\nsites = [\"dub1\", \"osl1\"]\n\
         [[homes]]\nregimes = [\"*\"]\nsites = [\"iad1\"]\n\
         [tables.likes]\nowner = \"user_id\"\nsoft = [\"post_id\"]\n\
         [erase]\nquiet = \"0s\"\nvacuum = false\n",
    );
    text
}

/// The program; nothing of its stdout is kept.
pub(crate) fn domicile(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_domicile"));
    command.arg("--quiet").arg("--json").arg("--config").arg(config).args(arguments);
    command.stdout(std::process::Stdio::null()).kill_on_drop(true);
    command
}
