//! A process that others have left behind.

use annalist_core::{Append, Conflict, ErrorKind, EventStore, ExpectedVersion, Query, Read, Version};

use crate::memory::MemoryTable;
use crate::support::{at_once, event, indexed, never, open, read_all, stream, watermark};

/// A process learned of a watermark beyond the batches that it had read. A version that it remembered of its own, older head was taken for one of
/// that watermark, and stood once the log was read anew from there: a refusal told a version of long ago, and a stream could have got the
/// same version twice. What is looked up counts from the head that is known, if that is lower.
#[tokio::test(start_paused = true)]
async fn a_version_from_before_a_watermark_is_not_one_at_it() {
    const MORE: u64 = 12;
    let (ours, theirs) = (stream("Order-1"), stream("Order-2"));
    let ticked = |name| Append::to(name, ExpectedVersion::Any, [event("Ticked", &[])]);
    let table = MemoryTable::default();
    let mut config = at_once();
    config.index_batches_max = 2;
    let (held, gate) = table.clone().held();
    let behind = open(&held, config).await;
    // The first batch leaves the tail, and what is known of its stream is its version.
    for (n, name) in [&ours, &theirs].into_iter().enumerate() {
        behind.append(ticked(name)).await.unwrap();
        indexed(&behind, &table).await;
        assert_eq!(watermark(&table), n as u64 + 1);
    }
    gate.send_replace(false);
    behind.append(ticked(&theirs)).await.unwrap();
    let others = open(&table, never()).await;
    for _ in 0..MORE {
        others.append(ticked(&ours)).await.unwrap();
    }
    let indexer = open(&table, at_once()).await;
    indexed(&indexer, &table).await;
    gate.send_replace(true);
    // Until it has seen that others have moved the watermark, which is all that it does meanwhile.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;

    let refused =
        behind.append(Append::new().check(&ours, Version::new(1_000))).await.expect_err("never so many");
    let ErrorKind::Conflict(Conflict::Version { actual, .. }) = refused.kind() else { panic!("{refused}") };
    assert_eq!(actual.get(), 1 + MORE);
    behind.append(ticked(&ours)).await.unwrap();
    let log = read_all(&others, Query::all()).await;
    let versions = log.iter().filter(|event| *event.stream() == ours).map(|event| event.version().get());
    assert!(versions.eq(1..=2 + MORE));
    assert_eq!(behind.read(Read::stream(&ours).limit(0)).await.unwrap().version.get(), 2 + MORE);
}
