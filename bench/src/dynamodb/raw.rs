//! The raw side: what a good user of the SDK would write who knows his streams and needs no order among them. An event is an item, put on condition
//! that its version is not there; several are a transaction. All of them are read by an index of the service, in the order of their ids.

use annalist_core::{EventId, LogId};
use annalist_dynamodb::aws_sdk_dynamodb::Client;
use annalist_dynamodb::aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use annalist_dynamodb::aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use annalist_dynamodb::aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, Put, ScalarAttributeType, TransactWriteItem,
};

use super::follow::Poll;
use super::item::{self, ALL, FEED, ID, Item, STREAM, VERSION, get_number, text};
use crate::payload::payload;
use crate::subject::{Expected, Result, Subject, Verdict};

/// How many items one transaction may have.
const TRANSACTION_MAX: usize = 100;

const ABSENT: &str = "attribute_not_exists(#stream)";

pub(super) fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "key", None, None, "bench"))
        .http_client(annalist_dynamodb::testing::http_client())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

fn keys(partition: &str, sort: &str) -> Result<[KeySchemaElement; 2]> {
    let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok([key(partition, KeyType::Hash)?, key(sort, KeyType::Range)?])
}

pub(super) async fn create(client: &Client, table: &str) -> Result<()> {
    let all = Projection::builder().projection_type(ProjectionType::All).build();
    let feed = GlobalSecondaryIndex::builder().index_name(FEED).projection(all);
    let feed = feed.set_key_schema(Some(keys(FEED, ID)?.into())).build()?;
    let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [
        (STREAM, ScalarAttributeType::S),
        (VERSION, ScalarAttributeType::N),
        (FEED, ScalarAttributeType::S),
        (ID, ScalarAttributeType::S),
    ] {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?;
        request = request.attribute_definitions(attribute);
    }
    let keys = keys(STREAM, VERSION)?;
    request.set_key_schema(Some(keys.into())).global_secondary_indexes(feed).send().await?;
    Ok(())
}

/// Up to 1 MB of the events after an id, in the order of ids.
pub(super) fn feed(client: &Client, table: &str, after: &str) -> QueryFluentBuilder {
    let request = client.query().table_name(table).index_name(FEED);
    request
        .key_condition_expression("#feed = :all AND #id > :after")
        .expression_attribute_names("#feed", FEED)
        .expression_attribute_names("#id", ID)
        .expression_attribute_values(":all", text(ALL))
        .expression_attribute_values(":after", text(after))
}

pub(crate) struct RawDynamo {
    client: Client,
    table: String,
    log: LogId,
}

impl RawDynamo {
    pub(super) fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.to_owned(), log: LogId::new() }
    }

    fn stream(&self, stream: &str) -> QueryFluentBuilder {
        let request = self.client.query().table_name(&self.table).consistent_read(true);
        request
            .key_condition_expression("#stream = :stream")
            .expression_attribute_names("#stream", STREAM)
            .expression_attribute_values(":stream", text(stream))
    }

    /// Reads page after page, and gives how many events there were.
    async fn count(&self, request: QueryFluentBuilder) -> Result<u64> {
        let mut items = request.into_paginator().items().send();
        let mut events = Vec::new();
        while let Some(item) = items.next().await {
            events.push(item::event(item?, self.log, events.len() as u64)?);
        }
        Ok(events.len() as u64)
    }

    async fn put(&self, item: Item) -> Result<Verdict> {
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = request.condition_expression(ABSENT).expression_attribute_names("#stream", STREAM);
        match request.send().await {
            Ok(_) => Ok(Verdict::Written),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(Verdict::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn put_all(&self, items: Vec<Item>) -> Result<Verdict> {
        let mut request = self.client.transact_write_items();
        for item in items {
            let put =
                Put::builder().table_name(&self.table).set_item(Some(item)).condition_expression(ABSENT);
            let put = put.expression_attribute_names("#stream", STREAM).build()?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match request.send().await {
            Ok(_) => Ok(Verdict::Written),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_transaction_canceled_exception()) => {
                Ok(Verdict::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Subject for RawDynamo {
    const NAME: &'static str = "raw";
    type Append = Vec<Item>;
    type Follower = Poll;

    fn prepare(&self, stream: &str, expected: Expected, first: u64, events: u64) -> Result<Vec<Item>> {
        let version = match expected {
            Expected::Version(version) => version,
            // Who writes to a stream alone counts for himself.
            Expected::Any => first,
        };
        Ok((0..events).map(|n| item::of_event(stream, version.wrapping_add(n), payload(first + n))).collect())
    }

    async fn append(&self, mut items: Vec<Item>) -> Result<Verdict> {
        if items.len() == 1 {
            return self.put(items.remove(0)).await;
        }
        // More than one transaction can have are only to fill a log.
        while items.len() > TRANSACTION_MAX {
            let rest = items.split_off(TRANSACTION_MAX);
            self.put_all(std::mem::replace(&mut items, rest)).await?;
        }
        self.put_all(items).await
    }

    async fn version(&self, stream: &str) -> Result<u64> {
        let newest = self.stream(stream).scan_index_forward(false).limit(1).send().await?;
        // Versions count from 0 here.
        newest.items().first().map_or(Ok(0), |item| Ok(get_number(item, VERSION)? + 1))
    }

    async fn read_stream(&self, stream: &str) -> Result<u64> {
        self.count(self.stream(stream)).await
    }

    async fn read_log(&self) -> Result<u64> {
        self.count(feed(&self.client, &self.table, &EventId::from_uuid(uuid::Uuid::nil()).to_string())).await
    }

    async fn follow(&self) -> Result<Poll> {
        Ok(Poll::new(self.client.clone(), &self.table, self.log))
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
