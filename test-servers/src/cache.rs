//! What is made once for this user and kept, outside of any workspace and of what is built there.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::account::private_folder;
use crate::error::{Context, Result};

/// A folder in the user's folder for what can be made again. Another version goes to a folder of another name.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let of_user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let at_home = || std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    let caches = match of_user.or_else(at_home) {
        Some(caches) => caches.join("annalist"),
        None => private_folder()?,
    };
    Ok(caches.join(name))
}

/// Makes what is not there, in a folder of [`folder`]. Whoever comes while another makes it waits for that. It must be put in its place
/// whole, by a rename.
pub(crate) fn once(folder: &Path, thing: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    if thing.exists() {
        return Ok(());
    }
    let _alone = alone(folder)?;
    // Somebody may have made it in the meantime.
    if thing.exists() { Ok(()) } else { make() }
}

/// As long as what is returned lives, nobody else gets it for this folder.
pub(crate) fn alone(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder).context(folder.display())?;
    let lock = File::create(folder.join("lock")).context(folder.display())?;
    flock(&lock, FlockOperation::LockExclusive).context(folder.display())?;
    Ok(lock)
}
