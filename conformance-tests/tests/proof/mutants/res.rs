//! Broken stores for the area `res`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Mutant;

mod append;
mod close;
mod faults;
mod load;
mod others;

pub const PARTS: &[&[Mutant]] =
    &[append::MUTANTS, others::MUTANTS, load::MUTANTS, close::MUTANTS, faults::MUTANTS];

/// Something that one operation at a time takes and gives back in its last line, which a dropped one never reaches.
#[derive(Default)]
struct Slot(AtomicBool);

impl Slot {
    /// Whether it was free.
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }

    async fn wait(&self) {
        while !self.take() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn give_back(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
