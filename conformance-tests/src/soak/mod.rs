//! Soaking a store: mixed traffic from several handles and processes while things go wrong, for as long as one likes; its history is saved, and held
//! against the contract afterwards.
//!
//! - [`plan`]: what each client does and when, drawn from the seed.
//! - [`client`], [`follower`], [`worker`]: who does it; a worker has a handle, which its clients and its subscriber share.
//! - [`nemesis`]: what goes wrong meanwhile.
//! - [`ledger`]: what is written down, while it happens.
//! - [`check`]: what it shows.

mod check;
mod client;
mod finale;
mod follower;
mod ledger;
mod nemesis;
mod place;
mod plan;
mod program;
mod report;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annalist_core::Capability;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use check::check_soak;
pub use program::soak_program;
pub use report::{FaultCount, SoakReport};
pub(crate) use worker::Work;

use crate::history::Recorder;
use crate::history::merge::Noted;
use crate::panics::Panics;
use crate::{BoxError, Fault, Handle, Harness, HookError, Proxy, os};
use ledger::{About, Ledger};
use nemesis::{Kind, Machines, Network, Running, lane};
use place::{Place, Way};
use plan::{Plan, TICK};

/// How a store is soaked.
///
/// ```
/// use annalist_conformance::Soak;
///
/// let soak = Soak { seed: 7, ..Soak::into("target/soak") };
/// assert!(soak.rate > 0);
/// ```
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from `into`")]
pub struct Soak {
    /// What all is drawn from: which calls, and which faults.
    pub seed: u64,
    /// For how long.
    pub duration: Duration,
    /// How many steps a second all clients take together, where the store keeps up.
    pub rate: u32,
    /// How long to wait for what must come.
    pub patience: Duration,
    /// Where the history and the report go.
    pub dir: PathBuf,
}

impl Soak {
    /// A minute, drawn from a new seed, that leaves what it shows in this folder.
    #[must_use]
    pub fn into(dir: impl Into<PathBuf>) -> Self {
        let (duration, patience) = (Duration::from_secs(60), Duration::from_secs(30));
        Self { seed: rand::random(), duration, rate: 60, patience, dir: dir.into() }
    }
}

/// Soaks a store, and checks what came of it. Needs a multi-thread runtime of tokio.
///
/// In the folder it leaves `soak.json` (what it was), `history.jsonl` (every call, return and signal), `log.jsonl` (the log in the end),
/// `faults.jsonl`, and the report. [`check_soak`] makes the report again from the rest.
///
/// # Errors
///
/// What the file system refuses, and what keeps the soak from beginning.
///
/// ```no_run
/// # struct MyHarness;
/// # #[async_trait::async_trait]
/// # impl annalist_conformance::Harness for MyHarness {
/// #     fn name(&self) -> &str { "mine" }
/// #     fn server(&self) -> String { String::new() }
/// #     async fn open(&self, _: &str) -> Result<annalist_conformance::Opened, annalist_conformance::BoxError> { Err("no".into()) }
/// # }
/// use std::sync::Arc;
/// use annalist_conformance::{Soak, soak};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), annalist_conformance::BoxError> {
/// let report = soak(Arc::new(MyHarness), &Soak::into("target/soak")).await?;
/// println!("{report}");
/// assert!(report.passed());
/// # Ok(())
/// # }
/// ```
pub async fn soak(harness: Arc<dyn Harness>, soak: &Soak) -> Result<SoakReport, BoxError> {
    let panics = Panics::watch();
    let ledger = Ledger::new(&soak.dir)?;
    let director = Director::begin(harness, soak, ledger.clone()).await?;
    let about = panics.clone().scope(director.run(soak.duration)).await;
    panics.caught().into_iter().for_each(|panic| ledger.wrong(panic));
    ledger.end()?;
    ledger.about(&about)?;
    let dir = soak.dir.clone();
    let report = tokio::task::spawn_blocking(move || check_soak(&dir)).await??;
    report.write(&soak.dir)?;
    Ok(report)
}

/// What runs in a process that a soak has started.
pub(crate) async fn work_in_agent(
    harness: Arc<dyn Harness>,
    namespace: String,
    work: Work,
    note: impl Fn(Noted) + Send + Sync + 'static,
    over: watch::Receiver<bool>,
) {
    let place = Arc::new(Place::of_agent(harness, namespace, work.patience()));
    // That it was closed badly is not what a soak looks at.
    let _ = worker::work(work, place.way(), note, over).await;
}

/// The worker that the soak's own calls belong to.
const DIRECTOR: u32 = 0;

/// Whoever starts it all and ends it.
struct Director {
    about: About,
    place: Arc<Place>,
    plan: Plan,
    ledger: Ledger,
    network: Network,
    machines: Machines,
    ways: Vec<Way>,
}

