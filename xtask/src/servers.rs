//! The servers that tests need: which there are, who needs them, and one of each for the time of a run.

use std::process::Command;

use annalist_test_servers::{Left, postgres};

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
pub(crate) static SERVICES: [Service; 1] = [Service {
    name: "postgres",
    variable: "ANNALIST_TEST_POSTGRES_URL",
    start: || {
        postgres::install()?;
        Ok(Box::new(postgres::Server::start(postgres::Settings::default())?))
    },
}];

/// A server that ends when this is dropped.
pub(crate) trait Running {
    fn url(&self) -> String;
    fn version(&self) -> String;
    /// Lets it stay.
    fn leave(self: Box<Self>) -> Result<Left>;
}

impl Running for postgres::Server {
    fn url(&self) -> String {
        self.url()
    }

    fn version(&self) -> String {
        self.version()
    }

    fn leave(self: Box<Self>) -> Result<Left> {
        Ok(postgres::Server::leave(*self)?)
    }
}

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

    /// Those of these backends alone, where any is named.
    pub(crate) fn only(mut self, backends: &[String]) -> Self {
        self.needed.retain(|service| backends.is_empty() || backends.iter().any(|name| name == service.name));
        self
    }

    /// Puts the URLs in the environment of a command.
    pub(crate) fn give<'a>(&mut self, command: &'a mut Command) -> Result<&'a mut Command> {
        while let Some(service) = self.needed.last() {
            let server = (service.start)()?;
            println!("{} for {}", server.version(), service.variable);
            self.running.push((service.variable, server));
            self.needed.pop();
        }
        Ok(command.envs(self.running.iter().map(|(variable, server)| (variable, server.url()))))
    }
}
