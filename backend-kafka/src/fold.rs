//! The fold: what becomes of each record, decided by every process alike from the log before it and nothing else.
//!
//! No clock, no setting and no chance takes part in a verdict, and the rules are frozen for each version of the record format: `tests/golden` holds
//! logs with the verdicts that version 1 gives for ever. The digest is made of all verdicts so far; each record carries its writer's, so that two
//! processes that ever disagreed stop instead of going apart.

mod digest;
#[cfg(test)]
mod golden;
mod staged;
mod state;
#[cfg(test)]
mod tests;

use annalist_core::{
    CheckpointName, Claim, Error, ErrorKind, EventId, Fenced, LogId, NewEvent, Owner, Position, Query,
    Receipt, Snapshot, SnapshotSchema, StreamId, Version, backend,
};
use annalist_engine::admission::{self, Facts, Stored, admit};
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;
use uuid::Uuid;

use crate::checkpoint::Claimed;
use crate::keys::{self, Accepted, Place};
use crate::local::{Local, Table, Way};
use crate::record::{self, Body, Decoded, Proposal, Record};
use crate::search;
use digest::{Recent, Said};
use staged::Staged;
pub(crate) use state::{Mark, State};

/// A log, folded as far as it has been applied.
#[derive(Debug)]
pub(crate) struct Fold {
    local: Arc<Local>,
    state: State,
    staged: Staged,
    recent: Recent,
}

/// A record as it came.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) offset: u64,
    /// Milliseconds since 1970, by the broker's clock.
    pub(crate) time: i64,
    pub(crate) value: Bytes,
}

/// What became of a record, and whose it was.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) writer: Option<(Uuid, u64)>,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    Skipped(Skipped),
    Genesis,
    Barrier,
    /// An answer for each of its appends.
    Appends(Vec<Result<Receipt, Error>>),
    Claim(Claim),
    Save(Result<(), Error>),
    Reset(Result<Owner, Error>),
    /// A snapshot was saved, or some were pruned.
    Snapshots,
}

/// Why a record does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Skipped {
    /// It is not ours.
    Foreign,
    /// It was written to another log.
    OfAnotherLog(LogId),
    /// A second one.
    Genesis,
    /// A later one of its writer, or itself, has been applied before.
    Late,
}

