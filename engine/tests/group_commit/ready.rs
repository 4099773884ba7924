//! What goes wrong before a batch leaves leaves no doubt.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit};
use async_trait::async_trait;

use crate::bench::{is_unavailable, write};

/// A writer that is never ready, in one way or another.
enum NotReady {
    Waits,
    /// Ready in the very moment in which the caller's time is up, and is told that nothing was sent.
    TooLate,
    Refuses(ErrorKind),
}

#[async_trait]
impl BatchWriter for NotReady {
    async fn ready(&self) -> Result<(), BatchError> {
        match self {
            Self::Waits => std::future::pending().await,
            Self::TooLate => {
                tokio::time::sleep(TIMEOUT).await;
                Ok(())
            }
            Self::Refuses(kind) => Err(BatchError::NotSent(kind.clone().into())),
        }
    }

    async fn write(&self, _: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        unreachable!("nothing is sent by a writer that is not ready")
    }
}

const TIMEOUT: Duration = Duration::from_secs(3);

async fn answer(writer: NotReady) -> Error {
    let commits = GroupCommit::new(Arc::new(writer), Config::default());
    let append = write("S").timeout(TIMEOUT);
    let answer = commits.append(append).await.expect_err("nothing was sent");
    commits.close().await;
    answer
}

#[tokio::test(start_paused = true)]
async fn no_way_until_the_deadline_is_unavailable() {
    assert!(is_unavailable(&answer(NotReady::Waits).await));
}

#[tokio::test(start_paused = true)]
async fn a_passing_trouble_is_tried_again_until_the_deadline() {
    let begun = tokio::time::Instant::now();
    let trouble = ErrorKind::Unavailable("no connection".into());
    assert!(is_unavailable(&answer(NotReady::Refuses(trouble)).await));
    assert_eq!(begun.elapsed(), TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_set_up_is_told_at_once() {
    let begun = tokio::time::Instant::now();
    let wrong = ErrorKind::Misconfigured("a wrong password".into());
    assert_eq!(answer(NotReady::Refuses(wrong.clone())).await.kind(), &wrong);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn ready_too_late_nothing_leaves() {
    assert!(is_unavailable(&answer(NotReady::TooLate).await));
}
