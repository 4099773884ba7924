//! Another numbering of the events of a log.

use std::ops::Bound;

use annalist_core::{Error, LogId, Position, backend};
use annalist_memory::MemoryStore;

use crate::look::head_of;

/// Where the n-th event of a log stands, and how many events stand at or below a place. Both rise with their argument.
#[derive(Clone, Copy)]
pub(super) struct Numbering {
    pub(super) place: fn(u64) -> (u64, u32),
    pub(super) count: fn((u64, u32)) -> u64,
}

const GAP: u64 = 1_000;

pub(super) const GAPS: Numbering = Numbering {
    place: |n| (n.saturating_mul(GAP).saturating_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % GAP), 0),
    count: |(major, _)| {
        let n = major / GAP;
        if (GAPS.place)(n).0 <= major { n } else { n.saturating_sub(1) }
    },
};

const TRILLION: u64 = 1_000_000_000_000;

pub(super) const FROM_A_TRILLION: Numbering = Numbering {
    place: |n| (n.saturating_add(TRILLION), 0),
    count: |(major, _)| major.saturating_sub(TRILLION),
};

const EACH: u64 = 5;
const STRIDE: u32 = 0x3000_0000;

pub(super) const TWO_NUMBERS: Numbering = Numbering {
    place: |n| (n / EACH, (n % EACH) as u32 * STRIDE + 7),
    count: |(major, minor)| {
        let of_this = (0..EACH as u32).filter(|n| n * STRIDE + 7 <= minor).count() as u64;
        major.saturating_mul(EACH).saturating_add(of_this).saturating_sub(1)
    },
};

/// A place of the log that this position is one of.
fn beside(position: Position, (major, minor): (u64, u32)) -> Position {
    let tag = &position.to_string()[..8];
    let log: LogId = format!("00000000-0000-0000-0000-0000{tag}").parse().expect("a UUID with the log's tag");
    backend::position(log, major, minor)
}

fn same_log(a: Position, b: Position) -> bool {
    a.to_string()[..8] == b.to_string()[..8]
}

impl Numbering {
    /// The position that callers see for one of the store beneath.
    pub(super) fn outer(&self, inner: Position) -> Position {
        if inner == Position::START {
            return inner;
        }
        beside(inner, (self.place)(backend::numbers(inner).0))
    }

    /// The position beneath at or before one that a caller names. One that is not of this log or past its head becomes one
    /// that the store beneath refuses.
    pub(super) async fn inner(&self, honest: &MemoryStore, outer: Position) -> Result<Position, Error> {
        if outer == Position::START {
            return Ok(outer);
        }
        let head = head_of(honest).await?;
        if head == Position::START || !same_log(head, outer) {
            return Ok(outer);
        }
        if outer > self.outer(head) {
            return Ok(beside(head, (u64::MAX, u32::MAX)));
        }
        Ok(self.floor(outer))
    }

    /// The position beneath at or before one of this log.
    pub(super) fn floor(&self, outer: Position) -> Position {
        match (self.count)(backend::numbers(outer)) {
            0 => Position::START,
            n => beside(outer, (n, 0)),
        }
    }

    /// The highest position beneath that a bound allows; `None` where it allows all.
    pub(super) async fn inner_bound(
        &self,
        honest: &MemoryStore,
        bound: Bound<Position>,
    ) -> Result<Option<Position>, Error> {
        Ok(match bound {
            Bound::Unbounded => None,
            Bound::Included(position) => Some(self.inner(honest, position).await?),
            Bound::Excluded(position) => {
                // Only a cursor excludes, and what it excludes was looked at.
                let at = self.inner(honest, position).await?;
                match backend::numbers(at).0 {
                    0 | 1 => Some(Position::START),
                    // Past the head, which the store beneath is to refuse.
                    u64::MAX => Some(at),
                    n => Some(beside(at, (n - 1, 0))),
                }
            }
        })
    }
}
