//! Installing what is missing, where that is ours to do.

use std::path::Path;
use std::process::Stdio;

use crate::account::plain;
use crate::error::{Context, Error, Result};
use crate::keeper::on_path;

/// Asked before a package starts its service; status 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs a package of Debian's, without starting the service in it. Only root on a system with `apt-get` can.
pub(crate) fn install(package: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() || on_path("apt-get").is_none() {
        return Err(missing(package));
    }
    let _forbidden = NoServices::new()?;
    if get(&["install", package]).is_err() {
        // The lists may be old or absent.
        get(&["update"])?;
        get(&["install", package])?;
    }
    Ok(())
}

/// The one line that says what to do.
pub(crate) fn missing(package: &str) -> Error {
    Error::new(format!("{package} is not installed: apt-get install {package}"))
}

fn get(args: &[&str]) -> Result<()> {
    let mut command = plain("apt-get");
    command.arg("--yes").arg("--quiet").args(args).env("DEBIAN_FRONTEND", "noninteractive");
    // What a command of ours prints may be read by a program.
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().context("apt-get")?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("apt-get {}: {status}", args.join(" ")))) }
}

/// While it lives, packages that are installed start no service; a policy that is there already stays as it is.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn new() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let ours = !Path::new(POLICY).exists();
        if ours {
            std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
            std::fs::set_permissions(POLICY, PermissionsExt::from_mode(0o755)).context(POLICY)?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // It would only forbid more than it was to.
            let _ = std::fs::remove_file(POLICY);
        }
    }
}
