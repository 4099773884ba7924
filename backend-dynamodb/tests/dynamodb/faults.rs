//! What the network and the service can do to requests: errors of the right kind, nothing in parts, and a log and an index that are true afterwards.

use std::time::Duration;

use annalist_core::{
    Append, CheckpointName, CheckpointStore, Error, ErrorKind, EventId, EventStore, ExpectedVersion,
    NewEvent, Query, Read, RecordedEvent, Snapshot, SnapshotSchema, SnapshotStore, Version,
};
use annalist_dynamodb::DynamoStore;
use annalist_test_servers::dynamodb::{Armed, Fault, Latency, Refusal, Rule};

use crate::common::client;
use crate::net::{Net, config, of_batches};
use crate::support::{event, medley, never, read_all, stream};

const OPERATIONS: [&str; 5] = ["PutItem", "GetItem", "BatchGetItem", "Query", "BatchWriteItem"];

fn tick(name: &str) -> Append {
    Append::to(&stream(name), ExpectedVersion::Any, [event("Ticked", &["a"])])
}

/// Every kind of operation, each of which must do what it says.
async fn do_everything(store: &DynamoStore) {
    medley(store, 3).await;
    let order = stream("Order-1");
    let head = store.read(Read::log(Query::all()).limit(0)).await.unwrap().head;
    let none_since = Append::to(&order, ExpectedVersion::Exists, [event("Paid", &[])]);
    store.append(none_since.condition(Query::tags(["a"]), head)).await.unwrap();
    assert_eq!(read_all(store, Query::tags(["all"])).await.len(), 6);
    let name = CheckpointName::new("mailer").unwrap();
    let owner = store.claim_checkpoint(&name).await.unwrap().owner;
    store.save_checkpoint(&owner, head).await.unwrap();
    assert_eq!(store.load_checkpoint(&name).await.unwrap().unwrap().position, head);
    let schema = SnapshotSchema::new("tally").unwrap();
    store.save_snapshot(Snapshot::new(&order, &schema, Version::FIRST, "1")).await.unwrap();
    assert!(store.load_snapshot(&order, &schema, Version::MAX).await.unwrap().is_some());
    store.prune_snapshots(&order, &schema, 0).await.unwrap();
}

/// A stream whose versions are told by no handle's memory.
async fn with_an_old_stream(net: &Net) {
    net.store().await.append(tick("Order-1")).await.unwrap();
    net.whole().await;
}

fn ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(RecordedEvent::id).collect()
}

