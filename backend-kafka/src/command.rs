//! Commands: saves of snapshots and checkpoints, claims. Each is a record of its own, carried out at most once.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Error, ErrorKind, Remedy};
use tokio::time::{Instant, sleep, timeout_at};

use crate::barrier::{self, error_of, not_carried_out};
use crate::error::{Undelivered, lost, unavailable};
use crate::fold::{Skipped, Verdict};
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
            Fate::Folded(Verdict::Skipped(Skipped::Late)) => {
                Err(unavailable("a later record overtook this one"))
            }
            Fate::Folded(verdict @ Verdict::Skipped(_)) => Err(not_carried_out(&verdict)),
            Fate::Folded(verdict) => Ok(verdict),
            Fate::Stopped(error) => Err(lost(error)),
            Fate::Undelivered(Undelivered::Maybe(error)) => {
                course.trouble = Some(error);
                barrier::settle(&self.sender, self.ready_within).await.map_err(lost)?;
                ticket.verdict().ok_or_else(|| unavailable("a later record overtook this one"))
            }
            Fate::Undelivered(undelivered) => Err(error_of(undelivered)),
        }
    }
}
