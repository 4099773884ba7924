//! The loop that nobody should write: following the log and keeping one's place over restarts.

mod handle;
mod options;
mod place;

use annalist_core::{
    CheckpointName, Error, ErrorKind, Invalid, Owner, Position, RecordedEvent, Signal, Subscription,
};
use std::fmt;
use std::time::Duration;

use tokio::select;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, warn};

pub use handle::ConsumerHandle;
pub use options::ConsumerOptions;

use crate::{Retry, Store, trace};
use handle::Side;
use place::Place;

/// Follows the log and keeps its place in a checkpoint, so that after a restart it goes on where it was.
///
/// - Every matching event is given at least once, in log order. After a crash, those handled since the last save come again (S5).
/// - Delivery is not acknowledgement: an event counts once it is [`done`](Self::done), which says that it and all before it are handled.
/// - The place is saved every so many events or seconds (see [`ConsumerOptions`]), whenever the consumer has caught up, and at
///   stop. It moves over events that do not match, too.
/// - Whoever claims the same name replaces it: its next save is refused, and it ends with [`ErrorKind::Fenced`].
///
/// ```
/// use annalist::{ExpectedVersion, NewEvent, Query, Start};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// store.append("Order-7", ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]).await?;
///
/// let mut mailer = store.consumer("mailer", Query::category("Order"), Start::BEGINNING).start().await?;
/// if let Some(event) = mailer.next().await? {
///     println!("a mail about {}", event.stream());
///     mailer.done(&event).await?;
/// }
/// mailer.stop().await?;
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    store: Store,
    owner: Owner,
    /// `None` once it has ended.
    subscription: Option<Box<dyn Subscription>>,
    /// Whether it ended with an error, which was told then.
    failed: bool,
    place: Place,
    save_every_events: u64,
    save_every: Duration,
    outage_max: Duration,
    /// When what is handled must be saved at last.
    save_due: Instant,
    /// Since when saving fails.
    failing_since: Option<Instant>,
    side: Side,
}

enum Step {
    Stop,
    Save,
    Signal(Option<Result<Signal, Error>>),
}

impl Consumer {
    /// Waits for the next event; `None` once it was stopped or has ended. Cancel-safe.
    ///
    /// # Errors
    ///
    /// What ends the consumer, once: [`Fenced`](ErrorKind::Fenced) when another one has taken its place, else as
    /// [`Subscription::next`](crate::Subscription::next) and [`Store::save_checkpoint`].
    pub async fn next(&mut self) -> Result<Option<RecordedEvent>, Error> {
        loop {
            match self.step().await {
                Step::Stop | Step::Signal(None) => return self.end().await.map(|()| None),
                Step::Save => self.save().await?,
                Step::Signal(Some(Ok(signal))) => {
                    if let Some(event) = self.take(signal).await? {
                        return Ok(Some(event));
                    }
                }
                Step::Signal(Some(Err(error))) => return Err(self.fail(error).in_operation("consume")),
            }
        }
    }

    /// Says that an event and all that were given before it are handled, and saves the place when it is time.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for an event that this consumer has not given yet; else as [`next`](Self::next).
    pub async fn done(&mut self, event: &RecordedEvent) -> Result<(), Error> {
        if event.position() > self.place.given() {
            let shown = event.position().to_string();
            return Err(Invalid::new("event", "must have been given by this consumer", shown).into());
        }
        self.changed(|place| place.done(event.position()));
        let due = self.place.events_unsaved() >= self.save_every_events || Instant::now() >= self.save_due;
        if due { self.save().await } else { Ok(()) }
    }

