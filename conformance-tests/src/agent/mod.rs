//! Other processes that work on the check's namespace: the same program once more, in the role of an agent.
//!
//! An agent is asked by lines on its standard input and tells by lines on its standard output. What it was acknowledged it tells
//! afterwards, so that what is told counts even if the agent is killed a moment later. It ends when its input does.

mod role;
mod wire;

use std::process::Stdio;
use std::time::Duration;

use annalist_core::{Append, CheckpointName, Position, Read};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub use role::agent_program;
pub(crate) use wire::{Ask, From, Load, Told, Traffic};

use crate::history::merge::Noted;
use crate::history::{Answer, AppendCall, ReadCall};
use crate::os::{self, Push};
use crate::{Cx, Failure, Verdict};

/// How far an agent may be ahead of what the check has heard of it; then it waits, so that no history grows without bound.
const LINES_MAX: usize = 200;

/// A process that does what the check asks. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    pid: u32,
    input: ChildStdin,
    told: Receiver<Told>,
    patience: Duration,
}

impl Cx {
    /// `n` agents that have opened this namespace; the check is unverified where the harness cannot have any.
    pub(crate) async fn agents(&self, n: usize) -> Verdict<Vec<Agent>> {
        let mut agents = self.unopened_agents(n).await?;
        for agent in &mut agents {
            agent.ask(&Ask::Open { namespace: self.namespace().to_owned() }).await?;
        }
        for agent in &mut agents {
            agent.opened().await?;
        }
        Ok(agents)
    }

    /// One agent that has opened this namespace.
    pub(crate) async fn agent(&self) -> Verdict<Agent> {
        let mut agents = self.agents(1).await?;
        agents.pop().ok_or_else(|| Failure::violation("no agent was started"))
    }

    /// `n` agents that have opened nothing yet.
    pub(crate) async fn unopened_agents(&self, n: usize) -> Verdict<Vec<Agent>> {
        let environment = self.agent_environment().await?;
        let start = |_| Agent::start(self.patience(), &environment);
        (0..n).map(start).collect::<Result<_, _>>().map_err(|error: std::io::Error| {
            Failure::violation(format!("another process of this program did not start: {error}"))
        })
    }
}

impl Agent {
    /// Starts one, whose answers are waited for with this patience.
    pub(crate) fn start(patience: Duration, environment: &[(String, String)]) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(role::VARIABLE, "1")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || std::io::Error::other("it was gone at once");
        let (input, output) = (child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
        let pid = child.id().ok_or_else(gone)?;
        let (sender, told) = channel(LINES_MAX);
        // It ends with the process.
        tokio::spawn(listen(output, sender));
        Ok(Self { child, pid, input, told, patience })
    }

    /// Gives away whatever it tells from now on.
    pub(crate) fn listening(&mut self) -> Receiver<Told> {
        std::mem::replace(&mut self.told, channel(1).1)
    }

    /// Asks something; what is told of it comes by [`told`](Self::told).
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Verdict {
        let mut line = serde_json::to_vec(ask).expect("what is asked can be written as JSON");
        line.push(b'\n');
        let written = self.input.write_all(&line).await;
        written.map_err(|error| Failure::violation(format!("an agent does not listen any more: {error}")))
    }

    /// The next thing that is told; `None` once the agent has ended.
    pub(crate) async fn told_or_end(&mut self) -> Verdict<Option<Told>> {
        match tokio::time::timeout(self.patience, self.told.recv()).await {
            Ok(Some(Told::Broken(why))) => Err(Failure::violation(format!("in another process: {why}"))),
            Ok(told) => Ok(told),
            Err(_) => Err(Failure::violation(format!("an agent told nothing for {:?}", self.patience))),
        }
    }

    /// The next thing that is told.
    pub(crate) async fn told(&mut self) -> Verdict<Told> {
        let told = self.told_or_end().await?;
        told.ok_or_else(|| Failure::violation("an agent ended by itself"))
    }

    /// Waits for its namespace to be open.
    pub(crate) async fn opened(&mut self) -> Verdict {
        match self.told().await? {
            Told::Opened => Ok(()),
            other => Err(Failure::violation(format!("another process cannot open the store: {other:?}"))),
        }
    }

