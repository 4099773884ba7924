//! Topics and brokers that are not as they must be.

use std::net::TcpListener;
use std::time::Duration;

use annalist_core::{ErrorKind, EventStore, Survives};
use annalist_kafka::KafkaStore;

use crate::support::{FIT, Topic, config, tick};

async fn refusal(topic: &Topic) -> String {
    let refused = topic.try_open(config()).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused:?}");
    refused.to_string()
}

#[tokio::test]
async fn a_topic_that_would_lose_events_is_refused() {
    for (name, value) in [
        ("cleanup.policy", "compact"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1000000"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.type", "CreateTime"),
        ("flush.messages", "1000"),
    ] {
        let topic = Topic::new();
        let mut settings = FIT.to_vec();
        settings.retain(|(known, _)| *known != name);
        settings.push((name, value));
        topic.create(1, &settings).await;
        // Neither is it begun by setting up.
        let refused = KafkaStore::setup(&topic.url(), &config()).await.unwrap_err();
        for shown in [refusal(&topic).await, refused.to_string()] {
            assert!(shown.contains(name), "{name}: {shown}");
        }
        assert!(topic.records().is_empty(), "something was written to a topic with {name}={value}");
    }
}

#[tokio::test]
async fn one_replica_in_the_page_cache_is_accepted_where_that_is_said() {
    let topic = Topic::new();
    // The broker's own default is to flush.
    let mut settings = FIT.to_vec();
    settings[4].1 = "1000";
    topic.create(1, &settings).await;
    let mut config = config();
    config.accept_volatile = true;
    KafkaStore::setup(&topic.url(), &config).await.unwrap();
    let store = topic.try_open(config).await.unwrap();
    assert_eq!(store.capabilities().survives(), Survives::ProcessKill);
    tick(&store, 1).await;
}

#[tokio::test]
async fn a_topic_with_several_partitions_is_refused() {
    let topic = Topic::new();
    topic.create(2, &FIT).await;
    assert!(refusal(&topic).await.contains("partitions is 2"));
}

#[tokio::test]
async fn a_topic_that_is_missing_or_not_set_up_is_refused() {
    let topic = Topic::new();
    assert!(refusal(&topic).await.contains("no such topic"));
    topic.create(1, &FIT).await;
    assert!(refusal(&topic).await.contains("empty"));
    KafkaStore::setup(&topic.url(), &config()).await.unwrap();
    tick(&topic.open().await, 1).await;
}

#[tokio::test]
async fn a_topic_of_somebody_else_is_refused() {
    let topic = Topic::new();
    topic.create(1, &FIT).await;
    topic.write([b"{\"order\": 7}".to_vec()]).await;
    let refused = KafkaStore::setup(&topic.url(), &config()).await.unwrap_err();
    assert!(refused.to_string().contains("does not begin as a log"), "{refused}");
    assert!(refusal(&topic).await.contains("does not begin as a log"));
    assert_eq!(topic.records().len(), 1);
}

#[tokio::test]
async fn setting_up_many_times_at_once_gives_one_log() {
    let topic = Topic::new();
    let url = topic.url();
    let set_ups = (0..6).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { KafkaStore::setup(&url, &config()).await })
    });
    for set_up in set_ups.collect::<Vec<_>>() {
        set_up.await.unwrap().unwrap();
    }
    let (one, other) = (topic.open().await, topic.open().await);
    assert_eq!(one.log(), other.log());
    tick(&one, 1).await;
    tick(&other, 2).await;
    KafkaStore::setup(&topic.url(), &config()).await.unwrap();
    assert_eq!(topic.open().await.log(), one.log());
}

#[tokio::test]
async fn no_broker_and_something_else_are_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = listener.local_addr().unwrap();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut config = config();
    config.connect_timeout = Duration::from_millis(500);
    for address in [mute, gone] {
        let url = format!("kafka://{address}/topic");
        for refused in [
            KafkaStore::connect(&url, config.clone()).await.unwrap_err(),
            KafkaStore::setup(&url, &config).await.unwrap_err(),
        ] {
            assert!(matches!(refused.kind(), ErrorKind::Unavailable(_)), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn settings_on_which_correctness_rests_are_not_given() {
    let topic = Topic::new();
    for (name, value) in [("acks.x", "0"), ("message.send.max.retries", "5"), ("auto.offset.reset", "latest")]
    {
        let mut config = config();
        config.client.push((name.to_owned(), value.to_owned()));
        let refused = topic.try_open(config).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused:?}");
        assert!(refused.to_string().contains(name), "{refused}");
    }
}
