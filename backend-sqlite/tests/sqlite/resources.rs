//! What a store holds, and that it lets go of it.

use annalist_core::{ErrorKind, EventStore, Query, Subscribe};
use annalist_sqlite::SqliteStore;
use annalist_sqlite::rusqlite::Connection;

use crate::support::*;

#[tokio::test]
async fn closing_leaves_everything_in_the_one_file() {
    let place = Place::new();
    let (one, other) = (opened(&place.file).await, opened(&place.file).await);
    for _ in 0..10 {
        one.append(tick("Clock-1")).await.unwrap();
    }
    let written = all(&other).await;
    one.close().await.unwrap();
    assert!(matches!(one.append(tick("Clock-1")).await.unwrap_err().kind(), ErrorKind::Closed));
    other.append(tick("Clock-1")).await.unwrap();
    other.close().await.unwrap();
    one.close().await.unwrap();
    let left: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["history.db"]);
    let copy = place.folder.path().join("copy.db");
    std::fs::copy(&place.file, &copy).unwrap();
    assert_eq!(all(&opened(&copy).await).await[..10], written);
}

#[test]
fn a_store_that_is_dropped_outside_of_its_runtime_lets_go() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, subscription) = runtime.block_on(async {
        let store = opened(&place.file).await;
        store.append(tick("Clock-1")).await.unwrap();
        let subscription = store.subscribe(Subscribe::to(Query::all())).await.unwrap();
        (store, subscription)
    });
    drop(runtime);
    drop(subscription);
    drop(store);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = opened(&place.file).await;
        store.append(tick("Clock-1")).await.unwrap();
        assert_eq!(all(&store).await.len(), 2);
    });
}

#[test]
fn a_store_outlives_the_runtime_in_which_it_was_opened() {
    let place = Place::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime().block_on(opened(&place.file));
    for n in 1..=3 {
        let found = runtime().block_on(async {
            store.append(tick("Clock-1")).await.unwrap();
            all(&store).await.len()
        });
        assert_eq!(found, n);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn opening_and_closing_again_and_again_leaves_neither_files_nor_threads() {
    let place = Place::new();
    let open_files = || {
        let all = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        all.filter(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.starts_with(place.folder.path())))
            .count()
    };
    for _ in 0..50 {
        let store = opened(&place.file).await;
        store.append(tick("Clock-1")).await.unwrap();
        all(&store).await;
        store.close().await.unwrap();
        assert_eq!(open_files(), 0);
    }
    for _ in 0..50 {
        let store = opened(&place.file).await;
        store.append(tick("Clock-1")).await.unwrap();
    }
    eventually("the files of stores that were dropped to be closed", async || {
        (open_files() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_file_is_told_to_survive_what_it_is_set_to() {
    let place = Place::new();
    let store = opened(&place.file).await;
    assert_eq!(store.capabilities().survives(), annalist_core::Survives::PowerLoss);
    let mode: String = Connection::open(&place.file)
        .and_then(|connection| connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn names_for_people_are_in_a_view() {
    let place = Place::new();
    let store: SqliteStore = opened(&place.file).await;
    let event = annalist_core::NewEvent::new("Ticked", r#"{"n":1}"#).unwrap().with_tags(["a", "b"]).unwrap();
    let id = event.id().to_string();
    let append = annalist_core::Append::to(&stream("Clock-1"), annalist_core::ExpectedVersion::Any, [event]);
    store.append(append).await.unwrap();
    let connection = Connection::open(&place.file).unwrap();
    let text = "SELECT stream || ' ' || version || ' ' || type || ' ' || id || ' ' || data || ' ' || tags FROM events";
    let shown: String = connection.query_row(text, [], |row| row.get(0)).unwrap();
    assert_eq!(shown, format!("Clock-1 1 Ticked {id} {{\"n\":1}} a, b"));
}
