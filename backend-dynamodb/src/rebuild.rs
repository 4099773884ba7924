//! The index made anew from the log, and what nothing leads to cleared away: after a restore, or where an index is not trusted any more.

use std::sync::Arc;

use annalist_core::{Error, ErrorKind};
use annalist_engine::later;
use aws_sdk_dynamodb::Client;
use hashbrown::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use crate::batch::{Batch, Link, attribute};
use crate::config::Config;
use crate::key::{Keys, Room};
use crate::log::Log;
use crate::open::aws;
use crate::requests::Requests;
use crate::schema;
use crate::store::DynamoStore;
use crate::table::{Key, Table};

/// How a log's index is made anew.
///
/// ```
/// let careful = annalist_dynamodb::Rebuild::default();
/// assert_ne!(careful, careful.drop_unchained());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Rebuild {
    /// Whether batches behind the first gap in the chain are deleted: by default they are an error.
    pub drop_unchained: bool,
}

impl Rebuild {
    /// Deletes the batches behind the first one that is missing, incomplete or follows another than the one before it. A table that was put back from a
    /// backup may have such ones. What they hold is lost.
    #[must_use]
    pub fn drop_unchained(mut self) -> Self {
        self.drop_unchained = true;
        self
    }
}

/// What was done to a log and its index.
///
/// ```
/// assert_eq!(annalist_dynamodb::Rebuilt::default().batches, 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The batches of the log, all of which are in the index now.
    pub batches: u64,
    /// Items of the old index that were deleted.
    pub index_items_deleted: u64,
    /// Chunks that were deleted because no batch leads to them: of appends that another one was faster than, or whose process died.
    pub chunks_deleted: u64,
    /// Batches behind the end of the chain that were deleted.
    pub batches_deleted: u64,
}

/// How many batches are read, and then indexed, at a time.
const WINDOW: u64 = 16;

impl DynamoStore {
    /// Makes the index of a log anew from the log alone, and clears away what nothing leads to. Every process that has the log open must be closed
    /// before: it would go on to build upon the old index. Whatever ends it half way, it can be begun again, and a process that opens the log
    /// meanwhile goes on with it.
    ///
    /// Reads the whole table, and the log twice; deletes and writes the whole index. The log's identity, checkpoints and snapshots stay, and so does
    /// whatever else is in the table. Beside the permissions of a store it needs `Scan`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) where there are batches behind the end of the chain, unless they are to be deleted: then nothing was changed.
    /// Otherwise as [`connect`](Self::connect).
    ///
    /// ```no_run
    /// use annalist_dynamodb::{Config, DynamoStore, Rebuild, aws_sdk_dynamodb::Client};
    ///
    /// # async fn restored(client: Client) -> Result<(), annalist_core::Error> {
    /// let done = DynamoStore::rebuild(&client, "shop", &Config::default(), Rebuild::default()).await?;
    /// println!("{} batches, {} chunks of nobody", done.batches, done.chunks_deleted);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rebuild(
        client: &Client,
        table: &str,
        config: &Config,
        rebuild: Rebuild,
    ) -> Result<Rebuilt, Error> {
        run(aws(client, table)?, config, rebuild).await
    }

    /// As [`rebuild`](Self::rebuild), over anything that answers its requests.
    ///
    /// # Errors
    ///
    /// As [`rebuild`](Self::rebuild).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub async fn rebuild_over(
        table: Arc<dyn Table>,
        config: &Config,
        rebuild: Rebuild,
    ) -> Result<Rebuilt, Error> {
        run(table, config, rebuild).await
    }
}

async fn run(table: Arc<dyn Table>, config: &Config, rebuild: Rebuild) -> Result<Rebuilt, Error> {
    let keys = config.keys()?;
    let requests = Requests::new(table, config.request_timeout, config.requests_at_once_max);
    let mut loaded = schema::load(&requests, &keys, later(Instant::now(), config.timeout)).await?;
    loaded.watermark = Link::start(loaded.log);
    let log = Log::new(config.clone(), keys, requests, &loaded);
    let chain = log.chain().await?;
    let beyond = log.sweep(&chain, Sweep::Look).await?.batches_deleted;
    if beyond > 0 && !rebuild.drop_unchained {
        let message =
            format!("the chain ends after batch {}, and there are {beyond} batches behind it", chain.end);
        return Err(ErrorKind::Corrupt(message).into());
    }
    // Before anything of the index goes: whoever opens the log from now on reads all of it.
    let nothing = schema::watermark(&log.keys, loaded.watermark, log.writer);
    log.requests.put(&nothing, log.deadline()).await?;
    let mut done = log.sweep(&chain, Sweep::Delete).await?;
    done.batches = log.index_all(loaded.watermark).await?;
    Ok(done)
}

