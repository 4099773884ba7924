//! Files that are not what they should be, or are no longer where they were.

use annalist_core::{ErrorKind, EventStore, Query, Read};
use annalist_sqlite::{Config, SqliteStore};

use crate::support::*;

#[tokio::test]
async fn a_file_that_is_none_of_sqlite_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let text = "Dear diary, ".repeat(500);
    std::fs::write(&place.file, &text).unwrap();
    assert_misconfigured(&refused(&place.file).await, "none of SQLite");
    assert_eq!(std::fs::read_to_string(&place.file).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_left_as_it_is() {
    let place = Place::new();
    run_past(&place.file, "CREATE TABLE event (name TEXT); INSERT INTO event VALUES ('wedding')");
    let before = std::fs::read(&place.file).unwrap();
    assert_misconfigured(&refused(&place.file).await, "something else");
    assert_eq!(std::fs::read(&place.file).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_opened_only_where_that_version_allows_it() {
    let place = Place::new();
    let store = opened(&place.file).await;
    store.append(tick("Clock-1")).await.unwrap();
    store.close().await.unwrap();

    run_past(&place.file, "PRAGMA user_version = 900; UPDATE log SET works_with = 1");
    let store = opened(&place.file).await;
    assert_eq!(all(&store).await.len(), 1);
    store.close().await.unwrap();

    run_past(&place.file, "UPDATE log SET works_with = 899");
    assert_misconfigured(&refused(&place.file).await, "update this program");
    run_past(&place.file, "UPDATE log SET works_with = 1");
    assert_eq!(all(&opened(&place.file).await).await.len(), 1);
}

#[tokio::test]
async fn a_damaged_file_is_corrupt_and_never_a_shorter_log() {
    // Each page in turn is overwritten: what is read is either all there or an error, and so is what is written.
    let place = Place::new();
    let store = opened(&place.file).await;
    let mut written = Vec::new();
    for n in 0..60 {
        written.push(tick(&format!("Clock-{n}")));
        store.append(written[n].clone()).await.unwrap();
        store
            .append(annalist_core::Append::to(
                &stream("Big-1"),
                annalist_core::ExpectedVersion::Any,
                [event_of(1_000)],
            ))
            .await
            .unwrap();
    }
    let whole = all(&store).await;
    store.close().await.unwrap();
    let sound = std::fs::read(&place.file).unwrap();
    let (mut noticed, pages) = (0, sound.len() / 4096);
    for page in 0..pages {
        let mut damaged = sound.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0x5a);
        std::fs::write(&place.file, &damaged).unwrap();
        noticed += usize::from(reads_or_tells(&place, &whole).await);
    }
    assert!(noticed * 2 > pages, "{noticed} of {pages} damaged pages were noticed by reading the log");
    std::fs::write(&place.file, &sound).unwrap();
    assert_eq!(all(&opened(&place.file).await).await, whole);
}

/// Whether the damage was told; if not, all that was written must be there.
async fn reads_or_tells(place: &Place, whole: &[annalist_core::RecordedEvent]) -> bool {
    let told = |error: &annalist_core::Error| {
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_) | ErrorKind::Misconfigured(_)), "{error:?}");
        true
    };
    let store = match SqliteStore::open(&place.file, config()).await {
        Ok(store) => store,
        Err(error) => return told(&error),
    };
    let mut events = Vec::new();
    let mut next = Some(Read::log(Query::all()));
    let mut is_told = false;
    while let Some(read) = next.take() {
        match store.read(read).await {
            Ok(page) => {
                events.extend(page.events);
                next = page.next;
            }
            Err(error) => is_told = told(&error),
        }
    }
    if !is_told {
        assert_eq!(events, whole);
    }
    // Through an index: the version of a stream may not be told as none.
    match store.read(Read::stream(&stream("Clock-7"))).await {
        Ok(page) => assert_eq!(page.version.get(), 1, "a stream that is there"),
        Err(error) => is_told = told(&error),
    }
    store.close().await.unwrap();
    is_told
}

#[tokio::test]
async fn a_file_that_is_taken_away_is_missed_at_once_and_works_again_when_it_is_back() {
    let place = Place::new();
    let store = hasty(&place.file).await;
    store.append(tick("Clock-1")).await.unwrap();
    let elsewhere = place.folder.path().join("elsewhere.db");
    std::fs::rename(&place.file, &elsewhere).unwrap();
    // It would go on in a file that nobody finds again.
    assert_misconfigured(&within(store.append(tick("Clock-1"))).await.unwrap_err(), "there is no file");
    assert_misconfigured(&within(store.read(Read::log(Query::all()))).await.unwrap_err(), "there is no file");
    std::fs::rename(&elsewhere, &place.file).unwrap();
    store.append(tick("Clock-1")).await.unwrap();
    assert_eq!(all(&store).await.len(), 2);
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_another_is_another_history() {
    let place = Place::new();
    let (store, other) = (hasty(&place.file).await, Place::new());
    let head = store.append(tick("Clock-1")).await.unwrap().position().unwrap();
    let restored = opened(&other.file).await;
    restored.append(tick("Clock-9")).await.unwrap();
    restored.close().await.unwrap();
    // As when a backup is put back: with what belongs to the file that was there.
    for ending in ["", "-wal", "-shm"] {
        std::fs::remove_file(beside(&place.file, ending)).unwrap();
    }
    std::fs::rename(&other.file, &place.file).unwrap();

    let lost = within(store.read(Read::log(Query::all()).after(head))).await.unwrap_err();
    assert!(matches!(lost.kind(), ErrorKind::WrongHistory(_)), "{lost:?}");
    store.append(tick("Clock-9")).await.unwrap();
    let events = all(&store).await;
    assert_eq!(
        events.iter().map(|event| event.stream().as_str()).collect::<Vec<_>>(),
        ["Clock-9", "Clock-9"]
    );
    assert_eq!(all(&opened(&place.file).await).await, events);
}

#[tokio::test]
async fn an_empty_file_does_not_pass_for_the_log_that_was_there() {
    let place = Place::new();
    let store = hasty(&place.file).await;
    store.append(tick("Clock-1")).await.unwrap();
    for ending in ["", "-wal", "-shm"] {
        std::fs::remove_file(beside(&place.file, ending)).unwrap();
    }
    std::fs::write(&place.file, "").unwrap();
    assert_misconfigured(&within(store.append(tick("Clock-1"))).await.unwrap_err(), "empty");
    assert_misconfigured(&within(store.read(Read::log(Query::all()))).await.unwrap_err(), "empty");
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_refused() {
    let place = Place::new();
    assert_misconfigured(
        &refused(&place.folder.path().join("no folder/history.db")).await,
        "there is no folder",
    );
    assert_misconfigured(&refused(place.folder.path()).await, "cannot be opened");
    let mut config = Config::default();
    config.create = false;
    let missing = SqliteStore::open(&place.file, config).await.unwrap_err();
    assert_misconfigured(&missing, "there is no file");
    assert!(!place.file.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn two_names_for_one_file_are_one_store() {
    let place = Place::new();
    let store = opened(&place.file).await;
    store.append(tick("Clock-1")).await.unwrap();
    let link = place.folder.path().join("link.db");
    std::os::unix::fs::symlink(&place.file, &link).unwrap();
    let other = opened(&link).await;
    other.append(tick("Clock-1")).await.unwrap();
    assert_eq!(all(&store).await, all(&other).await);
    assert!(!beside(&link, "-wal").exists());
}
