//! Private servers of the real technologies, started by whoever tests against them and gone with him.
//!
//! A server is this user's own process on a free loopback port, with its data in a temporary folder and, unless it says otherwise, the durability
//! that it has by default. It ends when its handle is dropped, and also when the process that holds the handle ends in any
//! other way, be it `SIGKILL`: a small shell stands between the two and waits for the end of a pipe from here.
//!
//! Everything blocks: in asynchronous code, call it inside `spawn_blocking`. Unix only. With the feature `dynamodb-proxy` there is a
//! network before a DynamoDB server that fails when it is told to; it does not block.
//!
//! ```no_run
//! use annalist_test_servers::postgres::{Server, Settings};
//!
//! let server = Server::start(Settings::default())?;
//! server.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")?;
//! server.kill()?;
//! server.restart()?;
//! assert_eq!(server.sql("SELECT n FROM t")?, "1");
//! # Ok::<_, annalist_test_servers::Error>(())
//! ```

mod account;
mod cache;
mod debian;
mod disk;
pub mod dynamodb;
mod error;
pub mod kafka;
mod keeper;
mod left;
pub mod pgbouncer;
mod port;
pub mod postgres;
mod process;

pub use account::temporary;
pub use disk::Disk;
pub use error::{Error, Result};
pub use left::Left;
