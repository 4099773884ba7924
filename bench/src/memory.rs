//! Memory: Annalist's store beside a bare `Vec` under a `Mutex`, which checks, numbers and remembers nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_memory::MemoryStore;
use tokio::sync::Notify;

use crate::annalist::Annalist;
use crate::payload::{number, payload};
use crate::subject::{Backend, Crowd, Durability, Expected, Follow, Result, Side, Subject, Verdict, Volume};

pub(crate) struct Memory;

impl Backend for Memory {
    const NAME: &'static str = "memory";
    const HAS_PROCESSES: bool = false;
    type Ours = Store;
    type Raw = Bare;

    fn find() -> Result<Self> {
        Ok(Self)
    }

    fn ours(&self) -> &Store {
        &Store
    }

    fn raw(&self) -> &Bare {
        &Bare
    }

    fn server(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn durability(&self) -> Result<Durability> {
        Ok(Durability { settings: "none: all is gone with the process".to_owned(), folder: None })
    }

    fn volume(&self) -> Volume {
        Volume {
            alone: 500_000,
            singles: 500_000,
            batched: 1_000_000,
            slice: 2_000,
            racing: 50_000,
            stream_reads: 2_000_000,
            log: 200_000,
        }
    }
}

/// Every log is a new one: it has no name.
pub(crate) struct Store;

impl Side for Store {
    type Subject = Annalist;

    async fn create(&self) -> Result<String> {
        Ok(String::new())
    }

    async fn open(&self, _: &str, _: Crowd) -> Result<Annalist> {
        Ok(Annalist::new(MemoryStore::new()))
    }

    async fn remove(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

pub(crate) struct Bare;

impl Side for Bare {
    type Subject = RawMemory;

    async fn create(&self) -> Result<String> {
        Ok(String::new())
    }

    async fn open(&self, _: &str, _: Crowd) -> Result<RawMemory> {
        Ok(RawMemory::default())
    }

    async fn remove(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

/// An event as it is pushed: its stream and its payload, both made beforehand.
#[derive(Clone)]
struct Event {
    stream: Arc<str>,
    payload: Arc<[u8]>,
}

#[derive(Clone, Default)]
pub(crate) struct RawMemory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    more: Notify,
}

impl RawMemory {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events, and how long the log must be for them to be pushed.
pub(crate) struct Push {
    events: Vec<Event>,
    len: Option<u64>,
}

impl Subject for RawMemory {
    const NAME: &'static str = "raw";
    type Append = Push;
    type Follower = Tail;

    fn prepare(&self, stream: &str, expected: Expected, first: u64, events: u64) -> Result<Push> {
        let stream: Arc<str> = stream.into();
        let event = |n| Event { stream: Arc::clone(&stream), payload: payload(n).into() };
        // A bare `Vec` has no streams: the demand is kept only for the log of a single stream, where it is its length.
        let len = match expected {
            Expected::Version(version) if &*stream == crate::workload::RACED => Some(version),
            _ => None,
        };
        Ok(Push { events: (first..first + events).map(event).collect(), len })
    }

    async fn append(&self, push: Push) -> Result<Verdict> {
        {
            let mut events = self.events();
            if push.len.is_some_and(|len| len != events.len() as u64) {
                return Ok(Verdict::Conflict);
            }
            events.extend(push.events);
        }
        self.0.more.notify_waiters();
        Ok(Verdict::Written)
    }

    async fn version(&self, _: &str) -> Result<u64> {
        Ok(self.events().len() as u64)
    }

    async fn read_stream(&self, stream: &str) -> Result<u64> {
        let of_stream: Vec<Event> = self.events().iter().filter(|e| &*e.stream == stream).cloned().collect();
        Ok(of_stream.len() as u64)
    }

    async fn read_log(&self) -> Result<u64> {
        let events: Vec<Event> = self.events().clone();
        Ok(events.len() as u64)
    }

    async fn follow(&self) -> Result<Tail> {
        Ok(Tail { log: self.clone(), seen: 0, taken: Vec::new().into_iter() })
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

pub(crate) struct Tail {
    log: RawMemory,
    seen: usize,
    taken: std::vec::IntoIter<Event>,
}

impl Follow for Tail {
    async fn next(&mut self) -> Result<u64> {
        loop {
            if let Some(event) = self.taken.next() {
                return Ok(number(&event.payload).ok_or("an event without a number")?);
            }
            let woken = self.log.0.more.notified();
            let taken: Vec<Event> = self.log.events()[self.seen..].to_vec();
            if taken.is_empty() {
                woken.await;
            }
            self.seen += taken.len();
            self.taken = taken.into_iter();
        }
    }
}
