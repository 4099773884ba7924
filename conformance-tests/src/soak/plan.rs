//! What each client does and when: a function of the seed alone, so that the same seed gives the same calls.
//!
//! Time is cut into ticks. At the beginning of each all clients do their next steps at once, because races need company, and then rest until the next.
//! Streams are those of an epoch, so that none grows for ever and every kind of expectation goes on being met.

use std::time::Duration;

use annalist_core::{
    Append, CheckpointName, EventId, ExpectedVersion, NewEvent, Position, Query, QueryItem, Read,
    SnapshotSchema, StreamId, Version,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::settings::sub_seed;
use crate::{checkpoint, event, exact, os, schema, stream};

/// How long a tick is.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// How many ticks have streams of their own.
const TICKS_PER_EPOCH: u64 = 40;

const CATEGORIES: [&str; 2] = ["Order", "Cart"];
const STREAMS_PER_CATEGORY: usize = 3;
const TYPES: [&str; 3] = ["Placed", "Paid", "Shipped"];
const TAGS: [&str; 4] = ["red", "green", "blue", "odd"];
const SCHEMAS: [&str; 2] = ["kept/1", "pruned/1"];
const CHECKPOINTS: [&str; 2] = ["mailer", "ledger"];

/// What all processes of a soak go by.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(super) seed: u64,
    /// On the clock of the host.
    pub(super) begun: u64,
    /// How many steps a client takes in a tick, on average.
    pub(super) steps: f64,
    /// How long to wait for what must come.
    pub(super) patience: Duration,
}

/// One thing that a client does.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Step {
    Append(AppendPlan, Fate),
    /// Sends one of the last appends again.
    Again(usize),
    /// Sends one of the last appends with an event less or more, which must not be taken for the same.
    Twist(usize, Option<NewEvent>),
    ReadStream(Read),
    /// Reads the log after one of the positions that were seen last.
    ReadLog(Read, usize),
    SaveSnapshot(StreamId, SnapshotSchema, Version, String),
    LoadSnapshot(StreamId, SnapshotSchema, Version),
    PruneSnapshots(StreamId, SnapshotSchema, usize),
    LoadCheckpoint(CheckpointName),
    /// Closes the handle and opens another, where the client has one of its own.
    Reopen,
}

/// An append, before it is known what is there.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct AppendPlan {
    pub(super) writes: Vec<(StreamId, Expect, Vec<NewEvent>)>,
    pub(super) checks: Vec<(StreamId, Expect)>,
    pub(super) condition: Option<(Query, Since)>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Expect {
    This(ExpectedVersion),
    /// The version that is there when the client looks.
    AsSeen,
}

/// From where a condition holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Since {
    /// The head when the client looks.
    Head,
    /// The first head that the client saw in this epoch.
    Epoch,
}

/// What becomes of the call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Fate {
    Awaited,
    /// It is dropped after so many polls.
    Dropped(usize),
    /// It has no more time than this.
    Hurried(Duration),
}

/// What a subscriber does until it subscribes anew.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Life {
    pub(super) query: Query,
    pub(super) begin: Begin,
    pub(super) ticks: u32,
    pub(super) page_size: usize,
    /// How many signals it takes before it rests for a moment.
    pub(super) breath_after: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Begin {
    Start,
    Now,
    /// After one of the positions that were seen last.
    After(usize),
    /// Where a checkpoint is that it claims, and saves from then on.
    Claimed(CheckpointName),
}

impl Plan {
    /// The same for the same seed, purpose and numbers.
    pub(super) fn rng(&self, purpose: &str, client: u32, number: u64) -> StdRng {
        let of_client = sub_seed(self.seed, purpose, u64::from(client));
        StdRng::seed_from_u64(sub_seed(of_client, "soak", number))
    }

    /// The tick that has begun last.
    pub(super) fn tick(&self) -> u64 {
        os::now().saturating_sub(self.begun) / TICK.as_nanos() as u64
    }

