//! What others can do with a running consumer.

use annalist_core::{Error, ErrorKind, Position};
use tokio::sync::watch;

/// Stops a consumer and waits for it, from elsewhere. Clones are for the same consumer.
///
/// ```
/// use annalist::{Error, ExpectedVersion, NewEvent, Query, Start};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// let consumer = store.consumer("totals", Query::all(), Start::BEGINNING).start().await?;
/// let handle = consumer.handle();
/// let running = tokio::spawn(consumer.run(|event| async move {
///     println!("{}", event.event_type());
///     Ok::<(), Error>(())
/// }));
///
/// // Reading one's own write: once this returns, the consumer has handled what was just appended.
/// let receipt = store.append("Order-7", ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]).await?;
/// handle.wait_until(receipt.position().expect("an event was written")).await?;
///
/// handle.stop();
/// running.await.expect("no handler panics")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    stop: watch::Sender<bool>,
    handled: watch::Receiver<Position>,
}

impl ConsumerHandle {
    /// Asks the consumer to stop: it finishes the event at hand, saves its place and ends.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Everything that matches at or below it is handled.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.handled.borrow()
    }

    /// Waits until everything that matches at or below a position is handled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the consumer ends before.
    pub async fn wait_until(&self, position: Position) -> Result<(), Error> {
        let mut handled = self.handled.clone();
        match handled.wait_for(|handled| *handled >= position).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(ErrorKind::Closed).in_operation("wait for the consumer")),
        }
    }
}

/// The consumer's own side.
#[derive(Debug)]
pub(crate) struct Side {
    stop: watch::Sender<bool>,
    stopping: watch::Receiver<bool>,
    handled: watch::Sender<Position>,
}

impl Side {
    pub(crate) fn new(position: Position) -> Self {
        let (stop, stopping) = watch::channel(false);
        Self { stop, stopping, handled: watch::Sender::new(position) }
    }

    pub(crate) fn handle(&self) -> ConsumerHandle {
        ConsumerHandle { stop: self.stop.clone(), handled: self.handled.subscribe() }
    }

    /// Waits until someone asks to stop. Cancel-safe.
    pub(crate) async fn stopped(&mut self) {
        // The sender is held beside the receiver, so that waiting cannot fail.
        let _ = self.stopping.wait_for(|stop| *stop).await;
    }

    pub(crate) fn tell(&self, handled: Position) {
        self.handled.send_if_modified(|told| std::mem::replace(told, handled) != handled);
    }
}
