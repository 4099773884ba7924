//! Pages are bounded, whatever is in them.

use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, Query, QueryItem, Read};
use annalist_sqlite::SqliteStore;

use crate::support::*;

#[tokio::test]
async fn pages_are_cut_by_bytes_and_lose_nothing() {
    let place = Place::new();
    let mut config = patient();
    config.page_bytes_max = 50_000;
    let store = SqliteStore::open(&place.file, config).await.unwrap();
    for n in 0..30 {
        let events = [event_of(20_000), event_of(10)];
        store
            .append(Append::to(&stream(&format!("Big-{}", n % 2)), ExpectedVersion::Any, events))
            .await
            .unwrap();
    }
    for read in [
        Read::log(Query::all()),
        Read::log(Query::category("Big")),
        Read::log(Query::stream("Big-1")),
        Read::stream(&stream("Big-0")),
    ] {
        for read in [read.clone(), read.backward()] {
            let page = store.read(read.clone()).await.unwrap();
            assert!(page.events.len() <= 6, "{} events of 10 to 20 kB in a page", page.events.len());
            let events = joined(&store, read.clone()).await;
            assert_eq!(events, joined(&opened(&place.file).await, read).await);
        }
    }
}

#[tokio::test]
async fn a_query_that_finds_little_gives_pages_all_the_same() {
    let place = Place::new();
    let mut config = patient();
    config.page_positions_max = 10;
    let store = SqliteStore::open(&place.file, config).await.unwrap();
    for n in 0..100_usize {
        let name = if n % 33 == 0 { "Rare" } else { "Ticked" };
        let event = NewEvent::new(name, "{}").unwrap().with_tags(["even"]).unwrap();
        store
            .append(Append::to(&stream(&format!("Clock-{}", n % 7)), ExpectedVersion::Any, [event]))
            .await
            .unwrap();
    }
    let rare = QueryItem::new().types(["Rare"]);
    for query in [
        rare.clone().tags(["even"]).into(),
        rare.clone().stream("Clock-0").into(),
        Query::from(rare.stream_prefix("Cl")),
        QueryItem::new().stream_prefix("Clock-0").into(),
        QueryItem::new().stream_prefix("C").into(),
    ] {
        let expected: Vec<_> =
            all(&store).await.into_iter().filter(|event| query.matches_recorded(event)).collect();
        assert!(!expected.is_empty());
        assert_eq!(joined(&store, Read::log(query.clone())).await, expected);
        let mut backward = joined(&store, Read::log(query).backward()).await;
        backward.reverse();
        assert_eq!(backward, expected);
    }
}
