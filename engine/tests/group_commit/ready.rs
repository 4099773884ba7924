//! What goes wrong before a batch leaves leaves no doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit};
use async_trait::async_trait;

use crate::bench::{is_indeterminate, is_unavailable, write};

/// A writer that is not ready in time, in one way or another, and what left nevertheless.
struct Writer {
    not_ready: NotReady,
    left: Arc<AtomicUsize>,
}

enum NotReady {
    Waits,
    /// Ready in the very moment in which the caller's time is up, and is told that nothing was sent.
    TooLate,
    Refuses(ErrorKind),
}

#[async_trait]
impl BatchWriter for Writer {
    async fn ready(&self) -> Result<(), BatchError> {
        match &self.not_ready {
            NotReady::Waits => std::future::pending().await,
            NotReady::TooLate => {
                tokio::time::sleep(TIMEOUT).await;
                Ok(())
            }
            NotReady::Refuses(kind) => Err(BatchError::NotSent(kind.clone().into())),
        }
    }

    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        self.left.fetch_add(batch.len(), Ordering::SeqCst);
        std::future::pending().await
    }
}

/// The same in what is looked up for the batch, once it is known which it is.
struct Preparing(Writer);

#[async_trait]
impl BatchWriter for Preparing {
    async fn prepare(&self, batch: &[Append]) -> Result<(), BatchError> {
        assert_eq!(batch.len(), 1);
        self.0.ready().await
    }

    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        self.0.write(batch).await
    }
}

const TIMEOUT: Duration = Duration::from_secs(3);

async fn answer(not_ready: NotReady) -> Error {
    answer_of(not_ready, |writer| Arc::new(writer)).await
}

async fn answer_of(not_ready: NotReady, writer: fn(Writer) -> Arc<dyn BatchWriter>) -> Error {
    let left = Arc::<AtomicUsize>::default();
    let writer = writer(Writer { not_ready, left: left.clone() });
    let commits = GroupCommit::new(Arc::new(writer), Config::default());
    let append = write("S").timeout(TIMEOUT);
    let answer = commits.append(append).await.expect_err("nothing was sent");
    commits.close().await;
    assert_eq!(left.load(Ordering::SeqCst), 0, "appends left");
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
async fn what_cannot_be_prepared_leaves_no_doubt_either() {
    let trouble = NotReady::Refuses(ErrorKind::Unavailable("no connection".into()));
    for not_ready in [NotReady::Waits, NotReady::TooLate, trouble] {
        let answer = answer_of(not_ready, |writer| Arc::new(Preparing(writer))).await;
        assert!(is_unavailable(&answer), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn ready_too_late_nothing_leaves() {
    assert!(is_unavailable(&answer(NotReady::TooLate).await));
}

/// Loses its first reply, and is never ready again.
#[derive(Default)]
struct LosesTouch(AtomicBool);

#[async_trait]
impl BatchWriter for LosesTouch {
    async fn ready(&self) -> Result<(), BatchError> {
        if self.0.load(Ordering::SeqCst) { std::future::pending().await } else { Ok(()) }
    }

    async fn write(&self, _: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        self.0.store(true, Ordering::SeqCst);
        Err(BatchError::Unknown(ErrorKind::Indeterminate("the reply was lost".into()).into()))
    }
}

/// The attempt that waits to be ready outlives its caller by a moment. Whoever sent the append again in that moment joined it as a twin, and was
/// told of an attempt that had left long before.
#[tokio::test(start_paused = true)]
async fn one_that_everyone_has_given_up_on_takes_no_twin() {
    let commits = GroupCommit::new(Arc::new(LosesTouch::default()), Config::default());
    let append = write("S").timeout(TIMEOUT);
    assert!(is_indeterminate(&commits.append(append.clone()).await.expect_err("the reply was lost")));
    assert!(is_unavailable(&commits.append(append).await.expect_err("this one never left")));
    commits.close().await;
}
