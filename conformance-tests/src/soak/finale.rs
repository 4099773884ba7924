//! The log in the end, as several readers have it: all must have the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use annalist_core::{Position, Query, Read, RecordedEvent, Signal, Subscribe};

use super::ledger::{Ledger, LogFile};
use super::place::{Place, Way};
use crate::history::logged;
use crate::{BoxError, Handle};

/// Reads the log to its end through a fresh handle and writes it down, and holds another handle and a subscription against it. Whether it was written.
pub(super) async fn read(place: &std::sync::Arc<Place>, ledger: &Ledger) -> bool {
    match compared(&place.way(), ledger).await {
        Ok(()) => true,
        Err(error) => {
            ledger.wrong(format!("the log cannot be read in the end: {error}"));
            false
        }
    }
}

async fn compared(way: &Way, ledger: &Ledger) -> Result<(), BoxError> {
    let [one, other] =
        [way.open_at_last(way.place.patience).await?, way.open_at_last(way.place.patience).await?];
    let mut file = LogFile::new(ledger.dir())?;
    let (head, first) = drained(&one, |event| file.event(logged(event))).await?;
    file.end()?;
    let (_, second) = drained(&other, |_| ()).await?;
    if first != second {
        ledger.wrong(format!("two handles read different logs in the end: {first:?} and {second:?} (G1)"));
    }
    let third = followed(&other, head).await?;
    if first != third {
        ledger.wrong(format!(
            "a subscription gives another log in the end than a read: {third:?}, not {first:?} (S1)"
        ));
    }
    let _ = (one.close().await, other.close().await);
    Ok(())
}

/// All events in a few bytes, so that the log need not be held in memory.
#[derive(Default, PartialEq, Eq, Debug)]
struct Digest {
    events: u64,
    hash: u64,
}

impl Digest {
    fn take(&mut self, event: &RecordedEvent) -> io::Result<()> {
        let mut hasher = DefaultHasher::new();
        let text = serde_json::to_vec(&logged(event))?;
        (self.hash, text, event.metadata().as_str()).hash(&mut hasher);
        self.hash = hasher.finish();
        self.events += 1;
        Ok(())
    }
}

async fn drained(
    handle: &Handle,
    mut give: impl FnMut(&RecordedEvent),
) -> Result<(Position, Digest), BoxError> {
    let (mut digest, mut next) = (Digest::default(), Some(Read::log(Query::all()).page_size(500)));
    let mut head = Position::START;
    while let Some(read) = next {
        let page = handle.read(read).await?;
        for event in &page.events {
            digest.take(event)?;
            give(event);
        }
        (head, next) = (page.head, page.next);
    }
    Ok((head, digest))
}

async fn followed(handle: &Handle, head: Position) -> Result<Digest, BoxError> {
    let mut subscription = handle.store().subscribe(Subscribe::to(Query::all()).page_size(500)).await?;
    let (mut digest, mut at) = (Digest::default(), Position::START);
    while at < head {
        let signal = tokio::time::timeout(handle.patience(), subscription.next()).await;
        at = match signal.map_err(|_| format!("a subscription gives nothing more at {at}"))? {
            Some(Ok(Signal::Event(event))) => {
                digest.take(&event)?;
                event.position()
            }
            Some(Ok(Signal::CaughtUp(position) | Signal::Progress(position))) => position,
            Some(Ok(other)) => return Err(format!("an unknown signal: {other:?}").into()),
            Some(Err(error)) => return Err(error.into()),
            None => return Err("a subscription ended silently".into()),
        };
    }
    subscription.stop().await;
    Ok(digest)
}
