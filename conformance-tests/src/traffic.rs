//! What clients do in histories: operations of every shape, on streams and tags so few that they meet.

use annalist_core::{Append, ExpectedVersion, NewEvent, Query, Read};
use rand::Rng;
use rand::rngs::StdRng;

use crate::history::Session;
use crate::{Verdict, exact, stream, tagged};

const STREAMS: [&str; 4] = ["Order-1", "Order-2", "Cart-1", "Cart-2"];
const TAGS: [&str; 3] = ["red", "green", "blue"];

/// One client of a history: what it saw last, and what it has sent.
pub(crate) struct Client {
    session: Session,
    rng: StdRng,
    sent: Vec<Append>,
}

impl Client {
    pub(crate) fn new(session: Session, rng: StdRng) -> Self {
        Self { session, rng, sent: Vec::new() }
    }

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

    /// Does one thing and notes it; where it is `contended`, mostly appends that others exclude.
    pub(crate) async fn step(&mut self, contended: bool) -> Verdict {
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

/// An append that nothing but a fault can refuse: of one event, of several, or of many, to one stream or to several.
pub(crate) fn plain_append(rng: &mut StdRng, writer: u32) -> Append {
    let made = |n: usize| -> Vec<NewEvent> { (0..n).map(|_| tagged("Made", &[TAGS[n % 3]])).collect() };
    let (own, shared) =
        (stream(&format!("Own-{writer}")), stream(STREAMS[rng.random_range(0..STREAMS.len())]));
    match rng.random_range(0..5) {
        0 => Append::to(&own, ExpectedVersion::Any, made(1)),
        1 => Append::to(&shared, ExpectedVersion::Any, made(2)),
        2 => Append::to(&own, ExpectedVersion::Any, made(20)),
        _ => Append::to(&own, ExpectedVersion::Any, made(2)).write(&shared, ExpectedVersion::Any, made(3)),
    }
}

/// An append of one event or of fifty, in turn, to a stream of the writer's own and to one that all share.
pub(crate) fn batch(step: u64, writer: u32) -> Append {
    let name = if step % 4 < 2 { format!("Own-{writer}") } else { "Shared-1".to_owned() };
    let n = [1, 50][(step % 2) as usize];
    Append::to(&stream(&name), ExpectedVersion::Any, crate::events(n))
}
