//! A bug of two areas: closing one handle closes whatever else shares the pool. How far that reaches is said where it is used.

use std::sync::atomic::{AtomicBool, Ordering};

use annalist_core::{Append, Error, ErrorKind, EventStore, Page, Read, Receipt};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;

#[derive(Default)]
pub struct OnePool(AtomicBool);

impl OnePool {
    fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::SeqCst) { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Bug for OnePool {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        self.check()?;
        honest.append(append).await
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        self.check()?;
        honest.read(read).await
    }

    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        self.0.store(true, Ordering::SeqCst);
        honest.close().await
    }
}
