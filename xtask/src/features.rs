//! Each feature of each package alone: one that only compiles beside another is broken for whoever wants it by itself.

use crate::Result;
use crate::run::{cargo, run};
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for package in workspace.packages() {
        let features = package.features.keys().filter(|feature| *feature != "default");
        for feature in std::iter::once("").chain(features.map(String::as_str)) {
            if feature.is_empty() && package.features.is_empty() {
                // Without features there is one way to build it, and that is checked already.
                continue;
            }
            run(&mut cargo([
                "clippy",
                "--quiet",
                "--package",
                &package.name,
                "--no-default-features",
                "--features",
                feature,
                "--",
                "--deny",
                "warnings",
            ]))?;
        }
    }
    Ok(())
}
