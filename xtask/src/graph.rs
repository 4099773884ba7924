//! That whoever uses all of Annalist beside `sqlx` with its macros gets a build: one graph may link SQLite once, and `sqlx-sqlite` is in every lock file
//! as soon as `macros` or `uuid` is on.

use std::path::Path;

use crate::Result;
use crate::run::{cargo, output, root, run};
use crate::workspace::Workspace;

/// The user's package. It is resolved anew each time: what matters is what a user would get today.
const MANIFEST: &str = r#"
[package]
name = "neighbour"
edition = "2024"

[dependencies]
annalist = { path = "{root}", features = [{features}] }
sqlx = { version = "0.9", default-features = false, features = ["macros", "migrate", "postgres", "runtime-tokio", "uuid"] }

[workspace]
"#;

/// Resolves it, and checks the package that has to do with it: with the oldest `rusqlite` of its range, which is the one that `sqlx` lets in.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let folder = workspace.scratch("graph")?;
    write(&folder, &features(workspace)?)?;
    let manifest = folder.join("Cargo.toml");
    let at = |command: &str| {
        let mut command = cargo([command, "--manifest-path"]);
        command.arg(&manifest).current_dir(&folder);
        command
    };
    run(&mut at("generate-lockfile"))?;
    let tree = output(at("tree").args(["--invert", "libsqlite3-sys", "--all-features", "--prefix", "none"]))?;
    println!("{}", tree.lines().take(2).collect::<Vec<_>>().join(", for "));
    // What all packages share is built for the tests already.
    run(at("check").args(["--quiet", "--target-dir"]).arg(&workspace.target_directory))
}

/// All features of the facade.
fn features(workspace: &Workspace) -> Result<String> {
    let features = workspace.facade()?.features.keys().filter(|feature| *feature != "default");
    Ok(features.map(|feature| format!("{feature:?}")).collect::<Vec<_>>().join(", "))
}

fn write(folder: &Path, features: &str) -> Result<()> {
    let root = root();
    let root = root.to_str().ok_or("the path of the workspace is no text")?;
    std::fs::create_dir_all(folder.join("src"))?;
    std::fs::write(folder.join("src/lib.rs"), "")?;
    let manifest = MANIFEST.replace("{root}", root).replace("{features}", features);
    Ok(std::fs::write(folder.join("Cargo.toml"), manifest)?)
}
