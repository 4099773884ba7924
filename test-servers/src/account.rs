//! The user as which servers run.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::error::{Context, Error, Result};

/// How the folders of servers are called.
pub(crate) const FOLDER_PREFIX: &str = "annalist-server-";

/// Ourselves; or, since database servers refuse to run as root, another user where we are root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    /// Ourselves, for a server that minds nobody.
    pub(crate) fn ourselves() -> Self {
        Self { other: None }
    }

    /// `system` is the user whom the server's package made for it; only root needs him.
    pub(crate) fn or_system(system: &str) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::ourselves());
        }
        let id = |which: &str| {
            let output = output(Command::new("id").args([which, system]))?;
            text(&output).parse::<u32>().context(format_args!("the id of the user {system}"))
        };
        let none = |error| {
            Error::new(format!(
                "root cannot run the server, and there is no user {system} who could: {error}"
            ))
        };
        Ok(Self { other: Some((id("-u").map_err(none)?, id("-g").map_err(none)?)) })
    }

    /// A command that runs as this user, and takes its settings from nobody's environment.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = plain(program);
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// A new folder that only this user (and root) can enter, in `parent` or else in [`temporary`].
    pub(crate) fn folder(self, parent: Option<&Path>) -> Result<TempDir> {
        let parent = parent.map_or_else(temporary, Path::to_owned);
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir_in(&parent);
        let folder = folder.context(format_args!("a folder in {}", parent.display()))?;
        self.own(folder.path())?;
        if self.other.is_some() {
            let entered = output(self.command("ls").arg(folder.path()));
            entered.context("the user of the server cannot enter its folder (is TMPDIR private?)")?;
        }
        Ok(folder)
    }

    /// Gives the user what we have made for him.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.other else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group)).context(path.display())
    }
}

/// Where servers have their data, unless they are told otherwise: `TMPDIR` if it is set, else `/var/tmp`, which is on a disk. `/tmp` is often
/// in memory, where nothing is durable.
pub fn temporary() -> PathBuf {
    let on_disk = PathBuf::from("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && on_disk.is_dir() { on_disk } else { std::env::temp_dir() }
}

/// Containers often have a tiny one.
const ROOM_MIN: u64 = 1 << 30;

/// A file system in memory, where what is written outlives the process that wrote it, and nobody waits for a disk; `None` where there is none with room.
pub(crate) fn in_memory() -> Option<PathBuf> {
    let folder = PathBuf::from("/dev/shm");
    let found = rustix::fs::statvfs(&folder).ok()?;
    (found.f_bavail.saturating_mul(found.f_frsize) >= ROOM_MIN).then_some(folder)
}

/// A folder of ours that nobody else can enter; one that somebody else has put there is not taken.
pub(crate) fn private_folder() -> Result<PathBuf> {
    let us = rustix::process::geteuid().as_raw();
    let folder = temporary().join(format!("annalist-test-servers-{us}"));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).context(folder.display());
        }
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder).context(folder.display())?;
    if !found.is_dir() || found.uid() != us || found.mode() & 0o077 != 0 {
        return Err(Error::new(format!("{} is not a private folder of ours: remove it", folder.display())));
    }
    Ok(folder)
}

/// A command in plain English, without what libpq would read from the environment.
pub(crate) fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // Our own current folder may be one that the other user cannot enter.
    command.current_dir("/").env("LC_ALL", "C");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command for its output; the error has what it said.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().context(&name)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::new(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}

/// Runs a command on a text for what it prints.
pub(crate) fn answer(command: &mut Command, input: &str) -> Result<String> {
    // A file, since a pipe could fill up while the command waits for us to read.
    let mut file = tempfile::tempfile().context("a temporary file")?;
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).context("a temporary file")?;
    Ok(text(&output(command.stdin(file))?))
}

/// What a command printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
