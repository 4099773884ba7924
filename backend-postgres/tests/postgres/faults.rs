//! What happens to an open store when its server changes, fills up or goes away: errors of the right kind, and work again once the cause is gone.

use std::process::Command;
use std::time::{Duration, Instant};

use annalist_core::{
    Append, CheckpointName, CheckpointStore, ErrorKind, EventId, EventStore, ExpectedVersion, NewEvent,
    Query, Read, Snapshot, SnapshotSchema, SnapshotStore, Version,
};
use annalist_postgres::sqlx::Connection;
use annalist_postgres::{Config, PostgresStore};
use annalist_test_servers::postgres::{Server, Settings};

use crate::support::*;

/// A private server that can be changed, and a store on it whose connections can be told by their name.
async fn both(settings: Settings) -> (Server, PostgresStore) {
    let server = private(settings);
    let store = opened(&format!("{}?application_name=the-store", server.url()), &config()).await;
    store.append(tick("Clock-1")).await.unwrap();
    (server, store)
}

/// That every kind of operation works, on this very handle.
async fn assert_works(store: &PostgresStore) {
    let name = CheckpointName::new("mailer").unwrap();
    eventually("the store to work again", async || store.append(tick("Clock-1")).await.ok()).await;
    let events = all(store, Query::all()).await;
    let place = events.last().unwrap().position();
    let owner = store.claim_checkpoint(&name).await.unwrap().owner;
    store.save_checkpoint(&owner, place).await.unwrap();
    assert_eq!(store.load_checkpoint(&name).await.unwrap().unwrap().position, place);
    store.save_snapshot(snapshot()).await.unwrap();
    for version in (1..).zip(&events) {
        assert_eq!(version.1.version(), Version::new(version.0), "nothing is lost or doubled");
    }
}

