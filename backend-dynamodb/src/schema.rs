//! Making a table and a namespace what this version needs, and reading where a log begins.

use annalist_core::{Error, ErrorKind, LogId};
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;
use uuid::Uuid;

use crate::batch::Link;
use crate::key::Keys;
use crate::requests::Requests;
use crate::table::{Condition, Item};

/// The layout that this version writes, and the oldest whose users can work on what it writes (C4).
const LAYOUT: u64 = 1;
const WORKS_WITH: u64 = 1;

/// The attributes of the log's item and of the watermark's.
pub(crate) mod attribute {
    pub(crate) const LOG: &str = "id";
    pub(super) const LAYOUT: &str = "layout";
    pub(super) const WORKS_WITH: &str = "works_with";
    /// Up to which batch the index is complete.
    pub(crate) const NUMBER: &str = "n";
    /// The id of that batch.
    pub(super) const ID: &str = "i";
    /// The ordinal of its last event.
    pub(super) const LAST: &str = "l";
    /// Who moved it there.
    pub(super) const BY: &str = "by";
}

/// Where a log begins to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    pub(crate) log: LogId,
    pub(crate) watermark: Link,
    pub(crate) indexer: Uuid,
}

/// Makes the log of a namespace, unless it is there. May be done by many at once: the first to put it has made it.
pub(crate) async fn begin(requests: &Requests, keys: &Keys, deadline: Instant) -> Result<(), Error> {
    let log = Item::new(keys.log())
        .id(attribute::LOG, LogId::new().as_uuid())
        .number(attribute::LAYOUT, LAYOUT)
        .number(attribute::WORKS_WITH, WORKS_WITH);
    if let Err(Some(there)) = requests.put_if(&log, &Condition::ABSENT, deadline).await? {
        check(&there, keys)?;
    }
    let stored = requests.get(&keys.log(), deadline).await?.ok_or_else(|| missing(keys))?;
    let start = Link::start(LogId::from_uuid(stored.get_id(attribute::LOG)?));
    let watermark = watermark(keys, start, Uuid::nil());
    requests.put_if(&watermark, &Condition::ABSENT, deadline).await.map(drop)
}

/// The item that says up to where the index is complete.
pub(crate) fn watermark(keys: &Keys, link: Link, by: Uuid) -> Item {
    Item::new(keys.watermark())
        .number(attribute::NUMBER, link.number)
        .id(attribute::ID, link.id)
        .number(attribute::LAST, u64::from(link.last))
        .id(attribute::BY, by)
}

/// The attribute that says up to which batch.
pub(crate) fn number(number: u64) -> (&'static str, AttributeValue) {
    (attribute::NUMBER, AttributeValue::N(number.to_string()))
}

/// Reads it: the batch, and who says so.
pub(crate) fn read_watermark(item: &Item) -> Result<(Link, Uuid), Error> {
    let link = Link {
        number: item.get_number(attribute::NUMBER)?,
        id: item.get_id(attribute::ID)?,
        last: item.get_small(attribute::LAST)?,
    };
    Ok((link, item.get_id(attribute::BY)?))
}

/// Reads where a log begins, and refuses one that is missing or that this version would harm.
pub(crate) async fn load(requests: &Requests, keys: &Keys, deadline: Instant) -> Result<Loaded, Error> {
    let wanted = vec![keys.log(), keys.watermark()];
    let found = requests.get_all(wanted, deadline).await?;
    let log = found.get(&keys.log()).ok_or_else(|| missing(keys))?;
    check(log, keys)?;
    let watermark = found.get(&keys.watermark()).ok_or_else(|| missing(keys))?;
    let (watermark, indexer) = read_watermark(watermark)?;
    Ok(Loaded { log: LogId::from_uuid(log.get_id(attribute::LOG)?), watermark, indexer })
}

fn missing(keys: &Keys) -> Error {
    let message = format!("the table holds no log `{}`: run its set-up", keys.namespace());
    ErrorKind::Misconfigured(message).into()
}

fn check(log: &Item, keys: &Keys) -> Result<(), Error> {
    let (layout, works_with) = (log.get_number(attribute::LAYOUT), log.get_number(attribute::WORKS_WITH));
    let message = match (layout, works_with) {
        (Ok(layout), Ok(works_with)) if works_with <= LAYOUT && layout >= WORKS_WITH => return Ok(()),
        (Ok(layout), Ok(_)) => format!(
            "the log `{}` has the layout {layout}, this version knows {LAYOUT}: update this program",
            keys.namespace()
        ),
        _ => format!("the item in place of the log `{}` is none of an event store", keys.namespace()),
    };
    Err(ErrorKind::Misconfigured(message).into())
}
