//! Faults of processes, of the server, and of the store's own way to its log.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, ErrorKind, ExpectedVersion};
use rand::Rng;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::super::ledger::Ledger;
use super::super::place::Place;
use super::super::plan::Plan;
use super::super::worker::Work;
use super::{Kind, Strike, Stroke};
use crate::agent::{Agent, Ask, Told};
use crate::history::Session;
use crate::server::look;
use crate::{BoxError, Fault, Handle, Server, events, stream};

/// Processes, the server, and the way to the log.
pub(in super::super) struct Machines {
    pub(in super::super) plan: Plan,
    pub(in super::super) place: Arc<Place>,
    pub(in super::super) ledger: Ledger,
    /// A handle that no worker has.
    pub(in super::super) witness: Handle,
    /// A session of its own, for what is to be refused.
    pub(in super::super) session: Session,
    pub(in super::super) kinds: Vec<Kind>,
    pub(in super::super) agents: Vec<Running>,
    /// The number of the next worker.
    pub(in super::super) next: u32,
}

/// Another process at work.
pub(in super::super) struct Running {
    agent: Agent,
    listener: JoinHandle<()>,
}

impl Running {
    /// Starts one, which begins to work as soon as it can.
    pub(in super::super) async fn start(
        place: &Place,
        work: Work,
        ledger: &Ledger,
    ) -> Result<Self, BoxError> {
        let environment = place.agent_environment().await.map_err(|error| format!("{error:?}"))?;
        let mut agent = Agent::start(place.patience, &environment)?;
        let told = agent.listening();
        let listener = tokio::spawn(listen(told, ledger.clone()));
        let ask = Ask::Soak { namespace: place.namespace.clone(), work };
        agent.ask(&ask).await.map_err(|failure| format!("{failure:?}"))?;
        Ok(Self { agent, listener })
    }

    /// Has it come to its end, and waits for that.
    pub(in super::super) async fn end(mut self, long: Duration, ledger: &Ledger) {
        if let Err(failure) = self.agent.ask(&Ask::Stop).await {
            ledger.wrong(format!("{failure:?}"));
        }
        if tokio::time::timeout(long, self.listener).await.is_err() {
            ledger.wrong(format!("another process does not come to an end within {long:?}"));
        }
    }
}

/// Writes down what an agent tells, until it is done or gone.
async fn listen(mut told: Receiver<Told>, ledger: Ledger) {
    while let Some(told) = told.recv().await {
        match told {
            Told::Noted(noted) => ledger.note(noted),
            Told::Done => return,
            Told::Broken(why) => ledger.wrong(format!("in another process: {why}")),
            other => ledger.wrong(format!("another process tells {other:?}")),
        }
    }
}

impl Strike for Machines {
    fn kinds(&self) -> Vec<Kind> {
        self.kinds.clone()
    }

    async fn strike(&mut self, stroke: Stroke) -> Option<String> {
        let Stroke { kind, long, mut rng } = stroke;
        let done = match kind {
            Kind::ProcessKill => self.kill_process(rng.random_range(0..self.agents.len())).await,
            Kind::ProcessPause => self.pause_process(rng.random_range(0..self.agents.len()), long).await,
            Kind::ServerKill => self.kill_server(long).await,
            Kind::ServerPause => self.pause_server(long).await,
            Kind::WriteRefused => self.break_writes(Fault::Refuse(u32::MAX)).await,
            Kind::WriteReplyLost => self.break_writes(Fault::LoseReplies(u32::MAX)).await,
            Kind::WriteHeld => self.hold_writes(long).await,
            _ => Ok(None),
        };
        done.unwrap_or_else(|error| {
            self.ledger.wrong(format!("{kind}: {error}"));
            None
        })
    }
}

type Done = Result<Option<String>, BoxError>;

impl Machines {
    async fn kill_process(&mut self, which: usize) -> Done {
        let work = Work { plan: self.plan, number: self.next, reopens: false };
        self.next += 1;
        let fresh = Running::start(&self.place, work, &self.ledger).await?;
        let Running { agent, listener } = std::mem::replace(&mut self.agents[which], fresh);
        agent.kill().await.map_err(|failure| format!("{failure:?}"))?;
        // What it told before is written down.
        listener.await?;
        Ok(Some("it was waited for, and a signal had ended it".to_owned()))
    }

