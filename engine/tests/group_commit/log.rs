//! A writer over the memory store, on which faults are played.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annalist_core::{
    Append, Error, ErrorKind, EventId, EventStore, ExpectedVersion, Invalid, Receipt, StreamId,
};
use annalist_engine::group_commit::{BatchError, BatchWriter, Mates};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

/// What happens to one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    Slow,
    NotSent,
    LostBeforeLanding,
    LostAfterLanding,
    /// It lands only after the reply was given up, and perhaps after it was sent again.
    LandsLater,
    /// Half of it lands before the reply is lost.
    LandsHalf,
    Hangs,
    Panics,
    Miscounts,
    /// Every other append is held up, or its own answer lost.
    AnswersApart,
}

/// The writer over a log.
pub(crate) struct Writer(pub(crate) Arc<FaultyLog>);

/// Decides appends by the memory store, in order, or in the reverse order where the order must not matter.
pub(crate) struct FaultyLog {
    pub(crate) store: MemoryStore,
    mates: Mates,
    faults: Mutex<Vec<Fault>>,
    sent: Mutex<HashSet<EventId>>,
    mixed: AtomicBool,
}

impl FaultyLog {
    /// Plays the faults from the last to the first, and none from then on.
    pub(crate) fn new(mates: Mates, faults: Vec<Fault>) -> Arc<Self> {
        let (faults, sent) = (Mutex::new(faults), Mutex::default());
        Arc::new(Self { store: MemoryStore::new(), mates, faults, sent, mixed: AtomicBool::new(false) })
    }

    /// Whether the event was ever in a batch.
    pub(crate) fn was_sent(&self, id: EventId) -> bool {
        self.sent.lock().expect("no panic under the lock").contains(&id)
    }

    /// Whether appends that touch one another were ever in one batch that must not have such.
    pub(crate) fn was_mixed(&self) -> bool {
        self.mixed.load(Ordering::Relaxed)
    }

    async fn land(&self, batch: &[Append]) -> Vec<Result<Receipt, Error>> {
        let mut answers = Vec::new();
        let mut places: Vec<usize> = (0..batch.len()).collect();
        if self.mates == Mates::Apart {
            places.reverse();
        }
        for place in places {
            answers.push((place, self.store.append(batch[place].clone()).await));
        }
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn begin(&self, batch: &[Append]) -> Fault {
        let touches_mate = |(n, a): (usize, &Append)| batch[..n].iter().any(|b| touch(a, b));
        if self.mates == Mates::Apart && batch.iter().enumerate().any(touches_mate) {
            // A panic here would pass for one of the writer's.
            self.mixed.store(true, Ordering::Relaxed);
        }
        let ids = batch.iter().flat_map(Append::events).map(|(_, event)| event.id());
        self.sent.lock().expect("no panic under the lock").extend(ids);
        self.faults.lock().expect("no panic under the lock").pop().unwrap_or(Fault::None)
    }
}

/// What two appends that touch are, compared the plain way.
pub(crate) fn touch(a: &Append, b: &Append) -> bool {
    let ids: HashSet<(&StreamId, EventId)> = a.events().map(|(stream, event)| (stream, event.id())).collect();
    b.events().any(|(stream, event)| ids.contains(&(stream, event.id()))) || depends(a, b) || depends(b, a)
}

/// Whether what becomes of one append may depend on what another writes.
fn depends(on_others: &Append, writer: &Append) -> bool {
    let writes = on_others.writes().iter().map(|write| (&write.stream, write.expected));
    let checks = on_others.checks().iter().map(|check| (&check.stream, check.expected));
    let expects = |stream: &StreamId| {
        writes
            .clone()
            .chain(checks.clone())
            .any(|(other, expected)| other == stream && expected != ExpectedVersion::Any)
    };
    writer.events().any(|(stream, event)| {
        expects(stream)
            || on_others.conditions().iter().any(|condition| condition.query.matches(stream, event))
    })
}

fn lost() -> BatchError {
    BatchError::Unknown(ErrorKind::Indeterminate("connection reset".into()).into())
}

fn held_up(n: usize) -> Error {
    let kind = [ErrorKind::Unavailable("locked".into()), ErrorKind::Indeterminate("odd reply".into())];
    kind[n / 2 % 2].clone().into()
}

#[async_trait]
impl BatchWriter for Writer {
    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let fault = self.0.begin(batch);
        let is_bad = |append: &Append| append.events().any(|(_, event)| event.event_type().as_str() == "Bad");
        match fault {
            Fault::NotSent => {
                return Err(BatchError::NotSent(ErrorKind::Unavailable("refused".into()).into()));
            }
            Fault::Panics => std::panic::resume_unwind(Box::new("played")),
            Fault::Hangs => std::future::pending().await,
            Fault::LostBeforeLanding => return Err(lost()),
            _ if batch.iter().any(is_bad) => {
                return Err(BatchError::BadData(Invalid::new("event", "must not be bad", "bad").into()));
            }
            Fault::LandsLater => {
                let (log, batch) = (Arc::clone(&self.0), batch.to_vec());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                    log.land(&batch).await
                });
                return Err(lost());
            }
            Fault::LandsHalf => {
                self.0.land(&batch[..batch.len() / 2]).await;
                return Err(lost());
            }
            Fault::AnswersApart => {
                let mut answers = Vec::new();
                for (n, append) in batch.iter().enumerate() {
                    let one = std::slice::from_ref(append);
                    answers.push(if n % 2 == 0 { Err(held_up(n)) } else { self.0.land(one).await.remove(0) });
                }
                return Ok(answers);
            }
            Fault::Slow => tokio::time::sleep(Duration::from_millis(7)).await,
            Fault::None | Fault::LostAfterLanding | Fault::Miscounts => tokio::task::yield_now().await,
        }
        let mut answers = self.0.land(batch).await;
        match fault {
            Fault::LostAfterLanding => return Err(lost()),
            Fault::Miscounts => drop(answers.pop()),
            _ => {}
        }
        Ok(answers)
    }
}
