//! A connection that is in use.

use std::ops::{Deref, DerefMut};

use annalist_core::Error;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use crate::error;

/// A connection that goes back to its pool only when it is given back: dropped in the middle of a request it is closed, and whatever
/// was on its way on it dies with it (C1). The pool's own hand-back would wait for a reply that may never come.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    is_spoilt: bool,
}

impl Lease {
    /// Waits for a connection, as long as the pool allows.
    pub(crate) async fn take(pool: &PgPool) -> Result<Self, Error> {
        let connection = pool.acquire().await.map_err(error::of_connecting)?;
        Ok(Self { connection: Some(connection), is_spoilt: false })
    }

    /// Gives the connection back, with nothing on its way on it.
    pub(crate) fn give_back(mut self) {
        if !self.is_spoilt {
            self.connection = None;
        }
    }

    /// Says that there is something on its way on the connection, so that giving it back closes it.
    pub(crate) fn spoil(&mut self) {
        self.is_spoilt = true;
    }
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
            connection.close_on_drop();
        }
    }
}
