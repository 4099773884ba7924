//! The classes of a broker, as the JVM has laid them out in memory once: to read them from the jars is half the work of a start.
//!
//! The JVM takes no notice of a file that is empty or another JVM's, and is slower then.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use crate::cache;
use crate::error::{Context, Result};
use crate::kafka::programs::Programs;

/// With which a broker starts from that file. Where there is none, it is written by one that `run` starts, with the option that it is
/// given, and stops.
pub(crate) fn option(programs: &Programs, run: impl FnOnce(OsString) -> Result<()>) -> Result<OsString> {
    let file = programs.root().join("classes");
    cache::once(programs.root(), &file, || {
        let new = programs.root().join("classes.new");
        run(with("-XX:ArchiveClassesAtExit=", &new))?;
        if !new.exists() {
            // This JVM cannot, and need not be asked again.
            File::create(&new).context(new.display())?;
        }
        std::fs::rename(&new, &file).context(file.display())
    })?;
    Ok(with("-XX:SharedArchiveFile=", &file))
}

fn with(option: &str, file: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push(file);
    word
}