fn snapshot() -> Snapshot {
    Snapshot::new(&stream("Clock-1"), &SnapshotSchema::new("tally/1").unwrap(), Version::FIRST, "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_read_only_is_told() {
    let (server, store) = both(Settings::default()).await;
    let set = |value: &str| {
        let text =
            format!("ALTER SYSTEM SET default_transaction_read_only = {value}; SELECT pg_reload_conf()");
        tokio::task::block_in_place(|| server.sql(&text)).unwrap();
    };
    set("on");
    // Each session takes the setting in in its own time.
    let append =
        eventually("an append to be refused", async || store.append(tick("Clock-1")).await.err()).await;
    assert_misconfigured(&append, "read-only");
    let save = eventually("a save to be refused", async || store.save_snapshot(snapshot()).await.err()).await;
    assert_misconfigured(&save, "read-only");
    let name = CheckpointName::new("mailer").unwrap();
    let claim = eventually("a claim to be refused", async || store.claim_checkpoint(&name).await.err()).await;
    assert_misconfigured(&claim, "read-only");
    assert!(!all(&store, Query::all()).await.is_empty(), "reading goes on");
    set("off");
    assert_works(&store).await;
}

/// A small file system in memory, gone with its handle.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(megabytes: u32) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(folder.path());
        let mounted = command.output().is_ok_and(|output| output.status.success());
        assert!(
            mounted,
            "a full disk needs a small file system, and only root may mount one: run this test as root"
        );
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// Fills what is left of it.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.0.path().join("ballast")).unwrap();
        while std::io::Write::write_all(&mut ballast, &[7; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that is slow to leave its folder does not keep it from being unmounted.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_unavailable_until_there_is_room() {
    let disk = SmallDisk::new(200);
    let (server, store) = both(Settings::default().in_folder(disk.0.path())).await;
    disk.fill();
    // Bytes that no compression makes smaller.
    let data: Vec<u8> = (0..50_000).flat_map(|_| *EventId::new().as_uuid().as_bytes()).collect();
    let big = || {
        let event = NewEvent::new("Filled", data.clone()).unwrap();
        Append::to(&stream("Big-1"), ExpectedVersion::Any, [event]).timeout(Duration::from_secs(5))
    };
    let error = refusal(store.append(big())).await;
    // What has no place in a table is certainly not written; what has none in the write-ahead log takes the server down.
    assert_out_of_reach(&error);
    disk.make_room();
    tokio::task::block_in_place(|| if server.is_running() { Ok(()) } else { server.restart() }).unwrap();
    assert_works(&store).await;
    within(store.append(big())).await.unwrap();
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unavailable_and_then_works() {
    let (server, store) = both(Settings::default()).await;
    for end in [Server::stop, Server::kill] {
        tokio::task::block_in_place(|| end(&server)).unwrap();
        assert_out_of_reach(&refusal(store.append(tick("Clock-1"))).await);
        // At whose deadline an attempt is under way, it stays open whether anything was sent.
        let begun = Instant::now();
        assert_out_of_reach(&refusal(store.append(tick("Clock-1"))).await);
        assert!(begun.elapsed() < config().timeout * 3, "{:?}", begun.elapsed());
        assert_unavailable(&refusal(store.read(Read::log(Query::all()))).await);
        let name = CheckpointName::new("mailer").unwrap();
        assert_out_of_reach(&refusal(store.claim_checkpoint(&name)).await);
        assert_unavailable(&refusal(store.load_checkpoint(&name)).await);
        assert_out_of_reach(&refusal(store.save_snapshot(snapshot())).await);
        assert_unavailable(&refusal(PostgresStore::connect(&server.url(), config())).await);
        tokio::task::block_in_place(|| server.restart()).unwrap();
        assert_works(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_free_connection_is_unavailable() {
    let (server, store) = both(Settings::default().with_line("max_connections = 10")).await;
    let mut taken = vec![raw(&server.url()).await];
    run(
        &mut taken[0],
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the-store'",
    )
    .await;
    eventually("every place to be taken", async || {
        match annalist_postgres::sqlx::PgConnection::connect(&server.url()).await {
            Ok(connection) => taken.push(connection),
            Err(_) => return (taken.len() == 10).then_some(()),
        }
        None
    })
    .await;
    let (config, url): (Config, _) = (config(), server.url());
    assert_unavailable(&refusal(PostgresStore::connect(&url, config.clone())).await);
    assert_unavailable(&refusal(PostgresStore::setup(&url, &config)).await);
    assert_out_of_reach(&refusal(store.append(tick("Clock-1"))).await);
    assert_unavailable(&refusal(store.read(Read::log(Query::all()))).await);
    for connection in taken {
        connection.close().await.unwrap();
    }
    assert_works(&store).await;
}

/// A schema that is dropped is an error and never an empty store (E3); made anew it is another log.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_dropped_is_missing() {
    let config = patient();
    let store = opened(&url(), &config).await;
    let old = store.append(tick("Clock-1")).await.unwrap().position().unwrap();
    run_at(&url(), format!("DROP SCHEMA {} CASCADE", config.schema)).await;
    let name = CheckpointName::new("mailer").unwrap();
    assert_misconfigured(&refusal(store.append(tick("Clock-1"))).await, "run its set-up");
    assert_misconfigured(&refusal(store.read(Read::log(Query::all()))).await, "run its set-up");
    assert_misconfigured(&refusal(store.read(Read::stream(&stream("Clock-1")))).await, "run its set-up");
    assert_misconfigured(&refusal(store.claim_checkpoint(&name)).await, "run its set-up");
    assert_misconfigured(&refusal(store.save_snapshot(snapshot())).await, "run its set-up");
    PostgresStore::setup(&url(), &config).await.unwrap();
    assert_works(&store).await;
    let error = refusal(store.read(Read::log(Query::all()).after(old))).await;
    assert!(matches!(error.kind(), ErrorKind::WrongHistory(_)), "{error:?}");
}

/// Dropping a connection needs a runtime, and an application may drop its store where none is entered: after `block_on` has returned.
/// The driver then panics in `drop`, so that the lease enters the runtime in which it was taken.
#[test]
fn a_store_may_be_dropped_outside_of_its_runtime() {
    for ends_first in [false, true] {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let store = runtime.block_on(async {
            let store = store().await;
            store.append(tick("Clock-1")).await.unwrap();
            store
        });
        if ends_first {
            drop(runtime);
            drop(store);
        } else {
            drop(store);
        }
    }
}
