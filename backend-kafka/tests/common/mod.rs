//! The broker that tests work on.

use std::sync::OnceLock;

use annalist_test_servers::kafka::Server;

/// Where whoever runs the tests says that a broker is.
pub const VARIABLE: &str = "ANNALIST_TEST_KAFKA_URL";

/// A broker for this process: the one that the environment names, else a private one.
pub enum Shared {
    Given(String),
    Own(Box<Server>),
}

impl Shared {
    pub fn get() -> Result<&'static Self, String> {
        static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(url) if !url.is_empty() => Ok(Self::Given(url)),
            _ => match Server::start() {
                Ok(server) => Ok(Self::Own(Box::new(server))),
                Err(error) => Err(error.to_string()),
            },
        });
        shared.as_ref().map_err(Clone::clone)
    }

    /// `kafka://host:port`.
    pub fn url(&self) -> String {
        match self {
            Self::Given(url) => url.trim_end_matches('/').to_owned(),
            Self::Own(server) => server.url(),
        }
    }
}
