//! How far a log has been applied, and what is needed to go on there and nowhere else.

use annalist_core::{Error, LogId, Position, backend};
use xxhash_rust::xxh3::xxh3_64;

use super::{Raw, Skipped};
use crate::codec::{Malformed, Reader};
use crate::local::{Changes, Local, Table};

/// The version of the local store's layout. Another one is not taken up.
const LAYOUT: u8 = 1;
const KEY: &[u8] = b"state";

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct State {
    /// Given by the first record.
    pub(crate) log: Option<LogId>,
    /// The offset of the next record.
    pub(crate) applied: u64,
    /// The numbers of the newest event's position; zeros before the first.
    pub(crate) head: (u64, u32),
    /// What all verdicts so far come to.
    pub(crate) digest: u64,
    /// The last record that was read and is not another log's: a topic that was cut off and has grown again has another one there.
    pub(crate) last: Option<Mark>,
    /// How many records were not ours, or not of this log.
    pub(crate) foreign: u64,
    /// How many came too late, or twice.
    pub(crate) late: u64,
}

/// A record by which a history is known again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    pub(crate) hash: u64,
}

impl Mark {
    pub(crate) fn of(raw: &Raw) -> Self {
        Self { offset: raw.offset, hash: xxh3_64(&raw.value) }
    }
}

impl State {
    pub(crate) fn head(&self) -> Position {
        match (self.log, self.head) {
            (Some(log), (offset, minor)) if offset > 0 => backend::position(log, offset, minor),
            _ => Position::START,
        }
    }

    pub(super) fn count_skipped(&mut self, reason: Skipped) {
        match reason {
            Skipped::Foreign | Skipped::OfAnotherLog(_) | Skipped::Genesis => self.foreign += 1,
            Skipped::Late => self.late += 1,
        }
    }

    pub(super) fn applied_record(&mut self, raw: &Raw) {
        self.applied = raw.offset + 1;
        self.last = Some(Mark::of(raw));
    }

    /// One of another log. It is no mark of this one: a topic that was made anew has it, too.
    pub(super) fn passed_record(&mut self, raw: &Raw) {
        self.applied = raw.offset + 1;
    }

    /// The state that a local store stands for; the beginning, where it is new or laid out in another way.
    pub(super) fn load(local: &Local) -> Result<Self, Error> {
        let Some(value) = local.get(Table::State, KEY)? else { return Ok(Self::default()) };
        let mut reader = Reader::new(value);
        if reader.byte()? != LAYOUT {
            return Err(Malformed.into());
        }
        let log = reader.uuid()?;
        let mut number = || -> Result<u64, Error> { Ok(u64::from_be_bytes(reader.array()?)) };
        let (applied, digest, foreign, late) = (number()?, number()?, number()?, number()?);
        let (head, minor, offset, hash) = (number()?, number()?, number()?, number()?);
        let minor = u32::try_from(minor).map_err(|_| Malformed)?;
        let is_begun = applied > 0;
        Ok(Self {
            log: is_begun.then_some(LogId::from_uuid(log)),
            applied,
            head: (head, minor),
            digest,
            last: is_begun.then_some(Mark { offset, hash }),
            foreign,
            late,
        })
    }

    pub(super) fn put(&self, changes: &mut Changes) {
        let Some((log, last)) = self.log.zip(self.last) else { return };
        let mut value = vec![LAYOUT];
        value.extend_from_slice(log.as_uuid().as_bytes());
        let (head, minor) = self.head;
        let numbers = [
            self.applied,
            self.digest,
            self.foreign,
            self.late,
            head,
            u64::from(minor),
            last.offset,
            last.hash,
        ];
        numbers.iter().for_each(|number| value.extend_from_slice(&number.to_be_bytes()));
        changes.put(Table::State, KEY.to_vec(), value);
    }
}
