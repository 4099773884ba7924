//! Logs in SQLite files.

use std::path::Path;
use std::sync::OnceLock;

/// The URL of a new log, in a file that nobody else has, in a folder for this process. The system clears it away.
pub(crate) fn url_of_new_log() -> String {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    url_of(&folder.path().join(format!("{}.db", annalist::EventId::new())))
}

/// The URL of a file.
pub(crate) fn url_of(path: &Path) -> String {
    let escaped: String = form_urlencoded::byte_serialize(path.to_str().unwrap().as_bytes()).collect();
    format!("sqlite:{}", escaped.replace('+', "%20").replace("%2F", "/"))
}
