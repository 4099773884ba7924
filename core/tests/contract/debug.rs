//! Debug output tells the length of a payload, and never the payload (E2).

use std::fmt;
use std::time::SystemTime;

use annalist_core::{
    Append, ExpectedVersion, LogId, Metadata, NewEvent, Query, Read, Signal, Snapshot, SnapshotSchema,
    StreamId, Version, backend,
};

const SECRET: &str = "hunter2";

/// Both ways of formatting must tell the lengths and not the content.
fn keeps_the_secret(value: &impl fmt::Debug, told: &str) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!text.contains(SECRET), "{text}");
        // Bytes can also be printed as numbers.
        assert!(!text.contains("104, 117, 110"), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

fn event() -> NewEvent {
    let data = format!(r#"{{"password":"{SECRET}"}}"#);
    let metadata = Metadata::new(format!(r#"{{"token":"{SECRET}"}}"#)).expect("an object");
    NewEvent::new("SignedIn", data).expect("a type").with_metadata(metadata)
}

#[test]
fn of_events_appends_and_pages() {
    let (event, stream) = (event(), StreamId::new("User-1").expect("a name"));
    keeps_the_secret(&event, "22 bytes");
    keeps_the_secret(event.metadata(), "19 bytes");

    let append = Append::to(&stream, ExpectedVersion::Any, [event.clone()]);
    keeps_the_secret(&append, "22 bytes");
    keeps_the_secret(&append.writes()[0], "22 bytes");

    let position = backend::position(LogId::new(), 1, 0);
    let recorded = backend::recorded(event, stream, Version::FIRST, position, SystemTime::UNIX_EPOCH);
    keeps_the_secret(&recorded, "22 bytes");
    keeps_the_secret(&Signal::Event(recorded.clone()), "22 bytes");
    let page = backend::page(
        &Read::log(Query::all()),
        vec![recorded],
        backend::Looked::All,
        position,
        Version::NONE,
    );
    keeps_the_secret(&page, "22 bytes");
}

#[test]
fn of_snapshots() {
    let stream = StreamId::new("User-1").expect("a name");
    let schema = SnapshotSchema::new("user/1").expect("a name");
    keeps_the_secret(&Snapshot::new(&stream, &schema, Version::FIRST, SECRET), "7 bytes");
}