impl Director {
    async fn begin(harness: Arc<dyn Harness>, soak: &Soak, ledger: Ledger) -> Result<Self, BoxError> {
        let namespace = crate::settings::namespace();
        let place = Arc::new(Place::new(harness, namespace, soak.patience).await);
        let witness = place.way().open().await.map_err(|error| told(&error))?;
        let mut absent = Vec::new();
        let proxies = proxies(&place).await.unwrap_or_else(|error| {
            absent.extend(Kind::NETWORK.map(|kind| (kind, told(&error))));
            Vec::new()
        });
        let processes = processes(&place, &witness).await;
        let mut kinds = machine_kinds(&place, &witness, processes.as_ref().err(), &mut absent).await;
        kinds.sort_unstable();

        let straight = if proxies.is_empty() { 4 } else { 2 };
        let workers = [straight, proxies.len() as u32, processes.unwrap_or(0)];
        let through = proxies.iter().map(|proxy| Some(proxy.address()));
        let ways = std::iter::repeat_n(None, straight as usize).chain(through);
        let ways = ways.map(|through| Way { place: place.clone(), through }).collect();
        let clients = workers.iter().sum::<u32>() * worker::CLIENTS + straight;
        let steps = f64::from(soak.rate) * TICK.as_secs_f64() / f64::from(clients);
        let plan = Plan { seed: soak.seed, begun: os::now(), steps, patience: soak.patience };
        let about = About {
            backend: place.harness.name().to_owned(),
            server: place.harness.server(),
            seed: soak.seed,
            rate: soak.rate,
            seconds: 0.0,
            workers,
            absent,
            complete: false,
        };
        ledger.about(&about)?;
        let noting = ledger.clone();
        let session = Recorder::told_to(DIRECTOR, move |noted| noting.note(noted)).session(&witness);
        let machines = Machines {
            plan,
            place: place.clone(),
            ledger: ledger.clone(),
            witness,
            session,
            kinds,
            agents: Vec::new(),
            next: DIRECTOR + 1,
        };
        Ok(Self { about, place, plan, ledger, network: Network { proxies }, machines, ways })
    }

    /// Lets it all happen for a while, and says what it was.
    async fn run(mut self, duration: Duration) -> About {
        let begun = Instant::now();
        let (over, watch) = watch::channel(false);
        let workers = self.start(&watch).await;
        let (stop, strikes) = watch::channel(false);
        let Self { plan, ledger, network, machines, .. } = self;
        let network = tokio::spawn(lane("network", network, plan, ledger.clone(), strikes.clone()));
        let machines = tokio::spawn(lane("machines", machines, plan, ledger.clone(), strikes));
        tokio::time::sleep(duration).await;
        // First all is healed, then the clients come to their end.
        stop.send_replace(true);
        let (network, machines) = (network.await, machines.await);
        over.send_replace(true);
        let long = 6 * plan.patience;
        for worker in workers {
            match tokio::time::timeout(long, worker).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => ledger.wrong(format!("a worker was lost: {error}")),
                Err(_) => ledger.wrong(format!("a worker does not come to an end within {long:?}")),
            }
        }
        match machines {
            Ok(machines) => {
                for agent in machines.agents {
                    agent.end(long, &ledger).await;
                }
                self.about.complete = finale::read(&self.place, &ledger).await;
                let _ = machines.witness.close().await;
            }
            Err(error) => ledger.wrong(format!("the nemesis was lost: {error}")),
        }
        if let Err(error) = network {
            ledger.wrong(format!("the nemesis was lost: {error}"));
        }
        self.about.seconds = begun.elapsed().as_secs_f64();
        self.about
    }

    /// Starts all workers, those in other processes too.
    async fn start(
        &mut self,
        over: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<Result<(), annalist_core::Error>>> {
        let mut workers = Vec::new();
        for way in self.ways.drain(..) {
            let (number, noting) = (self.machines.next, self.ledger.clone());
            self.machines.next += 1;
            let work = Work { plan: self.plan, number, reopens: way.through.is_none() };
            workers.push(tokio::spawn(worker::work(
                work,
                way,
                move |noted| noting.note(noted),
                over.clone(),
            )));
        }
        for _ in 0..self.about.workers[2] {
            let work = Work { plan: self.plan, number: self.machines.next, reopens: false };
            self.machines.next += 1;
            match Running::start(&self.place, work, &self.ledger).await {
                Ok(running) => self.machines.agents.push(running),
                Err(error) => self.ledger.wrong(format!("another process did not start: {error}")),
            }
        }
        workers
    }
}

fn told(error: &HookError) -> String {
    match error {
        HookError::NotProvided => "the harness has no hook for it".to_owned(),
        HookError::NotApplicable(reason) => reason.clone(),
        HookError::Failed(error) => format!("the hook failed: {error}"),
    }
}

/// The proxies in front of the server, once it is known that handles can be opened through one.
async fn proxies(place: &Arc<Place>) -> Result<Vec<Proxy>, HookError> {
    const PROXIES: usize = 2;
    let address = place.address().await?;
    let mut proxies = Vec::new();
    for _ in 0..PROXIES {
        let proxy = Proxy::start(address).await.map_err(BoxError::from)?;
        let way = Way { place: place.clone(), through: Some(proxy.address()) };
        let _ = way.open().await?.close().await;
        proxies.push(proxy);
    }
    Ok(proxies)
}

/// How many other processes there are; else why there are none.
async fn processes(place: &Place, witness: &Handle) -> Result<u32, String> {
    const PROCESSES: u32 = 2;
    if let Some(reason) = witness.store().capabilities().reason_against(Capability::Processes) {
        return Err(reason.to_owned());
    }
    place.agent_environment().await.map(|_| PROCESSES).map_err(|error| told(&error))
}

/// What can go wrong with processes, the server and the way to the log; what cannot is noted with its reason.
async fn machine_kinds(
    place: &Place,
    witness: &Handle,
    no_processes: Option<&String>,
    absent: &mut Vec<(Kind, String)>,
) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let mut of = |all: &[Kind], reason: Option<String>| match reason {
        None => kinds.extend(all),
        Some(reason) => absent.extend(all.iter().map(|kind| (*kind, reason.clone()))),
    };
    let stopped = witness.store().capabilities().reason_against(Capability::StoppedProcesses);
    of(&[Kind::ProcessKill], no_processes.cloned());
    of(&[Kind::ProcessPause], no_processes.cloned().or(stopped.map(str::to_owned)));
    of(&Kind::SERVER, place.server.as_ref().err().map(told));
    of(&Kind::WRITE, place.fault(Fault::None).await.err().map(|error| told(&error)));
    kinds
}
