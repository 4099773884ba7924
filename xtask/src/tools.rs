//! Programs of others that checks need, built by cargo when they are first asked for.

use std::path::PathBuf;

use crate::Result;
use crate::run::{cargo, run};
use crate::workspace::Workspace;

/// Installs a package's program of the same name beside what cargo builds here, so that it is built once.
pub(crate) fn installed(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let tools = workspace.target_directory.join("tools");
    let tool = tools.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !tool.exists() {
        let mut install = cargo(["install", "--quiet", "--locked", name, "--root"]);
        run(install.arg(&tools).current_dir(std::env::temp_dir()))?;
    }
    Ok(tool)
}
