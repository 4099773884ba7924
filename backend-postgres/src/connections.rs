//! The connections of a store: a pool, and when one of them was last found lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use annalist_core::Error;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

use crate::at_hand::AtHand;
use crate::config::Config;
use crate::error::{is_of_connection, of_connecting};
use crate::lease::Lease;

/// A connection that nobody used for this long is tried before it is used again: on one that was lost meanwhile an append would be in doubt.
const TRIED_AFTER: Duration = Duration::from_secs(1);

/// How long closing waits for connections to be closed in good order.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// A pool, and what is known of the state of its connections. One that is found lost is rarely alone: those that have not been used since are
/// tried before they are.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    pub(crate) pool: PgPool,
    /// Nothing where the pool is not this store's: it is the application's to say who gets its connections, and when they are tried.
    at_hand: AtHand,
    lost: Lost,
    /// Whether the pool was made for this store, and ends with it.
    pub(crate) is_own: bool,
    /// Whether statements stay prepared in their session, which is so unless the driver's cache is off. Even then the driver gives each statement
    /// a name of its own, under which it would stay there for ever, unless it is told that the statement is not to persist.
    pub(crate) keeps_statements: bool,
}

fn keeps_statements(options: &PgConnectOptions) -> bool {
    let url = options.to_url_lossy();
    url.query_pairs().all(|(name, value)| name != "statement-cache-capacity" || value != "0")
}

/// When a connection was last found lost.
#[derive(Clone, Debug, Default)]
struct Lost(Arc<Mutex<Option<Instant>>>);

impl Lost {
    fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection that was last used this long ago must be tried.
    fn makes_suspect(&self, idle_for: Duration) -> bool {
        let lost_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle_for >= TRIED_AFTER || lost_at.is_some_and(|at| at.elapsed() <= idle_for)
    }
}

impl Connections {
    /// A pool of this store's own. Nothing is sent only to see whether a connection that was just in use still works.
    pub(crate) fn own(options: PgConnectOptions, config: &Config) -> Self {
        let keeps_statements = keeps_statements(&options);
        let lost = Lost::default();
        let known = lost.clone();
        let pool = PgPoolOptions::new()
            .max_connections(config.connections_max.max(1))
            .acquire_timeout(config.connect_timeout)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let is_suspect = known.makes_suspect(meta.idle_for);
                Box::pin(async move { Ok(!is_suspect || connection.ping().await.is_ok()) })
            })
            .connect_lazy_with(options);
        Self { at_hand: AtHand::of(&pool), pool, lost, is_own: true, keeps_statements }
    }

    /// A pool of the application's.
    pub(crate) fn given(pool: PgPool) -> Self {
        let keeps_statements = keeps_statements(&pool.connect_options());
        Self { pool, at_hand: AtHand::nothing(), lost: Lost::default(), is_own: false, keeps_statements }
    }

    /// Gives one that is at hand, or waits for one of the pool, as long as that allows.
    pub(crate) async fn take(&self) -> Result<Lease, Error> {
        loop {
            match self.at_hand.take() {
                Ok((mut lease, since)) => {
                    if self.works(&mut lease, since).await {
                        return Ok(lease);
                    }
                }
                Err(_waiting) => return Lease::take(&self.pool, self.keeps_statements).await,
            }
        }
    }

    /// Takes back a connection with nothing on its way on it.
    pub(crate) fn give_back(&self, lease: Lease) {
        self.at_hand.give_back(lease);
    }

    /// Closes all of them in good order, where they are this store's.
    pub(crate) async fn close(&self) {
        self.at_hand.close();
        if self.is_own {
            // It says goodbye to the server, which may not be there to hear it: what is left is closed without.
            let _ = timeout(GOODBYE_MAX, self.pool.close()).await;
        }
    }

    /// The same, and tries it: for what must not be left in doubt because a connection was lost while nobody used it.
    pub(crate) async fn take_tried(&self) -> Result<Lease, Error> {
        // Each that fails ends here, and the next one is another.
        let mut others = self.pool.options().get_max_connections();
        loop {
            let mut lease = self.take().await?;
            match lease.ping().await {
                Ok(()) => return Ok(lease),
                Err(error) if others == 0 => return Err(of_connecting(error)),
                Err(error) => self.note(&error),
            }
            others -= 1;
        }
    }

    /// Whether a connection that was kept since some time still works.
    pub(crate) async fn works(&self, lease: &mut Lease, since: Instant) -> bool {
        !self.lost.makes_suspect(since.elapsed()) || lease.ping().await.is_ok()
    }

    /// Takes note of what an error says about connections.
    pub(crate) fn note(&self, error: &sqlx::Error) {
        if is_of_connection(error) {
            self.lost.set();
        }
    }
}
