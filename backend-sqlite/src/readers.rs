//! The connections of a handle that read: few, and used where waiting is allowed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_core::{Error, ErrorKind};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::connection::{Link, Whereabouts, gone, patiently};
use crate::error::{self, unavailable};

pub(crate) struct Readers {
    pool: Arc<Pool>,
    places: Arc<Semaphore>,
    readers_max: usize,
}

struct Pool {
    path: PathBuf,
    free: Mutex<Vec<Link>>,
}

impl Readers {
    /// A pool that has one connection, and makes others as they are needed.
    pub(crate) fn new(path: &Path, first: Link, readers_max: usize) -> Self {
        let readers_max = readers_max.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let pool = Pool { path: path.to_owned(), free: Mutex::new(vec![first]) };
        Self { pool: Arc::new(pool), places: Arc::new(Semaphore::new(readers_max)), readers_max }
    }

    /// Reads in one transaction, and so one state of the file. Whoever stops waiting leaves it to end by itself: reads are short.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let too_late = |_| unavailable("no answer to a read by its deadline");
        let place = timeout_at(deadline, self.places.clone().acquire_owned()).await.map_err(too_late)?;
        let place = place.map_err(|_| Error::from(ErrorKind::Closed))?;
        let pool = self.pool.clone();
        let reading = tokio::task::spawn_blocking(move || pool.read(place, deadline, work));
        timeout_at(deadline, reading)
            .await
            .map_err(too_late)?
            .map_err(|lost| Error::new(ErrorKind::Unavailable("a read was lost".into())).with_source(lost))?
    }

    /// Closes all, once those that are in use have been given back.
    pub(crate) async fn close(&self) {
        let all = u32::try_from(self.readers_max).unwrap_or(u32::MAX);
        let _places = self.places.acquire_many(all).await;
        self.places.close();
        self.pool.free().clear();
    }
}

impl Pool {
    fn free(&self) -> MutexGuard<'_, Vec<Link>> {
        // Nothing panics while it holds this lock.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        _place: OwnedSemaphorePermit,
        deadline: Instant,
        mut work: impl FnMut(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        patiently(deadline.into_std(), || {
            let link = self.link()?;
            let done = in_transaction(&link.connection, &mut work);
            // After an error of the file a connection is made anew: what is wrong with it ends with it.
            if done.as_ref().err().and_then(error::driver).is_none() {
                self.free().push(link);
            }
            done
        })
    }

    /// A connection to the file that is there now.
    fn link(&self) -> Result<Link, Error> {
        loop {
            let kept = self.free().pop();
            let Some(link) = kept else { return Link::open(&self.path) };
            match link.whereabouts(&self.path) {
                Whereabouts::Here => return Ok(link),
                Whereabouts::Replaced => {}
                Whereabouts::Gone => {
                    // It may come back.
                    self.free().push(link);
                    return Err(gone(&self.path));
                }
            }
        }
    }
}

fn in_transaction<T>(
    connection: &Connection,
    work: &mut impl FnMut(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let run = |text| {
        connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute([]))
            .map_err(error::of_file)
    };
    run("BEGIN")?;
    let done = work(connection);
    // It has changed nothing, so that either way of ending it is as good.
    run("COMMIT")?;
    done
}
