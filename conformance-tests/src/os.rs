//! What the operating system is asked for: the clock of the host, and to stop a process.

use std::io;

/// What a process is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Push {
    /// It stops where it stands, and nothing in it can tell.
    Stop,
    /// It goes on.
    Continue,
}

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use rustix::time::{ClockId, clock_gettime};

    use super::Push;

    /// Nanoseconds on the clock that all processes of this host share.
    pub(crate) fn now() -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
        seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default()
    }

    fn pid(child: u32) -> io::Result<Pid> {
        let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }

    pub(crate) fn push(child: u32, push: Push) -> io::Result<()> {
        let signal = match push {
            Push::Stop => Signal::STOP,
            Push::Continue => Signal::CONT,
        };
        Ok(kill_process(pid(child)?, signal)?)
    }

    /// Whether a child of this process is stopped as a whole.
    pub(crate) fn is_stopped(child: u32) -> io::Result<bool> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(pid(child)?), options)?.is_some_and(|status| status.stopped()))
    }
}

#[cfg(unix)]
pub(crate) use unix::{is_stopped, now, push};

#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::time::SystemTime;

    /// Nanoseconds on a clock that all processes of this host share.
    pub(crate) fn now() -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn push(_: u32, _: super::Push) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_stopped(_: u32) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::{is_stopped, now, push};

/// Waits until a child is stopped. It is asked again and again, because a wait of the operating system's own would hold a thread.
pub(crate) async fn stopped(child: u32) -> io::Result<()> {
    while !is_stopped(child)? {
        tokio::task::yield_now().await;
    }
    Ok(())
}
