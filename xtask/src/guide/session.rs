//! A newcomer at a terminal.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use super::page::Command;
use crate::Result;
use crate::run::cargo;
use crate::servers::Servers;

/// What the page calls a PostgreSQL of the reader's; the tests' own takes its place.
const POSTGRES: &str = "postgres://shop:secret@localhost/shop?";
const POSTGRES_VARIABLE: &str = "ANNALIST_TEST_POSTGRES_URL";

/// Only so that a program that hangs does not hang whoever waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Session {
    manifest: PathBuf,
    folder: PathBuf,
    postgres: String,
    /// The program that `cargo run` runs.
    main: String,
    environment: Vec<(String, String)>,
    commands: usize,
}

impl Session {
    pub(super) fn begin(manifest: PathBuf, folder: PathBuf, servers: &mut Servers) -> Result<Self> {
        let mut given = Process::new("true");
        servers.give(&mut given)?;
        let given = given.get_envs().find(|(name, _)| *name == POSTGRES_VARIABLE).and_then(|(_, url)| url);
        let url = given.map(ToOwned::to_owned).or_else(|| std::env::var_os(POSTGRES_VARIABLE));
        let url =
            url.ok_or("there is no PostgreSQL for the guide")?.into_string().map_err(|_| "a URL is text")?;
        let separator = if url.contains('?') { '&' } else { '?' };
        // A schema that no other run on this server has.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        let postgres = format!("{url}{separator}schema=guide_{now}&");
        Ok(Self { manifest, folder, postgres, main: String::new(), environment: Vec::new(), commands: 0 })
    }

    /// The reader has written a program.
    pub(super) fn program(&mut self, file: &str, main: bool) {
        if main {
            let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
            // `src/main.rs` is the program that has the package's name.
            self.main = if stem == "main" { "lending".to_owned() } else { stem.into_owned() };
        }
    }

    pub(super) fn run(&mut self, command: &Command) -> Result<()> {
        println!("$ {}", command.words);
        match command.words.split(' ').collect::<Vec<_>>()[..] {
            // The package is there already, and its dependencies are compared elsewhere.
            ["cargo", "new" | "add", ..] | ["cd", _] => return Ok(()),
            ["rm", file] => return Ok(std::fs::remove_file(self.folder.join(file))?),
            ["export", setting] => return self.export(setting),
            ["cargo", "run", ref words @ ..] => self.cargo_run(command, words)?,
            _ => return Err(format!("{:?} is a command that nobody runs", command.words).into()),
        }
        self.commands += 1;
        Ok(())
    }

    pub(super) fn end(self) -> Result<()> {
        println!("{} commands did what the page says", self.commands);
        if self.commands == 0 { Err("the page has no command".into()) } else { Ok(()) }
    }

    fn export(&mut self, setting: &str) -> Result<()> {
        let (name, value) = setting.split_once('=').ok_or("an export without a value")?;
        let value = value.trim_matches('\'').replace(POSTGRES, &self.postgres);
        self.environment.push((name.to_owned(), value));
        Ok(())
    }

    fn cargo_run(&self, command: &Command, words: &[&str]) -> Result<()> {
        let mut process = cargo(["run", "--quiet", "--manifest-path"]);
        process.arg(&self.manifest);
        if !words.contains(&"--bin") {
            process.args(["--bin", &self.main]);
        }
        process.args(words).current_dir(&self.folder).envs(self.environment.iter().cloned());
        // Cargo becomes the program, so that what is killed is that.
        let mut child = process.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let printed = lines(&mut child);
        let compared = compare(command, &printed);
        if command.is_killed || compared.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        compared?;
        if command.is_killed || status.success() {
            Ok(())
        } else {
            Err(format!("it ended with {status}").into())
        }
    }
}

fn lines(child: &mut Child) -> Receiver<String> {
    let output = child.stdout.take().expect("it is piped");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Of one that is killed all lines that the page has are waited for; whether it would have printed more, the next ones show.
fn compare(command: &Command, printed: &Receiver<String>) -> Result<()> {
    for expected in &command.prints {
        let line = match printed.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Err(format!("{expected:?} did not come").into()),
            Err(RecvTimeoutError::Disconnected) => return Err(format!("it ended before {expected:?}").into()),
        };
        println!("{line}");
        if line != *expected {
            return Err(format!("it printed {line:?}, and the page has {expected:?}").into());
        }
    }
    if command.is_killed {
        return Ok(());
    }
    match printed.recv_timeout(PATIENCE) {
        Ok(line) => Err(format!("it printed {line:?}, which is not on the page").into()),
        Err(RecvTimeoutError::Timeout) => Err("it did not end".into()),
        Err(RecvTimeoutError::Disconnected) => Ok(()),
    }
}
