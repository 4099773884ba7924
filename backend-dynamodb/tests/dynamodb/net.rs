//! A log on the real server, behind a network that fails when it is told to.

use std::time::Duration;

use annalist_core::{EventStore, Query, Read, RecordedEvent};
use annalist_dynamodb::aws_sdk_dynamodb::types::AttributeValue;
use annalist_dynamodb::testing::{Attributes, Key, PARTITION, SORT};
use annalist_dynamodb::{Config, DynamoStore};
use annalist_test_servers::dynamodb::{Proxy, Rule};

use crate::common::{Shared, client};
use crate::memory::MemoryTable;
use crate::support::{at_once, check_log, index_of, read_all, rebuilt, watermark};

pub struct Net {
    pub proxy: Proxy,
    pub table: String,
}

/// Puts of batches, and no others.
pub fn of_batches() -> Rule {
    Rule::on("PutItem").matching(|body| {
        body["Item"]["pk"]["S"].as_str().is_some_and(|partition| partition.starts_with("annalist/b/"))
    })
}

/// Answers soon, also where nobody answers it.
pub fn config() -> Config {
    let mut config = at_once();
    config.timeout = Duration::from_secs(20);
    config.attempt_timeout = Duration::from_secs(4);
    config.request_timeout = Duration::from_secs(1);
    config
}

impl Net {
    /// A new table with an empty log.
    pub async fn new() -> Self {
        let url = Shared::get().unwrap().url();
        let table = format!("annalist-net-{}", annalist_core::EventId::new());
        DynamoStore::setup_with(&client(&url), &table, &config()).await.unwrap();
        Self { proxy: Proxy::start(&url).unwrap(), table }
    }

    /// A store all of whose requests go through the network.
    pub async fn store(&self) -> DynamoStore {
        self.store_with(config()).await
    }

    pub async fn store_with(&self, config: Config) -> DynamoStore {
        DynamoStore::open(&client(&self.proxy.url()), &self.table, config).await.unwrap()
    }

    /// All that is in the table.
    async fn items(&self) -> MemoryTable {
        let client = client(&Shared::get().unwrap().url());
        let mut found =
            client.scan().table_name(&self.table).consistent_read(true).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = found.next().await {
            let mut attributes: Attributes = item.unwrap();
            let mut take = |name| match attributes.remove(name) {
                Some(AttributeValue::S(text)) => text,
                other => panic!("{other:?} for a key"),
            };
            items.push((Key { partition: take(PARTITION), sort: take(SORT) }, attributes));
        }
        MemoryTable::of(items)
    }

    /// How many batches the log has.
    pub async fn batches(&self) -> u64 {
        check_log(&self.items().await)
    }

    /// Heals the network and sees to it that the log is dense and a chain, and that its index becomes the one that is made from it; gives the log's
    /// events.
    pub async fn whole(&self) -> Vec<RecordedEvent> {
        self.proxy.heal();
        let client = client(&Shared::get().unwrap().url());
        let store = DynamoStore::open(&client, &self.table, config()).await.unwrap();
        let table = loop {
            store.read(Read::log(Query::all()).limit(0)).await.unwrap();
            let table = self.items().await;
            if watermark(&table) == check_log(&table) {
                break table;
            }
        };
        assert_eq!(index_of(&table), rebuilt(&table).await, "the index is another one than the log says");
        read_all(&store, Query::all()).await
    }
}
