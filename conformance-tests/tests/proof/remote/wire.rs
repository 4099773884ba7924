//! What travels between the remote store and its server: a length, and that many bytes of a request or a reply.

use std::io;

use annalist_core::{CheckpointName, Position, SnapshotSchema, StreamId, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

mod append;
mod error;
mod event;
mod read;

pub use append::{WireAppend, WireReceipt};
pub use error::WireError;
pub use event::WireSnapshot;
pub use read::{WirePage, WireRead};

#[derive(Serialize, Deserialize)]
pub enum Request {
    /// The first one of a connection.
    Hello {
        namespace: String,
        password: String,
    },
    /// Takes a batch in, without deciding anything.
    Prepare(Vec<WireAppend>),
    /// Decides the batch that was taken in, each append by itself and in order.
    Commit,
    Read(WireRead),
    /// Answered once there is something above the position, or after a while.
    Wait(Position),
    SaveSnapshot(WireSnapshot),
    LoadSnapshot(StreamId, SnapshotSchema, Version),
    PruneSnapshots(StreamId, SnapshotSchema, u64),
    Claim(CheckpointName),
    SaveCheckpoint(CheckpointName, u64, Position),
    LoadCheckpoint(CheckpointName),
    ResetCheckpoint(CheckpointName, Position),
}

#[derive(Serialize, Deserialize)]
pub enum Reply {
    Done,
    /// Of a batch, in its order.
    Receipts(Vec<Result<WireReceipt, WireError>>),
    /// Nothing of the batch was written.
    NotSent,
    Page(WirePage),
    Snapshot(Option<WireSnapshot>),
    Claim(u64, Option<WireCheckpoint>),
    Checkpoint(Option<WireCheckpoint>),
    Owner(u64),
    Refused(WireError),
}

#[derive(Serialize, Deserialize)]
pub struct WireCheckpoint {
    position: Position,
    log: annalist_core::LogId,
    event: Option<annalist_core::EventId>,
}

impl From<annalist_core::Checkpoint> for WireCheckpoint {
    fn from(checkpoint: annalist_core::Checkpoint) -> Self {
        let annalist_core::Checkpoint { position, log, event, .. } = checkpoint;
        Self { position, log, event }
    }
}

impl From<WireCheckpoint> for annalist_core::Checkpoint {
    fn from(WireCheckpoint { position, log, event }: WireCheckpoint) -> Self {
        annalist_core::backend::checkpoint(position, log, event)
    }
}

/// The most bytes of one message: far more than the limits of an append and of a page.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A message with its length before it, to be sent as one.
pub fn framed(message: &impl Serialize) -> Vec<u8> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).expect("every message can be written");
    let length = u32::try_from(frame.len() - 4).expect("limits keep a message short");
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

/// The next message.
pub async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = from.read_u32_le().await? as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    postcard::from_bytes(&body).map_err(|_| io::ErrorKind::InvalidData.into())
}
