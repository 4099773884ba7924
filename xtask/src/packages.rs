//! That what would be published is whole: its licences and its page are in it, and it holds nothing that does not belong.

use crate::Result;
use crate::run::{cargo, output};
use crate::workspace::Workspace;

const NEEDED: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-APACHE", "LICENSE-MIT"];
const FOLDERS: [&str; 3] = ["src/", "docs/", "migrations/"];

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for package in workspace.published() {
        let list = output(&mut cargo(["package", "--list", "--allow-dirty", "--package", &package.name]))?;
        let files: Vec<&str> = list.lines().collect();
        if let Some(missing) = NEEDED.iter().find(|needed| !files.contains(needed)) {
            return Err(format!("{} would be published without {missing}", package.name).into());
        }
        let belongs = |file: &str| {
            NEEDED.contains(&file)
                || file.starts_with("Cargo.")
                || file == ".cargo_vcs_info.json"
                || FOLDERS.iter().any(|folder| file.starts_with(folder))
        };
        if let Some(stray) = files.iter().find(|file| !belongs(file)) {
            return Err(format!("{} would be published with {stray}", package.name).into());
        }
        println!("{}: {} files", package.name, files.len());
    }
    Ok(())
}
