//! That each published package builds with the oldest Rust that it says it needs, and the facade with each backend's.

use std::collections::BTreeMap;
use std::process::Command;

use crate::Result;
use crate::run::{output, root, run};
use crate::workspace::{Package, Workspace};

/// Checking needs no fast code, and C libraries are built the sooner.
const PROFILE: [&str; 4] =
    ["--config", "profile.dev.opt-level=0", "--config", "profile.dev.package.\"*\".opt-level=0"];

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let facade = workspace.facade()?;
    let by_default = facade.features.get("default").ok_or("the facade has no default features")?;
    let mut by_version: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in workspace.published() {
        let version = package.rust_version.as_deref();
        let version = version.ok_or_else(|| format!("{} does not say which Rust it needs", package.name))?;
        by_version.entry(version).or_default().push(package);
    }
    for (version, packages) in by_version {
        if let Err(error) = install(version) {
            println!(
                "NOT CHECKED with Rust {version}, which cannot be had here ({error}); clippy has looked for what it lacks"
            );
            continue;
        }
        for package in &packages {
            let features = if package.name == facade.name { "--features=testing" } else { "--all-features" };
            with(version, package, features)?;
        }
        for name in packages.iter().filter_map(|package| package.backend()) {
            // What is on by default the facade itself has been built with, and by the Rust that it needs for that.
            if !by_default.iter().any(|feature| feature == name) {
                with(version, facade, &format!("--features={name}"))?;
            }
        }
    }
    Ok(())
}

fn with(version: &str, package: &Package, features: &str) -> Result<()> {
    let mut check =
        rustup(["run", version, "cargo", "check", "--quiet", "--package", &package.name, features]);
    run(check.args(PROFILE))
}

fn install(version: &str) -> Result<()> {
    let has = |list: String| list.lines().any(|line| line.starts_with(&format!("{version}-")));
    if has(output(&mut rustup(["toolchain", "list"]))?) {
        return Ok(());
    }
    println!("installing Rust {version}");
    output(&mut rustup(["toolchain", "install", version, "--profile", "minimal", "--no-self-update"]))
        .map(drop)
}

/// Without what the toolchain that runs us has put into the environment for its own programs.
fn rustup<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(root()).args(args);
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}