impl Fold {
    /// Goes on where the local store stands.
    pub(crate) fn over(local: Arc<Local>) -> Result<Self, Error> {
        let state = State::load(&local)?;
        let recent = Recent::from(state.applied, state.digest);
        Ok(Self { local, state, staged: Staged::default(), recent })
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The position of the newest event that was accepted.
    pub(crate) fn head(&self) -> Position {
        self.state.head()
    }

    /// Whether enough has been gathered to be written.
    pub(crate) fn staged_events(&self) -> usize {
        self.staged.len()
    }

    /// Decides on the next record.
    ///
    /// # Errors
    ///
    /// What stops the fold for good: a record that cannot be understood, verdicts that differ from its writer's, a local store that fails.
    pub(crate) fn apply(&mut self, raw: &Raw) -> Result<Applied, Error> {
        let decoded = record::decode(&raw.value).map_err(|_| malformed(raw.offset))?;
        let applied = match decoded {
            Decoded::Newer(version) => return Err(newer(raw.offset, version)),
            Decoded::Foreign if self.state.log.is_none() => return Err(no_genesis()),
            Decoded::Foreign => skipped(None, Skipped::Foreign),
            Decoded::Ours(record) => self.decide(record, raw)?,
        };
        if let Verdict::Skipped(reason) = applied.verdict {
            self.state.count_skipped(reason);
        }
        match applied.verdict {
            Verdict::Skipped(Skipped::OfAnotherLog(_)) => self.state.passed_record(raw),
            _ => self.state.applied_record(raw),
        }
        Ok(applied)
    }

    fn decide(&mut self, record: Record, raw: &Raw) -> Result<Applied, Error> {
        let Record { header, body } = record;
        let writer = Some((header.writer, header.number));
        let Some(log) = self.state.log else {
            return self.begin(&body, header.log, raw).map(|verdict| Applied { writer, verdict });
        };
        if header.log != log {
            return Ok(skipped(writer, Skipped::OfAnotherLog(header.log)));
        }
        if matches!(body, Body::Genesis) {
            return Ok(skipped(writer, Skipped::Genesis));
        }
        self.recent.check(header.applied, header.digest, raw.offset, header.writer)?;
        if self.last_number(header.writer)? >= header.number {
            return Ok(skipped(writer, Skipped::Late));
        }
        self.staged.writers.insert(header.writer, header.number);
        let mut said = Said::of(&body);
        let verdict = self.carry_out(body, raw, &mut said)?;
        self.state.digest = said.after(self.state.digest, raw.offset);
        self.recent.push(raw.offset + 1, self.state.digest);
        Ok(Applied { writer, verdict })
    }

    /// The first record gives the log its id.
    fn begin(&mut self, body: &Body, log: LogId, raw: &Raw) -> Result<Verdict, Error> {
        if raw.offset != 0 || !matches!(body, Body::Genesis) {
            return Err(no_genesis());
        }
        self.state.log = Some(log);
        Ok(Verdict::Genesis)
    }

    fn carry_out(&mut self, body: Body, raw: &Raw, said: &mut Said) -> Result<Verdict, Error> {
        Ok(match body {
            Body::Genesis | Body::Barrier => Verdict::Barrier,
            Body::Appends(proposals) => Verdict::Appends(self.appends(&proposals, raw, said)?),
            Body::Claim { name } => Verdict::Claim(self.claim(name, said)?),
            Body::Save { name, epoch, position } => Verdict::Save(self.save(name, epoch, position, said)?),
            Body::Reset { name, position } => Verdict::Reset(self.reset(name, position, said)?),
            Body::Snapshot(snapshot) => {
                self.save_snapshot(&snapshot);
                Verdict::Snapshots
            }
            Body::Prune { stream, schema, keep } => {
                self.prune(&stream, &schema, keep)?;
                Verdict::Snapshots
            }
        })
    }

    /// Writes all that was decided since the last time, and how far the log has been applied with it.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        let mut changes = std::mem::take(&mut self.staged).into_changes();
        self.state.put(&mut changes);
        self.local.apply(changes)
    }

    fn last_number(&self, writer: Uuid) -> Result<u64, Error> {
        if let Some(number) = self.staged.writers.get(&writer) {
            return Ok(*number);
        }
        let stored = self.local.get(Table::Writers, writer.as_bytes())?;
        Ok(stored.map(|value| keys::number(&value)).transpose()?.unwrap_or_default())
    }

    fn log(&self) -> LogId {
        self.state.log.unwrap_or(LogId::from_uuid(Uuid::nil()))
    }
}

/// Appends.
impl Fold {
    fn appends(
        &mut self,
        proposals: &[Proposal],
        raw: &Raw,
        said: &mut Said,
    ) -> Result<Vec<Result<Receipt, Error>>, Error> {
        let (mut answers, mut minor) = (Vec::with_capacity(proposals.len()), 0);
        for proposal in proposals {
            answers.push(match admit(&proposal.append, self)? {
                admission::Verdict::Accepted => {
                    let receipt = self.accept(proposal, raw, &mut minor)?;
                    said.accepted(&receipt);
                    Ok(receipt)
                }
                admission::Verdict::AlreadyCommitted(receipt) => {
                    said.already(&receipt);
                    Ok(receipt)
                }
                admission::Verdict::Refused(refusal) => {
                    said.refused(&refusal);
                    Err(refusal)
                }
            });
        }
        Ok(answers)
    }

