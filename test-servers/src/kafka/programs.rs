//! The broker's jars, which Maven fetches once for this user, and the `java` that runs them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::account::plain;
use crate::cache;
use crate::debian::{install as apt, missing};
use crate::error::{Context, Error, Result};
use crate::kafka::template;
use crate::keeper::on_path;

const POM: &str = include_str!("pom.xml");

/// Changes whenever what is kept changes though the broker's version does not.
const RECIPE: u32 = 1;

/// Debian's packages with what is not in the jars.
const JAVA: (&str, &str) = ("java", "default-jre-headless");
const MAVEN: (&str, &str) = ("mvn", "maven");

/// A server is small and starts often: memory and a quick start count for more than the last of its speed.
const JVM: [&str; 5] =
    ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];

/// Of what the broker logs, the warnings and what it is known to be ready by: all of it is a thousand lines a start.
const LOG: [&str; 2] = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
];

/// What a broker needs to run.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) java: PathBuf,
    folder: PathBuf,
}

/// Fetches the broker's jars unless they are there already, by Maven, for this user alone: into `annalist/` of `XDG_CACHE_HOME` or
/// `~/.cache`. Whoever comes while another does it waits for that. Where Java or Maven is missing, root installs Debian's package.
///
/// # Errors
///
/// One line that says what to install, or what could not be fetched.
pub fn install() -> Result<()> {
    Programs::installed().map(drop)
}

impl Programs {
    /// Those that are there, after they were installed if need be.
    pub(crate) fn installed() -> Result<Self> {
        let root = cache::folder(&format!("kafka-{}-{RECIPE}", version()))?;
        let java = tool(JAVA, &root)?;
        let programs = Self { java, folder: root.join("broker") };
        if !programs.folder.exists() {
            let maven = tool(MAVEN, &root)?;
            programs.install_in(&root, &maven)?;
        }
        Ok(programs)
    }

    fn install_in(&self, root: &Path, maven: &Path) -> Result<()> {
        cache::once(root, &self.folder, || {
            let new = Self { java: self.java.clone(), folder: root.join("new") };
            if new.folder.exists() {
                // Of one that was killed.
                std::fs::remove_dir_all(&new.folder).context(new.folder.display())?;
            }
            std::fs::create_dir(&new.folder).context(new.folder.display())?;
            new.fetch(maven)?;
            template::make(&new)?;
            std::fs::rename(&new.folder, &self.folder).context(self.folder.display())
        })
    }

    fn fetch(&self, maven: &Path) -> Result<()> {
        let version = version();
        eprintln!("fetching Apache Kafka {version}, once, into {}", self.folder.display());
        let pom = self.folder.join("pom.xml");
        std::fs::write(&pom, POM).context(pom.display())?;
        let mut command = plain(maven);
        command.args(["--batch-mode", "--quiet", "--file"]).arg(&pom).arg("dependency:copy-dependencies");
        command.arg(format!("-DoutputDirectory={}", self.jars().display()));
        // What a command of ours prints may be read by a program.
        let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
        let failed = |why: String| {
            let goal = "mvn dependency:copy-dependencies";
            Error::new(format!("Apache Kafka {version} could not be fetched: {goal}: {why}"))
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(status.to_string())),
            Err(error) => Err(failed(format!("{}: {error}", maven.display()))),
        }
    }

    /// What `java` is told before the arguments of a class of the broker's.
    pub(crate) fn args(&self, option: Option<OsString>, class: &str) -> Vec<OsString> {
        let words = JVM.iter().chain(&LOG).map(OsString::from).chain(option);
        words.chain(["-cp".into(), self.jars().join("*").into(), class.into()]).collect()
    }

    /// The folder for what is kept, this included.
    pub(crate) fn root(&self) -> &Path {
        self.folder.parent().expect("it is in a folder")
    }

    /// What [`template`] has made.
    pub(crate) fn template(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn jars(&self) -> PathBuf {
        self.folder.join("jars")
    }
}

/// The broker's version, which stands in the pom alone.
pub(crate) fn version() -> &'static str {
    let version = POM.split_once("<kafka.version>").and_then(|(_, rest)| rest.split_once("</kafka.version>"));
    version.expect("the pom has the version").0
}

/// Where a program is, after its package was installed if need be.
fn tool((program, package): (&str, &str), root: &Path) -> Result<PathBuf> {
    if let Some(file) = on_path(program) {
        return Ok(file);
    }
    let _alone = cache::alone(root)?;
    if on_path(program).is_none() {
        apt(package)?;
    }
    on_path(program).ok_or_else(|| missing(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(root: &Path) -> Programs {
        Programs { java: "/bin/false".into(), folder: root.join("broker") }
    }

    #[test]
    fn what_cannot_be_fetched_is_told_in_one_line() {
        let root = tempfile::tempdir().unwrap();
        for (maven, why) in [("/bin/false", "exit status: 1"), ("/no/such/mvn", "No such file")] {
            let programs = in_folder(root.path());
            let error = programs.install_in(root.path(), Path::new(maven)).unwrap_err().to_string();
            assert!(error.contains(&format!("Apache Kafka {}", version())) && error.contains(why), "{error}");
            assert_eq!(error.lines().count(), 1);
            assert!(!programs.folder.exists());
        }
    }

    #[test]
    fn what_is_there_is_not_fetched_again() {
        let root = tempfile::tempdir().unwrap();
        let programs = in_folder(root.path());
        std::fs::create_dir_all(&programs.folder).unwrap();
        programs.install_in(root.path(), Path::new("/bin/false")).unwrap();
    }

    #[test]
    fn a_program_that_nobody_can_install_is_named_with_its_package() {
        let root = tempfile::tempdir().unwrap();
        let there = tool(("sh", "no-such-package"), root.path()).unwrap();
        assert!(there.ends_with("sh"));
        assert_eq!(version().split('.').next(), Some("4"));
    }
}
