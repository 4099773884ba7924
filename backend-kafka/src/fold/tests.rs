//! The fold against the engine's admission over memory, and against itself: wherever it writes, begins anew or is told a record twice.

use annalist_core::{
    Append, CheckpointName, EventId, EventStore, ExpectedVersion, NewEvent, QueryItem, Read, Source,
};
use annalist_memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::read::{self, Bounds, Seen};
use crate::record::{Header, Sealed};

const WRITERS: [Uuid; 3] = [Uuid::from_u128(0xa1), Uuid::from_u128(0xa2), Uuid::from_u128(0xa3)];

pub(super) fn log_id() -> LogId {
    LogId::from_uuid(Uuid::from_u128(0x1234_5678))
}

/// Makes records as writers would who have applied everything before.
pub(super) struct Scribe {
    numbers: [u64; 3],
}

impl Scribe {
    pub(super) fn new() -> Self {
        Self { numbers: [0; 3] }
    }

    pub(super) fn value(&mut self, fold: &Fold, writer: usize, sealed: &mut Sealed) -> Bytes {
        self.numbers[writer] += 1;
        let state = fold.state();
        let header = Header {
            log: log_id(),
            writer: WRITERS[writer],
            number: self.numbers[writer],
            applied: state.applied,
            digest: state.digest,
        };
        Bytes::copy_from_slice(sealed.with(&header))
    }

    pub(super) fn record(&mut self, fold: &Fold, writer: usize, sealed: &mut Sealed) -> Raw {
        let value = self.value(fold, writer, sealed);
        let offset = fold.state().applied;
        Raw { offset, time: 1_700_000_000_000 + offset as i64, value }
    }
}

pub(super) fn fresh() -> Fold {
    Fold::over(Arc::new(Local::in_memory())).expect("an empty store")
}

/// A log that has begun.
pub(super) fn begun(scribe: &mut Scribe) -> (Fold, Raw) {
    let mut fold = fresh();
    let genesis = scribe.record(&fold, 0, &mut Sealed::new(&Body::Genesis));
    fold.apply(&genesis).expect("a log begins");
    (fold, genesis)
}

fn stream(n: u32) -> StreamId {
    StreamId::new(format!("Order-{n}")).expect("a name")
}

fn event(rng: &mut StdRng, ids: &mut Vec<EventId>) -> NewEvent {
    let id = if !ids.is_empty() && rng.random_ratio(1, 12) {
        ids[rng.random_range(0..ids.len())]
    } else {
        let id = EventId::from_uuid(Uuid::from_u128(rng.random()));
        ids.push(id);
        id
    };
    let event_type = ["Placed", "Paid"][rng.random_range(0..2)];
    let data = vec![b'x'; rng.random_range(0..3)];
    let tags: Vec<String> = (0..rng.random_range(0..3)).map(|n| format!("tag:{n}")).collect();
    NewEvent::new(event_type, data).and_then(|event| event.with_tags(tags)).expect("an event").with_id(id)
}

fn query(rng: &mut StdRng) -> Query {
    match rng.random_range(0..6) {
        0 => Query::all(),
        1 => QueryItem::new().types(["Paid"]).tags(["tag:1"]).into(),
        2 => Query::stream(stream(rng.random_range(0..4))),
        3 => QueryItem::new().stream_prefix("Order-1").stream_prefix("Order-2").types(["Placed"]).into(),
        4 => Query::any_of([QueryItem::new().category("Nothing"), QueryItem::new().tags(["tag:0", "tag:1"])]),
        _ => QueryItem::new().stream_prefix("Or").into(),
    }
}

