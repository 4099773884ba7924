//! The server that tests work on.

use std::sync::OnceLock;

use annalist_dynamodb::aws_sdk_dynamodb::Client;
use annalist_dynamodb::aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use annalist_test_servers::dynamodb::Server;

/// Where whoever runs the tests says that a server is.
pub const VARIABLE: &str = "ANNALIST_TEST_DYNAMODB_URL";

/// What no error may show.
pub const SECRET: &str = "hunter2secret";

/// A server for this process: the one that the environment names, else a private one.
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

    pub fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(server) => server.url(),
        }
    }
}

/// A client of its own, with its own connections.
pub fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test"))
        .http_client(annalist_dynamodb::testing::http_client())
        .endpoint_url(url);
    Client::from_conf(config.build())
}
