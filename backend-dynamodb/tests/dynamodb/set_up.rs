//! Tables and credentials that will not do.

use std::time::Duration;

use annalist_core::{Error, ErrorKind, EventStore, Query, Read};
use annalist_dynamodb::aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use annalist_dynamodb::{Config, DynamoStore};

use crate::common::{SECRET, Shared, client};

fn url() -> String {
    Shared::get().unwrap().url()
}

fn unique(what: &str) -> String {
    format!("annalist-{what}-{}", annalist_core::EventId::new())
}

fn misconfigured(answer: Result<impl std::fmt::Debug, Error>, says: &str) {
    let error = answer.expect_err("it will not do");
    assert!(matches!(error.kind(), ErrorKind::Misconfigured(said) if said.contains(says)), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
}

#[tokio::test]
async fn a_missing_table_is_no_empty_log() {
    let client = client(&url());
    let opened = DynamoStore::open(&client, &unique("missing"), Config::default()).await;
    misconfigured(opened, "the table does not exist in this region");
}

#[tokio::test]
async fn a_missing_namespace_is_no_empty_log() {
    let (client, table) = (client(&url()), unique("other"));
    let mut config = Config::default();
    config.namespace = "other".to_owned();
    DynamoStore::setup_with(&client, &table, &config).await.unwrap();
    misconfigured(DynamoStore::open(&client, &table, Config::default()).await, "holds no log `annalist`");
}

#[tokio::test]
async fn a_table_with_other_keys_is_refused() {
    let (client, table) = (client(&url()), unique("keys"));
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let text = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap();
    let made = client.create_table().table_name(&table).billing_mode(BillingMode::PayPerRequest);
    made.key_schema(key).attribute_definitions(text).send().await.unwrap();
    misconfigured(
        DynamoStore::setup_with(&client, &table, &Config::default()).await,
        "the keys `pk` and `sk`",
    );
    misconfigured(DynamoStore::open(&client, &table, Config::default()).await, "another key schema");
}

#[tokio::test]
async fn a_log_of_a_later_layout_is_refused() {
    let (client, table) = (client(&url()), unique("layout"));
    DynamoStore::setup_with(&client, &table, &Config::default()).await.unwrap();
    let set = async |layout: &str, works_with: &str| {
        let update =
            client.update_item().table_name(&table).update_expression("SET layout = :l, works_with = :w");
        let number = |text: &str| AttributeValue::N(text.to_owned());
        let update = update
            .expression_attribute_values(":l", number(layout))
            .expression_attribute_values(":w", number(works_with));
        let text = |text: &str| AttributeValue::S(text.to_owned());
        update.key("pk", text("annalist")).key("sk", text("log")).send().await.unwrap();
    };
    set("2", "2").await;
    misconfigured(DynamoStore::open(&client, &table, Config::default()).await, "update this program");
    misconfigured(DynamoStore::setup_with(&client, &table, &Config::default()).await, "update this program");
    set("2", "1").await;
    DynamoStore::open(&client, &table, Config::default()).await.unwrap();
}

#[tokio::test]
async fn set_up_is_done_once_however_many_do_it() {
    let (client, table) = (client(&url()), unique("race"));
    let config = Config::default();
    let all = (0..8).map(|_| DynamoStore::setup_with(&client, &table, &config));
    futures::future::join_all(all).await.into_iter().for_each(|done| done.unwrap());
    let first = DynamoStore::open(&client, &table, config.clone()).await.unwrap();
    DynamoStore::setup_with(&client, &table, &config).await.unwrap();
    assert_eq!(DynamoStore::open(&client, &table, config).await.unwrap().log(), first.log());
}

#[tokio::test]
async fn names_are_checked_before_anything_is_sent() {
    let client = client("http://127.0.0.1:1");
    misconfigured(DynamoStore::open(&client, "a/b", Config::default()).await, "the name of a table");
    let mut config = Config::default();
    config.namespace = "a/b".to_owned();
    let error = DynamoStore::open(&client, "table", config).await.expect_err("no namespace");
    assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_it_is_unavailable_in_time() {
    let mut config = Config::default();
    config.timeout = Duration::from_millis(300);
    let error = DynamoStore::open(&client("http://127.0.0.1:1"), "table", config).await.expect_err("nobody");
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_log_that_is_exchanged_is_noticed() {
    let (client, table) = (client(&url()), unique("exchanged"));
    DynamoStore::setup_with(&client, &table, &Config::default()).await.unwrap();
    let store = DynamoStore::open(&client, &table, Config::default()).await.unwrap();
    let head = || store.read(Read::log(Query::all()).limit(0));
    assert_eq!(head().await.unwrap().head, annalist_core::Position::START);
    let before = store.log();
    client.delete_table().table_name(&table).send().await.unwrap();
    misconfigured(head().await, "the table does not exist in this region");
    DynamoStore::setup_with(&client, &table, &Config::default()).await.unwrap();
    head().await.unwrap();
    assert_ne!(store.log(), before);
}
