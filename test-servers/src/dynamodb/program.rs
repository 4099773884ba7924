//! The server's program, which cargo builds once for this user.
//!
//! It is kept among the user's caches, since it takes minutes to build.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::temporary;
use crate::cache;
use crate::error::{Error, Result};

const PACKAGE: &str = "dynoxide-rs";

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
    installed_in(&cache::folder(&format!("{PACKAGE}-{VERSION}"))?, Path::new(&cargo))
}

fn installed_in(root: &Path, cargo: &Path) -> Result<PathBuf> {
    let program = root.join("bin/dynoxide");
    // Cargo puts it there by a rename.
    cache::once(root, &program, || build(root, cargo))?;
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
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("dynoxide"), "").unwrap();
        assert_eq!(installed_in(folder.path(), Path::new("/bin/false")).unwrap(), bin.join("dynoxide"));
    }
}
