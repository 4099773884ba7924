//! What the server answers to a batch.

use annalist_core::{Append, Conflict, Error, IdReused, LogId, Receipt, Version, backend};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::batch::Batch;
use crate::log::{Log, position};
use crate::types::Id;

/// The one row of the answer, in the functions' own words; see the migration that makes them.
pub(crate) struct Answer {
    pub(crate) log: Option<LogId>,
    first: Option<i64>,
    versions: Vec<i64>,
    /// `None` where every append was simply accepted.
    verdicts: Option<Verdicts>,
}

struct Verdicts {
    kinds: Vec<i32>,
    subjects: Vec<i64>,
    founds: Vec<i64>,
    positions: Vec<i64>,
}

/// How far the appends before one have got in the lists of the batch.
#[derive(Clone, Copy, Default)]
struct Before {
    writes: usize,
    events: usize,
    conditions: usize,
    checks: usize,
}

impl Before {
    fn after(self, append: &Append) -> Self {
        Self {
            writes: self.writes + append.writes().len(),
            events: self.events + append.event_count(),
            conditions: self.conditions + append.conditions().len(),
            checks: self.checks + append.checks().len(),
        }
    }
}

impl Answer {
    pub(crate) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let verdicts = match row.try_get::<Option<Vec<i32>>, _>(3)? {
            Some(kinds) => Some(Verdicts {
                kinds,
                subjects: row.try_get::<Option<_>, _>(4)?.unwrap_or_default(),
                founds: row.try_get::<Option<_>, _>(5)?.unwrap_or_default(),
                positions: row.try_get::<Option<_>, _>(6)?.unwrap_or_default(),
            }),
            None => None,
        };
        Ok(Self {
            log: row.try_get::<Option<Id>, _>(0)?.map(|id| LogId::from_uuid(id.0)),
            first: row.try_get(1)?,
            versions: row.try_get::<Option<_>, _>(2)?.unwrap_or_default(),
            verdicts,
        })
    }

    /// The answer to the statement of a single event: its position and its version.
    pub(crate) fn of_event(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (position, version): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Self { log: None, first: Some(position - 1), versions: vec![version - 1], verdicts: None })
    }

    /// Whether nothing was decided, because the log is another one than the caller took it for.
    pub(crate) fn is_undecided(&self) -> bool {
        self.verdicts.as_ref().is_some_and(|verdicts| verdicts.kinds.is_empty())
    }

    /// An answer for each append.
    pub(crate) fn deal_out(
        &self,
        batch: &Batch<'_>,
        log: &Log,
    ) -> Result<Vec<Result<Receipt, Error>>, sqlx::Error> {
        let id = self.log.unwrap_or_else(|| log.id());
        let mut before = Before::default();
        let mut answers = Vec::with_capacity(batch.appends.len());
        for (index, append) in batch.appends.iter().enumerate() {
            answers.push(self.answer(index, append, before, id).ok_or_else(misunderstood)?);
            before = before.after(append);
        }
        Ok(answers)
    }

    /// `None` where the server's lists are too short.
    fn answer(
        &self,
        index: usize,
        append: &Append,
        before: Before,
        log: LogId,
    ) -> Option<Result<Receipt, Error>> {
        let Some(verdicts) = &self.verdicts else {
            return self.receipt(append, before, log, false).map(Ok);
        };
        let (subject, found) = (*verdicts.subjects.get(index)?, *verdicts.founds.get(index)?);
        let refusal = match verdicts.kinds.get(index)? {
            0 => return self.receipt(append, before, log, false).map(Ok),
            1 => return self.receipt(append, before, log, true).map(Ok),
            2 => unexpected(append, subject, number(found), before)?,
            3 => {
                let condition = nth(subject, before.conditions)?;
                Conflict::Condition { index: condition, matched: position(log, number(found)) }.into()
            }
            4 => {
                let (stream, event) = append.events().nth(nth(subject, before.events)?)?;
                IdReused::new(event.id(), stream.clone(), Version::new(number(found))).into()
            }
            5 => {
                let condition = append.conditions().get(nth(subject, before.conditions)?)?;
                backend::check_position(condition.after, log, position(log, number(found))).err()?
            }
            _ => return None,
        };
        Some(Err(refusal))
    }

    fn receipt(
        &self,
        append: &Append,
        before: Before,
        log: LogId,
        already_committed: bool,
    ) -> Option<Receipt> {
        let (mut events, mut written) = (before.events, Vec::with_capacity(append.writes().len()));
        for (write, place) in append.writes().iter().zip(before.writes..) {
            if write.events.is_empty() {
                continue;
            }
            let first = match &self.verdicts {
                None => number(self.first?) + events as u64,
                Some(verdicts) => number(*verdicts.positions.get(place)?),
            };
            let positions = (1..=write.events.len() as u64).map(|n| position(log, first + n)).collect();
            let version = Version::new(number(*self.versions.get(place)?)).next();
            written.push(backend::written(write.stream.clone(), version, positions));
            events += write.events.len();
        }
        Some(backend::receipt(already_committed, written))
    }
}

/// The refusal by the expectation of a write or, where its number is negative, of a check.
fn unexpected(append: &Append, subject: i64, actual: u64, before: Before) -> Option<Error> {
    let (stream, expected) = if subject > 0 {
        let write = append.writes().get(nth(subject, before.writes)?)?;
        (&write.stream, write.expected)
    } else {
        let check = append.checks().get(nth(-subject, before.checks)?)?;
        (&check.stream, check.expected)
    };
    Some(Conflict::Version { stream: stream.clone(), expected, actual: Version::new(actual) }.into())
}

/// The index within an append of what has this number, from 1, within the batch.
fn nth(number: i64, before: usize) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(before + 1)
}

/// Versions and positions are never negative.
pub(crate) fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn misunderstood() -> sqlx::Error {
    sqlx::Error::Decode("the answer to a batch has too few verdicts".into())
}
