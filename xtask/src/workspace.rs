//! What is in the workspace, as cargo tells it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::run::{cargo, output, root};

#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    manifest_path: PathBuf,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// Of every kind, whether or not they are optional.
    dependencies: Vec<Dependency>,
    /// The oldest Rust that it needs.
    pub(crate) rust_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) readme: Option<PathBuf>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    #[serde(default)]
    pub(crate) categories: Vec<String>,
    #[serde(default)]
    pub(crate) metadata: serde_json::Value,
    /// `None` means that it may be published anywhere, an empty list that it may not be published.
    publish: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let metadata = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
        Ok(serde_json::from_str(&metadata)?)
    }

    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    pub(crate) fn facade(&self) -> Result<&Package> {
        Ok(self.packages.iter().find(|package| package.name == "annalist").ok_or("there is no facade")?)
    }

    /// The packages that are concerned where these backends are chosen: all but the other backends.
    pub(crate) fn without_other_backends(&self, chosen: &[&Package]) -> Vec<&Package> {
        let is_chosen = |package: &Package| chosen.iter().any(|c| c.name == package.name);
        self.packages.iter().filter(|package| package.backend().is_none() || is_chosen(package)).collect()
    }

    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.publish.as_ref().is_none_or(|places| !places.is_empty()))
    }

    /// The packages in folders `backend-NAME`.
    pub(crate) fn backends(&self) -> Vec<&Package> {
        self.packages.iter().filter(|package| package.backend().is_some()).collect()
    }

    /// The packages of these backends, or of all where none is named.
    pub(crate) fn backends_named(&self, names: &[String]) -> Result<Vec<&Package>> {
        let all = self.backends();
        let known: Vec<_> = all.iter().filter_map(|package| package.backend()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("there is no backend {name:?}; there are {known:?}").into());
        }
        let wanted = |package: &&Package| {
            names.is_empty() || names.iter().any(|name| package.backend() == Some(name.as_str()))
        };
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// A folder beside what cargo builds, for what a command leaves behind for itself.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let dir = self.target_directory.join("xtask").join(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }
}

impl Package {
    pub(crate) fn dir(&self) -> &Path {
        self.manifest_path.parent().expect("a manifest is in a folder")
    }

    /// Whether it is the package of this name, or depends on it.
    pub(crate) fn is_or_uses(&self, package: &str) -> bool {
        self.name == package || self.dependencies.iter().any(|dependency| dependency.name == package)
    }

    /// The backend's name, where it is one.
    pub(crate) fn backend(&self) -> Option<&str> {
        let folder = self.dir().strip_prefix(root()).ok()?.to_str()?;
        folder.strip_prefix("backend-")
    }
}
