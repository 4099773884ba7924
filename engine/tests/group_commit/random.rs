//! Many random appends, drops and faults; whatever callers were told must be what the log holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, ErrorKind, EventId, EventStore, ExpectedVersion, NewEvent, Position, Query, Read, RecordedEvent,
    Version,
};
use annalist_engine::group_commit::{Config, GroupCommit, Mates};
use proptest::prelude::*;
use tokio::task::JoinHandle;

use crate::bench::{Answer, settle, stream};
use crate::log::{Fault, FaultyLog, Writer, touch};

/// One thing that callers do.
#[derive(Clone, Debug)]
enum Step {
    Append(Plan),
    /// Sends an earlier append once more: a twin or a retry.
    Again(prop::sample::Index),
    /// Sends the events of an earlier append under another expectation.
    Otherwise(prop::sample::Index, ExpectedVersion),
    Drop(prop::sample::Index),
    Wait(u64),
}

#[derive(Clone, Debug)]
struct Plan {
    streams: Vec<(u8, ExpectedVersion, u8)>,
    check: Option<(u8, ExpectedVersion)>,
    condition: Option<u8>,
    is_bad: bool,
    timeout: Option<u64>,
}

fn expected() -> impl Strategy<Value = ExpectedVersion> {
    prop_oneof![
        3 => Just(ExpectedVersion::Any),
        1 => Just(ExpectedVersion::NoStream),
        1 => Just(ExpectedVersion::Exists),
        3 => (0..5_u64).prop_map(|version| ExpectedVersion::Exact(Version::new(version))),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let streams = prop::collection::vec((0..4_u8, expected(), 0..3_u8), 1..3);
    let check = prop::option::weighted(0.2, (4..6_u8, expected()));
    let timeout = prop::option::weighted(0.3, 1..60_u64);
    (streams, check, prop::option::weighted(0.2, 0..4_u8), prop::bool::weighted(0.08), timeout).prop_map(
        |(streams, check, condition, is_bad, timeout)| Plan { streams, check, condition, is_bad, timeout },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => plan().prop_map(Step::Append),
        2 => index().prop_map(Step::Again),
        1 => (index(), expected()).prop_map(|(index, expected)| Step::Otherwise(index, expected)),
        2 => index().prop_map(Step::Drop),
        3 => (0..20_u64).prop_map(Step::Wait),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        3 => Just(Fault::Slow),
        1 => Just(Fault::NotSent),
        1 => Just(Fault::LostBeforeLanding),
        1 => Just(Fault::LostAfterLanding),
        1 => Just(Fault::LandsLater),
        1 => Just(Fault::LandsHalf),
        1 => Just(Fault::Hangs),
        1 => Just(Fault::Panics),
        1 => Just(Fault::Miscounts),
        1 => Just(Fault::AnswersApart),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    (prop::bool::ANY, 1..6_usize, 1..9_usize).prop_map(|(is_apart, batch, queue)| {
        let mut config = Config::default();
        config.mates = if is_apart { Mates::Apart } else { Mates::InOrder };
        (config.batch_appends_max, config.queue_appends_max) = (batch, queue);
        (config.timeout, config.attempt_timeout) = (Duration::from_millis(200), Duration::from_millis(50));
        config
    })
}

fn event(is_bad: bool, tag: u8) -> NewEvent {
    let event = NewEvent::new(if is_bad { "Bad" } else { "Good" }, "{}");
    event.and_then(|event| event.with_tags([format!("tag-{tag}")])).expect("an event")
}

impl Plan {
    fn append(&self) -> Append {
        let mut append = Append::new();
        let mut seen = HashSet::new();
        for (name, expected, events) in self.streams.iter().filter(|(name, ..)| seen.insert(*name)) {
            let events: Vec<_> = (0..*events).map(|n| event(self.is_bad, n + name)).collect();
            append = append.write(&stream(&format!("S-{name}")), *expected, events);
        }
        if let Some((name, expected)) = self.check {
            append = append.check(&stream(&format!("S-{name}")), expected);
        }
        if let Some(tag) = self.condition {
            append = append.condition(Query::tags([format!("tag-{tag}")]), Position::START);
        }
        self.timeout.map_or(append.clone(), |millis| append.timeout(Duration::from_millis(millis)))
    }
}

/// One caller, and what it got.
struct Caller {
    append: Append,
    started: u64,
    end: End,
}

enum End {
    Waits(JoinHandle<(Answer, u64)>),
    /// Dropped its future; whether the append had been in a batch by then.
    Dropped {
        was_sent: bool,
    },
    Got(Answer, u64),
}

struct Play {
    mates: Mates,
    log: Arc<FaultyLog>,
    commits: Arc<GroupCommit>,
    callers: Vec<Caller>,
    clock: Arc<std::sync::atomic::AtomicU64>,
}

impl Play {
    fn new(config: Config, faults: Vec<Fault>) -> Self {
        let mates = config.mates;
        let log = FaultyLog::new(mates, faults);
        let commits = Arc::new(GroupCommit::new(Arc::new(Writer(Arc::clone(&log))), config));
        Self { mates, log, commits, callers: Vec::new(), clock: Arc::default() }
    }

    fn start(&mut self, append: Append) {
        let (commits, clock, sent) = (Arc::clone(&self.commits), Arc::clone(&self.clock), append.clone());
        let tick = move || clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let started = tick();
        let task = tokio::spawn(async move { (commits.append(sent).await, tick()) });
        self.callers.push(Caller { append, started, end: End::Waits(task) });
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(plan) => self.start(plan.append()),
            Step::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            _ if self.callers.is_empty() => {}
            Step::Again(index) => self.start(index.get(&self.callers).append.clone()),
            Step::Otherwise(index, expected) => {
                let original = index.get(&self.callers).append.clone();
                let writes = original.writes().iter();
                let other = |append: Append, write: &annalist_core::Write| {
                    append.write(&write.stream, expected, write.events.iter().cloned())
                };
                self.start(writes.fold(Append::new(), other));
            }
            Step::Drop(index) => {
                let place = index.index(self.callers.len());
                let caller = &mut self.callers[place];
                if let End::Waits(task) = &mut caller.end
                    && !task.is_finished()
                {
                    task.abort();
                    // No more runs before the future is gone.
                    drop(task.await);
                    let was_sent = caller.append.events().any(|(_, event)| self.log.was_sent(event.id()));
                    caller.end = End::Dropped { was_sent };
                }
            }
        }
        settle().await;
    }

    async fn finish(&mut self) {
        for caller in &mut self.callers {
            if let End::Waits(task) = &mut caller.end {
                let in_time = tokio::time::timeout(Duration::from_secs(1), task).await;
                let (answer, at) = in_time.expect("an answer by the deadline").expect("no panic in a caller");
                caller.end = End::Got(answer, at);
            }
        }
        self.commits.close().await;
        // What lands later than its reply was lost.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    async fn check(&self) {
        let log = read_all(&self.log).await;
        let by_id: HashMap<(String, EventId), &RecordedEvent> =
            log.iter().map(|event| ((event.stream().to_string(), event.event().id()), event)).collect();
        assert_eq!(by_id.len(), log.len(), "an id is in a stream twice");
        contiguous(&log);
        let mut fates: HashMap<EventId, Fate> = HashMap::new();
        for caller in &self.callers {
            if let End::Got(Ok(receipt), _) = &caller.end {
                honest(&caller.append, receipt, &log);
            }
            for (_, event) in caller.append.events() {
                fates.entry(event.id()).or_default().add(&caller.end);
            }
        }
        for event in &log {
            let fate = &fates[&event.event().id()];
            assert!(fate.may_be_there, "{event:?} is in the log, and every caller was told that it is not");
        }
        self.real_time();
        self.in_order_of_arrival();
        assert!(!self.log.was_mixed(), "two that touch were mates");
    }

    /// What was acknowledged before another was sent stands before it.
    fn real_time(&self) {
        let written = |caller: &Caller| match &caller.end {
            End::Got(Ok(receipt), at) if !receipt.already_committed() => {
                Some((caller.started, *at, receipt.position()?))
            }
            _ => None,
        };
        let written: Vec<_> = self.callers.iter().filter_map(written).collect();
        for (_, ended, before) in &written {
            for (_, _, after) in written.iter().filter(|(started, ..)| started > ended) {
                assert!(before < after, "an append stands before one that was acknowledged before it began");
            }
        }
    }
}

impl Play {
    /// Of two that touch, the one that came first was decided first. Those that were sent by several callers are left out, and
    /// those that could be mates: there the first may be refused and the second land, and when that reply is lost and both
    /// are sent again, the first may land as well.
    fn in_order_of_arrival(&self) {
        if self.mates != Mates::Apart {
            return;
        }
        let shares =
            |a: &Append, b: &Append| a.events().any(|(_, a)| b.events().any(|(_, b)| a.id() == b.id()));
        let is_single = |caller: &&Caller| {
            self.callers.iter().filter(|other| shares(&caller.append, &other.append)).count() == 1
        };
        let placed = |caller: &'_ Caller| match &caller.end {
            End::Got(Ok(receipt), _) => receipt.position(),
            _ => None,
        };
        let placed: Vec<_> = self
            .callers
            .iter()
            .filter(is_single)
            .filter_map(|caller| Some((&caller.append, placed(caller)?)))
            .collect();
        for (n, (later, after)) in placed.iter().enumerate() {
            for (earlier, before) in &placed[..n] {
                assert!(before < after || !touch(earlier, later), "an append overtook one that it touches");
            }
        }
    }
}