/// An append, with positions by their rank among all events: memory and fold count in different ways.
fn append(rng: &mut StdRng, ids: &mut Vec<EventId>, events: usize) -> (Append, Vec<(Query, usize)>) {
    let mut append = Append::new();
    let first = rng.random_range(0..3);
    for n in first..first + rng.random_range(1..3) {
        let expected = match rng.random_range(0..6) {
            0 => ExpectedVersion::NoStream,
            1 => ExpectedVersion::Exists,
            2 => ExpectedVersion::Exact(Version::new(rng.random_range(0..6))),
            _ => ExpectedVersion::Any,
        };
        let mut written: Vec<NewEvent> = (0..rng.random_range(0..3)).map(|_| event(rng, ids)).collect();
        written.dedup_by_key(|event| event.id());
        append = append.write(&stream(n), expected, written);
    }
    let mut conditions = Vec::new();
    if rng.random_ratio(1, 4) {
        conditions.push((query(rng), rng.random_range(0..=events)));
    }
    (append, conditions)
}

fn with(append: &Append, conditions: &[(Query, usize)], position: impl Fn(usize) -> Position) -> Append {
    conditions
        .iter()
        .fold(append.clone(), |append, (query, rank)| append.condition(query.clone(), position(*rank)))
}

/// What was answered, in terms that both share.
fn told(answer: &Result<Receipt, Error>, rank: impl Fn(Position) -> usize) -> String {
    match answer {
        Ok(receipt) => {
            let written = receipt.written().iter().map(|written| {
                let places: Vec<usize> = written.positions().iter().map(|position| rank(*position)).collect();
                format!("{} {} {places:?}", written.stream(), written.first_version())
            });
            format!("{} {:?}", receipt.already_committed(), written.collect::<Vec<_>>())
        }
        Err(error) => match error.kind() {
            ErrorKind::Conflict(annalist_core::Conflict::Condition { index, matched }) => {
                format!("condition {index} {}", rank(*matched))
            }
            kind => kind.to_string(),
        },
    }
}

fn log_of(fold: &Fold) -> Vec<annalist_core::RecordedEvent> {
    let bounds = Bounds { bytes_max: usize::MAX, records_max: usize::MAX };
    let seen = Seen { log: log_id(), head: fold.head() };
    let read = Read::log(Query::all()).page_size(1_000_000);
    read::log(&fold.local, &read, &Query::all(), seen, bounds).expect("the log").events
}

#[tokio::test]
async fn verdicts_are_those_of_admission_over_memory() {
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut scribe, memory, mut ids) = (Scribe::new(), MemoryStore::new(), Vec::new());
        let (mut fold, _) = begun(&mut scribe);
        let (mut of_fold, mut of_memory) = (vec![Position::START], vec![Position::START]);
        for _ in 0..40 {
            let mut proposed = Vec::new();
            for _ in 0..rng.random_range(1..4) {
                proposed.push(append(&mut rng, &mut ids, of_fold.len() - 1));
            }
            let appends: Vec<Append> = proposed
                .iter()
                .map(|(append, conditions)| with(append, conditions, |n| of_fold[n]))
                .collect();
            let raw = scribe.record(&fold, 0, &mut Sealed::appends(appends.iter()));
            let Verdict::Appends(answers) = fold.apply(&raw).expect("a verdict").verdict else {
                panic!("not of appends")
            };
            let before = of_memory.clone();
            for ((append, conditions), answer) in proposed.iter().zip(&answers) {
                let expected = memory.append(with(append, conditions, |n| before[n])).await;
                for (receipt, positions) in [(answer, &mut of_fold), (&expected, &mut of_memory)] {
                    if let Ok(receipt) = receipt
                        && !receipt.already_committed()
                    {
                        positions.extend(receipt.written().iter().flat_map(|written| written.positions()));
                    }
                }
                let rank = |all: &[Position], one: Position| {
                    all.iter().position(|known| *known == one).expect("known")
                };
                assert_eq!(
                    told(answer, |position| rank(&of_fold, position)),
                    told(&expected, |position| rank(&of_memory, position)),
                    "seed {seed}"
                );
            }
            if rng.random_ratio(1, 3) {
                fold.commit().expect("written");
            }
        }
        fold.commit().expect("written");
        let page = memory.read(Read::log(Query::all()).page_size(100_000)).await.expect("the log");
        let both = [log_of(&fold), page.events];
        let [ours, theirs] = both.map(|events| {
            let shown =
                events.iter().map(|event| (event.stream().clone(), event.version(), event.event().clone()));
            shown.collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs, "seed {seed}");
        reads_are_filters(&fold, &mut rng);
    }
}

