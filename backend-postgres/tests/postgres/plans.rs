//! Reads by stream, type, category and tag use their indexes: on a log of some size none of them looks through the table.
//!
//! The counts come from the session's own statistics of its open transaction, which are exact and there at once. So the store works on a pool
//! of one connection on which a transaction was begun past it.

use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, Query, QueryItem, Read, Version};
use annalist_postgres::PostgresStore;
use annalist_postgres::sqlx::postgres::PgPoolOptions;
use annalist_postgres::sqlx::{self, Executor};

use crate::support::*;

const EVENTS: u64 = 12_000;
/// How many events each of the queries matches.
const MATCHING: usize = 12;

/// Every thousandth event is rare in each way, apart from each other.
fn numbered(n: u64) -> (String, NewEvent) {
    let rare = n % 1_000;
    let stream = match rare {
        1 => "Rare-1".to_owned(),
        2 => format!("Seldom-{n}"),
        _ => format!("Often-{}", n % 50),
    };
    let event_type = if rare == 3 { "Rare" } else { "Often" };
    let tags: &[&str] = if rare == 4 { &["often", "rare"] } else { &["often"] };
    (stream, NewEvent::new(event_type, "{}").unwrap().with_tags(tags.iter().copied()).unwrap())
}

async fn fill(store: &PostgresStore) {
    for chunk in 0..EVENTS / 1_000 {
        let events = (chunk * 1_000..(chunk + 1) * 1_000).map(numbered);
        let mut streams = std::collections::BTreeMap::<_, Vec<_>>::new();
        events.for_each(|(stream, event)| streams.entry(stream).or_default().push(event));
        let append = streams.into_iter().fold(Append::new(), |append, (name, events)| {
            append.write(&stream(&name), ExpectedVersion::Any, events)
        });
        store.append(append).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_common_read_looks_through_the_table() {
    let config = patient();
    let filler = opened(&url(), &config).await;
    fill(&filler).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .after_connect(|connection, _| Box::pin(async move { connection.execute("BEGIN").await.map(drop) }))
        .connect(&url())
        .await
        .unwrap();
    let store = PostgresStore::open(pool.clone(), config.clone()).await.unwrap();
    let counts = async || {
        let text = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE schemaname = $1 AND relname = 'event'";
        sqlx::query_as::<_, (i64, i64)>(text).bind(&config.schema).fetch_one(&pool).await.unwrap()
    };
    let both = QueryItem::new().types(["Rare"]).tags(["often"]);
    let reads = [
        ("a stream", Read::stream(&stream("Rare-1")), MATCHING),
        ("part of a stream", Read::stream(&stream("Often-7")).from(Version::new(200)).limit(5), 5),
        ("a stream in the log", Read::log(Query::stream("Rare-1")), MATCHING),
        ("a type", Read::log(Query::types(["Rare"])), MATCHING),
        ("a category", Read::log(Query::category("Seldom")), MATCHING),
        ("a tag", Read::log(Query::tags(["rare"])), MATCHING),
        ("two tags, the rare one first", Read::log(Query::tags(["rare", "often"])), MATCHING),
        (
            "items",
            Read::log(Query::any_of([QueryItem::new().types(["Rare"]), QueryItem::new().tags(["rare"])])),
            2 * MATCHING,
        ),
        ("the end of the log", Read::log(Query::all()).backward().limit(5), 5),
    ];
    for is_analyzed in [false, true] {
        if is_analyzed {
            run_at(
                &url(),
                format!("ANALYZE {schema}.event; ANALYZE {schema}.event_tag", schema = config.schema),
            )
            .await;
        }
        for (what, read, matching) in &reads {
            for read in [read.clone(), read.clone().backward()] {
                // From the sixth time on, the server may take a plan that fits all parameters.
                for round in 0..8 {
                    let (scans, fetched) = counts().await;
                    let found = joined(&store, read.clone()).await.len();
                    let (scans, fetched) = {
                        let now = counts().await;
                        (now.0 - scans, now.1 - fetched)
                    };
                    assert_eq!(found, *matching, "{what}");
                    assert_eq!(scans, 0, "{what}, round {round}: a scan of the whole table");
                    // An event may be looked at by each item and then read, and the newest of the stream once more.
                    let most = i64::try_from(*matching).unwrap() * 4 + 10;
                    assert!(fetched <= most, "{what}, round {round}: {fetched} rows for {matching}");
                }
            }
        }
    }
    // What no single index answers is bounded by the best of them.
    let found = joined(&store, Read::log(both)).await.len();
    assert_eq!(found, MATCHING);
    assert_eq!(counts().await.0, 0);
}
