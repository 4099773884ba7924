//! Pages that are cut by bytes or by positions, under random queries, are together what filtering gives.

use annalist_core::{
    Append, EventStore, ExpectedVersion, NewEvent, Position, Query, QueryItem, Read, RecordedEvent, Version,
};
use annalist_postgres::{Config, PostgresStore};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::support::*;

/// More than are looked through without an index.
const EVENTS: usize = 1_500;

const TYPES: [&str; 5] = ["Placed", "Paid", "Sent", "Lost%", "Lost_"];
const TAGS: [&str; 6] = ["red", "green", "blue", "re", "50%", "a_b"];

fn streams() -> Vec<String> {
    let categories = ["Order", "Ord", "Stock", "St%ck", "Solo"];
    categories
        .iter()
        .flat_map(|category| (0..4).map(move |n| format!("{category}-{n}")))
        .chain(["Order".to_owned()])
        .collect()
}

fn some<T: Clone>(random: &mut StdRng, of: &[T], most: usize) -> Vec<T> {
    let count = random.random_range(1..=most);
    of.choose_multiple(random, count).cloned().collect()
}

fn random_event(random: &mut StdRng) -> NewEvent {
    let event_type = *TYPES.choose(random).unwrap();
    let size = if random.random_ratio(1, 50) { 20_000 } else { random.random_range(0..400) };
    let tags = if random.random_bool(0.5) { some(random, &TAGS, 3) } else { Vec::new() };
    NewEvent::new(event_type, vec![b'7'; size]).unwrap().with_tags(tags).unwrap()
}

fn random_item(random: &mut StdRng) -> QueryItem {
    let mut item = QueryItem::new();
    if random.random_bool(0.3) {
        item = item.streams(some(random, &streams(), 3));
    }
    if random.random_bool(0.3) {
        item = item.stream_prefix(*["Ord", "St", "St%", "Solo-1", "Nothing"].choose(random).unwrap());
    }
    if random.random_bool(0.3) {
        item = item.category(*["Order", "Ord", "Stock", "St%ck", "Nothing"].choose(random).unwrap());
    }
    if random.random_bool(0.4) {
        item = item.types(some(random, &TYPES, 2));
    }
    if random.random_bool(0.4) {
        item = item.tags(some(random, &TAGS, 2));
    }
    // An item must have a part.
    if item.name_count() == 0 { item.types(some(random, &TYPES, 2)) } else { item }
}

fn random_query(random: &mut StdRng) -> Query {
    if random.random_ratio(1, 10) {
        return Query::all();
    }
    let items = random.random_range(1..=3);
    Query::any_of((0..items).map(|_| random_item(random)))
}

async fn filled(config: &Config, random: &mut StdRng) -> Vec<RecordedEvent> {
    let store = opened(&url(), config).await;
    let streams = streams();
    while all(&store, Query::all()).await.len() < EVENTS {
        let events: Vec<_> = (0..EVENTS / 10).map(|_| random_event(random)).collect();
        let appends = events.chunks(5).map(|events| {
            Append::to(&stream(streams.choose(random).unwrap()), ExpectedVersion::Any, events.to_vec())
        });
        for append in appends {
            store.append(append).await.unwrap();
        }
    }
    all(&store, Query::all()).await
}

/// A read of the log with random bounds, and the events that it means.
fn random_read(random: &mut StdRng, log: &[RecordedEvent], query: &Query) -> (Read, Vec<RecordedEvent>) {
    let mut read = Read::log(query.clone()).page_size(*[3, 100, 1_000].choose(random).unwrap());
    let mut meant: Vec<_> = log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
    if random.random_bool(0.5) {
        let after = log.choose(random).map_or(Position::START, RecordedEvent::position);
        read = read.after(after);
        meant.retain(|event| event.position() > after);
    }
    if random.random_bool(0.3) {
        let until = log.choose(random).map_or(Position::START, RecordedEvent::position);
        read = read.until(until);
        meant.retain(|event| event.position() <= until);
    }
    if random.random_bool(0.5) {
        read = read.backward();
        meant.reverse();
    }
    if random.random_bool(0.3) {
        let limit = random.random_range(0..50);
        read = read.limit(limit);
        meant.truncate(usize::try_from(limit).unwrap());
    }
    (read, meant)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_to_what_filtering_gives() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let config = patient();
    let log = filled(&config, &mut random).await;
    // Bytes and positions per page: the usual ones, and so few that they cut.
    // A page that is cut by its bytes costs a connection, so that fewer are read of those.
    for (bytes, positions, reads) in
        [(8 * 1024 * 1024, 50_000, 60), (40_000, 50_000, 20), (8 * 1024 * 1024, 100, 60), (1, 700, 10)]
    {
        let mut config = config.clone();
        (config.page_bytes_max, config.page_positions_max) = (bytes, positions);
        let store = PostgresStore::connect(&url(), config).await.unwrap();
        for _ in 0..reads {
            let query = random_query(&mut random);
            let (mut read, mut meant) = random_read(&mut random, &log, &query);
            if bytes == 1 && read.limit_left().is_none_or(|limit| limit > 20) {
                read = read.limit(20);
                meant.truncate(20.min(meant.len()));
            }
            let found = joined(&store, read.clone()).await;
            let places =
                |events: &[RecordedEvent]| events.iter().map(RecordedEvent::position).collect::<Vec<_>>();
            assert_eq!(
                places(&found),
                places(&meant),
                "seed {seed}, {bytes} bytes, {positions} positions: {read:?}"
            );
            assert!(found == meant, "the events themselves differ: seed {seed}, {read:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_stream_are_cut_by_bytes() {
    let mut config = patient();
    config.page_bytes_max = 1_000;
    let store = opened(&url(), &config).await;
    let sizes = [0, 400, 400, 400, 5_000, 1, 5_000, 0, 999, 1];
    let events = sizes.map(|size| NewEvent::new("Filled", vec![b'7'; size]).unwrap());
    store.append(Append::to(&stream("Filled-1"), ExpectedVersion::Any, events)).await.unwrap();
    for (from, to) in [(1, 10), (1, 5), (3, 10), (4, 4), (5, 7)] {
        let read = Read::stream(&stream("Filled-1")).from(Version::new(from)).to(Version::new(to));
        let mut found = joined(&store, read.clone()).await;
        let versions: Vec<_> = found.iter().map(|event| event.version().get()).collect();
        assert_eq!(versions, (from..=to).collect::<Vec<_>>());
        found.reverse();
        assert_eq!(joined(&store, read.backward()).await, found);
    }
    let first = store.read(Read::stream(&stream("Filled-1"))).await.unwrap();
    assert!(first.events.len() < 5 && first.next.is_some(), "{}", first.events.len());
}
