//! Logs with the verdicts that version 1 of the rules gives for ever.
//!
//! Each line of `tests/golden/*.txt` is a record, as hexadecimal digits, with what became of it and the digest after it. A change of the code that
//! changes a line here would let processes of two versions disagree: it needs a new version of the records instead. With `ANNALIST_GOLDEN=write`
//! the files are written from the code as it is, which is for new ones.

use std::fmt::Write as _;
use std::path::PathBuf;

use annalist_core::{Append, ContentType, EventId, ExpectedVersion, Metadata, NewEvent, QueryItem};

use super::tests::{Scribe, begun, log_id};
use super::*;
use crate::record::Sealed;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a name")
}

fn event(id: u128, event_type: &str, data: &[u8], tags: &[&str]) -> NewEvent {
    let event = NewEvent::new(event_type, data.to_vec()).expect("a type");
    let event = event.with_tags(tags.iter().copied()).expect("tags");
    event.with_id(EventId::from_uuid(Uuid::from_u128(id)))
}

fn one(name: &str, expected: impl Into<ExpectedVersion>, event: NewEvent) -> Append {
    Append::to(&stream(name), expected, [event])
}

/// Appends of every kind of verdict.
fn appends() -> Vec<Vec<Append>> {
    let at = |offset, minor| backend::position(log_id(), offset, minor);
    let placed = || event(1, "Placed", b"{}", &["customer:7"]);
    let rich = event(2, "Paid", &[0, 255], &["Ä", "x"])
        .with_metadata(Metadata::new(r#"{"who": "ada"}"#).expect("an object"))
        .with_content_type(ContentType::new("text/plain").expect("a type"));
    let two = Append::new()
        .write(
            &stream("Order-2"),
            ExpectedVersion::NoStream,
            [event(3, "Placed", b"3", &[]), event(4, "Paid", b"4", &[])],
        )
        .write(&stream("Customer-7"), ExpectedVersion::Any, [event(3, "Seen", b"", &[])]);
    let paid = QueryItem::new().types(["Paid"]);
    vec![
        vec![one("Order-1", ExpectedVersion::NoStream, placed())],
        vec![one("Order-1", ExpectedVersion::Exact(Version::new(1)), rich), two.clone()],
        // Again: whole, in part, with other content, mixed with new ones, and in another stream.
        vec![
            one("Order-1", ExpectedVersion::NoStream, placed()),
            two,
            one("Order-2", ExpectedVersion::Any, event(3, "Placed", b"3", &[])),
            one("Order-1", ExpectedVersion::Any, event(1, "Placed", b"{ }", &["customer:7"])),
            Append::to(&stream("Order-1"), ExpectedVersion::Any, [placed(), event(9, "New", b"", &[])]),
            one("Order-9", ExpectedVersion::Any, placed()),
        ],
        // Expectations that fail, each way, and one that a mate before it makes fail.
        vec![
            one("Order-1", ExpectedVersion::NoStream, event(10, "A", b"", &[])),
            one("Order-0", ExpectedVersion::Exists, event(11, "A", b"", &[])),
            one("Order-1", ExpectedVersion::Exact(Version::new(1)), event(12, "A", b"", &[])),
            one("Order-1", ExpectedVersion::Exact(Version::new(9)), event(13, "A", b"", &[])),
            one("Race-1", ExpectedVersion::NoStream, event(14, "A", b"", &[])),
            one("Race-1", ExpectedVersion::NoStream, event(15, "A", b"", &[])),
            one("Order-1", ExpectedVersion::Any, event(16, "A", b"", &[]))
                .check(&stream("Order-2"), ExpectedVersion::NoStream),
        ],
        // Conditions: held, failed in the store, failed by a mate, past the head, of another log.
        vec![
            one("Mail-1", ExpectedVersion::Any, event(20, "Sent", b"", &["mail:ada"]))
                .condition(QueryItem::new().tags(["mail:ada"]), Position::START),
            one("Mail-2", ExpectedVersion::Any, event(21, "Sent", b"", &["mail:ada"]))
                .condition(QueryItem::new().tags(["mail:ada"]), Position::START),
            one("Mail-3", ExpectedVersion::Any, event(22, "Sent", b"", &[]))
                .condition(paid.clone(), Position::START),
            one("Mail-3", ExpectedVersion::Any, event(23, "Sent", b"", &[]))
                .condition(paid.clone(), at(2, 0)),
            one("Mail-3", ExpectedVersion::Any, event(24, "Sent", b"", &[])).condition(paid, at(2, 2)),
            one("Mail-4", ExpectedVersion::Any, event(25, "Sent", b"", &[]))
                .condition(Query::all(), at(999, 0)),
            one("Mail-5", ExpectedVersion::Any, event(26, "Sent", b"", &[]))
                .condition(Query::all(), backend::position(LogId::from_uuid(Uuid::from_u128(77)), 1, 0)),
            Append::new().check(&stream("Order-1"), ExpectedVersion::Exists),
            Append::new(),
        ],
    ]
}

/// Commands of every kind, after some events.
fn commands() -> Vec<Body> {
    let name = || CheckpointName::new("mailer").expect("a name");
    let schema = || SnapshotSchema::new("v1").expect("a name");
    let order = stream("Order-1");
    let at = |offset, minor| backend::position(log_id(), offset, minor);
    let save = |epoch, position| Body::Save { name: name(), epoch, position };
    let snapshot = |version| {
        Body::Snapshot(Snapshot::new(&order, &schema(), Version::new(version), vec![version as u8]))
    };
    vec![
        Body::Barrier,
        save(0, Position::START),
        Body::Claim { name: name() },
        save(1, at(2, 1)),
        save(1, at(1, 0)),
        Body::Claim { name: name() },
        save(1, at(2, 2)),
        save(2, at(999, 0)),
        save(2, backend::position(LogId::from_uuid(Uuid::from_u128(77)), 1, 0)),
        Body::Reset { name: name(), position: at(999, 0) },
        Body::Reset { name: name(), position: at(1, 0) },
        save(3, at(1, 5)),
        snapshot(1),
        snapshot(3),
        snapshot(2),
        snapshot(3),
        Body::Prune { stream: order.clone(), schema: schema(), keep: 1 },
        Body::Prune { stream: order.clone(), schema: schema(), keep: 0 },
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Bytes {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("digits");
    (0..text.len()).step_by(2).map(digits).collect::<Vec<_>>().into()
}

/// The record and what became of it.
fn line(fold: &mut Fold, raw: &Raw) -> String {
    let verdict = fold.apply(raw).expect("a verdict").verdict;
    format!("{} {} {:016x}\n  {verdict:?}\n", raw.offset, hex(&raw.value), fold.state().digest)
}

fn text(sealed: impl IntoIterator<Item = Sealed>) -> String {
    let mut scribe = Scribe::new();
    let (mut fold, genesis) = begun(&mut scribe);
    let mut text = line(&mut super::tests::fresh(), &genesis);
    for (n, mut sealed) in sealed.into_iter().enumerate() {
        let raw = scribe.record(&fold, n % 3, &mut sealed);
        text += &line(&mut fold, &raw);
    }
    text
}

/// The records of a file, folded again.
fn again(text: &str) -> String {
    let mut fold = super::tests::fresh();
    let records = text.lines().filter(|line| !line.starts_with(' '));
    let raws = records.map(|record| {
        let mut parts = record.split(' ');
        let offset: u64 = parts.next().and_then(|offset| offset.parse().ok()).expect("an offset");
        let value = unhex(parts.next().expect("a value"));
        Raw { offset, time: 1_700_000_000_000 + offset as i64, value }
    });
    raws.map(|raw| line(&mut fold, &raw)).collect()
}

fn holds(name: &str, made: &str) {
    if std::env::var_os("ANNALIST_GOLDEN").is_some_and(|what| what == "write") {
        std::fs::create_dir_all(file("")).expect("a folder");
        std::fs::write(file(name), made).expect("written");
    }
    let kept = std::fs::read_to_string(file(name)).expect("the file is there");
    assert_eq!(again(&kept), kept, "records that were written before get other verdicts");
    assert_eq!(made, kept, "records are laid out in another way than before");
}

#[test]
fn appends_get_the_verdicts_of_version_1() {
    holds("appends.v1.txt", &text(appends().iter().map(|appends| Sealed::appends(appends.iter()))));
}

#[test]
fn commands_get_the_verdicts_of_version_1() {
    let first = appends().into_iter().take(2).map(|appends| Sealed::appends(appends.iter()));
    let sealed = first.chain(commands().iter().map(Sealed::new)).collect::<Vec<_>>();
    holds("commands.v1.txt", &text(sealed));
}
