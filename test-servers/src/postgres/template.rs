//! A cluster as `initdb` makes it, kept as one archive, of which each server unpacks its own.
//!
//! The archive is of this user and this version of the programs, beside other temporary files. It is put in place by a rename: whoever
//! makes it at the same time puts the like in its place, and one that is there is whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use crate::account::{Account, output, private_folder};
use crate::error::{Context, Result};
use crate::postgres::{SUPERUSER, programs::Programs};

/// Changes whenever what is in the archive changes.
const RECIPE: u32 = 1;

/// So that the threads of one process make it once.
static MAKING: Mutex<()> = Mutex::new(());

/// Puts a new cluster in the folder, as `data`, and returns the superuser's password.
pub(crate) fn unpack(programs: &Programs, account: Account, folder: &Path) -> Result<String> {
    let archive = File::open(archive(programs, account)?).context("the archived cluster")?;
    output(account.command("tar").args(["-xf", "-", "-C"]).arg(folder).stdin(archive))?;
    std::fs::read_to_string(folder.join("password")).context("the password")
}

fn archive(programs: &Programs, account: Account) -> Result<PathBuf> {
    let folder = private_folder()?;
    let version = programs.version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    let archive = folder.join(format!("postgresql-{version}.{RECIPE}.tar"));
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !archive.exists() {
        let made = tempfile::NamedTempFile::new_in(&folder).context(folder.display())?;
        make(programs, account, made.as_file())?;
        made.persist(&archive).context(archive.display())?;
    }
    Ok(archive)
}

fn make(programs: &Programs, account: Account, archive: &File) -> Result<()> {
    let folder = account.folder(None)?;
    let (data, password) = (folder.path().join("data"), folder.path().join("password"));
    // A random number has no character that a URL would have to escape.
    std::fs::write(&password, format!("{:032x}", rand::random::<u128>())).context("the password")?;
    account.own(&password)?;
    let mut initdb = account.command(programs.path("initdb"));
    initdb.args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"]);
    // A copy of what the archive holds is as good as one that has been on the disk.
    initdb.arg("--no-sync").arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
    output(&mut initdb)?;
    let archive = Stdio::from(archive.try_clone().context("the archived cluster")?);
    let mut tar = account.command("tar");
    tar.args(["-cf", "-", "-C"]).arg(folder.path()).args(["data", "password"]).stdout(archive);
    output(&mut tar).map(drop)
}
