//! On what it was measured.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    os: String,
    rustc: String,
    /// Seconds since 1970.
    measured_at: u64,
}

impl Machine {
    pub(crate) fn here() -> Self {
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib().unwrap_or(0) / (1024 * 1024),
            os: first_line("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            rustc: first_line("rustc", &["--version"]).unwrap_or_default(),
            measured_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// Whether figures from there may stand beside figures from here.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let of =
            |machine: &Self| (machine.cpu.clone(), machine.cores, machine.memory_gib, machine.os.clone());
        of(self) == of(other)
    }

    pub(crate) fn line(&self) -> String {
        let Self { cpu, cores, memory_gib, os, rustc, .. } = self;
        format!("{cpu}, {cores} cores, {memory_gib} GiB, {os}, {rustc}")
    }
}

/// Product and version of a private server, which whoever started it says.
pub(crate) fn version_of(service: &str) -> Option<String> {
    std::env::var(format!("ANNALIST_TEST_{service}_VERSION")).ok().filter(|version| !version.is_empty())
}

/// Of now, as in `2026-01-31`.
pub(crate) fn today() -> String {
    first_line("date", &["-u", "+%F"]).unwrap_or_default()
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_kib() -> Option<u64> {
    field("/proc/meminfo", "MemTotal")?.split(' ').next()?.parse().ok()
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned())
}
