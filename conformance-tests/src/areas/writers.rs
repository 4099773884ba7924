//! Writers that are at work while a check looks on.

use tokio::task::yield_now;

use crate::{Cx, Task, Verdict};

/// Tasks that write beside the check.
///
/// A check that looks on asks [`at_work`](Self::at_work) before each look: it is answered `true` once more after the last writer is
/// done, so that the last look sees the end.
pub(crate) struct Writers {
    tasks: Vec<Task<Verdict>>,
    last_look: bool,
}

impl Writers {
    pub(crate) fn start<F>(cx: &Cx, n: usize, mut write: impl FnMut(usize) -> F) -> Self
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Self { tasks: (0..n).map(|i| cx.spawn(write(i))).collect(), last_look: false }
    }

    /// Whether to look once more. Lets the writers have their turn.
    pub(crate) async fn at_work(&mut self) -> bool {
        yield_now().await;
        if self.last_look {
            return false;
        }
        self.last_look = self.tasks.iter().all(Task::is_finished);
        true
    }

    /// Waits for all of them.
    ///
    /// # Errors
    ///
    /// What ended the first that failed.
    pub(crate) async fn done(self) -> Verdict {
        for task in self.tasks {
            task.join().await??;
        }
        Ok(())
    }
}
