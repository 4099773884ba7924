//! What must be asked of the index before appends can be decided.

use std::cell::Cell;
use std::sync::Arc;

use annalist_core::{
    Append, Condition, Error, ErrorKind, EventId, LogId, NewEvent, Position, Query, StreamId, Version,
    backend,
};
use annalist_engine::admission::{Facts, Stored, needs};
use futures::future::try_join;
use hashbrown::{HashMap, HashSet};
use tokio::time::Instant;

use crate::batch::Draft;
use crate::codec::corrupt;
use crate::index::{self, Indexed};
use crate::log::Log;
use crate::requests::all;
use crate::scan::{Bounds, Span};
use crate::table::Range;
use crate::tail::{Knowledge, Tail};

/// What the index said. It was complete up to `as_of` when it was asked.
#[derive(Debug)]
pub(crate) struct Lookups {
    log: LogId,
    pub(crate) as_of: u64,
    versions: HashMap<StreamId, Version>,
    ids: HashMap<StreamId, HashMap<EventId, Option<Indexed>>>,
    matches: Vec<(Condition, Option<Position>)>,
    /// The newest batch that anything of it speaks of: the index may know more of the log than this handle does.
    newest: u64,
}

/// What is to be asked.
#[derive(Debug, Default)]
struct Wanted {
    /// What was known already, and may be forgotten before it is needed.
    versions: HashMap<StreamId, Version>,
    streams: HashSet<StreamId>,
    ids: HashSet<(StreamId, EventId)>,
    conditions: Vec<Condition>,
}

impl Wanted {
    fn new(tail: &Tail, as_of: u64, appends: &[Append]) -> Self {
        let mut wanted = Self::default();
        for append in appends {
            let needs = needs(append);
            let written = append.writes().iter().filter(|write| !write.events.is_empty());
            for stream in needs.streams.into_iter().chain(written.map(|write| &write.stream)) {
                match tail.remembers(stream) {
                    Some(version) => drop(wanted.versions.insert(stream.clone(), version)),
                    None if tail.knows(stream) == Knowledge::Nothing => {
                        wanted.streams.insert(stream.clone());
                    }
                    None => {}
                }
            }
            for (stream, event) in needs.events {
                let is_whole = matches!(tail.knows(stream), Knowledge::Whole(_));
                if !is_whole && tail.stored(stream, event.id()).is_none() {
                    wanted.ids.insert((stream.clone(), event.id()));
                }
            }
            for condition in needs.conditions {
                let is_of_log = backend::check_position(condition.after, tail.log(), tail.position()).is_ok();
                if is_of_log && backend::numbers(condition.after).0 <= as_of && as_of > 0 {
                    wanted.conditions.push(condition.clone());
                }
            }
        }
        wanted
    }
}

impl Log {
    /// Asks the index for all that the tail does not tell about these appends.
    pub(crate) async fn look_up(
        self: &Arc<Self>,
        appends: &[Append],
        deadline: Instant,
    ) -> Result<Lookups, Error> {
        let (wanted, log, as_of) = {
            let state = self.state();
            let as_of = state.covered();
            (Wanted::new(&state.tail, as_of, appends), state.tail.log(), as_of)
        };
        let Wanted { versions, streams, ids, conditions } = wanted;
        let mut lookups =
            Lookups { log, as_of, versions, ids: HashMap::new(), matches: Vec::new(), newest: 0 };
        let points = self.look_up_points(streams, ids, &mut lookups, deadline);
        let matches = conditions.into_iter().map(|condition| self.look_up_match(condition, as_of, deadline));
        let matches = all(matches.collect(), 4);
        let ((), matches) = try_join(points, matches).await?;
        lookups.matches = matches;
        let mut state = self.state();
        if state.tail.log() == log && !lookups.is_ahead_of(&state.tail) {
            for (stream, version) in &lookups.versions {
                state.tail.learn(stream, *version, as_of);
            }
        }
        drop(state);
        Ok(lookups)
    }

    /// Ids, and whether streams exist, in as few requests as it takes; then the versions of those that do.
    async fn look_up_points(
        &self,
        streams: HashSet<StreamId>,
        ids: HashSet<(StreamId, EventId)>,
        lookups: &mut Lookups,
        deadline: Instant,
    ) -> Result<(), Error> {
        let firsts = streams.iter().map(|stream| self.keys.stream(stream, Version::FIRST));
        let keys = firsts.chain(ids.iter().map(|(stream, id)| self.keys.id(stream, *id))).collect();
        let mut found = self.requests.get_all(keys, deadline).await?;
        for (stream, id) in ids {
            let indexed = found.remove(&self.keys.id(&stream, id)).map(Indexed::read).transpose()?;
            lookups.newest = lookups.newest.max(indexed.map_or(0, |indexed| indexed.number));
            lookups.ids.entry(stream).or_default().insert(id, indexed);
        }
        let mut existing = Vec::new();
        for stream in streams {
            if found.contains_key(&self.keys.stream(&stream, Version::FIRST)) {
                existing.push(self.look_up_version(stream, deadline));
            } else {
                lookups.versions.insert(stream, Version::NONE);
            }
        }
        for (stream, number, version) in all(existing, self.config.requests_at_once_max).await? {
            lookups.newest = lookups.newest.max(number);
            lookups.versions.insert(stream, version);
        }
        Ok(())
    }

