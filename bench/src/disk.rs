//! How often a second a disk can be made to hold what it was given: what every durable append pays at least once.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::subject::Result;

const BLOCK: [u8; 4096] = [0x5a; 4096];
const MEASURED_FOR: Duration = Duration::from_secs(1);

/// Blocks of 4 KiB appended to a new file in this folder, each flushed (`fdatasync`) before the next.
pub(crate) fn flushes_per_second(folder: &Path) -> Result<f64> {
    let path = folder.join(format!("annalist-bench-flush-{}", std::process::id()));
    let measured = measure(&path).map_err(|error| format!("{}: {error}", folder.display()).into());
    // Whether or not it came into being.
    let _ = std::fs::remove_file(&path);
    measured
}

fn measure(path: &Path) -> std::io::Result<f64> {
    let mut file = File::create_new(path)?;
    let (mut flushes, begun) = (0_u32, Instant::now());
    while begun.elapsed() < MEASURED_FOR {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        flushes += 1;
    }
    Ok(f64::from(flushes) / begun.elapsed().as_secs_f64())
}