/// What all callers of an event together were told.
#[derive(Default)]
struct Fate {
    may_be_there: bool,
}

impl Fate {
    fn add(&mut self, end: &End) {
        self.may_be_there |= match end {
            End::Got(Ok(_), _) => true,
            End::Got(Err(error), _) => {
                matches!(error.kind(), ErrorKind::Indeterminate(_))
            }
            End::Dropped { was_sent } => *was_sent,
            End::Waits(_) => false,
        };
    }
}

async fn read_all(log: &FaultyLog) -> Vec<RecordedEvent> {
    let (mut events, mut next) = (Vec::new(), Some(Read::log(Query::all())));
    while let Some(read) = next {
        let page = log.store.read(read).await.expect("a page");
        events.extend(page.events);
        next = page.next;
    }
    events
}

fn contiguous(log: &[RecordedEvent]) {
    let mut versions: HashMap<&str, Version> = HashMap::new();
    for event in log {
        let version = versions.entry(event.stream().as_str()).or_insert(Version::NONE);
        assert_eq!(event.version(), version.next());
        *version = event.version();
    }
}

/// The events can be read back under the versions and positions of the receipt.
fn honest(append: &Append, receipt: &annalist_core::Receipt, log: &[RecordedEvent]) {
    let writes: Vec<_> = append.writes().iter().filter(|write| !write.events.is_empty()).collect();
    assert_eq!(receipt.written().len(), writes.len());
    for (write, written) in writes.iter().zip(receipt.written()) {
        assert_eq!(&write.stream, written.stream());
        for (n, (event, position)) in write.events.iter().zip(written.positions()).enumerate() {
            let found = log.iter().find(|found| found.position() == *position).expect("it is in the log");
            assert_eq!((found.stream(), found.event()), (&write.stream, event));
            assert_eq!(found.version().get(), written.first_version().get() + n as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_callers_are_told_is_what_the_log_holds(
        config in config(),
        steps in prop::collection::vec(step(), 1..40),
        faults in prop::collection::vec(fault(), 0..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut play = Play::new(config, faults);
            for step in steps {
                play.step(step).await;
            }
            play.finish().await;
            play.check().await;
        });
    }
}
