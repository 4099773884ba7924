//! Logs on DynamoDB.

use std::sync::OnceLock;

use annalist_test_servers::dynamodb::Server;

/// The URL of a new log, which is set up by opening it, in a table that nobody else has: on the server that the environment names, else
/// on a private one for this process.
pub(crate) fn url_of_new_log() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let endpoint = match std::env::var("ANNALIST_TEST_DYNAMODB_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => SERVER.get_or_init(|| Server::start().unwrap()).url(),
    };
    let table = format!("annalist-{}", annalist::EventId::new());
    format!("dynamodb://id:hunter2@{table}?region=eu-central-1&endpoint={endpoint}&setup=true")
}
