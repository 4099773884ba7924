//! Connections for the raw side: handed out without a ping before or after, which the driver's own pool sends.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use annalist_postgres::sqlx::{Connection, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Server;
use crate::subject::{Crowd, Result};

/// How many connections each process has. Of 8, 16, 32 and 64 for one process 32 were fastest (64 tasks); for four processes 8 were, or as
/// fast as more. Up to that every task has one of its own.
pub(super) fn best_for(crowd: Crowd) -> usize {
    let most = if crowd.processes == 1 { 32 } else { 8 };
    usize::try_from(crowd.tasks).map_or(most, |tasks| tasks.min(most))
}

pub(super) struct Connections {
    free: Mutex<Vec<PgConnection>>,
    places: Semaphore,
}

impl Connections {
    pub(super) async fn open(server: &Server, count: usize) -> Result<Self> {
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            free.push(server.connect().await?);
        }
        Ok(Self { free: Mutex::new(free), places: Semaphore::new(count) })
    }

    /// With as many connections as tasks nobody waits here.
    pub(super) async fn take(&self) -> Result<Taken<'_>> {
        let place = self.places.acquire().await?;
        let connection = self.free().pop();
        Ok(Taken { connection, connections: self, _place: place })
    }

    pub(super) fn count(&self) -> usize {
        self.free().len()
    }

    fn free(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn close(&self) -> Result<()> {
        let all = std::mem::take(&mut *self.free());
        for connection in all {
            connection.close().await?;
        }
        Ok(())
    }
}

/// A connection, until it is dropped.
pub(super) struct Taken<'a> {
    connection: Option<PgConnection>,
    connections: &'a Connections,
    // Given back after the connection was.
    _place: SemaphorePermit<'a>,
}

const HELD: &str = "there are as many connections as places, and it is held until the drop";

impl Deref for Taken<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(HELD)
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(HELD)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.connections.free().extend(self.connection.take());
    }
}