    fn accept(&mut self, proposal: &Proposal, raw: &Raw, minor: &mut u32) -> Result<Receipt, Error> {
        let (append_first, append_events) = (*minor, as_u32(proposal.append.event_count())?);
        let mut raw_events = proposal.raw_events.iter();
        let mut written = Vec::with_capacity(proposal.append.writes().len());
        for write in proposal.append.writes().iter().filter(|write| !write.events.is_empty()) {
            let before = self.version(&write.stream)?.get();
            let mut positions = Vec::with_capacity(write.events.len());
            for (event, version) in write.events.iter().zip(before + 1..) {
                let place = Place {
                    offset: raw.offset,
                    minor: *minor,
                    append_first,
                    append_events,
                    recorded_at: raw.time,
                };
                let accepted =
                    Accepted { stream: write.stream.clone(), event: event.clone(), version, place };
                positions.push(accepted.position(self.log()));
                self.staged.accept(accepted, raw_events.next().cloned().unwrap_or_default());
                *minor += 1;
            }
            self.state.head = (raw.offset, *minor - 1);
            written.push(backend::written(write.stream.clone(), Version::new(before + 1), positions));
        }
        Ok(backend::receipt(false, written))
    }

    fn stored_event(&self, stream: &StreamId, id: EventId) -> Result<Option<Accepted>, Error> {
        if let Some(accepted) = self.staged.by_id(stream, id) {
            return Ok(Some(accepted.clone()));
        }
        let Some(version) = self.local.get(Table::Ids, &keys::id(stream, id))? else { return Ok(None) };
        let version = keys::number(&version)?;
        let value = self.local.get(Table::Events, &keys::version(stream, version))?;
        let value = value.ok_or(crate::codec::Malformed)?;
        Ok(Some(keys::event_of(stream, version, value)?))
    }
}

fn as_u32(count: usize) -> Result<u32, Error> {
    u32::try_from(count).map_err(|_| crate::codec::Malformed.into())
}

impl Facts for Fold {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        if let Some(version) = self.staged.heads.get(stream) {
            return Ok(Version::new(*version));
        }
        search::version_of(&self.local, stream).map(Version::new)
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let Some(accepted) = self.stored_event(stream, event.id())? else { return Ok(None) };
        let Place { offset, append_first, append_events, .. } = accepted.place;
        Ok(Some(Stored {
            version: Version::new(accepted.version),
            position: accepted.position(self.log()),
            append_first: backend::position(self.log(), offset, append_first),
            append_events: append_events as usize,
            same_content: accepted.event.same_content(event),
        }))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        backend::check_position(after, self.log(), self.head())?;
        let (offset, _) = backend::numbers(after);
        let (log, mut found) = (self.log(), None);
        let stands = |accepted: &Accepted| {
            let position = accepted.position(log);
            (position > after && query.matches(&accepted.stream, &accepted.event)).then_some(position)
        };
        search::candidates(&self.local, query, offset..u64::MAX, Way::Up, &mut |offset, record| {
            found = keys::record_events(offset, record)?.iter().find_map(stands);
            Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found.or_else(|| self.staged.events().find_map(stands)))
    }
}

/// Checkpoints.
impl Fold {
    fn claimed(&self, name: &CheckpointName) -> Result<Claimed, Error> {
        match self.staged.checkpoints.get(name) {
            Some(claimed) => Ok(claimed.clone()),
            None => Claimed::load(&self.local, name),
        }
    }

    fn claim(&mut self, name: CheckpointName, said: &mut Said) -> Result<Claim, Error> {
        let mut claimed = self.claimed(&name)?;
        claimed.epoch += 1;
        said.number(claimed.epoch);
        let claim =
            backend::claim(backend::owner(name.clone(), claimed.epoch), claimed.checkpoint(self.log()));
        self.staged.checkpoints.insert(name, claimed);
        Ok(claim)
    }

