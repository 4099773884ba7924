//! The digest of all verdicts, by which processes notice that they disagree.

use std::collections::VecDeque;

use annalist_core::{Conflict, Error, ErrorKind, Receipt, backend};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::{put_number, put_text};
use crate::record::Body;

/// How many digests are kept to be compared. A writer that is further behind than that is not checked.
const RECENT_MAX: usize = 65_536;

/// What was said about one record, in bytes that never change for a version of the rules.
#[derive(Debug)]
pub(super) struct Said(Vec<u8>);

impl Said {
    pub(super) fn of(body: &Body) -> Self {
        let kind = match body {
            Body::Genesis => 0,
            Body::Appends(_) => 1,
            Body::Barrier => 2,
            Body::Claim { .. } => 3,
            Body::Save { .. } => 4,
            Body::Reset { .. } => 5,
            Body::Snapshot(_) => 6,
            Body::Prune { .. } => 7,
        };
        Self(vec![kind])
    }

    pub(super) fn number(&mut self, number: u64) {
        put_number(&mut self.0, number);
    }

    pub(super) fn accepted(&mut self, receipt: &Receipt) {
        self.0.push(1);
        receipt.written().iter().for_each(|written| self.number(written.first_version().get()));
    }

    pub(super) fn already(&mut self, receipt: &Receipt) {
        self.0.push(2);
        for position in receipt.written().iter().filter_map(|written| written.positions().first()) {
            let (offset, minor) = backend::numbers(*position);
            self.number(offset);
            self.number(u64::from(minor));
        }
    }

    pub(super) fn refused(&mut self, refusal: &Error) {
        match refusal.kind() {
            ErrorKind::Conflict(Conflict::Version { stream, actual, .. }) => {
                self.0.push(3);
                put_text(&mut self.0, stream.as_str());
                self.number(actual.get());
            }
            ErrorKind::Conflict(Conflict::Condition { index, matched }) => {
                let (offset, minor) = backend::numbers(*matched);
                self.0.push(4);
                [*index as u64, offset, u64::from(minor)].into_iter().for_each(|number| self.number(number));
            }
            ErrorKind::IdReused(reused) => {
                self.0.push(5);
                self.number(reused.version.get());
            }
            ErrorKind::Fenced(fenced) => {
                self.0.push(7);
                self.number(fenced.current);
            }
            _ => self.0.push(6),
        }
    }

    /// The digest after this record.
    pub(super) fn after(mut self, digest: u64, offset: u64) -> u64 {
        self.0.extend_from_slice(&offset.to_be_bytes());
        xxh3_64_with_seed(&self.0, digest)
    }
}

/// The digests after the last records.
#[derive(Debug)]
pub(super) struct Recent(VecDeque<(u64, u64)>);

impl Recent {
    pub(super) fn from(applied: u64, digest: u64) -> Self {
        Self(VecDeque::from([(applied, digest)]))
    }

    pub(super) fn push(&mut self, applied: u64, digest: u64) {
        if self.0.len() == RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((applied, digest));
    }

    /// Compares what a writer had decided with what was decided here.
    pub(super) fn check(&self, applied: u64, digest: u64, offset: u64, writer: Uuid) -> Result<(), Error> {
        let place = self.0.partition_point(|(known, _)| *known <= applied);
        let Some((_, known)) = place.checked_sub(1).and_then(|place| self.0.get(place)) else {
            return Ok(());
        };
        if *known == digest {
            return Ok(());
        }
        let message = format!(
            "the writer of a record has come to other verdicts: offset={offset} writer={writer} applied={applied}; \
             if this process's local store is the damaged one, removing its folder heals it; if it is the writer's, \
             the record stays where it is, and the records before it are to be brought into a new topic"
        );
        Err(ErrorKind::Corrupt(message).into())
    }
}
