//! The server's program, which cargo builds once for this user.
//!
//! It is kept among the user's caches, outside of any workspace and of what is built there, since it takes minutes to build.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::account::{private_folder, temporary};
use crate::error::{Context, Error, Result};

const PACKAGE: &str = "dynoxide-rs";

/// Another one goes to a folder of its own.
const VERSION: &str = "3.2.0";

/// The server and its command line, without what else is in the package.
const FEATURES: &str = "native-sqlite,http-server,cli";

/// Builds and installs the server unless it is there already, by `cargo install`, for this user alone: in `annalist/` of
/// `XDG_CACHE_HOME` or `~/.cache`. Whoever comes while another does it waits for that.
///
/// # Errors
///
/// One line that says what could not be installed.
pub fn install() -> Result<()> {
    installed().map(drop)
}

/// Where the program is, after it was installed if need be.
pub(crate) fn installed() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    installed_in(&cache()?, Path::new(&cargo))
}

fn installed_in(cache: &Path, cargo: &Path) -> Result<PathBuf> {
    let root = cache.join(format!("{PACKAGE}-{VERSION}"));
    let program = root.join("bin/dynoxide");
    if !program.exists() {
        std::fs::create_dir_all(&root).context(root.display())?;
        let lock = File::create(root.join("lock")).context(root.display())?;
        flock(&lock, FlockOperation::LockExclusive).context(root.display())?;
        // Cargo puts it there whole, by a rename; somebody may have had that done in the meantime.
        if !program.exists() {
            build(&root, cargo)?;
        }
    }
    Ok(program)
}

fn build(root: &Path, cargo: &Path) -> Result<()> {
    eprintln!("building {PACKAGE} {VERSION}, once and for some minutes, in {}", root.display());
    let mut command = Command::new(cargo);
    command.args(["install", "--quiet", "--locked", PACKAGE, "--version", VERSION]);
    command.args(["--no-default-features", "--features", FEATURES, "--root"]).arg(root);
    // In a folder that cargo removes again, and without the settings of the workspace that we may be in.
    command.current_dir(temporary()).env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
    // What a command of ours prints may be read by a program.
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let failed = |why: String| {
        Error::new(format!(
            "the DynamoDB server could not be installed: cargo install {PACKAGE} --version {VERSION}: {why}"
        ))
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(format!("{}: {error}", cargo.display()))),
    }
}

/// The user's folder for what can be made again.
fn cache() -> Result<PathBuf> {
    let of_user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let at_home = || std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    match of_user.or_else(at_home) {
        Some(caches) => Ok(caches.join("annalist")),
        None => private_folder(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_installed_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        for (cargo, why) in [("/bin/false", "exit status: 1"), ("/no/such/cargo", "No such file")] {
            let error = installed_in(folder.path(), Path::new(cargo)).unwrap_err().to_string();
            assert!(error.contains("cargo install dynoxide-rs --version") && error.contains(why), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn what_is_there_is_not_built_again() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join(format!("{PACKAGE}-{VERSION}/bin"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("dynoxide"), "").unwrap();
        assert_eq!(installed_in(folder.path(), Path::new("/bin/false")).unwrap(), bin.join("dynoxide"));
    }
}