    /// How long it is until a tick begins.
    pub(super) fn until(&self, tick: u64) -> Duration {
        let at = self.begun + tick * TICK.as_nanos() as u64;
        Duration::from_nanos(at.saturating_sub(os::now()))
    }

    /// The epoch of a tick.
    pub(super) fn epoch(tick: u64) -> u64 {
        tick / TICKS_PER_EPOCH
    }

    /// What a client does in a tick.
    pub(super) fn steps(&self, client: u32, tick: u64) -> Vec<Step> {
        let mut rng = self.rng("steps", client, tick);
        let whole = self.steps.floor();
        let count = whole as usize + usize::from(rng.random_bool((self.steps - whole).clamp(0.0, 1.0)));
        (0..count)
            .map(|number| {
                let key = format!("{}/{client}/{tick}/{number}", self.seed);
                Draw { rng: &mut rng, epoch: Self::epoch(tick), key, events: 0 }.step()
            })
            .collect()
    }

    /// What a subscriber does in its `number`-th life.
    pub(super) fn life(&self, client: u32, number: u64, epoch: u64) -> Life {
        let mut rng = self.rng("life", client, number);
        let mut draw = Draw { rng: &mut rng, epoch, key: String::new(), events: 0 };
        let (query, begin) = match draw.rng.random_range(0..8) {
            0 => (draw.query(), Begin::Now),
            1 => (Query::all(), Begin::Now),
            2 => (draw.query(), Begin::After(draw.rng.random_range(0..16))),
            // The whole log only while it is short.
            3 | 4 if epoch == 0 => (Query::all(), Begin::Start),
            3 | 4 => (Query::all(), Begin::After(draw.rng.random_range(0..16))),
            5 => (Query::category(CATEGORIES[0]), Begin::Claimed(draw.checkpoint())),
            _ => (Query::all(), Begin::Claimed(draw.checkpoint())),
        };
        let page_size = [2, 20, 500][draw.rng.random_range(0..3)];
        let breath_after = [10, 50, 1_000][draw.rng.random_range(0..3)];
        Life { query, begin, ticks: draw.rng.random_range(2..30), page_size, breath_after }
    }
}

/// Draws a step.
struct Draw<'a> {
    rng: &'a mut StdRng,
    epoch: u64,
    /// What the ids of its events are derived from.
    key: String,
    events: u32,
}

