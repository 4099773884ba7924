//! The raw side's tail: it asks every 2 ms what has a higher position than the last, and so never gets what was committed out of order.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{LogId, RecordedEvent};
use annalist_postgres::sqlx::{AssertSqlSafe, PgConnection, query};
use tokio::time::sleep;

use super::raw::{PAGE, collect};
use super::row::Rows;
use crate::payload::number;
use crate::subject::{Follow, Result};

const INTERVAL: Duration = Duration::from_millis(2);

pub(crate) struct Poll {
    connection: PgConnection,
    page: Arc<str>,
    log: LogId,
    after: i64,
    events: std::vec::IntoIter<RecordedEvent>,
}

impl Poll {
    pub(super) fn new(connection: PgConnection, page: Arc<str>, log: LogId) -> Self {
        Self { connection, page, log, after: 0, events: Vec::new().into_iter() }
    }
}

impl Follow for Poll {
    async fn next(&mut self) -> Result<u64> {
        loop {
            if let Some(event) = self.events.next() {
                return Ok(number(event.data()).ok_or("an event without a number")?);
            }
            let call = query(AssertSqlSafe(self.page.clone())).bind(self.after).bind(PAGE);
            let events = collect(&mut self.connection, call, self.log).await?;
            match events.last() {
                Some(last) => self.after = Rows::position(last),
                None => sleep(INTERVAL).await,
            }
            self.events = events.into_iter();
        }
    }
}
