//! Reading the history of a repository, by asking `git`.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Result;

/// One commit, and what it changed.
#[derive(Debug, Default)]
pub struct Commit {
    pub hash: String,
    pub author: String,
    pub email: String,
    /// The author's date, as `2026-11-24`.
    pub date: String,
    pub subject: String,
    pub changes: Vec<Change>,
}

/// The lines that a commit added to a file and removed from it; none for a binary one.
#[derive(Debug)]
pub struct Change {
    pub path: String,
    pub added: u64,
    pub removed: u64,
}

pub struct Repository {
    path: PathBuf,
}

impl Repository {
    pub fn open(path: &Path) -> Result<Self> {
        let repository = Self { path: path.to_owned() };
        repository.ask(&["rev-parse", "--git-dir"])?;
        Ok(repository)
    }

    pub fn commit_count(&self) -> Result<u64> {
        if !self.has_commits() {
            return Ok(0);
        }
        Ok(self.ask(&["rev-list", "--count", "HEAD"])?.trim().parse()?)
    }

    /// The commits, parents before children. Everything in the format ends with a zero byte, so that no name and no subject
    /// can be mistaken for a separator; a commit begins with the byte 1.
    pub fn commits(&self) -> Result<Commits> {
        if !self.has_commits() {
            return Ok(Commits { child: None, tokens: None, next: None });
        }
        let format = "--format=%x01%H%x00%an%x00%ae%x00%as%x00%s";
        let log = ["log", "--reverse", "--topo-order", "--no-renames", "--numstat", "-z", format, "HEAD"];
        let mut child = self.command(&log).stdout(Stdio::piped()).spawn().map_err(missing)?;
        let output = child.stdout.take().ok_or("git has no output")?;
        Ok(Commits { child: Some(child), tokens: Some(Tokens(BufReader::new(output))), next: None })
    }

    fn has_commits(&self) -> bool {
        self.ask(&["rev-parse", "--verify", "--quiet", "HEAD"]).is_ok()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.path).args(words);
        command
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output().map_err(missing)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn missing(error: std::io::Error) -> Box<dyn std::error::Error> {
    match error.kind() {
        ErrorKind::NotFound => "git is needed to read the repository: install the package `git`".into(),
        _ => error.into(),
    }
}

/// The commits of a repository, read while `git` still writes them.
pub struct Commits {
    child: Option<Child>,
    tokens: Option<Tokens>,
    /// The hash that begins the next commit.
    next: Option<String>,
}

impl Iterator for Commits {
    type Item = Result<Commit>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Commits {
    fn read(&mut self) -> Result<Option<Commit>> {
        let Some(tokens) = &mut self.tokens else { return Ok(None) };
        let hash = match self.next.take() {
            Some(hash) => Some(hash),
            None => tokens.token()?.and_then(|token| begins(&token)),
        };
        let Some(hash) = hash else { return self.finish() };
        let mut field = || tokens.token().map(Option::unwrap_or_default);
        let (author, email, date, subject) = (field()?, field()?, field()?, field()?);
        let mut commit = Commit { hash, author, email, date, subject, changes: Vec::new() };
        while let Some(token) = tokens.token()? {
            if let Some(hash) = begins(&token) {
                self.next = Some(hash);
                break;
            }
            commit.changes.extend(change(&token));
        }
        Ok(Some(commit))
    }

    /// The output is over: whether it is whole, the exit status tells.
    fn finish(&mut self) -> Result<Option<Commit>> {
        self.tokens = None;
        match self.child.take().map(|mut child| child.wait()).transpose()? {
            Some(status) if !status.success() => Err(format!("git log ended with {status}").into()),
            _ => Ok(None),
        }
    }
}

struct Tokens(BufReader<ChildStdout>);

impl Tokens {
    fn token(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.0.read_until(0, &mut bytes)? == 0 {
            return Ok(None);
        }
        bytes.pop_if(|last| *last == 0);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn begins(token: &str) -> Option<String> {
    token.strip_prefix('\u{1}').map(str::to_owned)
}

/// `12\t3\tsrc/lib.rs`, or `-\t-\tlogo.png` for a binary file.
fn change(token: &str) -> Option<Change> {
    let mut parts = token.trim_start_matches('\n').splitn(3, '\t');
    let (added, removed, path) = (parts.next()?, parts.next()?, parts.next()?);
    let lines = |text: &str| text.parse().unwrap_or(0);
    Some(Change { path: path.to_owned(), added: lines(added), removed: lines(removed) })
}
