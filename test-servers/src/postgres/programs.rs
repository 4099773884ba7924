//! Where PostgreSQL's programs are.

use std::path::{Path, PathBuf};

use crate::account::{output, plain, text};
use crate::debian::{install as apt, missing};
use crate::error::{Context, Result};
use crate::keeper::on_path;

/// Debian's folder with one of each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// What Debian's packages read before they make a cluster.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";

/// The programs of one installation.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// As it says itself, with the packager's addition.
    pub(crate) version: String,
}

impl Programs {
    /// The newest of Debian's, else those that `pg_config` names, else those on the `PATH`.
    pub(crate) fn find() -> Result<Self> {
        let folder = debian().or_else(of_pg_config).or_else(of_path).ok_or_else(|| missing("postgresql"))?;
        let said = text(&output(plain(folder.join("postgres")).arg("--version"))?);
        let version = said.strip_prefix("postgres (PostgreSQL) ").unwrap_or(&said).to_owned();
        Ok(Self { folder, version })
    }

    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// Installs Debian's package unless there are programs already, without starting a server of the system's. Only root can.
///
/// # Errors
///
/// One line that says what to install, where we may not or `apt-get` could not.
pub fn install() -> Result<()> {
    if Programs::find().is_ok() {
        return Ok(());
    }
    apt("postgresql-common")?;
    let settings = std::fs::read_to_string(CLUSTER_SETTINGS).context(CLUSTER_SETTINGS)?;
    let setting = "create_main_cluster = false";
    if !settings.lines().any(|line| line.trim() == setting) {
        std::fs::write(CLUSTER_SETTINGS, format!("{settings}\n{setting}\n")).context(CLUSTER_SETTINGS)?;
    }
    apt("postgresql")
}

fn debian() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?;
    let versions = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let folders = versions.map(|version| (version, Path::new(DEBIAN).join(format!("{version}/bin"))));
    folders.filter(|(_, folder)| is_whole(folder)).max().map(|(_, folder)| folder)
}

fn of_pg_config() -> Option<PathBuf> {
    let folder = PathBuf::from(text(&output(plain("pg_config").arg("--bindir")).ok()?));
    is_whole(&folder).then_some(folder)
}

fn of_path() -> Option<PathBuf> {
    let folder = on_path("postgres")?.parent()?.to_owned();
    is_whole(&folder).then_some(folder)
}

/// Clients come without a server.
fn is_whole(folder: &Path) -> bool {
    ["postgres", "initdb", "psql"].iter().all(|program| folder.join(program).is_file())
}
