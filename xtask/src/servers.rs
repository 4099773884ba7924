//! The servers that tests need: which there are, who needs them, and one of each for the time of a run.

use std::process::Command;

use annalist_test_servers::{Left, dynamodb, kafka, pgbouncer, postgres};

use crate::Result;
use crate::workspace::Package;

/// A technology that tests reach by a URL in their environment.
pub(crate) struct Service {
    /// As the backend is called.
    pub(crate) name: &'static str,
    /// Where tests look for the URL. Whoever sets it has a server of his own.
    pub(crate) variable: &'static str,
    /// Starts a private server, and installs it before where it is missing and we may.
    pub(crate) start: fn() -> Result<Box<dyn Running>>,
}

/// All services; another one is another entry here.
pub(crate) static SERVICES: [Service; 3] = [
    Service {
        name: "postgres",
        variable: "ANNALIST_TEST_POSTGRES_URL",
        start: || {
            postgres::install()?;
            // Some tests start one themselves, and say so where it is missing; nobody else needs it.
            let _ = pgbouncer::install();
            Ok(Box::new(postgres::Server::start(postgres::Settings::default())?))
        },
    },
    Service {
        name: "dynamodb",
        variable: "ANNALIST_TEST_DYNAMODB_URL",
        start: || Ok(Box::new(dynamodb::Server::start()?)),
    },
    Service {
        name: "kafka",
        variable: "ANNALIST_TEST_KAFKA_URL",
        start: || Ok(Box::new(kafka::Server::start()?)),
    },
];

/// A server that ends when this is dropped.
pub(crate) trait Running {
    fn url(&self) -> String;
    fn version(&self) -> String;
    /// Lets it stay.
    fn leave(self: Box<Self>) -> Result<Left>;
}

macro_rules! running {
    ($($technology:ident),*) => {$(
        impl Running for $technology::Server {
            fn url(&self) -> String {
                self.url()
            }

            fn version(&self) -> String {
                self.version()
            }

            fn leave(self: Box<Self>) -> Result<Left> {
                Ok($technology::Server::leave(*self)?)
            }
        }
    )*};
}

running!(postgres, dynamodb, kafka);

impl Service {
    /// Its backend needs it, and whatever is built on that; so does the package whose tests start servers themselves.
    fn is_needed_by(&self, package: &Package) -> bool {
        package.is_or_uses(&format!("annalist-{}", self.name)) || package.name == "annalist-test-servers"
    }

    fn is_given(&self) -> bool {
        std::env::var_os(self.variable).is_some_and(|url| !url.is_empty())
    }
}

/// What a run needs. The servers are started when the first program is to have them, and end with this.
pub(crate) struct Servers {
    /// And not started yet.
    needed: Vec<&'static Service>,
    running: Vec<(&'static str, Box<dyn Running>)>,
}

impl Servers {
    /// What these packages need and the environment does not have.
    pub(crate) fn of(packages: &[&Package]) -> Self {
        let is_needed = |service: &&Service| packages.iter().any(|package| service.is_needed_by(package));
        let needed = SERVICES.iter().filter(is_needed).filter(|service| !service.is_given()).collect();
        Self { needed, running: Vec::new() }
    }

    /// Those of these backends alone, where any is named. The workloads have some under more than one name, which begin alike.
    pub(crate) fn only(mut self, backends: &[String]) -> Self {
        let is_named = |service: &&Service| backends.iter().any(|name| name.starts_with(service.name));
        self.needed.retain(|service| backends.is_empty() || is_named(service));
        self
    }

    /// Puts the URLs in the environment of a command, and what answers there.
    pub(crate) fn give<'a>(&mut self, command: &'a mut Command) -> Result<&'a mut Command> {
        while let Some(service) = self.needed.last() {
            let server = (service.start)()?;
            println!("{} for {}", server.version(), service.variable);
            self.running.push((service.variable, server));
            self.needed.pop();
        }
        let version = |variable: &str| variable.replace("_URL", "_VERSION");
        command.envs(self.running.iter().map(|(variable, server)| (version(variable), server.version())));
        Ok(command.envs(self.running.iter().map(|(variable, server)| (variable, server.url()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Running for Fake {
        fn url(&self) -> String {
            "fake:".to_owned()
        }

        fn version(&self) -> String {
            "Fake 1".to_owned()
        }

        fn leave(self: Box<Self>) -> Result<Left> {
            Err("it does not stay".into())
        }
    }

    static FAKE: Service =
        Service { name: "fake", variable: "ANNALIST_TEST_FAKE_URL", start: || Ok(Box::new(Fake)) };

    static ABSENT: Service = Service {
        name: "absent",
        variable: "ANNALIST_TEST_ABSENT_URL",
        start: || Err("not installed".into()),
    };

    fn package(name: &str, dependency: &str) -> Package {
        let json = format!(
            r#"{{"name": "{name}", "manifest_path": "/Cargo.toml", "features": {{}}, "publish": [],
                "dependencies": [{{"name": "{dependency}"}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_backend_and_what_is_built_on_it_need_its_server() {
        assert!(FAKE.is_needed_by(&package("annalist-fake", "serde")));
        assert!(FAKE.is_needed_by(&package("annalist", "annalist-fake")));
        assert!(FAKE.is_needed_by(&package("annalist-test-servers", "serde")));
        assert!(!FAKE.is_needed_by(&package("annalist-memory", "annalist-core")));
        assert!(!FAKE.is_needed_by(&package("xtask", "annalist-test-servers")));
    }

    #[test]
    fn every_command_gets_the_url_of_one_server() {
        let mut servers = Servers { needed: vec![&FAKE], running: Vec::new() };
        for _ in 0..2 {
            let mut command = Command::new("true");
            servers.give(&mut command).unwrap();
            let variables: Vec<_> = command.get_envs().collect();
            let version = ("ANNALIST_TEST_FAKE_VERSION".as_ref(), Some("Fake 1".as_ref()));
            assert_eq!(variables, [(FAKE.variable.as_ref(), Some("fake:".as_ref())), version]);
        }
        assert_eq!(servers.running.len(), 1);
    }

    #[test]
    fn a_server_that_cannot_be_had_is_a_failure() {
        let mut servers = Servers { needed: vec![&ABSENT], running: Vec::new() };
        assert_eq!(servers.give(&mut Command::new("true")).unwrap_err().to_string(), "not installed");
        assert!(servers.only(&["other".to_owned()]).give(&mut Command::new("true")).is_ok());
    }
}