/// A query gives what filtering gives, in both directions and pages of any size.
fn reads_are_filters(fold: &Fold, rng: &mut StdRng) {
    let all = log_of(fold);
    let seen = Seen { log: log_id(), head: fold.head() };
    for _ in 0..20 {
        let query = query(rng);
        let mut wanted: Vec<_> = all.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
        let bounds = Bounds { bytes_max: usize::MAX, records_max: rng.random_range(1..5) };
        let mut read = Read::log(query.clone()).page_size(rng.random_range(1..4));
        if rng.random_ratio(1, 2) {
            read = read.backward();
            wanted.reverse();
        }
        let (mut next, mut found) = (Some(read), Vec::new());
        while let Some(read) = next.take() {
            let Source::Log(query) = read.source() else { panic!("a read of the log") };
            let page = read::log(&fold.local, &read, query, seen, bounds).expect("a page");
            found.extend(page.events);
            next = page.next;
        }
        assert_eq!(found, wanted, "{query:?}");
    }
}

fn name(n: u32) -> CheckpointName {
    CheckpointName::new(format!("consumer-{n}")).expect("a name")
}

/// Any record that a store can write.
fn any_body(rng: &mut StdRng, ids: &mut Vec<EventId>, fold: &Fold) -> Sealed {
    let position = match rng.random_range(0..4) {
        0 => Position::START,
        1 => backend::position(log_id(), rng.random_range(1..90), 0),
        2 => backend::position(LogId::from_uuid(Uuid::from_u128(9)), 3, 0),
        _ => fold.head(),
    };
    let schema = SnapshotSchema::new("v1").expect("a name");
    Sealed::new(&match rng.random_range(0..9) {
        0 => Body::Barrier,
        1 => Body::Claim { name: name(rng.random_range(0..2)) },
        2 => Body::Save { name: name(rng.random_range(0..2)), epoch: rng.random_range(0..4), position },
        3 => Body::Reset { name: name(rng.random_range(0..2)), position },
        4 => {
            let version = Version::new(rng.random_range(0..6));
            Body::Snapshot(Snapshot::new(&stream(rng.random_range(0..2)), &schema, version, vec![1, 2]))
        }
        5 => Body::Prune { stream: stream(rng.random_range(0..2)), schema, keep: rng.random_range(0..3) },
        _ => {
            let appends: Vec<Append> = (0..rng.random_range(1..4))
                .map(|_| {
                    let (append, conditions) = append(rng, ids, 0);
                    with(&append, &conditions, |_| position)
                })
                .collect();
            return Sealed::appends(appends.iter());
        }
    })
}

#[test]
fn it_is_the_same_wherever_it_writes_and_begins_anew() {
    for seed in 0..120 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut scribe, mut ids) = (Scribe::new(), Vec::new());
        let (mut one, genesis) = begun(&mut scribe);
        let mut other = fresh();
        other.apply(&genesis).expect("a log begins");
        let mut raws = vec![genesis];
        for _ in 0..80 {
            let writer = rng.random_range(0..3);
            let mut raw = match rng.random_range(0..12) {
                // A record twice, somebody else's, and one of another log.
                0 => raws[rng.random_range(0..raws.len())].clone(),
                1 => Raw { offset: 0, time: 0, value: Bytes::from_static(b"not ours") },
                _ => {
                    let mut sealed = any_body(&mut rng, &mut ids, &one);
                    scribe.record(&one, writer, &mut sealed)
                }
            };
            (raw.offset, raw.time) = (one.state().applied, raws.len() as i64);
            let [first, second] = [one.apply(&raw), other.apply(&raw)];
            let [first, second] =
                [first, second].map(|applied| format!("{:?}", applied.expect("a verdict").verdict));
            assert_eq!(first, second, "seed {seed}, offset {}", raw.offset);
            assert_eq!(one.state(), other.state(), "seed {seed}");
            one.commit().expect("written");
            if rng.random_ratio(1, 4) {
                other.commit().expect("written");
                other = Fold::over(other.local.clone()).expect("the same state");
            }
            raws.push(raw);
        }
    }
}

