//! Licences, duplicates, sources and advisories of all that is built in, by `cargo deny` and `deny.toml`.

use std::process::Command;

use crate::run::{output, root, run};
use crate::workspace::Workspace;
use crate::{Result, tools};

/// What it says where the network does not let it have its database.
const UNREACHABLE: &str = "failed to fetch advisory database";

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tool = tools::installed(workspace, "cargo-deny")?;
    let deny = |checks: &[&str]| {
        let mut command = Command::new(&tool);
        command.current_dir(root()).args(["--all-features", "check", "--hide-inclusion-graph"]).args(checks);
        command
    };
    run(&mut deny(&["bans", "licenses", "sources"]))?;
    // The advisories are a database that has to be fetched; that it cannot be says nothing about us, but must be seen.
    match output(deny(&["advisories"]).env("GIT_TERMINAL_PROMPT", "0")) {
        Ok(_) => println!("advisories: none applies"),
        Err(error) if error.to_string().contains(UNREACHABLE) => {
            println!("advisories: NOT CHECKED, their database could not be fetched");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
