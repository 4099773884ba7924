//! A store whose events show later than they are stored, and in order all the same: what comes after an append that is not done yet
//! is held back.

use std::ops::Bound;
use std::sync::Arc;

use annalist_conformance::{HookError, Namespaces, Rewind};
use annalist_core::{
    Append, Direction, Error, EventStore, Page, Position, Query, Read, Receipt, RecordedEvent, Source,
    Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::yield_now;

use super::Oddball;
use crate::bug::Bug;
use crate::edit::at;
use crate::edit_read::drained;
use crate::world::World;

pub const ODDBALLS: &[Oddball] = &[Oddball {
    name: "withholds_what_is_later",
    what: "appends are stored at once and shown later, each only after all before it; answers wait for what they saw to be shown",
    make: || Arc::new(AllWithholding(Namespaces::default())),
}];

struct AllWithholding(Namespaces<Arc<Withholding>>);

#[async_trait]
impl World for AllWithholding {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        self.0.get(namespace, Arc::default)
    }

    async fn rewind(&self, namespace: &str, honest: &MemoryStore, rewind: Rewind) -> Result<(), HookError> {
        let kept = match rewind {
            Rewind::To(position) => {
                honest.restore_to(position).map_err(|error| HookError::Failed(error.into()))?;
                position
            }
            Rewind::AnotherLog => {
                honest.replace_log();
                Position::START
            }
            _ => return Err(HookError::NotProvided),
        };
        let head = head_of(honest).await.map_err(|error| HookError::Failed(error.into()))?;
        self.0.get(namespace, Arc::default).shown.send_replace(number(kept.min(head)));
        Ok(())
    }
}

/// How many events are shown; those of the memory store are numbered from 1.
#[derive(Default)]
struct Withholding {
    shown: watch::Sender<u64>,
}

fn number(position: Position) -> u64 {
    backend::numbers(position).0
}

async fn head_of(honest: &MemoryStore) -> Result<Position, Error> {
    Ok(honest.read(Read::log(Query::all()).limit(0)).await?.head)
}

impl Withholding {
    /// Shows the events with these numbers once all before them are.
    fn show_later(&self, first: u64, last: u64) {
        let shown = self.shown.clone();
        // Beside the append, which can be dropped: what is stored must be shown.
        tokio::spawn(async move {
            for _ in 0..first * 7 % 5 {
                yield_now().await;
            }
            let before = shown.subscribe().wait_for(|shown| *shown + 1 == first).await.is_ok();
            if before {
                shown.send_replace(last);
            }
        });
    }

    async fn until_shown(&self, head: Position) {
        let mut shown = self.shown.subscribe();
        // The sender lives as long as this store.
        let _ = shown.wait_for(|shown| *shown >= number(head)).await;
    }

    /// The first page of a read of the log, up to what is shown.
    async fn log_page(&self, honest: &MemoryStore, read: &Read, shown: Position) -> Result<Page, Error> {
        let bounded = match read.positions().1 {
            Bound::Unbounded => read.clone().until(shown),
            _ => read.clone(),
        };
        let page = honest.read(bounded).await?;
        let looked = match page.next.as_ref().map(Read::positions) {
            Some((after, _)) if read.direction() == Direction::Forward => backend::Looked::Past(after),
            Some((_, Bound::Excluded(upper))) => backend::Looked::Past(upper),
            _ => backend::Looked::All,
        };
        Ok(backend::page(read, page.events, looked, shown, Version::NONE))
    }

    /// The first page of a read of a stream, up to what is shown.
    async fn stream_page(&self, honest: &MemoryStore, read: &Read, shown: Position) -> Result<Page, Error> {
        let Source::Stream(stream) = read.source() else { return honest.read(read.clone()).await };
        let (events, _, _) = drained(honest, Read::stream(stream)).await?;
        let visible = events.iter().filter(|event| event.position() <= shown);
        let version = visible.map(RecordedEvent::version).max().unwrap_or(Version::NONE);
        let page = honest.read(read.clone().to(read.versions().1.min(version))).await?;
        let looked = match (&page.next, page.events.last()) {
            (Some(_), Some(last)) => backend::Looked::UpTo(last.version()),
            _ => backend::Looked::All,
        };
        Ok(backend::page(read, page.events, looked, shown, version))
    }
}

#[async_trait]
impl Bug for Withholding {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let answer = honest.append(append).await;
        if let Ok(receipt) = &answer
            && !receipt.already_committed()
        {
            let positions = || receipt.written().iter().flat_map(|written| written.positions());
            if let (Some(first), Some(last)) = (positions().min(), positions().max()) {
                self.show_later(number(*first), number(*last));
            }
        }
        // A verdict rests on all that is stored: whoever hears it can read that.
        if let Ok(head) = head_of(honest).await {
            self.until_shown(head).await;
        }
        answer
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let shown = *self.shown.borrow();
        let head = head_of(honest).await?;
        if read.fixed_head().is_some() || shown >= number(head) {
            return honest.read(read).await;
        }
        let shown = if shown == 0 { Position::START } else { at(head, shown, 0) };
        match read.source() {
            Source::Stream(_) => self.stream_page(honest, &read, shown).await,
            _ => self.log_page(honest, &read, shown).await,
        }
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        honest.wait_for_more(after).await?;
        yield_now().await;
        Ok(())
    }
}
