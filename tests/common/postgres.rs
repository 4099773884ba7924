//! Logs on PostgreSQL.

use std::sync::OnceLock;

use annalist_test_servers::postgres::{Server, Settings};

/// The URL of a new log, which is set up by opening it, in a schema that nobody else has: on the server that the environment names, else
/// on a private one for this process.
pub(crate) fn url_of_new_log() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let url = match std::env::var("ANNALIST_TEST_POSTGRES_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => SERVER.get_or_init(|| Server::start(Settings::default()).unwrap()).url(),
    };
    let separator = if url.contains('?') { '&' } else { '?' };
    let id = annalist::EventId::new().to_string().replace('-', "_");
    format!("{url}{separator}setup=true&connections=3&schema=t_{id}")
}
