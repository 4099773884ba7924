//! That what would be published is whole: its licences and its page are in it, and it holds nothing that does not belong.

use crate::Result;
use crate::run::{cargo, output, run};
use crate::workspace::{Package, Workspace};

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
        says_what_it_is(package)?;
        println!("{}: {} files", package.name, files.len());
    }
    Ok(())
}

/// What the registry and docs.rs show of it.
fn says_what_it_is(package: &Package) -> Result<()> {
    let all_features = package.metadata.pointer("/docs/rs/all-features").and_then(serde_json::Value::as_bool);
    let said = [
        ("description", package.description.is_some()),
        ("license", package.license.is_some()),
        ("repository", package.repository.is_some()),
        ("readme", package.readme.is_some()),
        ("rust-version", package.rust_version.is_some()),
        ("keywords, of which there may be five", (1..=5).contains(&package.keywords.len())),
        ("categories, of which there may be five", (1..=5).contains(&package.categories.len())),
        (
            "metadata.docs.rs with all-features, or no features",
            package.features.is_empty() || all_features == Some(true),
        ),
    ];
    match said.iter().find(|(_, is_said)| !is_said) {
        Some((what, _)) => Err(format!("{} must have {what}", package.name).into()),
        None => Ok(()),
    }
}

/// Publishes everything in the order of its dependencies, but for the last step.
pub(crate) fn publish_dry(workspace: &Workspace) -> Result<()> {
    let mut publish = cargo(["publish", "--workspace", "--dry-run", "--no-verify", "--quiet"]);
    // What is being worked on is what would be published. The archives are made, not built: that takes as long as all other steps together.
    run(publish.arg("--allow-dirty").env("CARGO_TARGET_DIR", &workspace.target_directory))
}
