//! Logs on Kafka.

use std::sync::OnceLock;

use annalist_test_servers::kafka::Server;

/// The URL of a new log, which is set up by opening it, in a topic that nobody else has: on the broker that the environment names, else on a
/// private one for this process.
pub(crate) fn url_of_new_log() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let url = match std::env::var("ANNALIST_TEST_KAFKA_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => SERVER.get_or_init(|| Server::start().unwrap()).url(),
    };
    format!("{}/t-{}?setup=true", url.trim_end_matches('/'), annalist::EventId::new())
}
