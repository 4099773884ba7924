//! Writers at work while their server is killed or stopped.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind};
use rand::rngs::StdRng;
use tokio::sync::{Semaphore, watch};

use crate::history::{Recorder, Session};
use crate::server::Served;
use crate::traffic::plain_append;
use crate::{Cx, Failure, Handle, Task, Verdict, ensure};

/// What the writers know of the server. They wait while it is down, so that they do not fail over and over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Up,
    Down,
    Over,
}

/// Writers that append to a server of the check's own, each through a handle of its own. All that they do is noted.
pub(super) struct Storm {
    cx: Cx,
    pub(super) served: Served,
    /// A handle that no writer has.
    pub(super) witness: Handle,
    recorder: Recorder,
    weather: watch::Sender<Weather>,
    acknowledged: watch::Receiver<usize>,
    /// How many appends the writers may still begin, so that no history grows without bound.
    budget: Arc<Semaphore>,
    writers: Vec<Task<Verdict<Vec<Append>>>>,
    unsettled: Vec<Append>,
}

const WRITERS: u32 = 4;

/// How many appends they begin before the check asks for more.
const BUDGET: usize = 300;

/// How long a client waits before it tries again.
const BREATH: Duration = Duration::from_millis(5);

/// Whether an error means that it may be sent again.
pub(super) fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
}

impl Storm {
    pub(super) async fn begin(cx: &Cx) -> Verdict<Self> {
        let served = cx.served().await?;
        let (witness, recorder) = (served.handle().await?, Recorder::through_faults());
        let weather = watch::Sender::new(Weather::Up);
        let (acknowledge, acknowledged) = watch::channel(0);
        let (budget, mut writers) = (Arc::new(Semaphore::new(0)), Vec::new());
        for number in 0..WRITERS {
            let writer = Writer {
                session: recorder.session(&served.handle().await?),
                rng: cx.rng(),
                number,
                timeout: cx.patience() / 3,
                weather: weather.subscribe(),
                acknowledged: acknowledge.clone(),
                budget: budget.clone(),
                unsettled: Vec::new(),
            };
            writers.push(cx.spawn(writer.write()));
        }
        Ok(Self {
            cx: cx.clone(),
            served,
            witness,
            recorder,
            weather,
            acknowledged,
            budget,
            writers,
            unsettled: Vec::new(),
        })
    }

    /// Waits until `n` more appends were acknowledged.
    pub(super) async fn more(&mut self, n: usize) -> Verdict {
        self.budget.add_permits(BUDGET.saturating_sub(self.budget.available_permits()));
        let target = *self.acknowledged.borrow() + n;
        let more = async { self.acknowledged.wait_for(|acknowledged| *acknowledged >= target).await.is_ok() };
        let more = self.cx.within("appends that writers repeat until they are acknowledged", more).await?;
        // The writers are gone: what ended them is told by whoever waits for them.
        if more { Ok(()) } else { self.join().await.map(drop) }
    }

    /// Kills the server in the middle of appends, starts it again, and waits until it is of use.
    pub(super) async fn kill_and_start(&mut self) -> Verdict {
        self.more(2 * WRITERS as usize).await?;
        self.served.kill().await?;
        self.weather.send_replace(Weather::Down);
        self.served.is_gone(&self.witness).await?;
        self.served.start().await?;
        self.served.healed(&self.witness).await?;
        self.weather.send_replace(Weather::Up);
        self.more(WRITERS as usize).await?;
        self.cx.count_op();
        Ok(())
    }

    /// Stops the server in the middle of appends.
    pub(super) async fn pause(&mut self) -> Verdict {
        self.more(2 * WRITERS as usize).await?;
        self.served.pause().await?;
        self.weather.send_replace(Weather::Down);
        Ok(())
    }

    /// Lets it go on, and waits until it is of use.
    pub(super) async fn resume(&mut self) -> Verdict {
        self.served.resume().await?;
        self.served.healed(&self.witness).await?;
        self.weather.send_replace(Weather::Up);
        self.more(WRITERS as usize).await
    }

    /// A session of the check's own, through the handle that no writer has.
    pub(super) fn session(&self) -> Session {
        self.recorder.session(&self.witness)
    }

    /// Has an append settled in the end, as those of the writers are.
    pub(super) fn unsettled(&mut self, append: Append) {
        self.unsettled.push(append);
    }

    async fn join(&mut self) -> Verdict<Vec<Append>> {
        let mut unsettled = std::mem::take(&mut self.unsettled);
        for writer in self.writers.drain(..) {
            unsettled.extend(self.cx.within("a writer's last append", writer.join()).await???);
        }
        Ok(unsettled)
    }

    /// Ends the writers, sends again what is not settled, and gives a fresh handle.
    pub(super) async fn end(&mut self) -> Verdict<Handle> {
        self.weather.send_replace(Weather::Over);
        self.budget.close();
        let fresh = self.served.handle().await?;
        let session = self.recorder.session(&fresh);
        for append in self.join().await? {
            let settled = self.cx.within("settling an append", settle(&session, &append)).await?;
            settled.map_err(|error| {
                Failure::violation(format!(
                    "an append of unknown outcome, sent again, was answered {error:?}"
                ))
            })?;
        }
        Ok(fresh)
    }

    /// Holds all that was answered against the log.
    pub(super) async fn judge(&self, fresh: &Handle, name: &str) -> Verdict {
        self.recorder.judge_through(fresh, &self.cx, name).await
    }
}

/// Sends an append until it is acknowledged, or refused for good.
async fn settle(session: &Session, append: &Append) -> Result<(), Error> {
    loop {
        match session.append(append.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if passes(&error) => tokio::time::sleep(BREATH).await,
            Err(error) => return Err(error),
        }
    }
}

struct Writer {
    session: Session,
    rng: StdRng,
    number: u32,
    timeout: Duration,
    weather: watch::Receiver<Weather>,
    acknowledged: watch::Sender<usize>,
    budget: Arc<Semaphore>,
    unsettled: Vec<Append>,
}

impl Writer {
    /// Appends until it is over; what was not acknowledged is given.
    async fn write(mut self) -> Verdict<Vec<Append>> {
        const UNSETTLED_MAX: usize = 1_000;
        let budget = self.budget.clone();
        while let Ok(permit) = budget.acquire().await {
            permit.forget();
            if !matches!(self.calm().await, Ok(Weather::Up)) {
                break;
            }
            let append = plain_append(&mut self.rng, self.number).timeout(self.timeout);
            match self.session.append(append.clone()).await {
                Ok(_) => self.acknowledged.send_modify(|acknowledged| *acknowledged += 1),
                Err(error) if passes(&error) => {
                    self.unsettled.push(append);
                    tokio::time::sleep(BREATH).await;
                }
                Err(error) => return Err(error.into()),
            }
            ensure!(
                self.unsettled.len() < UNSETTLED_MAX,
                "a handle does not heal: {UNSETTLED_MAX} appends failed"
            );
        }
        Ok(self.unsettled)
    }

    async fn calm(&mut self) -> Result<Weather, watch::error::RecvError> {
        self.weather.wait_for(|weather| *weather != Weather::Down).await.map(|weather| *weather)
    }
}