    fn save(
        &mut self,
        name: CheckpointName,
        epoch: u64,
        position: Position,
        said: &mut Said,
    ) -> Result<Result<(), Error>, Error> {
        let mut claimed = self.claimed(&name)?;
        if claimed.epoch != epoch {
            let refusal = Fenced::new(name, epoch, claimed.epoch).into();
            said.refused(&refusal);
            return Ok(Err(refusal));
        }
        if let Err(refusal) = backend::check_position(position, self.log(), self.head()) {
            said.refused(&refusal);
            return Ok(Err(refusal));
        }
        if claimed.place.as_ref().is_none_or(|(stored, _)| position > *stored) {
            claimed.place = Some((position, self.event_at(position)?));
            self.staged.checkpoints.insert(name, claimed);
            said.number(1);
        }
        Ok(Ok(()))
    }

    fn reset(
        &mut self,
        name: CheckpointName,
        position: Position,
        said: &mut Said,
    ) -> Result<Result<Owner, Error>, Error> {
        if let Err(refusal) = backend::check_position(position, self.log(), self.head()) {
            said.refused(&refusal);
            return Ok(Err(refusal));
        }
        let mut claimed = self.claimed(&name)?;
        claimed.epoch += 1;
        said.number(claimed.epoch);
        claimed.place = Some((position, self.event_at(position)?));
        let owner = backend::owner(name.clone(), claimed.epoch);
        self.staged.checkpoints.insert(name, claimed);
        Ok(Ok(owner))
    }

    /// The event at or before a position.
    fn event_at(&self, position: Position) -> Result<Option<EventId>, Error> {
        let at_or_before = |accepted: &Accepted| accepted.position(self.log()) <= position;
        if let Some(staged) = self.staged.events().rev().find(|accepted| at_or_before(accepted)) {
            return Ok(Some(staged.event.id()));
        }
        let (offset, _) = backend::numbers(position);
        let (from, to, mut found) = (keys::offset(0), keys::offset(offset.saturating_add(1)), None);
        self.local.scan(Table::Records, &from, &to, Way::Down, &mut |key, record| {
            let events = keys::record_events(keys::last_number(key)?, record)?;
            found = events.iter().rev().find(|accepted| at_or_before(accepted)).map(|found| found.event.id());
            Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }
}

/// Snapshots.
impl Fold {
    fn save_snapshot(&mut self, snapshot: &Snapshot) {
        let key = keys::snapshot(&snapshot.stream, &snapshot.schema, snapshot.version.get());
        self.staged.snapshots.insert(key, Some(crate::snapshot::value(snapshot)));
    }

    fn prune(&mut self, stream: &StreamId, schema: &SnapshotSchema, keep: u64) -> Result<(), Error> {
        let (from, to) = (keys::snapshot(stream, schema, 0), keys::snapshot_end(stream, schema));
        let mut kept: std::collections::BTreeSet<Vec<u8>> = std::collections::BTreeSet::new();
        self.local.scan(Table::Snapshots, &from, &to, Way::Up, &mut |key, _| {
            kept.insert(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        for (key, value) in self.staged.snapshots.range(from..to) {
            match value {
                Some(_) => kept.insert(key.clone()),
                None => kept.remove(key),
            };
        }
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let old = kept.len().saturating_sub(keep);
        kept.into_iter().take(old).for_each(|key| drop(self.staged.snapshots.insert(key, None)));
        Ok(())
    }
}

fn skipped(writer: Option<(Uuid, u64)>, reason: Skipped) -> Applied {
    Applied { writer, verdict: Verdict::Skipped(reason) }
}

fn malformed(offset: u64) -> Error {
    ErrorKind::Corrupt(format!("a record of the topic cannot be understood offset={offset}")).into()
}

fn newer(offset: u64, version: u8) -> Error {
    let known = record::VERSION;
    let message = format!(
        "a record of the topic has a version that this one does not know: offset={offset} version={version} known={known}"
    );
    ErrorKind::Corrupt(message).into()
}

pub(crate) fn no_genesis() -> Error {
    let message = "the topic does not begin as a log does: it was not set up, or holds something else";
    ErrorKind::Misconfigured(message.to_owned()).into()
}
