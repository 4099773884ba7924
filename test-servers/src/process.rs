//! Processes that we started, and their children.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::error::{Error, Result};

/// How often a change is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Running,
    Stopped,
    /// Gone, or no more than an entry that waits for its parent to look at it.
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    pid: Pid,
    parent: Option<Pid>,
    state: State,
}

/// That the process has ended meanwhile is no error.
pub(crate) fn signal(pid: Pid, signal: Signal) -> Result<()> {
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Error::new(format!("a signal to process {}: {error}", pid.as_raw_nonzero()))),
    }
}

pub(crate) fn state(pid: Pid) -> State {
    let number = pid.as_raw_nonzero().to_string();
    let entry = if has_proc() { of_proc(&number) } else { of_ps(&["-p", &number]).pop() };
    entry.map_or(State::Ended, |entry| entry.state)
}

/// The command line of a process, as far as it can be seen.
pub(crate) fn command_line(pid: Pid) -> String {
    if let Ok(words) = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())) {
        return String::from_utf8_lossy(&words).replace('\0', " ");
    }
    let output =
        Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.as_raw_nonzero().to_string()]).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends the signal that cannot be refused to stop, and waits until the process has stopped.
pub(crate) fn freeze(pid: Pid) -> Result<()> {
    signal(pid, Signal::STOP)?;
    wait_until("a process to stop", || state(pid) != State::Running)
}

/// The children that live. Those of a stopped process are safe to signal: nobody but the parent can free their ids.
pub(crate) fn children(parent: Pid) -> Result<Vec<Pid>> {
    let entries = if has_proc() {
        let names = std::fs::read_dir("/proc").map_err(|error| Error::new(format!("/proc: {error}")))?;
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| of_proc(&name)).collect()
    } else {
        of_ps(&["-A"])
    };
    let child = |entry: &Entry| entry.parent == Some(parent) && entry.state != State::Ended;
    Ok(entries.into_iter().filter(child).map(|entry| entry.pid).collect())
}

/// Waits for what must happen soon; that it does not is an error that names it.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let begun = Instant::now();
    while !happened() {
        if begun.elapsed() > LIMIT {
            return Err(Error::new(format!("waited {} s in vain for {what}", LIMIT.as_secs())));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

fn has_proc() -> bool {
    std::fs::exists("/proc/self/stat").unwrap_or(false)
}

/// The entry of a process is that of its first thread, which may stop or end before the others do.
fn of_proc(pid: &str) -> Option<Entry> {
    let pid = pid.parse().ok()?;
    let mut entry = parse_proc(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let lags = |state| state != entry.state && state != State::Ended;
    if entry.state != State::Running && threads(pid).any(lags) {
        entry.state = State::Running;
    }
    Some(entry)
}

/// The states of all threads. One that ends meanwhile is left out.
fn threads(pid: i32) -> impl Iterator<Item = State> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let stat = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()
    };
    threads.filter_map(stat).filter_map(move |stat| parse_proc(pid, &stat)).map(|entry| entry.state)
}

/// The name of the program stands in parentheses and may hold more of them, and blanks.
fn parse_proc(pid: i32, stat: &str) -> Option<Entry> {
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    let state = rest.next()?;
    entry(pid, rest.next()?, state)
}

/// For systems without `/proc`.
fn of_ps(which: &[&str]) -> Vec<Entry> {
    let Ok(output) = Command::new("ps").args(which).args(["-o", "pid=,ppid=,stat="]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_ps).collect()
}

fn parse_ps(line: &str) -> Option<Entry> {
    let mut fields = line.split_whitespace();
    let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?);
    entry(pid, parent, fields.next()?)
}

fn entry(pid: i32, parent: &str, state: &str) -> Option<Entry> {
    let state = match state.as_bytes().first()? {
        b'Z' | b'X' => State::Ended,
        b'T' | b't' => State::Stopped,
        _ => State::Running,
    };
    Some(Entry { pid: Pid::from_raw(pid)?, parent: Pid::from_raw(parent.parse().ok()?), state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_are_understood() {
        let expected =
            Some(Entry { pid: Pid::from_raw(17).unwrap(), parent: Pid::from_raw(4), state: State::Stopped });
        assert_eq!(parse_proc(17, "17 (a) Z 3 (b) T 4 17 17 0"), expected);
        assert_eq!(parse_ps("   17     4 Ts+"), expected);
    }

    #[test]
    fn our_own_child_is_seen_to_live_and_to_end() {
        let us = rustix::process::getpid();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(children(us).unwrap().contains(&pid));
        freeze(pid).unwrap();
        assert_eq!(state(pid), State::Stopped);
        signal(pid, Signal::KILL).unwrap();
        wait_until("the child to end", || state(pid) == State::Ended).unwrap();
        assert!(!children(us).unwrap().contains(&pid));
        child.wait().unwrap();
    }
}
