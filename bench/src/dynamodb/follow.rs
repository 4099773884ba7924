//! The raw side's tail: it asks every 2 ms what has a higher id than the last, and so never gets what comes with a lower one later.

use std::time::Duration;

use annalist_core::{LogId, RecordedEvent};
use annalist_dynamodb::aws_sdk_dynamodb::Client;
use tokio::time::sleep;

use super::item;
use super::raw::feed;
use crate::payload::number;
use crate::subject::{Follow, Result};

const INTERVAL: Duration = Duration::from_millis(2);

pub(crate) struct Poll {
    client: Client,
    table: String,
    log: LogId,
    after: String,
    count: u64,
    events: std::vec::IntoIter<RecordedEvent>,
}

impl Poll {
    pub(super) fn new(client: Client, table: &str, log: LogId) -> Self {
        // Before every id.
        let after = "0".to_owned();
        Self { client, table: table.to_owned(), log, after, count: 0, events: Vec::new().into_iter() }
    }
}

impl Follow for Poll {
    async fn next(&mut self) -> Result<u64> {
        loop {
            if let Some(event) = self.events.next() {
                return Ok(number(event.data()).ok_or("an event without a number")?);
            }
            let page = feed(&self.client, &self.table, &self.after).send().await?;
            let mut events = Vec::new();
            for item in page.items.unwrap_or_default() {
                item::get_text(&item, item::ID)?.clone_into(&mut self.after);
                events.push(item::event(item, self.log, self.count)?);
                self.count += 1;
            }
            if events.is_empty() {
                sleep(INTERVAL).await;
            }
            self.events = events.into_iter();
        }
    }
}