    /// Gives every event to `handler`, one after the other, until the consumer is stopped.
    ///
    /// # Errors
    ///
    /// The handler's error, which ends the consumer: the event is not done, and is given again to the next consumer of this
    /// name. Whoever would rather go on handles the error in the handler. Else as [`next`](Self::next).
    pub async fn run<F, E>(mut self, mut handler: impl FnMut(RecordedEvent) -> F) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
        E: From<Error>,
    {
        while let Some(event) = self.next().await? {
            let span = trace::handle(self.name(), &event);
            let handled = handler(event.clone()).instrument(span.clone()).await;
            trace::handled(&span, handled.is_ok());
            if let Err(error) = handled {
                if let Err(unsaved) = self.end().await {
                    warn!(consumer = %self.name(), error = %unsaved, "the place before a failed handler was not saved");
                }
                return Err(error);
            }
            self.done(&event).await?;
        }
        Ok(())
    }

    /// Saves the place and ends.
    ///
    /// # Errors
    ///
    /// As [`Store::save_checkpoint`], tried again for a while; events that are done may then be given again.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.end().await
    }

    /// The name of its checkpoint.
    #[must_use]
    pub fn name(&self) -> &CheckpointName {
        self.owner.name()
    }

    /// Everything that matches at or below it is handled.
    #[must_use]
    pub fn position(&self) -> Position {
        self.place.handled()
    }

    /// A handle to stop it and to wait for it from elsewhere.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        self.side.handle()
    }

    /// Waits for whatever comes first. Cancel-safe, as each of the three is.
    async fn step(&mut self) -> Step {
        let Some(subscription) = &mut self.subscription else { return Step::Stop };
        let (unsaved, due) = (self.place.unsaved(), self.save_due);
        select! {
            biased;
            () = self.side.stopped() => Step::Stop,
            () = sleep_until(due), if unsaved => Step::Save,
            signal = subscription.next() => Step::Signal(signal),
        }
    }

    async fn take(&mut self, signal: Signal) -> Result<Option<RecordedEvent>, Error> {
        match signal {
            Signal::Event(event) => {
                self.place.give(event.position());
                return Ok(Some(event));
            }
            // Not saved at once: on a busy log with few matches that would be a save per append of others.
            Signal::Progress(position) => self.changed(|place| place.pass(position)),
            Signal::CaughtUp(position) => {
                self.changed(|place| place.pass(position));
                self.save().await?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// Changes the place; what was all saved before becomes due for saving.
    fn changed(&mut self, change: impl FnOnce(&mut Place)) {
        let unsaved = self.place.unsaved();
        change(&mut self.place);
        if self.place.unsaved() && !unsaved {
            self.save_due = Instant::now() + self.save_every;
        }
        self.side.tell(self.place.handled());
    }

    /// Saves what is handled. An outage is bridged: nothing is lost by saving later.
    async fn save(&mut self) -> Result<(), Error> {
        let position = self.place.handled();
        if !self.place.unsaved() {
            return Ok(());
        }
        match self.store.save_checkpoint(&self.owner, position).await {
            Ok(()) => {
                self.place.save(position);
                self.failing_since = None;
                Ok(())
            }
            Err(error) if transient(&error) && !self.outage_over() => {
                warn!(consumer = %self.name(), %error, "the place could not be saved and will be later");
                self.save_due = Instant::now() + self.save_every;
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        (self.subscription, self.failed) = (None, true);
        error
    }

    fn outage_over(&mut self) -> bool {
        self.failing_since.get_or_insert_with(Instant::now).elapsed() >= self.outage_max
    }

    /// Saves what is handled, insisting, and releases the subscription.
    async fn end(&mut self) -> Result<(), Error> {
        if let Some(mut subscription) = self.subscription.take() {
            subscription.stop().await;
        }
        let position = self.place.handled();
        let mut attempts = Retry::default().start();
        while !self.failed && self.place.saved() < position {
            match self.store.save_checkpoint(&self.owner, position).await {
                Ok(()) => self.place.save(position),
                Err(error) if transient(&error) && attempts.again(&error).await => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(())
    }
}

/// A save can be sent again after both: at or below the stored position it does nothing.
fn transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("owner", &self.owner)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
