//! Nothing escapes a reader that follows the log while others write (G2).
//!
//! The classic bug is a position that is given before the commit: the append that got a lower one commits after a reader has
//! passed by. Every round lets eight writers append at the same moment, singly and in batches, to their own streams and to shared ones,
//! while the reader goes to the end of the log over and over.

use annalist_core::{Append, ExpectedVersion, Page, Position, Query, Read, RecordedEvent};

use crate::areas::writers::Writers;
use crate::{Cx, Handle, Verdict, checks, ensure, events, same_events, stream};

checks! {
    area: "global",
    tail_complete {
        guarantee: "G2", level: 2, kind: Stochastic,
        summary: "A reader that reads on after the last event it saw gets every event, while eight writers append.",
        likely_cause: "bigserial: the position is taken at insert, and the event shows at commit, in another order",
    }
    tail_page_edge {
        guarantee: "G2", level: 2, kind: Stochastic,
        summary: "The same in pages of 1 and of 7.",
        likely_cause: "a check for gaps that looks only inside a page",
    }
    tail_by_head {
        guarantee: "G2", level: 2, kind: Stochastic,
        summary: "A reader that reads on after the head it was told, of the whole log and of a query, gets every event.",
        likely_cause: "the last number given, or the clock, as the head",
    }
    tail_of_batches {
        guarantee: "G2", level: 2, kind: Stochastic,
        summary: "A reader that reads on gets every event of appends to several streams, and never a part first and the rest below it.",
        likely_cause: "the positions of a batch are taken one by one, among those of others",
    }
}

const WRITERS: usize = 8;

/// One append of a writer in a round: of one event, of several, or to several streams.
fn append_of(writer: usize, round: usize) -> Append {
    let own = stream(&format!("Own-{writer}"));
    match (writer + round) % 4 {
        0 => Append::to(&own, ExpectedVersion::Any, events(1)),
        1 => Append::to(&stream("Shared-1"), ExpectedVersion::Any, events(1)),
        2 => Append::to(&own, ExpectedVersion::Any, events(5)),
        _ => batch_of(writer),
    }
}

fn batch_of(writer: usize) -> Append {
    let own = stream(&format!("Own-{writer}"));
    let append = Append::to(&own, ExpectedVersion::Any, events(2));
    append.write(&stream(&format!("Shared-{}", writer % 3)), ExpectedVersion::Any, events(3))
}

/// Eight writers that each send one append at the same moment.
fn round_of(cx: &Cx, handles: &[Handle], append: impl Fn(usize) -> Append) -> Writers {
    Writers::start(cx, WRITERS, |writer| {
        let (handle, append, cx) = (handles[writer % handles.len()].clone(), append(writer), cx.clone());
        async move {
            handle.append(append).await?;
            cx.count_op();
            Ok(())
        }
    })
}

/// A reader that follows the log on its own: what it has seen, and after which position it reads on.
pub(in crate::areas) struct Reader {
    handle: Handle,
    query: Query,
    page_size: usize,
    by_head: bool,
    after: Position,
    seen: Vec<RecordedEvent>,
}

impl Reader {
    pub(in crate::areas) fn new(handle: Handle, query: Query, page_size: usize, by_head: bool) -> Self {
        Self { handle, query, page_size, by_head, after: Position::START, seen: Vec::new() }
    }

    /// Reads on until there is nothing new.
    pub(in crate::areas) async fn catch_up(&mut self) -> Verdict {
        loop {
            let read = Read::log(self.query.clone()).after(self.after).page_size(self.page_size);
            let mut page = self.handle.read(read).await?;
            let mut took = self.take(&mut page)?;
            // A page by event is left where it ends; one by head is followed to the head that it fixed.
            while let Some(next) = page.next.take_if(|_| self.by_head || took == 0) {
                page = self.handle.read(next).await?;
                took += self.take(&mut page)?;
            }
            if self.by_head {
                ensure!(page.head >= self.after, "the head went back from {} to {}", self.after, page.head);
                self.after = page.head;
            }
            if took == 0 {
                return Ok(());
            }
        }
    }

    fn take(&mut self, page: &mut Page) -> Verdict<usize> {
        let events = std::mem::take(&mut page.events);
        for event in &events {
            let (last, position) = (self.after, event.position());
            ensure!(position > last, "an event at {position} came to a reader that was already at {last}");
            self.after = position;
        }
        self.seen.extend(events.iter().cloned());
        Ok(events.len())
    }

    /// Compares what it has seen with the log as it is in the end.
    pub(in crate::areas) async fn compare(&self, log: &[RecordedEvent]) -> Verdict {
        let expected: Vec<_> =
            log.iter().filter(|event| self.query.matches_recorded(event)).cloned().collect();
        let how = if self.by_head { "head" } else { "event" };
        let what = format!("what a reader by {how} in pages of {} saw of the log", self.page_size);
        same_events(&self.seen, &expected, &what)
    }
}

/// Lets readers follow the log through rounds of appends, and compares.
async fn follow(
    cx: &Cx,
    rounds: usize,
    mut readers: Vec<Reader>,
    append: fn(usize, usize) -> Append,
) -> Verdict {
    cx.minimum_ops(WRITERS * rounds);
    let handles = cx.handles(4).await?;
    for round in 0..rounds {
        let mut writers = round_of(cx, &handles, |writer| append(writer, round));
        while writers.at_work().await {
            for reader in &mut readers {
                reader.catch_up().await?;
            }
        }
        writers.done().await?;
    }
    let log = cx.fresh().await?.read_log().await?;
    for reader in &mut readers {
        reader.catch_up().await?;
        reader.compare(&log).await?;
    }
    Ok(())
}

async fn tail_complete(cx: Cx) -> Verdict {
    let reader = Reader::new(cx.fresh().await?, Query::all(), annalist_core::PAGE_SIZE_DEFAULT, false);
    follow(&cx, cx.scale(40), vec![reader], append_of).await
}

async fn tail_page_edge(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    let readers = [1, 7].map(|page_size| Reader::new(handle.clone(), Query::all(), page_size, false));
    follow(&cx, cx.scale(40), readers.into(), append_of).await
}

async fn tail_by_head(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    let queries = [Query::all(), Query::category("Shared"), Query::stream("Own-3")];
    let readers = queries.map(|query| Reader::new(handle.clone(), query, 5, true));
    follow(&cx, cx.scale(40), readers.into(), append_of).await
}

async fn tail_of_batches(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    let readers = [1, 1_000].map(|page_size| Reader::new(handle.clone(), Query::all(), page_size, false));
    follow(&cx, cx.scale(40), readers.into(), |writer, _| batch_of(writer)).await
}