#[test]
fn a_record_counts_once_and_not_after_a_later_one_of_its_writer() {
    let mut scribe = Scribe::new();
    let (mut fold, genesis) = begun(&mut scribe);
    let claim = |fold: &Fold, scribe: &mut Scribe| {
        scribe.record(fold, 1, &mut Sealed::new(&Body::Claim { name: name(1) }))
    };
    let early = claim(&fold, &mut scribe);
    let late = claim(&fold, &mut scribe);
    let apply = |fold: &mut Fold, raw: &Raw| {
        let again = Raw { offset: fold.state().applied, ..raw.clone() };
        fold.apply(&again).expect("a verdict").verdict
    };
    let Verdict::Claim(claimed) = apply(&mut fold, &late) else { panic!("not a claim") };
    assert_eq!(claimed.owner.epoch(), 1);
    for raw in [&late, &early] {
        assert!(matches!(apply(&mut fold, raw), Verdict::Skipped(Skipped::Late)));
    }
    assert!(matches!(apply(&mut fold, &genesis), Verdict::Skipped(Skipped::Genesis)));
    assert_eq!((fold.state().late, fold.state().foreign), (2, 1));
}

#[test]
fn what_cannot_be_understood_stops_it() {
    let mut scribe = Scribe::new();
    let (mut fold, _) = begun(&mut scribe);
    let good = scribe.record(&fold, 0, &mut Sealed::new(&Body::Barrier));
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut value = good.value.to_vec();
        change(&mut value);
        Raw { value: value.into(), ..good.clone() }
    };
    let broken = [
        ("another version", with(&|value| value[4] = 2)),
        ("an unknown kind", with(&|value| value[5] = 9)),
        ("too short", with(&|value| value.truncate(40))),
        ("too long", with(&|value| value.push(0))),
        ("another digest", with(&|value| value[60] ^= 1)),
    ];
    for (what, raw) in broken {
        let stopped = fold.apply(&raw).expect_err(what);
        assert!(matches!(stopped.kind(), ErrorKind::Corrupt(_)), "{what}: {stopped}");
    }
    // None of it has changed anything.
    assert!(matches!(fold.apply(&good).expect("a verdict").verdict, Verdict::Barrier));
}

#[test]
fn a_topic_that_does_not_begin_as_a_log_is_none() {
    let mut scribe = Scribe::new();
    let fold = fresh();
    let barrier = scribe.record(&fold, 0, &mut Sealed::new(&Body::Barrier));
    let foreign = Raw { value: Bytes::from_static(b"something else"), ..barrier.clone() };
    for raw in [barrier, foreign] {
        let mut fold = fresh();
        let refused = fold.apply(&raw).expect_err("not a log");
        assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused}");
    }
}

#[test]
fn a_record_of_another_log_is_skipped() {
    let mut scribe = Scribe::new();
    let (mut fold, _) = begun(&mut scribe);
    let mut raw = scribe.record(&fold, 0, &mut Sealed::new(&Body::Barrier));
    let mut value = raw.value.to_vec();
    value[6] ^= 1;
    raw.value = value.into();
    let verdict = fold.apply(&raw).expect("a verdict").verdict;
    assert!(matches!(verdict, Verdict::Skipped(Skipped::OfAnotherLog(_))));
    assert_eq!(fold.state().foreign, 1);
}
