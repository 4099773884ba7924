//! Commands: saves of snapshots and checkpoints, claims. Each is a record of its own, carried out at most once.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Error, ErrorKind, Remedy};
use tokio::time::{Instant, sleep, timeout_at};

use crate::barrier::{self, error_of, not_carried_out};
use crate::error::{Undelivered, lost, unavailable};
use crate::fold::Verdict;
use crate::record::{Body, Sealed};
use crate::sender::{Fate, Sender};

const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

pub(crate) struct Commands {
    pub(crate) sender: Arc<Sender>,
    pub(crate) ready_within: Duration,
}

/// What is known of a command at any moment.
#[derive(Default)]
struct Course {
    may_have_left: bool,
    trouble: Option<Error>,
}

impl Commands {
    /// Has a command carried out, once, and gives what the fold says to it.
    ///
    /// It is sent again only when it certainly did not count: a claim that was carried out twice would fence itself.
    pub(crate) async fn carry_out(&self, body: &Body, deadline: Instant) -> Result<Verdict, Error> {
        let (mut sealed, mut course) = (Sealed::new(body), Course::default());
        match timeout_at(deadline, self.try_until_done(&mut sealed, &mut course)).await {
            Ok(answer) => answer,
            Err(_) => {
                let error = if course.may_have_left {
                    Error::new(ErrorKind::Indeterminate("no answer to a record by the deadline".to_owned()))
                } else {
                    unavailable("no way to the broker by the deadline")
                };
                Err(match course.trouble {
                    Some(trouble) => error.with_source(trouble),
                    None => error,
                })
            }
        }
    }

    async fn try_until_done(&self, sealed: &mut Sealed, course: &mut Course) -> Result<Verdict, Error> {
        let mut pause = BACKOFF_MIN;
        loop {
            let error = match self.try_once(sealed, course).await {
                Ok(verdict) => return Ok(verdict),
                Err(error) => error,
            };
            if error.remedy() != Remedy::SendLater {
                return Err(error);
            }
            course.may_have_left = false;
            course.trouble = Some(error);
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    async fn try_once(&self, sealed: &mut Sealed, course: &mut Course) -> Result<Verdict, Error> {
        self.sender.ready(self.ready_within).await?;
        let mut ticket = self.sender.send(sealed).map_err(error_of)?;
        course.may_have_left = true;
        match ticket.fate().await {
            Fate::Folded(verdict) => carried_out(verdict),
            Fate::Stopped(error) => Err(lost(error)),
            Fate::Undelivered(Undelivered::Maybe(error)) => {
                course.trouble = Some(error);
                barrier::settle(&self.sender, self.ready_within).await.map_err(lost)?;
                // It may have come after all, and too late.
                ticket
                    .verdict()
                    .map_or_else(|| Err(unavailable("a later record overtook this one")), carried_out)
            }
            Fate::Undelivered(undelivered) => Err(error_of(undelivered)),
        }
    }
}

/// The fold's verdict on a command, unless it has skipped it. A soak was told of a fault of ours where a record had been held up on its way, was given up, and
/// came when a later one had overtaken it: certainly not carried out, so that it can be sent again.
fn carried_out(verdict: Verdict) -> Result<Verdict, Error> {
    match verdict {
        Verdict::Skipped(_) => Err(not_carried_out(&verdict)),
        verdict => Ok(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Skipped;

    #[test]
    fn what_came_too_late_can_be_sent_again() {
        let late = carried_out(Verdict::Skipped(Skipped::Late)).expect_err("it was not carried out");
        assert_eq!(late.remedy(), Remedy::SendLater);
        assert!(matches!(carried_out(Verdict::Genesis), Ok(Verdict::Genesis)));
    }
}
