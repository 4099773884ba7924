//! The keeper of a server: `keeper.sh`, and our end of its pipe.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::account::Account;
use crate::error::{Context, Error, Result};
use crate::left::Left;
use crate::process::{self, State, children, freeze, signal, wait_until};

/// How much of a server's log is in an error.
const LOG_LINES_MAX: usize = 8;

/// How many ports are tried.
const PORT_TRIES: usize = 10;

/// A server's command and folder, and the server itself while it runs.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    /// `None` only while it is being dropped.
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    server: Option<Pid>,
    end_signal: Signal,
    folder: TempDir,
}

/// What a server is started with.
pub(crate) struct Launch<'a> {
    pub(crate) account: Account,
    /// What ends the server at once and lets it clean up.
    pub(crate) end_signal: Signal,
    pub(crate) program: &'a Path,
    pub(crate) args: Vec<OsString>,
}

impl Keeper {
    /// The folder is removed with the keeper. The server is not started yet.
    pub(crate) fn new(launch: Launch<'_>, folder: TempDir) -> Result<Self> {
        let mut command = launch.account.command("sh");
        let end_signal = launch.end_signal.as_raw().to_string();
        command.args(["-c", include_str!("keeper.sh"), "keeper", &end_signal]);
        command.arg(folder.path()).arg(launch.program).args(launch.args);
        // Signals from a terminal are for us alone; what follows from them, the keeper learns by the pipe.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().context("sh")?;
        let words = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("it is piped"));
        Ok(Self { shell, words, answers, server: None, end_signal: launch.end_signal, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server on a port that was free a moment before, once more if somebody was faster; `configure` tells the server which.
    pub(crate) fn start_on(
        &mut self,
        mut free_port: impl FnMut() -> Result<SocketAddr>,
        configure: impl Fn(SocketAddr) -> Result<()>,
        is_ready: impl Fn(Pid, &Path) -> bool,
    ) -> Result<SocketAddr> {
        for _ in 0..PORT_TRIES {
            let address = free_port()?;
            configure(address)?;
            match self.start(&is_ready) {
                Ok(()) => return Ok(address),
                Err(_) if log_has(self.folder(), "already in use") => self.forget_log()?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(format!("{PORT_TRIES} free ports were taken before the server could listen on one")))
    }

    /// Starts the server and waits until it is ready. If it ends instead, the error has the end of its log.
    pub(crate) fn start(&mut self, mut is_ready: impl FnMut(Pid, &Path) -> bool) -> Result<()> {
        if self.is_running() {
            return Err(Error::new("the server is running already"));
        }
        if self.server.is_some() {
            // It has ended by itself.
            self.reap()?;
        }
        let pid = self.ask("start")?;
        let pid = Pid::from_raw(pid).ok_or_else(|| Error::new("the keeper gave no process id"))?;
        self.server = Some(pid);
        let mut ready = false;
        wait_until("a server to be ready", || {
            ready = is_ready(pid, self.folder.path());
            ready || process::state(pid) == State::Ended
        })?;
        if ready {
            return Ok(());
        }
        self.reap()?;
        Err(Error::new(format!("the server ended at its start: {}", self.log_end())))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server.is_some_and(|pid| process::state(pid) != State::Ended)
    }

    /// `SIGKILL` to the server and to all its children; all have ended when this returns.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let server = self.running()?;
        // While it stands still it has no new child and frees no old one's id, nor does it see them end.
        freeze(server)?;
        let children = children(server)?;
        for &child in &children {
            signal(child, Signal::KILL)?;
        }
        wait_until("the server's children to end", || {
            children.iter().all(|&child| process::state(child) == State::Ended)
        })?;
        self.end(Signal::KILL)
    }

    /// Sends a signal that ends the server, and waits until it has.
    pub(crate) fn end(&mut self, with: Signal) -> Result<()> {
        let server = self.running()?;
        signal(server, with)?;
        wait_until("the server to end", || process::state(server) == State::Ended)?;
        self.reap()
    }

    /// `SIGSTOP` to the server and its children; all stand still when this returns.
    pub(crate) fn pause(&self) -> Result<()> {
        let server = self.running()?;
        freeze(server)?;
        children(server)?.into_iter().try_for_each(freeze)
    }

    pub(crate) fn resume(&self) -> Result<()> {
        let server = self.running()?;
        // It continues last: until then it frees no child's id.
        children(server)?.into_iter().try_for_each(|child| signal(child, Signal::CONT))?;
        signal(server, Signal::CONT)
    }

    /// Lets the server and its folder stay when we go.
    pub(crate) fn leave(mut self) -> Result<Left> {
        let server = self.running()?;
        let words = self.words.as_mut().expect("it is not being dropped");
        writeln!(words, "leave").context("the keeper")?;
        self.shell.wait().context("the keeper")?;
        self.server = None;
        self.folder.disable_cleanup(true);
        Ok(Left::new(server, self.end_signal, self.folder()))
    }

    /// Before another try, so that what is looked for in the log is of that one.
    fn forget_log(&self) -> Result<()> {
        std::fs::File::create(self.folder().join("log")).map(drop).context("the log")
    }

    /// The last lines of what the server has printed.
    fn log_end(&self) -> String {
        let log = std::fs::read(self.folder().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
    }

    fn running(&self) -> Result<Pid> {
        self.server.ok_or_else(|| Error::new("the server is not running"))
    }

    fn reap(&mut self) -> Result<()> {
        self.ask("reap")?;
        self.server = None;
        Ok(())
    }

    fn ask(&mut self, word: &str) -> Result<i32> {
        let words = self.words.as_mut().expect("it is not being dropped");
        writeln!(words, "{word}").context("the keeper")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("the keeper")?;
        answer.trim().parse().context(format_args!("the keeper, asked to {word}, said {answer:?}"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.server.is_some() {
            // Children that stand still would hold up the end. There is nobody to whom a failure could be told.
            let _ = self.resume();
        }
        drop(self.words.take());
        let _ = self.shell.wait();
    }
}

/// Whether what the server printed so far contains this.
pub(crate) fn log_has(folder: &Path, text: &str) -> bool {
    log_count(folder, text) > 0
}

/// How often the server, in all its starts, has printed this.
pub(crate) fn log_count(folder: &Path, text: &str) -> usize {
    let log = std::fs::read(folder.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&log).matches(text).count()
}

/// Where a program is on the `PATH`.
pub(crate) fn on_path(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program.as_ref())).find(|file| file.is_file())
}
