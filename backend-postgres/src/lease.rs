//! A connection that is in use.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use annalist_core::{Error, ErrorKind};
use sqlx::pool::PoolConnection;
use sqlx::{Executor, PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;

use crate::error;

/// A connection that goes back to its pool only when it is given back: dropped in the middle of a request it is closed, and whatever
/// was on its way on it dies with it (C1). The pool's own hand-back would wait for a reply that may never come.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    is_spoilt: bool,
    /// Whether a transaction was begun and not ended.
    is_open: bool,
    /// Where it was taken. Closing needs a runtime, and a store may be dropped where none is entered.
    pub(crate) runtime: Handle,
    pub(crate) taken_at: Instant,
    /// Whether statements stay prepared in their session, see [`Connections`](crate::connections::Connections).
    pub(crate) keeps_statements: bool,
}

impl Lease {
    /// Waits for a connection, as long as the pool allows.
    pub(crate) async fn take(pool: &PgPool, keeps_statements: bool) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Misconfigured("a Tokio runtime is needed".into())).with_source(error)
        })?;
        let connection = acquire(pool).await.map_err(error::of_connecting)?;
        let taken_at = Instant::now();
        Ok(Self {
            connection: Some(connection),
            is_spoilt: false,
            is_open: false,
            runtime,
            taken_at,
            keeps_statements,
        })
    }

    /// Begins what must happen in one session: preparing a statement and carrying it out. Without kept statements there may be a pooler in
    /// between, which gives each transaction any session.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        if self.keeps_statements {
            return Ok(());
        }
        self.is_open = true;
        self.execute("BEGIN").await.map(drop)
    }

    /// Ends what was begun.
    pub(crate) async fn end(&mut self) -> Result<(), sqlx::Error> {
        if self.is_open && !self.is_spoilt {
            self.execute("COMMIT").await?;
            self.is_open = false;
        }
        Ok(())
    }

    /// Whether there is nothing on its way on the connection, and no transaction open.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.is_spoilt && !self.is_open
    }

    /// Gives the connection back to its pool, or closes it where it is not at rest.
    pub(crate) fn give_back(mut self) {
        if self.is_at_rest() {
            let connection = self.connection.take();
            let _entered = self.runtime.enter();
            drop(connection);
        }
    }

    /// Says that there is something on its way on the connection, so that giving it back closes it.
    pub(crate) fn spoil(&mut self) {
        self.is_spoilt = true;
    }
}

/// A connection that breaks while it is made is made again: nothing was asked on it yet.
async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    const TRIES_MAX: u32 = 3;
    let mut tries = 1;
    loop {
        match pool.acquire().await {
            Err(sqlx::Error::Io(error)) if tries < TRIES_MAX && is_broken(&error) => tries += 1,
            answer => return answer,
        }
    }
}

fn is_broken(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

const GIVEN_BACK: &str = "a lease has its connection until it is given back";

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_deref().expect(GIVEN_BACK)
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_deref_mut().expect(GIVEN_BACK)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let _entered = self.runtime.enter();
            connection.close_on_drop();
            drop(connection);
        }
    }
}