/// What of the log can be built upon.
struct Chain {
    /// The number of its last batch.
    end: u64,
    /// The ids of those batches that stand in chunks.
    chunked: HashMap<u64, Uuid>,
}

impl Chain {
    fn keeps(&self, room: Room) -> bool {
        match room {
            Room::Batch(number) => number <= self.end,
            Room::Chunk(number, id) => self.chunked.get(&number) == Some(&id),
            Room::Index => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Look,
    Delete,
}

/// The next batches of the chain.
struct Next {
    batches: Vec<Arc<Batch>>,
    chunked: Vec<(u64, Uuid)>,
    is_end: bool,
}

impl Log {
    fn deadline(&self) -> Instant {
        later(Instant::now(), self.config.timeout)
    }

    async fn chain(&self) -> Result<Chain, Error> {
        let (mut last, mut chunked) = (Link::start(self.id()), HashMap::new());
        loop {
            let next = self.next_of_chain(last).await?;
            last = next.batches.last().map_or(last, |batch| batch.link());
            chunked.extend(next.chunked);
            if next.is_end {
                return Ok(Chain { end: last.number, chunked });
            }
        }
    }

    async fn next_of_chain(&self, mut last: Link) -> Result<Next, Error> {
        let (log, numbers) = (self.id(), last.number + 1..=last.number + WINDOW);
        let wanted = numbers.clone().map(|number| self.keys.batch(number)).collect();
        let mut found = self.requests.get_all(wanted, self.deadline()).await?;
        let mut next = Next { batches: Vec::new(), chunked: Vec::new(), is_end: true };
        for number in numbers {
            let Some(item) = found.remove(&self.keys.batch(number)) else { return Ok(next) };
            let is_chunked = item.has(attribute::CHUNKS);
            let batch = match self.understand(log, number, item, self.deadline()).await {
                Ok(batch) if batch.previous == last.id => batch,
                Ok(_) => return Ok(next),
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt(_)) => return Ok(next),
                Err(error) => return Err(error),
            };
            last = batch.link();
            next.chunked.extend(is_chunked.then_some((number, batch.id)));
            next.batches.push(batch);
        }
        next.is_end = false;
        Ok(next)
    }

    /// Goes through the table for what the chain does not keep, and counts it.
    async fn sweep(&self, chain: &Chain, sweep: Sweep) -> Result<Rebuilt, Error> {
        let (prefix, mut done, mut after) = (self.keys.prefix(), Rebuilt::default(), None);
        loop {
            let (found, rest) = self.requests.scan(&prefix, after.as_ref(), self.deadline()).await?;
            let gone = found.into_iter().filter(|key| is_swept(&self.keys, chain, key, &mut done)).collect();
            if sweep == Sweep::Delete {
                self.requests.delete_all(gone, self.deadline()).await?;
            }
            match rest {
                Some(rest) => after = Some(rest),
                None => return Ok(done),
            }
        }
    }

    async fn index_all(&self, mut last: Link) -> Result<u64, Error> {
        loop {
            let next = self.next_of_chain(last).await?;
            self.index_step(&next.batches).await?;
            last = next.batches.last().map_or(last, |batch| batch.link());
            if next.is_end {
                return Ok(last.number);
            }
        }
    }
}

fn is_swept(keys: &Keys, chain: &Chain, key: &Key, done: &mut Rebuilt) -> bool {
    let Some(room) = keys.room(key).filter(|room| !chain.keeps(*room)) else { return false };
    let count = match room {
        Room::Batch(_) => &mut done.batches_deleted,
        Room::Chunk(..) => &mut done.chunks_deleted,
        Room::Index => &mut done.index_items_deleted,
    };
    *count += 1;
    true
}
