//! The other side: the process that does what it is asked.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

use annalist_core::{Error, Owner, Position, Query, Signal, Subscribe};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::wire::{Ask, From, Load, Told, Traffic};
use crate::history::{Answer, AppendCall, ReadCall, Recorder};
use crate::soak::{Work, work_in_agent};
use crate::traffic::{Client, batch, plain_append};
use crate::{Failure, Handle, Harness, Settings, Verdict};

/// Set in the environment of agents.
pub(super) const VARIABLE: &str = "ANNALIST_SUITE_AGENT";

/// Plays an agent where this process was started as one; what the program exits with is given then.
///
/// Every program that runs checks calls this first: agents are the same program once more.
#[doc(hidden)]
#[must_use]
pub fn agent_program(harness: impl FnOnce() -> Arc<dyn Harness>) -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        tell(&Told::Broken(crate::panics::told(info)));
        std::process::exit(101);
    }));
    Some(play(harness()))
}

fn play(harness: Arc<dyn Harness>) -> ExitCode {
    let (sender, asks) = unbounded_channel();
    // A thread, because reading the standard input holds one anyway. The end of the input ends the process, whatever it is doing: nothing
    // outlives the suite.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str::<Ask>(&line) {
                Ok(ask) => drop(sender.send(ask)),
                Err(error) => tell(&Told::Broken(format!("this is no ask: {error}"))),
            }
        }
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(Role { harness, asks, handle: None, owner: None }.go()),
        Err(error) => tell(&Told::Broken(format!("the runtime did not start: {error}"))),
    }
    ExitCode::SUCCESS
}

/// Writes a line. Where nobody listens any more, the process ends.
fn tell(told: &Told) {
    let mut line = serde_json::to_vec(told).expect("what is told can be written as JSON");
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(&line).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

struct Role {
    harness: Arc<dyn Harness>,
    asks: UnboundedReceiver<Ask>,
    handle: Option<Handle>,
    owner: Option<Owner>,
}

impl Role {
    async fn go(mut self) {
        while let Some(ask) = self.asks.recv().await {
            if let Err(failure) = self.perform(ask).await {
                tell(&Told::Broken(format!("{failure:?}")));
            }
        }
    }

    async fn perform(&mut self, mut ask: Ask) -> Verdict {
        while let Ask::Hold(held) = ask {
            ask = *held;
            self.asks.recv().await;
        }
        match ask {
            Ask::Open { namespace } => self.open(&namespace).await,
            Ask::Append(call) => self.append(&call).await?,
            Ask::Read(call) => self.read(&call).await?,
            Ask::Traffic(traffic) => self.traffic(traffic).await?,
            Ask::Soak { namespace, work } => self.soak(namespace, work).await,
            Ask::Follow { from } => self.follow(from).await?,
            Ask::Claim { name } => match self.handle()?.checkpoints().claim_checkpoint(&name).await {
                Ok(claim) => {
                    let resumed = claim.checkpoint.map(|stored| stored.position);
                    tell(&Told::Claimed { epoch: claim.owner.epoch(), resumed });
                    self.owner = Some(claim.owner);
                }
                Err(error) => tell(&refusal(&error)),
            },
            Ask::Save { positions } => self.save(positions).await?,
            // Meant for what is over by now.
            Ask::Hold(_) | Ask::Go | Ask::Stop => {}
        }
        Ok(())
    }

    fn handle(&self) -> Verdict<&Handle> {
        self.handle.as_ref().ok_or_else(|| Failure::violation("nothing was opened yet"))
    }

    async fn open(&mut self, namespace: &str) {
        match self.harness.open(namespace).await {
            Ok(opened) => {
                self.handle = Some(Handle::new(opened, Settings::default().patience));
                tell(&Told::Opened);
            }
            Err(error) => tell(&Told::Refused { kind: "open".to_owned(), error: format!("{error:?}") }),
        }
    }

    async fn append(&self, call: &AppendCall) -> Verdict {
        let answer = self.handle()?.append(call.append()?).await;
        let error = answer.as_ref().err().map(|error| format!("{error:?}"));
        tell(&Told::Answered { answer: Answer::of_append(&answer), error });
        Ok(())
    }

    async fn read(&self, call: &ReadCall) -> Verdict {
        let drained = self.handle()?.drain(call.read()).await?;
        tell(&Told::Answered { answer: Answer::of_read(&drained), error: None });
        Ok(())
    }

    async fn traffic(&mut self, Traffic { load, number, seed, steps, timeout }: Traffic) -> Verdict {
        const SESSIONS: u32 = 2;
        let recorder = Recorder::told_to(number * SESSIONS, |noted| tell(&Told::Noted(noted)));
        let mut rng = StdRng::seed_from_u64(seed);
        let plain = recorder.session(self.handle()?);
        let mut mixed = Client::new(recorder.session(self.handle()?), rng.clone());
        for step in 0..steps {
            // Whatever is asked meanwhile asks for the end.
            if !self.asks.is_empty() {
                break;
            }
            match load {
                // The answer is noted, whatever it is.
                Load::Plain => drop(plain.append(plain_append(&mut rng, number).timeout(timeout)).await),
                Load::Batches => drop(plain.append(batch(step, number).timeout(timeout)).await),
                Load::Mixed => mixed.step(false).await?,
            }
        }
        tell(&Told::Done);
        Ok(())
    }

    async fn soak(&mut self, namespace: String, work: Work) {
        let (over, watch) = tokio::sync::watch::channel(false);
        let note = |noted| tell(&Told::Noted(noted));
        let working = work_in_agent(self.harness.clone(), namespace, work, note, watch);
        let end = async {
            // Whatever is asked meanwhile asks for the end.
            self.asks.recv().await;
            over.send_replace(true);
        };
        tokio::join!(working, end);
        tell(&Told::Done);
    }

    async fn follow(&mut self, from: From) -> Verdict {
        let subscribe = Subscribe::to(Query::all());
        let subscribe = match from {
            From::After(position) => subscribe.after(position),
            From::Now => subscribe.from_now(),
        };
        let mut subscription = self.handle()?.store().subscribe(subscribe).await?;
        tell(&Told::Following);
        loop {
            let signal = tokio::select! {
                signal = subscription.next() => signal,
                _ = self.asks.recv() => break,
            };
            match signal {
                Some(Ok(Signal::Event(event))) => tell(&Told::Event { id: event.id() }),
                Some(Ok(Signal::CaughtUp(_))) => tell(&Told::CaughtUp),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Failure::violation("the subscription ended silently")),
            }
        }
        subscription.stop().await;
        tell(&Told::Done);
        Ok(())
    }

    async fn save(&self, positions: Vec<Position>) -> Verdict {
        let Some(owner) = &self.owner else { return Err(Failure::violation("nothing was claimed yet")) };
        for position in positions {
            match self.handle()?.checkpoints().save_checkpoint(owner, position).await {
                Ok(()) => tell(&Told::Saved { position }),
                Err(error) => {
                    tell(&refusal(&error));
                    return Ok(());
                }
            }
        }
        tell(&Told::Done);
        Ok(())
    }
}

fn refusal(error: &Error) -> Told {
    Told::Refused { kind: error.kind().name().to_owned(), error: format!("{error:?}") }
}
