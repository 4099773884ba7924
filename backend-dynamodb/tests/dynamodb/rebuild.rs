//! An index that is made anew, and what is cleared away with it.

use std::sync::Arc;

use annalist_core::{
    Append, CheckpointName, CheckpointStore, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Query,
};
use annalist_dynamodb::testing::{Attributes, Key};
use annalist_dynamodb::{Config, DynamoStore, Rebuild, Rebuilt};

use crate::memory::MemoryTable;
use crate::support::{
    at_once, check_log, index_of, indexed, medley, open, read_all, rebuilt, room, stream, watermark,
};

async fn rebuild(table: &MemoryTable, how: Rebuild) -> Result<Rebuilt, Error> {
    DynamoStore::rebuild_over(Arc::new(table.clone()), &Config::default(), how).await
}

/// A log with its whole index, one of its batches in chunks, and a checkpoint.
async fn grown() -> MemoryTable {
    let table = MemoryTable::default();
    let store = open(&table, at_once()).await;
    medley(&store, 7).await;
    let large = (0..3).map(|_| NewEvent::new("Filled", vec![b'x'; 300 * 1024]).unwrap());
    store.append(Append::to(&stream("Large-1"), ExpectedVersion::NoStream, large)).await.unwrap();
    medley(&store, 7).await;
    let owner = store.claim_checkpoint(&CheckpointName::new("mailer").unwrap()).await.unwrap().owner;
    let head = store.read(annalist_core::Read::log(Query::all()).limit(0)).await.unwrap().head;
    store.save_checkpoint(&owner, head).await.unwrap();
    indexed(&store, &table).await;
    store.close().await.unwrap();
    table
}

/// The key of the first item of a room.
fn first_in(table: &MemoryTable, of: &str) -> Key {
    table.items().into_keys().find(|key| room(key).starts_with(of)).unwrap()
}

/// The same without some items and with others.
fn changed(table: &MemoryTable, without: &[Key], with: Vec<(Key, Attributes)>) -> MemoryTable {
    let items = table.items().into_iter().filter(|(key, _)| !without.contains(key));
    MemoryTable::of(items.chain(with).collect::<Vec<_>>())
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_index_is_the_one_that_grew_and_nothing_else_changes() {
    let table = grown().await;
    let items = table.items();
    let lost = [first_in(&table, "/s/"), first_in(&table, "/p/t/")];
    let stray = |like: &str, sort: &str| {
        let like = first_in(&table, like);
        (Key { sort: sort.to_owned(), ..like.clone() }, items[&like].clone())
    };
    let chunk = first_in(&table, "/c/");
    let (number, _) = chunk.sort.split_once('/').unwrap();
    let orphan = format!("{number}/{}/0000", annalist_core::EventId::new().as_uuid().simple());
    let strays = vec![
        stray("/s/Order-1", "v00000000000003e8"),
        stray("/p/t/", "00000000000003e8"),
        stray("/c/", &orphan),
        (Key { partition: "annalist2/s/x".to_owned(), sort: "v1".to_owned() }, items[&chunk].clone()),
    ];
    let other = strays[3].clone();
    let broken = changed(&table, &lost, strays);
    let done = rebuild(&broken, Rebuild::default()).await.unwrap();
    assert_eq!((done.batches, done.chunks_deleted, done.batches_deleted), (15, 1, 0));
    assert_eq!(done.index_items_deleted as usize, index_of(&table).len());
    assert_eq!(index_of(&broken), index_of(&table));
    let mut now = broken.items();
    assert_eq!(now.remove(&other.0), Some(other.1));
    let watermark = |key: &Key| key.sort == "watermark";
    assert!(
        now.into_iter()
            .filter(|(key, _)| !watermark(key))
            .eq(items.into_iter().filter(|(key, _)| !watermark(key)))
    );
    assert_eq!(crate::support::watermark(&broken), 15);
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_a_gap_goes_only_where_that_is_wanted() {
    let table = grown().await;
    let number = |key: &Key| u64::from_str_radix(&key.sort[..16], 16).unwrap();
    let gone = |n: u64| {
        let batches = table.items().into_keys().filter(|key| room(key).starts_with("/b/"));
        batches.into_iter().find(|key| number(key) == n).unwrap()
    };
    let of_large = first_in(&table, "/c/");
    // A batch that is missing, and one that lacks a part.
    for (missing, end) in [(gone(12), 11), (of_large, 7)] {
        let restored = changed(&table, &[missing], Vec::new());
        let before = restored.items();
        let refused = rebuild(&restored, Rebuild::default()).await.unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Corrupt(said) if said.contains(&format!("after batch {end},"))),
            "{refused}"
        );
        assert_eq!(restored.items(), before);
        let done = rebuild(&restored, Rebuild::default().drop_unchained()).await.unwrap();
        assert_eq!(done.batches, end);
        assert_eq!((check_log(&restored), watermark(&restored)), (end, end));
        assert_eq!(index_of(&restored), rebuilt(&restored).await);
        let store = open(&restored, at_once()).await;
        medley(&store, 3).await;
        assert_eq!(check_log(&restored), end + 3);
        assert!(
            restored
                .items()
                .into_keys()
                .filter(|key| room(key).starts_with("/c/"))
                .all(|key| number(&key) <= end)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_half_way_is_gone_on_with() {
    let table = grown().await;
    let index = index_of(&table);
    for writes in (0..2 * index.len() + 2).step_by(7) {
        for again in [false, true] {
            let table = table.copy(|_| true);
            table.lose_after(writes);
            rebuild(&table, Rebuild::default()).await.unwrap_err();
            table.heal();
            if again {
                rebuild(&table, Rebuild::default()).await.unwrap();
            } else {
                let store = open(&table, at_once()).await;
                assert_eq!(read_all(&store, Query::stream("Large-1")).await.len(), 3);
                indexed(&store, &table).await;
            }
            assert_eq!(index_of(&table), index, "after {writes} writes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_without_a_log_is_refused() {
    let refused = rebuild(&MemoryTable::default(), Rebuild::default()).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused}");
}
