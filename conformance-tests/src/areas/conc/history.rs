//! Whole histories of mixed operations, which one order must explain.

use annalist_core::{Append, ExpectedVersion, NewEvent, Query, Read};
use rand::Rng;
use rand::rngs::StdRng;

use crate::history::{Recorder, Session};
use crate::{Cx, Verdict, checks, exact, stream, tagged};

checks! {
    area: "conc",
    linearizable {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "All answers to appends of every shape, to retries and to reads of many clients on one handle fit one order of the log and real time.",
        likely_cause: "any check, read or receipt that is made beside the write and not in it",
    }
    linearizable_handles {
        guarantee: "R3", level: 2, kind: Stochastic,
        summary: "The same through handles that share nothing but the log.",
        likely_cause: "a cache, a lock or a counter in each handle",
    }
    refusals_justified {
        guarantee: "A5", level: 2, kind: Stochastic,
        summary: "Every conflict among many was one, in a state between the call and the answer, and tells what held there.",
        likely_cause: "a conflict told from a cache, or with a version that was asked for afterwards",
    }
}

const STREAMS: [&str; 4] = ["Order-1", "Order-2", "Cart-1", "Cart-2"];
const TAGS: [&str; 3] = ["red", "green", "blue"];

/// One client of a history: what it saw last, and what it has sent.
struct Client {
    session: Session,
    rng: StdRng,
    sent: Vec<Append>,
}

impl Client {
    fn made(&mut self) -> Vec<NewEvent> {
        let count = self.rng.random_range(1..4);
        (0..count).map(|_| tagged("Made", &[TAGS[self.rng.random_range(0..TAGS.len())]])).collect()
    }

    async fn expectation(&mut self, name: &str, contended: bool) -> Verdict<ExpectedVersion> {
        Ok(match self.rng.random_range(0..6) {
            0 if !contended => ExpectedVersion::Any,
            1 if !contended => ExpectedVersion::Exists,
            2 => ExpectedVersion::NoStream,
            3 => exact(self.rng.random_range(0..6)),
            _ => self.session.handle().version(&stream(name)).await?.into(),
        })
    }

    async fn append(&mut self, contended: bool) -> Verdict {
        let first = self.rng.random_range(0..STREAMS.len());
        let other = STREAMS[(first + self.rng.random_range(1..STREAMS.len())) % STREAMS.len()];
        let expected = self.expectation(STREAMS[first], contended).await?;
        let made = self.made();
        let mut append = Append::to(&stream(STREAMS[first]), expected, made);
        match self.rng.random_range(0..5) {
            0 => {
                let (expected, made) = (self.expectation(other, contended).await?, self.made());
                append = append.write(&stream(other), expected, made);
            }
            1 => append = append.check(&stream(other), self.expectation(other, contended).await?),
            2 => {
                let head = self.session.handle().head().await?;
                append = append.condition(Query::tags([TAGS[self.rng.random_range(0..TAGS.len())]]), head);
            }
            3 => {
                let head = self.session.handle().head().await?;
                append =
                    Append::new().check(&stream(other), expected).condition(Query::category("Cart"), head);
            }
            _ => {}
        }
        self.sent.push(append.clone());
        // A refusal is an answer as good as any; the history tells whether it was right.
        drop(self.session.append(append).await);
        Ok(())
    }

    async fn step(&mut self, contended: bool) -> Verdict {
        match self.rng.random_range(0..10) {
            0 if !self.sent.is_empty() => {
                let again = self.sent[self.rng.random_range(0..self.sent.len())].clone();
                drop(self.session.append(again).await);
            }
            1 => drop(
                self.session.read(Read::log(Query::all()).page_size(self.rng.random_range(1..40))).await?,
            ),
            2 => {
                let name = STREAMS[self.rng.random_range(0..STREAMS.len())];
                drop(self.session.read(Read::stream(&stream(name))).await?);
            }
            3 => drop(self.session.read(Read::log(Query::category("Order")).backward().limit(5)).await?),
            _ => self.append(contended).await?,
        }
        Ok(())
    }
}

async fn traffic(cx: &Cx, handles: usize, contended: bool, name: &str) -> Verdict {
    const CLIENTS: usize = 6;
    // What only several handles can get wrong happens between two of them, hence less often in as many steps.
    let steps = cx.scale(if handles > 1 { 80 } else { 40 });
    cx.minimum_ops(CLIENTS * steps);
    let (recorder, handles) = (Recorder::new(), cx.handles(handles).await?);
    let task = |i: usize| {
        let session = recorder.session(&handles[i % handles.len()]);
        let mut client = Client { session, rng: cx.rng(), sent: Vec::new() };
        let cx = cx.clone();
        async move {
            for _ in 0..steps {
                client.step(contended).await?;
                cx.count_op();
            }
            Ok::<_, crate::Failure>(())
        }
    };
    for done in cx.within("clients of a history", cx.at_once(CLIENTS, task)).await?? {
        done?;
    }
    recorder.judge(cx, name).await
}

async fn linearizable(cx: Cx) -> Verdict {
    traffic(&cx, 1, false, "linearizable").await
}

async fn linearizable_handles(cx: Cx) -> Verdict {
    traffic(&cx, 3, false, "linearizable_handles").await
}

async fn refusals_justified(cx: Cx) -> Verdict {
    traffic(&cx, 3, true, "refusals_justified").await
}
