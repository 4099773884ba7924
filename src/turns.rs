//! Turns: where transactions of one process collide over a stream, they go one after the other.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::StreamId;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// The streams over which transactions of a store have just collided. While anybody has or awaits his turn there, whoever comes lines up behind;
/// where nobody does, nobody waits.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<StreamId, Line>>>);

type Line = Arc<tokio::sync::Mutex<()>>;

impl Turns {
    /// Lines up where others have lined up.
    pub(crate) async fn join(
        &self,
        streams: impl Iterator<Item = &StreamId>,
        wait_max: Duration,
    ) -> Option<Turn> {
        let turn = {
            let lines = self.lines();
            let mut crowded = streams.filter_map(|stream| Some((stream, lines.get(stream)?)));
            crowded.next().map(|(stream, line)| self.turn(stream, line))?
        };
        Some(turn.wait(wait_max).await)
    }

    /// Lines up, as the first or behind others.
    pub(crate) async fn take(&self, stream: &StreamId, wait_max: Duration) -> Turn {
        let turn = self.turn(stream, self.lines().entry(stream.clone()).or_default());
        turn.wait(wait_max).await
    }

    fn turn(&self, stream: &StreamId, line: &Line) -> Turn {
        Turn { turns: self.clone(), stream: stream.clone(), line: Some(Arc::clone(line)), held: None }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<StreamId, Line>> {
        // Nothing panics while it holds this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turns").field(&self.lines().len()).finish()
    }
}

/// A place in the line of a stream, given up when it is dropped.
pub(crate) struct Turn {
    turns: Turns,
    stream: StreamId,
    /// Until it is dropped.
    line: Option<Line>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// Waits for its turn. It is a courtesy, on which nothing rests: whoever has waited long enough goes without.
    async fn wait(mut self, wait_max: Duration) -> Self {
        if let Some(line) = self.line.clone() {
            self.held = timeout(wait_max, line.lock_owned()).await.ok();
        }
        self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut lines = self.turns.lines();
        self.line = None;
        // A line is cloned under the lock alone.
        if lines.get(&self.stream).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn nobody_waits_where_nobody_has_a_turn_and_nothing_is_left_behind() {
        let (turns, busy, free) =
            (Turns::default(), StreamId::new("S-1").unwrap(), StreamId::new("S-2").unwrap());
        let first = turns.take(&busy, LONG).await;
        assert!(turns.join([&free].into_iter(), LONG).await.is_none());
        assert!(
            turns.join([&free, &busy].into_iter(), LONG).now_or_never().is_none(),
            "the turn is another's"
        );
        let second = turns.join([&busy].into_iter(), Duration::ZERO).await.unwrap();
        assert!(second.held.is_none(), "it goes without");
        drop(first);
        assert!(turns.take(&busy, LONG).await.held.is_some());
        assert_eq!(turns.lines().len(), 1, "the second has its place yet");
        drop(second);
        assert!(turns.lines().is_empty());
    }
}