    /// Waits for the answer to an append or a read.
    pub(crate) async fn answered(&mut self) -> Verdict<Answer> {
        match self.told().await? {
            Told::Answered { answer, error: None } => Ok(answer),
            Told::Answered { answer: Answer::Unknown | Answer::Refused(_), error: Some(error) } => {
                Err(Failure::violation(format!("another process was answered {error}")))
            }
            Told::Answered { answer, .. } => Ok(answer),
            other => Err(unexpected(&other)),
        }
    }

    /// Appends, which must be acknowledged or refused for what is in the log.
    pub(crate) async fn append(&mut self, append: &Append) -> Verdict<Answer> {
        self.ask(&Ask::Append(AppendCall::of(append))).await?;
        self.answered().await
    }

    /// Reads to the end.
    pub(crate) async fn read(&mut self, read: &Read) -> Verdict<Answer> {
        self.ask(&Ask::Read(ReadCall::of(read))).await?;
        self.answered().await
    }

    /// Claims a checkpoint: the epoch, and where to resume.
    pub(crate) async fn claim(&mut self, name: &CheckpointName) -> Verdict<(u64, Option<Position>)> {
        self.ask(&Ask::Claim { name: name.clone() }).await?;
        match self.told().await? {
            Told::Claimed { epoch, resumed } => Ok((epoch, resumed)),
            other => Err(unexpected(&other)),
        }
    }

    /// What is told of traffic until the agent is done.
    pub(crate) async fn until_done(&mut self) -> Verdict<Vec<Noted>> {
        let mut notes = Vec::new();
        loop {
            match self.told().await? {
                Told::Noted(noted) => notes.push(noted),
                Told::Done => return Ok(notes),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// The next `n` things that are told of traffic.
    pub(crate) async fn notes(&mut self, n: usize) -> Verdict<Vec<Noted>> {
        let mut notes = Vec::with_capacity(n);
        while notes.len() < n {
            match self.told().await? {
                Told::Noted(noted) => notes.push(noted),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(notes)
    }

    /// Kills it in the middle of traffic, as by `kill -9`, and gives what it had told until then.
    pub(crate) async fn kill(mut self) -> Verdict<Vec<Noted>> {
        let failed = |error| Failure::Inconclusive(format!("an agent could not be killed: {error}"));
        self.child.start_kill().map_err(failed)?;
        let gone = tokio::time::timeout(self.patience, self.child.wait()).await;
        let status = gone.map_err(|_| Failure::Inconclusive("a killed agent is still there".to_owned()))?;
        if status.map_err(failed)?.code().is_some() {
            return Err(Failure::violation("an agent ended by itself before it was killed"));
        }
        let mut notes = Vec::new();
        while let Some(told) = self.told_or_end().await? {
            match told {
                Told::Noted(noted) => notes.push(noted),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(notes)
    }

    /// Stops it where it stands, and waits until it has.
    pub(crate) async fn pause(&self) -> Verdict {
        let failed = |error| Failure::Inconclusive(format!("an agent could not be stopped: {error}"));
        os::push(self.pid, Push::Stop).map_err(failed)?;
        let stopped = tokio::time::timeout(self.patience, os::stopped(self.pid)).await;
        stopped.map_err(|_| Failure::Inconclusive("an agent does not stop".to_owned()))?.map_err(failed)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Verdict {
        let failed = |error| Failure::Inconclusive(format!("an agent could not go on: {error}"));
        os::push(self.pid, Push::Continue).map_err(failed)
    }
}

/// What an agent must not tell at this point.
pub(crate) fn unexpected(told: &Told) -> Failure {
    Failure::violation(format!("another process was answered {told:?}"))
}

/// Passes on what an agent tells. A line that was cut off when it was killed was not told.
async fn listen(output: ChildStdout, told: Sender<Told>) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if let (true, Ok(parsed)) = (line.ends_with('\n'), serde_json::from_str(&line)) {
            let _ = told.send(parsed).await;
        }
        line.clear();
    }
}
