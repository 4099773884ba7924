//! Licences, duplicates, sources and advisories of all that is built in, by `cargo deny` and `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::run::{cargo, output, root, run};
use crate::workspace::Workspace;

/// What cargo installs it as; kept beside what cargo builds, so that it is built once.
const TOOL: &str = "cargo-deny";

/// What it says where the network does not let it have its database.
const UNREACHABLE: &str = "failed to fetch advisory database";

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tool = installed(workspace)?;
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

fn installed(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target_directory.join("tools");
    let tool = tools.join("bin").join(format!("{TOOL}{}", std::env::consts::EXE_SUFFIX));
    if !tool.exists() {
        let mut install = cargo(["install", "--quiet", "--locked", TOOL, "--root"]);
        run(install.arg(&tools).current_dir(std::env::temp_dir()))?;
    }
    Ok(tool)
}