    async fn pause_process(&self, which: usize, long: Duration) -> Done {
        let agent = &self.agents[which].agent;
        agent.pause().await.map_err(|failure| format!("{failure:?}"))?;
        tokio::time::sleep(long).await;
        agent.resume().map_err(|failure| format!("{failure:?}"))?;
        Ok(Some(format!("it was reported as stopped, for {long:?}")))
    }

    fn server(&self) -> Result<Arc<dyn Server>, BoxError> {
        self.place.server.as_ref().map(Arc::clone).map_err(|error| format!("{error:?}").into())
    }

    async fn kill_server(&self, long: Duration) -> Done {
        let server = self.server()?;
        server.kill().await?;
        let is_gone = self.is_silent().await;
        tokio::time::sleep(long / 4).await;
        server.start().await?;
        self.heals().await?;
        Ok(is_gone.then(|| "a handle that had worked was not answered".to_owned()))
    }

    async fn pause_server(&self, long: Duration) -> Done {
        let server = self.server()?;
        server.pause().await?;
        let is_silent = self.is_silent().await;
        tokio::time::sleep(long).await;
        server.resume().await?;
        self.heals().await?;
        Ok(is_silent.then(|| "a handle that had worked was not answered".to_owned()))
    }

    /// Whether the witness gets no answer.
    async fn is_silent(&self) -> bool {
        const LONG: Duration = Duration::from_millis(700);
        !matches!(tokio::time::timeout(LONG, look(&self.witness, LONG)).await, Ok(Ok(())))
    }

    /// Waits until the witness is answered again.
    async fn heals(&self) -> Result<(), BoxError> {
        const BREATH: Duration = Duration::from_millis(50);
        let patience = 2 * self.place.patience;
        let healed = async {
            while look(&self.witness, self.place.patience / 4).await.is_err() {
                tokio::time::sleep(BREATH).await;
            }
        };
        let waited = tokio::time::timeout(patience, healed).await;
        waited.map_err(|_| {
            format!("a handle does not heal within {patience:?} after its server is there again").into()
        })
    }

    /// Breaks the way for all writes, until an append of our own is told so.
    async fn break_writes(&self, fault: Fault) -> Done {
        const TIMEOUT: Duration = Duration::from_secs(1);
        let failed = |error| BoxError::from(format!("{error:?}"));
        self.place.fault(fault).await.map_err(failed)?;
        let append = Append::to(&stream("Nemesis"), ExpectedVersion::Any, events(1));
        let answer = self.session.append(append.timeout(TIMEOUT)).await;
        self.place.fault(Fault::None).await.map_err(failed)?;
        let Err(error) = answer else { return Ok(None) };
        self.session.failed(&error);
        let is_it = match fault {
            Fault::Refuse(_) => matches!(error.kind(), ErrorKind::Unavailable(_)),
            _ => matches!(error.kind(), ErrorKind::Indeterminate(_)),
        };
        Ok(is_it.then(|| format!("an append was answered {:?}", error.kind().name())))
    }

    async fn hold_writes(&self, long: Duration) -> Done {
        const HELD_WITHIN: Duration = Duration::from_secs(5);
        let failed = |error| BoxError::from(format!("{error:?}"));
        self.place.fault(Fault::Stall).await.map_err(failed)?;
        let held = async {
            loop {
                match self.place.harness.held(&self.place.namespace).await {
                    Ok(held) if held.is_empty() => tokio::time::sleep(Duration::from_millis(10)).await,
                    held => return held,
                }
            }
        };
        let held = tokio::time::timeout(HELD_WITHIN, held).await;
        tokio::time::sleep(long).await;
        self.place.fault(Fault::None).await.map_err(failed)?;
        match held {
            Ok(held) => Ok(Some(format!("{} events were held up", held.map_err(failed)?.len()))),
            Err(_) => Ok(None),
        }
    }
}
