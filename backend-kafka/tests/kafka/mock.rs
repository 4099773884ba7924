//! What a real broker does not do on demand: librdkafka's own mock of a cluster does.

use std::time::Duration;

use annalist_core::{CheckpointName, CheckpointStore, ErrorKind, EventStore, ExpectedVersion, Query, Read};
use annalist_kafka::rdkafka::mocking::MockCluster;
use annalist_kafka::rdkafka::producer::DefaultProducerContext;
use annalist_kafka::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use annalist_kafka::{Config, KafkaStore};

use crate::support::{log, one};

type Mock = MockCluster<'static, DefaultProducerContext>;

const PRODUCE: RDKafkaApiKey = RDKafkaApiKey::Produce;

fn config() -> Config {
    let mut config = Config::default();
    config.timeout = Duration::from_secs(20);
    config.attempt_timeout = Duration::from_secs(2);
    config
}

async fn open() -> (Mock, KafkaStore) {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("mocked", 1, 1).unwrap();
    let url = format!("kafka://{}/mocked", mock.bootstrap_servers());
    let store = KafkaStore::connect_unchecked(&url, config()).await.unwrap();
    (mock, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_survives_whatever_a_broker_says_of_its_record() {
    use RDKafkaRespErr::*;

    let (mock, store) = open().await;
    for (n, error) in (0..).zip([
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RD_KAFKA_RESP_ERR_UNKNOWN,
    ]) {
        mock.request_errors(PRODUCE, &[error, error]);
        let append = one("Clock-1", annalist_core::Version::new(n), n);
        store.append(append).await.unwrap();
        assert_eq!(log(&store).await.len() as u64, n + 1, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_carried_out_once_whatever_a_broker_says() {
    let (mock, store) = open().await;
    let name = CheckpointName::new("mailer").unwrap();
    for epoch in 1..=3 {
        let after = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
        mock.request_errors(PRODUCE, &[after]);
        let claim = store.claim_checkpoint(&name).await.unwrap();
        assert_eq!(claim.owner.epoch(), epoch);
        store.save_checkpoint(&claim.owner, annalist_core::Position::START).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_was_dropped_keeps_no_store_that_was() {
    let (mock, folder) = (MockCluster::new(1).unwrap(), tempfile::tempdir().unwrap());
    mock.create_topic("mocked", 1, 1).unwrap();
    let url = format!("kafka://{}/mocked", mock.bootstrap_servers());
    let config = || {
        let mut config = config();
        config.folder = Some(folder.path().to_owned());
        config
    };
    let store = KafkaStore::connect_unchecked(&url, config()).await.unwrap();
    // Its barrier is on its way, and will come after nobody reads any more.
    mock.broker_round_trip_time(1, Duration::from_millis(500)).unwrap();
    let read = store.read(Read::log(Query::all()));
    tokio::time::timeout(Duration::from_millis(50), read).await.unwrap_err();
    drop(store);
    mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let mut opened = KafkaStore::connect_unchecked(&url, config()).await;
    for _ in 0..100 {
        if opened.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        opened = KafkaStore::connect_unchecked(&url, config()).await;
    }
    opened.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_is_told_so() {
    let (mock, store) = open().await;
    mock.request_errors(PRODUCE, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let refused = store.append(one("Clock-1", ExpectedVersion::Any, 1)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused:?}");
    mock.request_errors(PRODUCE, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let refused = store.append(one("Clock-1", ExpectedVersion::Any, 2)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused:?}");
    store.append(one("Clock-1", ExpectedVersion::NoStream, 3)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_answers_too_late_leaves_one_copy() {
    let (mock, store) = open().await;
    store.append(one("Clock-1", ExpectedVersion::NoStream, 1)).await.unwrap();
    mock.broker_round_trip_time(1, Duration::from_millis(2_500)).unwrap();
    let append = one("Clock-1", ExpectedVersion::Any, 2);
    let slow = store.append(append.clone().timeout(Duration::from_secs(3))).await;
    mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    if let Err(error) = slow {
        assert!(matches!(error.kind(), ErrorKind::Indeterminate(_) | ErrorKind::Unavailable(_)), "{error:?}");
    }
    store.append(append).await.unwrap();
    assert_eq!(log(&store).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_unavailable_and_comes_back() {
    let (mock, store) = open().await;
    store.append(one("Clock-1", ExpectedVersion::NoStream, 1)).await.unwrap();
    mock.broker_down(1).unwrap();
    let append = one("Clock-1", ExpectedVersion::Any, 2);
    let mut last = None;
    // The first may meet a connection that is just being lost.
    for _ in 0..3 {
        last = store.append(append.clone().timeout(Duration::from_millis(500))).await.err();
    }
    let last = last.unwrap();
    assert!(matches!(last.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_)), "{last:?}");
    let unsent =
        store.append(one("Clock-2", ExpectedVersion::Any, 3).timeout(Duration::from_millis(500))).await;
    let unsent = unsent.unwrap_err();
    assert!(matches!(unsent.kind(), ErrorKind::Unavailable(_)), "{unsent:?}");
    mock.broker_up(1).unwrap();
    store.append(append).await.unwrap();
    assert_eq!(log(&store).await.len(), 2);
}
