//! A disk whose power can be cut.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::account::{Account, in_memory, output, plain};
use crate::error::{Context, Error, Result};

/// How large it is. It takes as much memory as is written to it.
const SIZE: u64 = 512 << 20;

/// A file system of its own, on a disk that is a file in memory. What is written to its files stays in the kernel's cache, as on any disk,
/// until somebody flushes it; after a cut only what has reached the disk is left. Each cut goes on with a copy of the disk, made
/// while nothing reaches it, as a machine that comes back would find it.
///
/// Linux, and root's alone: mounting is. What a disk does with its own cache is not simulated: all that reaches it stays.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    /// Which copy is mounted.
    mounted: Mutex<u32>,
}

impl Disk {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// One line that says what is missing: root, room in memory, a program, or a kernel that mounts files.
    pub fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::new("a disk whose power can be cut needs root, who can mount it"));
        }
        let parent =
            in_memory().ok_or_else(|| Error::new("a disk whose power can be cut needs 1 GiB in /dev/shm"))?;
        let disk = Self { folder: Account::ourselves().folder(Some(&parent))?, mounted: Mutex::new(0) };
        // Other users' servers go through it to the mount.
        open_to_all(disk.folder.path())?;
        let image = disk.image(0);
        File::create(&image).and_then(|file| file.set_len(SIZE)).context(image.display())?;
        output(plain("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))
            .context("a disk whose power can be cut needs mkfs.ext4 (Debian: e2fsprogs)")?;
        disk.mount(0)?;
        Ok(disk)
    }

    /// The folder that is on it. It stays the same through cuts, but what was opened before one is on the disk from before.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Flushes all that was written to it, as what was made by a copy is not by itself.
    ///
    /// # Errors
    ///
    /// What `sync` says.
    pub fn flush(&self) -> Result<()> {
        output(plain("sync").arg("--file-system").arg(self.path())).map(drop)
    }

    /// Cuts its power, and goes on with what has reached it. Nothing may write meanwhile: processes that do are to be killed before.
    ///
    /// # Errors
    ///
    /// What is left cannot be mounted.
    pub fn cut(&self) -> Result<()> {
        let mut mounted = self.mounted();
        let (old, new) = (*mounted, *mounted + 1);
        output(plain("cp").arg("--sparse=always").arg(self.image(old)).arg(self.image(new)))?;
        self.mount(new)?;
        *mounted = new;
        // It goes once nothing is open there any more.
        output(plain("umount").arg("--lazy").arg(self.place(old)))?;
        std::fs::remove_file(self.image(old)).context("the disk from before")
    }

    fn mount(&self, number: u32) -> Result<()> {
        let place = self.place(number);
        std::fs::create_dir(&place).context(place.display())?;
        // Without the commits that its journal makes by itself every five seconds.
        output(
            plain("mount")
                .args(["-t", "ext4", "-o", "loop,noatime,commit=900"])
                .arg(self.image(number))
                .arg(&place),
        )?;
        open_to_all(&place)?;
        let (link, next) = (self.path(), self.folder.path().join("next"));
        std::os::unix::fs::symlink(&place, &next)
            .and_then(|()| std::fs::rename(&next, &link))
            .context(link.display())
    }

    fn image(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("image-{number}"))
    }

    fn place(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("mount-{number}"))
    }

    fn mounted(&self) -> MutexGuard<'_, u32> {
        self.mounted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o1777)).context(folder.display())
}

impl Drop for Disk {
    fn drop(&mut self) {
        let number = *self.mounted();
        // Nobody is left who could be told.
        let _ = output(plain("umount").arg("--lazy").arg(self.place(number)));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_flushed_outlives_a_cut_and_nothing_else_does() {
        let disk = Disk::new().unwrap();
        let write = |name: &str| {
            let mut file = File::create(disk.path().join(name)).unwrap();
            file.write_all(b"text").unwrap();
            file
        };
        for cut in 1..=3 {
            let flushed = write(&format!("flushed-{cut}"));
            flushed.sync_all().unwrap();
            let lost = write(&format!("lost-{cut}"));
            disk.cut().unwrap();
            drop((flushed, lost));
            for earlier in 1..=cut {
                let file = |what| disk.path().join(format!("{what}-{earlier}"));
                assert_eq!(std::fs::read(file("flushed")).unwrap(), b"text");
                assert!(!file("lost").exists());
            }
        }
    }
}