fn assert_kind(error: &Error, is: fn(&ErrorKind) -> bool) {
    assert!(is(error.kind()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_sent_again() {
    let passing = [
        (Fault::Refused(Refusal::THROUGHPUT), "throughput"),
        (Fault::Refused(Refusal::THROTTLING), "throttling"),
        (Fault::Refused(Refusal::REQUEST_LIMIT), "request limit"),
        (Fault::Refused(Refusal::INTERNAL), "500"),
        (Fault::RefusedAfter(Refusal::INTERNAL), "500 after it landed"),
        (Fault::RefusedAfter(Refusal::UNAVAILABLE), "503 after it landed"),
        (Fault::LostRequest, "a lost request"),
        (Fault::LostReply, "a lost reply"),
        (Fault::SlowReply(Duration::from_millis(1_200)), "a reply after its time"),
    ];
    for (fault, what) in passing {
        let net = Net::new().await;
        with_an_old_stream(&net).await;
        let armed: Vec<(&str, Armed)> = OPERATIONS
            .map(|operation| (operation, net.proxy.arm(Rule::on(operation).times(2), fault)))
            .into();
        let store = net.store().await;
        do_everything(&store).await;
        for (operation, armed) in armed {
            let twice = armed.until(|progress| progress.happened == 2);
            let happened = tokio::time::timeout(Duration::from_secs(60), twice).await;
            assert!(happened.is_ok(), "{what} of {operation}: {:?}", armed.progress());
        }
        assert_eq!(net.whole().await.len(), 1 + 3 + 6 + 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_unprocessed_is_asked_for_again() {
    let net = Net::new().await;
    const LEFT: usize = 7;
    let is_larger = |body: &serde_json::Value| {
        let of_table = body["RequestItems"].as_object().and_then(|tables| tables.values().next());
        let things =
            of_table.and_then(|of_table| of_table.as_array().or_else(|| of_table["Keys"].as_array()));
        things.is_some_and(|things| things.len() > LEFT)
    };
    let armed = ["BatchGetItem", "BatchWriteItem"].map(|operation| {
        net.proxy.arm(Rule::on(operation).matching(is_larger).always(), Fault::Unprocessed(LEFT))
    });
    let many: Vec<NewEvent> = (0..1_000).map(|_| event("Ticked", &["a"])).collect();
    // The first stream is new; the second one is known, so that each of a thousand ids is looked for.
    let append = Append::to(&stream("Order-1"), ExpectedVersion::NoStream, many.clone());
    let store = net.store().await;
    let first = store.append(append.clone()).await.unwrap();
    let fresh = net.store().await;
    fresh.append(tick("Order-1")).await.unwrap();
    let again = net.store().await.append(append).await.unwrap();
    assert!(again.already_committed());
    assert_eq!(again.written(), first.written());
    let more: Vec<NewEvent> = (0..1_000).map(|_| event("Ticked", &["b"])).collect();
    store.append(Append::to(&stream("Order-1"), Version::new(1_001), more)).await.unwrap();
    for armed in &armed {
        assert!(armed.happened() > 0);
    }
    assert_eq!(net.whole().await.len(), 2_001);
}

/// Four handles append through a network that does everything at once. Whatever they were told is so.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_storm_every_append_is_there_once() {
    let net = Net::new().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(net.store().await);
    }
    let storm = [
        Fault::LostReply,
        Fault::LostRequest,
        Fault::Refused(Refusal::THROUGHPUT),
        Fault::RefusedAfter(Refusal::INTERNAL),
        Fault::Unprocessed(3),
        Fault::SlowReply(Duration::from_millis(30)),
        Fault::LandsLate(Duration::from_millis(20)),
    ];
    let seeded = (0..).zip(storm);
    let armed: Vec<Armed> = seeded
        .map(|(seed, fault)| net.proxy.arm(Rule::any().one_in(25).seed(seed).always(), fault))
        .collect();
    let appenders = stores.iter().enumerate().map(async |(process, store)| {
        let mut told = Vec::new();
        for n in 0..25 {
            let append = tick(&format!("Shared-{}", (n + process) % 3));
            let id = append.writes()[0].events[0].id();
            while let Err(error) = store.append(append.clone()).await {
                assert_kind(&error, |kind| {
                    matches!(kind, ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
                });
            }
            told.push(id);
        }
        told
    });
    let mut told = futures::future::join_all(appenders).await.concat();
    for armed in &armed {
        assert!(armed.happened() > 0, "{:?}", armed.progress());
    }
    let mut there = ids(&net.whole().await);
    told.sort_unstable();
    there.sort_unstable();
    assert_eq!(there, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_lands_after_its_caller_gave_up_is_found_by_a_retry() {
    let net = Net::new().await;
    let store = net.store().await;
    let held = net.proxy.arm(of_batches(), Fault::Held);
    let append = tick("Order-1");
    let error = store.append(append.clone().timeout(Duration::from_millis(300))).await.unwrap_err();
    assert_kind(&error, |kind| matches!(kind, ErrorKind::Indeterminate(_)));
    held.release();
    held.until(|progress| progress.happened == 1).await;
    assert_eq!(held.progress().landed, 1);
    let again = store.append(append.clone()).await.unwrap();
    assert!(again.already_committed());
    assert_eq!(ids(&net.whole().await), [append.writes()[0].events[0].id()]);
}

/// Its place was taken meanwhile: it lands on somebody else's batch, which stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_lands_too_late_changes_nothing() {
    let net = Net::new().await;
    let (late, other) = (net.store().await, net.store().await);
    let held = net.proxy.arm(of_batches(), Fault::Held);
    let append = tick("Order-1");
    let error = late.append(append.clone().timeout(Duration::from_millis(300))).await.unwrap_err();
    assert_kind(&error, |kind| matches!(kind, ErrorKind::Indeterminate(_)));
    let first = other.append(tick("Order-1")).await.unwrap();
    held.release();
    held.until(|progress| progress.happened == 1).await;
    assert_eq!(held.progress().landed, 0, "its place was free");
    let again = late.append(append.clone()).await.unwrap();
    assert!(!again.already_committed());
    assert_eq!(again.written()[0].first_version(), Version::new(2));
    let events = net.whole().await;
    assert_eq!(events[0].position(), first.position().unwrap());
    assert_eq!((events.len(), events[1].id()), (2, append.writes()[0].events[0].id()));
}

/// What nobody waits for any more of the index may be written at any time.
#[tokio::test(flavor = "multi_thread")]
async fn writes_of_the_index_that_land_late_change_nothing() {
    let net = Net::new().await;
    let late = net.proxy.arm(Rule::on("BatchWriteItem").times(4), Fault::Held);
    let store = net.store().await;
    medley(&store, 4).await;
    late.until(|progress| progress.given_up > 0).await;
    late.release();
    medley(&store, 4).await;
    late.until(|progress| progress.happened > 0).await;
    assert!(!net.whole().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_told_at_once_and_leave_nothing() {
    let refusals = [
        (Refusal::EXPIRED_TOKEN, "refuses the credentials (ExpiredTokenException)"),
        (Refusal::UNKNOWN_KEY, "refuses the credentials (UnrecognizedClientException)"),
        (Refusal::WRONG_SIGNATURE, "refuses the credentials (InvalidSignatureException)"),
        (Refusal::ACCESS_DENIED, "lack a permission"),
        // The region is another one than the table's, as well as where there is none.
        (
            Refusal::dynamodb(400, "ResourceNotFoundException", "Requested resource not found"),
            "in this region",
        ),
    ];
    let net = Net::new().await;
    let store = net.store().await;
    store.append(tick("Order-1")).await.unwrap();
    for (refusal, says) in refusals {
        let misconfigured = |error: Error| {
            assert!(
                matches!(error.kind(), ErrorKind::Misconfigured(said) if said.contains(says)),
                "{error:?}"
            );
        };
        let armed = net.proxy.arm(of_batches().always(), Fault::Refused(refusal));
        misconfigured(store.append(tick("Order-1")).await.unwrap_err());
        assert_eq!(armed.happened(), 1, "it does not help to send it again");
        let all = net.proxy.arm(Rule::any().always(), Fault::Refused(refusal));
        misconfigured(store.read(Read::stream(&stream("Order-1"))).await.unwrap_err());
        misconfigured(store.append(tick("Order-1")).await.unwrap_err());
        let opened = DynamoStore::open(&client(&net.proxy.url()), &net.table, config()).await;
        misconfigured(opened.unwrap_err());
        assert!(all.happened() >= 3);
        net.proxy.heal();
    }
    // The same handle goes on as soon as they are good again.
    store.append(tick("Order-1")).await.unwrap();
    assert_eq!(net.whole().await.len(), 2);
}

/// The first attempt may have been written, whatever is said of the second.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_after_a_lost_reply_do_not_say_that_nothing_was_written() {
    let net = Net::new().await;
    let store = net.store_with(never()).await;
    let lost = net.proxy.arm(of_batches(), Fault::LostReply);
    net.proxy.arm(Rule::any().skip(1).always(), Fault::Refused(Refusal::EXPIRED_TOKEN));
    let append = tick("Order-1");
    let error = store.append(append.clone().timeout(Duration::from_secs(1))).await.unwrap_err();
    assert_kind(&error, |kind| matches!(kind, ErrorKind::Indeterminate(_)));
    assert_eq!(lost.progress().landed, 1);
    net.proxy.heal();
    assert!(store.append(append).await.unwrap().already_committed());
    assert_eq!(net.whole().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_is_not_sent() {
    let net = Net::new().await;
    let store = net.store().await;
    let limits = *store.capabilities().limits();
    let sized = |bytes: usize| {
        let data = vec![b'x'; bytes - "Filled".len()];
        Append::to(&stream("Large-1"), ExpectedVersion::Any, [NewEvent::new("Filled", data).unwrap()])
    };
    store.append(sized(limits.bytes_per_event)).await.unwrap();
    net.whole().await;
    net.proxy.count_anew();
    let error = store.append(sized(limits.bytes_per_event + 1)).await.unwrap_err();
    assert_kind(&error, |kind| matches!(kind, ErrorKind::Invalid(_)));
    assert_eq!(net.proxy.counts().requests(), 0);
    // And where the service's limit is lower than we think.
    let refusal =
        Refusal::dynamodb(400, "ValidationException", "Item size has exceeded the maximum allowed size");
    net.proxy.arm(of_batches().always(), Fault::Refused(refusal));
    let error = store.append(tick("Order-1")).await.unwrap_err();
    assert_kind(&error, |kind| matches!(kind, ErrorKind::Internal(_)));
    assert_eq!(net.whole().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_that_may_be_old_and_no_index_of_the_service_is_asked() {
    let net = Net::new().await;
    net.proxy.set_latency(Latency::Fixed(Duration::from_millis(2)));
    with_an_old_stream(&net).await;
    do_everything(&net.store().await).await;
    net.whole().await;
    let counts = net.proxy.counts();
    for operation in OPERATIONS {
        assert!(counts.of(operation).done > 0, "{operation} was not asked for");
    }
    for (operation, counts) in &counts.operations {
        assert_eq!((counts.eventually_consistent, counts.of_index), (0, 0), "{operation}");
    }
    let known = counts.operations.keys().all(|operation| OPERATIONS.contains(&operation.as_str()));
    assert!(known, "no transactions, no scans: {:?}", counts.operations.keys());
}