    /// The version of a stream that is in the index, and the batch that it has from.
    async fn look_up_version(
        &self,
        stream: StreamId,
        deadline: Instant,
    ) -> Result<(StreamId, u64, Version), Error> {
        let range = Range {
            partition: self.keys.stream(&stream, Version::FIRST).partition,
            low: self.keys.stream(&stream, Version::NONE).sort,
            high: self.keys.stream(&stream, Version::MAX).sort,
            descending: true,
            limit: Some(1),
            keys_only: false,
        };
        let found = self.requests.query(&range, deadline).await?;
        let item = found.items.first().ok_or_else(|| corrupt("a stream that is there and not"))?;
        let (number, version) = index::read_extent(item)?;
        Ok((stream, number, version))
    }

    /// The first match of a condition among what is in the index.
    async fn look_up_match(
        self: &Arc<Self>,
        condition: Condition,
        as_of: u64,
        deadline: Instant,
    ) -> Result<(Condition, Option<Position>), Error> {
        let first = self.first_match(&condition.query, condition.after, as_of, deadline).await?;
        Ok((condition, first))
    }

    /// The first event after a position, up to a batch that is in the index, that matches.
    async fn first_match(
        self: &Arc<Self>,
        query: &Query,
        after: Position,
        as_of: u64,
        deadline: Instant,
    ) -> Result<Option<Position>, Error> {
        let mut span = Span::after(after, as_of);
        let bounds = Bounds { events_max: 1, bytes_max: usize::MAX };
        loop {
            let found = self.scan(query, span, bounds, deadline).await?;
            if let Some(first) = found.events.first() {
                return Ok(Some(first.position()));
            }
            match found.rest {
                Some(rest) => span = rest,
                None => return Ok(None),
            }
        }
    }
}

impl Lookups {
    /// Whether what the index said, and what the tail holds, is all there is up to the tail's head.
    pub(crate) fn fits(&self, tail: &Tail) -> bool {
        self.log == tail.log() && tail.base().number <= self.as_of
    }

    /// Whether it speaks of batches that the tail has not got.
    pub(crate) fn is_ahead_of(&self, tail: &Tail) -> bool {
        self.newest > tail.head().number
    }
}

/// The state of the log after a draft's appends, for admission.
pub(crate) struct Seen<'a> {
    pub(crate) tail: &'a Tail,
    pub(crate) lookups: &'a Lookups,
    pub(crate) draft: &'a Draft,
    /// Whether something was asked for that was not looked up: it was in the tail when that was decided, and has gone since.
    pub(crate) lacks: Cell<bool>,
}

impl Seen<'_> {
    fn missing(&self) -> Error {
        self.lacks.set(true);
        ErrorKind::Internal("a fact was not looked up".into()).into()
    }

    pub(crate) fn version_in(&self, draft: &Draft, stream: &StreamId) -> Result<Version, Error> {
        if let Some(version) = draft.version(stream) {
            return Ok(version);
        }
        match self.tail.knows(stream) {
            Knowledge::Whole(version) | Knowledge::Version(version) => Ok(version),
            Knowledge::Nothing => self.lookups.versions.get(stream).copied().ok_or_else(|| self.missing()),
        }
    }
}

impl Facts for Seen<'_> {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        self.version_in(self.draft, stream)
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let entry = self.draft.entry(stream, event.id()).or_else(|| self.tail.stored(stream, event.id()));
        if let Some(entry) = entry {
            return Ok(Some(entry.stored(self.tail.log(), event)));
        }
        let was_new = self.lookups.versions.get(stream) == Some(&Version::NONE);
        if was_new || matches!(self.tail.knows(stream), Knowledge::Whole(_)) {
            return Ok(None);
        }
        let looked_up = self.lookups.ids.get(stream).and_then(|ids| ids.get(&event.id()));
        let indexed = looked_up.ok_or_else(|| self.missing())?;
        Ok(indexed.map(|indexed| indexed.stored(self.tail.log(), event)))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        backend::check_position(after, self.tail.log(), self.tail.position())?;
        let mut looked_up = self.lookups.matches.iter();
        let indexed = looked_up.find(|(known, _)| known.query == *query && known.after == after);
        if let Some((_, Some(position))) = indexed {
            return Ok(Some(*position));
        }
        if indexed.is_none() && backend::numbers(after).0 <= self.lookups.as_of && self.lookups.as_of > 0 {
            return Err(self.missing());
        }
        let in_tail = self.tail.first_match(query, after, self.lookups.as_of);
        let entries = self.draft.entries().iter();
        let mut in_draft = entries.filter(|entry| query.matches_recorded(&entry.event));
        Ok(in_tail.or_else(|| in_draft.next().map(|entry| entry.event.position())))
    }
}
