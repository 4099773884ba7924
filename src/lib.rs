//! Annalist keeps what happened: an event store for Rust over many databases, with one contract that holds for all of them.
//!
//! ```
//! use annalist::{ExpectedVersion, NewEvent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> annalist::Result<()> {
//! let store = annalist::connect("memory:").await?;
//! let placed = NewEvent::new("OrderPlaced", r#"{"total": 12}"#)?;
//! store.append("Order-7", ExpectedVersion::NoStream, [placed]).await?;
//!
//! for event in store.read_stream("Order-7").await?.events {
//!     println!("{} {} {}", event.position(), event.version(), event.event_type());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`connect`] opens a [`Store`] by URL; a Cargo feature per backend says which schemes there are.
//! - [`Store`] has everything an application does: append, read, [`transact`](Store::transact), snapshots, subscriptions, consumers.
//! - [`Consumer`] follows the log and goes on after a restart where it was.
//! - [`NewEvent::of`] and [`RecordedEvent::decode`] turn the variants of an enum into events and back, by serde alone.
//! - [`Error::remedy`] says what to do about an error.
//! - The traits [`EventStore`], [`SnapshotStore`] and [`CheckpointStore`] state the contract, guarantee by guarantee.
//!
//! Needs a Tokio runtime; one thread is enough.
//!
//! Pages beside these docs: the [guide](https://github.com/annalist-rs/annalist/blob/main/docs/guide.md), which goes from an empty folder to a consumer that
//! survives a kill; [everyday tasks](https://github.com/annalist-rs/annalist/blob/main/docs/everyday.md);
//! [choosing a backend](https://github.com/annalist-rs/annalist/blob/main/docs/choosing.md);
//! [operating](https://github.com/annalist-rs/annalist/blob/main/docs/operating/README.md) each of them.
//!
//! # Tracing
//!
#![doc = include_str!("trace.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod append;
mod connect;
mod consumer;
mod read;
mod retry;
mod snapshot;
mod store;
mod subscribe;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
mod transact;
mod turns;

pub use annalist_core::{
    Append, Capabilities, Capability, Check, Checkpoint, CheckpointName, CheckpointStore, Claim, Condition,
    Conflict, Consistency, ContentType, Direction, Error, ErrorKind, EventId, EventStore, EventType,
    ExpectedVersion, Fenced, IdReused, Invalid, Limits, LogId, Metadata, NAME_BYTES_MAX, NewEvent, Owner,
    PAGE_SIZE_DEFAULT, Page, Position, Query, QueryItem, Read, Receipt, RecordedEvent, Remedy, Signal,
    Snapshot, SnapshotSchema, SnapshotStore, Source, Start, StreamId, Subscribe, Subscription, Survives,
    TAGS_MAX, Tag, Version, Write, Written,
};

pub use connect::{connect, setup};
pub use consumer::{Consumer, ConsumerHandle, ConsumerOptions};
pub use read::{Events, Past};
pub use retry::Retry;
pub use snapshot::{Rehydrated, SnapshotState, Snapshotted};
pub use store::Store;
pub use subscribe::Signals;
pub use transact::Reads;

/// The backend on DynamoDB, for whoever opens it with settings of their own, or with a client that they have.
///
/// ```no_run
/// use annalist::Store;
/// use annalist::dynamodb::{Config, DynamoStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let mut config = Config::default();
/// config.namespace = "orders".to_owned();
/// let store = Store::new(DynamoStore::connect("dynamodb://shop?region=eu-central-1", config).await?);
/// assert!(store.read_stream("Order-7").await?.events.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "dynamodb")]
pub mod dynamodb {
    #[doc(no_inline)]
    pub use annalist_dynamodb::aws_sdk_dynamodb;
    #[doc(inline)]
    pub use annalist_dynamodb::{Config, DynamoStore, Rebuild, Rebuilt};
}

/// The backend in memory, for whoever opens it with settings of their own.
///
/// ```
/// use annalist::Store;
/// use annalist::memory::MemoryStore;
///
/// let backend = MemoryStore::new();
/// let store = Store::new(backend.another_handle());
/// # let _ = store;
/// ```
#[cfg(feature = "memory")]
pub mod memory {
    #[doc(inline)]
    pub use annalist_memory::{Config, MemoryStore};
}

/// The backend in a SQLite file, for whoever opens it with settings of their own.
///
/// ```
/// use annalist::Store;
/// use annalist::sqlite::{Config, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let path = folder.path().join("history.db");
/// let mut config = Config::default();
/// config.readers_max = 8;
/// let store = Store::new(SqliteStore::open(&path, config).await?);
/// assert!(store.read_stream("Order-7").await?.events.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "sqlite")]
pub mod sqlite {
    #[doc(no_inline)]
    pub use annalist_sqlite::rusqlite;
    #[doc(inline)]
    pub use annalist_sqlite::{Config, SqliteStore};
}

/// The backend on PostgreSQL, for whoever opens it with settings of their own, on a pool that they have, or appends in a transaction of
/// their own.
///
/// ```no_run
/// use annalist::postgres::{Config, PostgresStore};
/// use annalist::{Append, ExpectedVersion, NewEvent, Store, StreamId};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backend = PostgresStore::connect("postgres://app:secret@localhost/shop", Config::default()).await?;
/// let store = Store::new(backend.clone());
/// assert!(store.read_stream("Order-7").await?.events.is_empty());
///
/// let transaction = backend.pool().begin().await?;
/// let placed = NewEvent::new("OrderPlaced", r#"{"total": 12}"#)?;
/// let append = Append::to(&StreamId::new("Order-7")?, ExpectedVersion::NoStream, [placed]);
/// backend.append_and_commit(transaction, append).await?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "postgres")]
pub mod postgres {
    #[doc(no_inline)]
    pub use annalist_postgres::sqlx;
    #[doc(inline)]
    pub use annalist_postgres::{Config, PostgresStore};
}

/// The backend on Apache Kafka, for whoever opens it with settings of their own.
///
/// ```no_run
/// use annalist::Store;
/// use annalist::kafka::{Config, KafkaStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let mut config = Config::default();
/// config.folder = Some("/var/lib/shop/history".into());
/// let store = Store::new(KafkaStore::connect("kafka://localhost:9092/shop", config).await?);
/// assert!(store.read_stream("Order-7").await?.events.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "kafka")]
pub mod kafka {
    #[doc(no_inline)]
    pub use annalist_kafka::rdkafka;
    #[doc(inline)]
    pub use annalist_kafka::{Config, KafkaStore, Progress};
}

/// What every operation gives: a value or an [`Error`].
///
/// ```
/// fn name() -> annalist::Result<annalist::StreamId> {
///     annalist::StreamId::new("Order-7")
/// }
/// assert!(name().is_ok());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The examples of everyday tasks run as tests.
#[cfg(all(doctest, feature = "memory", feature = "testing"))]
#[doc = include_str!("../docs/everyday.md")]
struct Everyday;

/// And so do those for whoever operates a backend.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/operating/README.md")]
struct Operating;

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../docs/operating/sqlite.md")]
struct OperatingSqlite;

#[cfg(all(doctest, feature = "dynamodb"))]
#[doc = include_str!("../docs/operating/dynamodb.md")]
struct OperatingDynamo;

/// The front page's example runs as a test, too.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct FrontPage;