impl Draw<'_> {
    fn step(&mut self) -> Step {
        match self.rng.random_range(0..100) {
            0..52 => Step::Append(self.append(), self.fate()),
            52..60 => Step::Again(self.rng.random_range(0..8)),
            60..62 => {
                let back = self.rng.random_range(0..8);
                let more = self.rng.random_bool(0.5);
                Step::Twist(back, more.then(|| self.event()))
            }
            62..74 => Step::ReadStream(self.read_stream()),
            74..86 => {
                let back = self.rng.random_range(0..16);
                Step::ReadLog(self.read_log(), back)
            }
            86..91 => {
                let (stream, schema, version) = (self.stream(), self.schema(), self.version());
                Step::SaveSnapshot(stream, schema, version, self.key.clone())
            }
            91..95 => {
                let at_most = if self.rng.random_bool(0.5) { Version::MAX } else { self.version() };
                Step::LoadSnapshot(self.stream(), self.schema(), at_most)
            }
            95 => Step::PruneSnapshots(self.stream(), schema(SCHEMAS[1]), self.rng.random_range(1..4)),
            96..99 => Step::LoadCheckpoint(self.checkpoint()),
            _ => Step::Reopen,
        }
    }

    fn append(&mut self) -> AppendPlan {
        let first = self.stream();
        let (expect, events) = (self.expect(), self.some_events());
        let mut plan =
            AppendPlan { writes: vec![(first.clone(), expect, events)], checks: Vec::new(), condition: None };
        let other = self.other(&first);
        match self.rng.random_range(0..10) {
            0 | 1 => {
                let (expect, events) = (self.expect(), self.some_events());
                plan.writes.push((other, expect, events));
            }
            2 => plan.checks.push((other, self.expect())),
            3 | 4 => plan.condition = Some((self.query(), Since::Head)),
            5 => plan.condition = Some((Query::tags([TAGS[3]]), Since::Epoch)),
            // Only checks.
            6 if self.rng.random_bool(0.5) => {
                plan.writes.clear();
                plan.checks = vec![(first, self.expect()), (other, self.expect())];
                plan.condition = Some((self.query(), Since::Head));
            }
            _ => {}
        }
        plan
    }

    fn fate(&mut self) -> Fate {
        match self.rng.random_range(0..100) {
            0..6 => Fate::Dropped(self.rng.random_range(0..8)),
            6..9 => Fate::Hurried(Duration::from_millis(self.rng.random_range(1..20))),
            _ => Fate::Awaited,
        }
    }

    fn expect(&mut self) -> Expect {
        match self.rng.random_range(0..12) {
            0..5 => Expect::This(ExpectedVersion::Any),
            5 => Expect::This(ExpectedVersion::NoStream),
            6 => Expect::This(ExpectedVersion::Exists),
            7 => Expect::This(exact(self.rng.random_range(0..200))),
            _ => Expect::AsSeen,
        }
    }

    /// Mostly few, and now and then many.
    fn some_events(&mut self) -> Vec<NewEvent> {
        let count = if self.rng.random_bool(0.03) {
            self.rng.random_range(20..60)
        } else {
            self.rng.random_range(1..4)
        };
        (0..count).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> NewEvent {
        self.events += 1;
        let bytes = if self.rng.random_bool(0.005) { 4_000 } else { self.rng.random_range(0..60) };
        let data = format!(r#"{{"n":{},"text":"{}"}}"#, self.events, "x".repeat(bytes));
        let tags: Vec<_> = TAGS[..3].iter().copied().filter(|_| self.rng.random_bool(0.2)).collect();
        let odd = self.rng.random_bool(0.01).then_some(TAGS[3]);
        let made = event(TYPES[self.rng.random_range(0..TYPES.len())], data);
        let made = made.with_id(EventId::derived(&self.key, self.events));
        made.with_tags(tags.into_iter().chain(odd)).expect("these tags are valid")
    }

    fn stream(&mut self) -> StreamId {
        self.named(self.epoch)
    }

    fn named(&mut self, epoch: u64) -> StreamId {
        let category = CATEGORIES[self.rng.random_range(0..CATEGORIES.len())];
        stream(&format!("{category}-{epoch}-{}", self.rng.random_range(0..STREAMS_PER_CATEGORY)))
    }

    fn other(&mut self, than: &StreamId) -> StreamId {
        loop {
            let other = self.stream();
            if other != *than {
                return other;
            }
        }
    }

    fn query(&mut self) -> Query {
        match self.rng.random_range(0..7) {
            0 => Query::all(),
            1 => Query::category(CATEGORIES[1]),
            2 => Query::types([TYPES[0]]),
            3 => Query::stream(self.stream().as_str()),
            4 => QueryItem::new().stream_prefix(format!("{}-{}", CATEGORIES[0], self.epoch)).into(),
            5 => Query::any_of([
                QueryItem::new().category(CATEGORIES[0]).types([TYPES[1]]),
                QueryItem::new().tags([TAGS[1], TAGS[2]]),
            ]),
            _ => Query::tags([TAGS[self.rng.random_range(0..3)]]),
        }
    }

    fn read_stream(&mut self) -> Read {
        let epoch = if self.rng.random_bool(0.2) { self.epoch.saturating_sub(1) } else { self.epoch };
        let read = Read::stream(&self.named(epoch));
        let read = match self.rng.random_range(0..4) {
            0 => read,
            1 => read.backward().limit(self.rng.random_range(1..20)),
            2 => read.from(Version::new(self.rng.random_range(0..100))).limit(30),
            _ => read.limit(self.rng.random_range(0..10)),
        };
        read.page_size(self.page_size())
    }

    fn read_log(&mut self) -> Read {
        let read = Read::log(self.query()).limit(self.rng.random_range(0..60)).page_size(self.page_size());
        if self.rng.random_bool(0.4) { read.backward() } else { read }
    }

    fn page_size(&mut self) -> usize {
        [1, 7, 100][self.rng.random_range(0..3)]
    }

    fn schema(&mut self) -> SnapshotSchema {
        schema(SCHEMAS[self.rng.random_range(0..SCHEMAS.len())])
    }

    fn version(&mut self) -> Version {
        Version::new(self.rng.random_range(1..30))
    }

    fn checkpoint(&mut self) -> CheckpointName {
        checkpoint(CHECKPOINTS[self.rng.random_range(0..CHECKPOINTS.len())])
    }
}

impl AppendPlan {
    /// The streams whose versions must be looked at first.
    pub(super) fn looked_at(&self) -> impl Iterator<Item = &StreamId> {
        let writes = self.writes.iter().map(|(stream, expect, _)| (stream, expect));
        let checks = self.checks.iter().map(|(stream, expect)| (stream, expect));
        writes.chain(checks).filter(|(_, expect)| **expect == Expect::AsSeen).map(|(stream, _)| stream)
    }

    /// The append, once it is known what is there.
    pub(super) fn append(
        &self,
        version: impl Fn(&StreamId) -> Version,
        since: impl Fn(Since) -> Position,
    ) -> Append {
        let expected = |stream: &StreamId, expect: Expect| match expect {
            Expect::This(expected) => expected,
            Expect::AsSeen => version(stream).into(),
        };
        let mut append = Append::new();
        for (stream, expect, events) in &self.writes {
            append = append.write(stream, expected(stream, *expect), events.iter().cloned());
        }
        for (stream, expect) in &self.checks {
            append = append.check(stream, expected(stream, *expect));
        }
        match &self.condition {
            Some((query, from)) => append.condition(query.clone(), since(*from)),
            None => append,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan { seed, begun: 0, steps: 3.5, patience: Duration::from_secs(1) }
    }

    fn steps(seed: u64) -> Vec<Step> {
        (0..400).flat_map(|number| plan(seed).steps(number % 4, u64::from(number / 4))).collect()
    }

    #[test]
    fn a_seed_gives_the_same_steps() {
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
        assert_ne!(plan(7).steps(0, 3), plan(7).steps(1, 3));
        let count = steps(7).len();
        assert!((1_300..1_500).contains(&count), "{count} steps in 400 times 3.5");
    }

    #[test]
    fn every_kind_of_step_comes() {
        let steps = steps(3);
        let kinds: std::collections::HashSet<_> = steps.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), 10);
        let appends = || {
            steps.iter().filter_map(|step| {
                if let Step::Append(append, fate) = step { Some((append, fate)) } else { None }
            })
        };
        assert!(appends().any(|(append, _)| append.writes.len() == 2));
        assert!(appends().any(|(append, _)| append.writes.is_empty() && append.checks.len() == 2));
        assert!(appends().any(|(append, _)| append.condition.is_some()));
        assert!(appends().any(|(_, fate)| matches!(fate, Fate::Dropped(_))));
        assert!(appends().any(|(_, fate)| matches!(fate, Fate::Hurried(_))));
    }

    #[test]
    fn no_id_is_used_twice() {
        let mut ids = std::collections::HashSet::new();
        for step in steps(5) {
            if let Step::Append(append, _) = step {
                for event in append.writes.iter().flat_map(|(.., events)| events) {
                    assert!(ids.insert(event.id()), "{} comes twice", event.id());
                }
            }
        }
    }
}
