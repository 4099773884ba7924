//! `docs/guide.md`: that its code is that of the programs beside it, and that its commands do what the page says.

mod page;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::run::{cargo, output, root, run};
use crate::servers::Servers;
use crate::workspace::Workspace;
use page::{Block, Page};
use session::Session;

fn page() -> Result<Page> {
    Page::parse(&std::fs::read_to_string(root().join("docs/guide.md"))?)
}

fn manifest() -> PathBuf {
    root().join("docs/guide/Cargo.toml")
}

/// Compares the page with the programs and their dependencies; runs nothing.
pub(crate) fn check() -> Result<()> {
    let page = page()?;
    for (file, shown) in page.files() {
        let path = root().join("docs").join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if text.trim_end() != shown {
            return Err(format!(
                "docs/guide.md does not show docs/{file} as it is, from its first line to its last"
            )
            .into());
        }
        println!("docs/{file} is as the page shows it");
    }
    run(cargo(["fmt", "--check", "--manifest-path"]).arg(manifest()))?;
    same_dependencies(&page.dependencies()?)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    features: Vec<String>,
}

/// What a newcomer has added by the page's commands is what the programs are built with.
fn same_dependencies(added: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let mut command = cargo(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"]);
    let metadata: Metadata = serde_json::from_str(&output(command.arg(manifest()))?)?;
    let dependencies = metadata.packages.into_iter().flat_map(|package| package.dependencies);
    let has: BTreeMap<_, _> = dependencies.map(|dependency| (dependency.name, dependency.features)).collect();
    if *added != has {
        return Err(format!("docs/guide.md adds {added:?}, and docs/guide/Cargo.toml has {has:?}").into());
    }
    Ok(())
}

/// Builds the programs as a newcomer would, and runs the page's commands one after the other in an empty folder.
pub(crate) fn play(workspace: &Workspace, servers: &mut Servers) -> Result<()> {
    run(cargo(["build", "--manifest-path"]).arg(manifest()))?;
    let mut session = Session::begin(manifest(), workspace.scratch("guide")?, servers)?;
    for block in &page()?.blocks {
        match block {
            Block::Program { file, main } => session.program(file, *main),
            Block::Commands(commands) => {
                for command in commands {
                    session.run(command)?;
                }
            }
            Block::Code { .. } => {}
        }
    }
    session.end()
}
