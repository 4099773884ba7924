use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::account::FOLDER_PREFIX;
use crate::error::{Context, Error, Result};
use crate::process::{State, command_line, signal, state, wait_until};

/// A server that was left to itself, as it can be remembered in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Left {
    pid: i32,
    end_signal: i32,
    folder: PathBuf,
}

impl Left {
    pub(crate) fn new(server: Pid, end_signal: Signal, folder: &Path) -> Self {
        Self { pid: server.as_raw_pid(), end_signal: end_signal.as_raw(), folder: folder.to_owned() }
    }

    /// The id that its first process has, or had.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether that process lives and is still the server, and not a later one that was given the same id.
    pub fn is_running(&self) -> bool {
        self.server().is_some()
    }

    /// Ends it and removes its folder. One that has ended by itself is no error.
    pub fn stop(&self) -> Result<()> {
        if let Some(server) = self.server() {
            let end = Signal::from_named_raw(self.end_signal).ok_or_else(|| Error::new("no such signal"))?;
            signal(server, end)?;
            wait_until("the server to end", || state(server) == State::Ended)?;
        }
        if self.has_own_folder() && self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).context(self.folder.display())?;
        }
        Ok(())
    }

    /// Whatever was remembered wrongly, nothing but a folder of ours is removed.
    fn has_own_folder(&self) -> bool {
        let name = self.folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(FOLDER_PREFIX))
    }

    /// A server has its folder, a name that nothing else has, in its command line.
    fn server(&self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid)?;
        let folder = self.folder.to_str()?;
        (self.has_own_folder() && state(pid) != State::Ended && command_line(pid).contains(folder))
            .then_some(pid)
    }
}
