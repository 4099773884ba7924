//! Reading a page: of a stream, or of the log.

use std::ops::Bound;
use std::sync::Arc;

use annalist_core::{
    Direction, Error, LogId, Page, Position, Query, Read, RecordedEvent, StreamId, Version, backend,
};
use futures::future::try_join;
use tokio::time::Instant;

use crate::codec::corrupt;
use crate::index;
use crate::key::number_of;
use crate::log::Log;
use crate::scan::{Bounds, Place, Span, StreamItems, before};
use crate::table::Range;
use crate::tail::Knowledge;

/// The state of the log that a page is about.
struct Seen {
    log: LogId,
    head: Position,
}

impl Log {
    /// Sees to it that the positions that a read names are of this log, and that it is about a state that is no older than the read.
    async fn see(self: &Arc<Self>, read: &Read, deadline: Instant) -> Result<Seen, Error> {
        // A page after the first is about a state that the first has seen.
        let is_known = {
            let state = self.state();
            let (log, head) = (state.tail.log(), state.tail.position());
            read.fixed_head().is_some() && backend::check_read(read, log, head).is_ok()
        };
        if !is_known || self.is_in_doubt() {
            self.sync(deadline).await?;
        }
        let (log, head) = {
            let state = self.state();
            (state.tail.log(), state.tail.position())
        };
        backend::check_read(read, log, head)?;
        Ok(Seen { log, head: read.fixed_head().unwrap_or(head) })
    }

    pub(crate) async fn read_log(
        self: &Arc<Self>,
        read: &Read,
        query: &Query,
        deadline: Instant,
    ) -> Result<Page, Error> {
        let seen = self.see(read, deadline).await?;
        let (after, upper) = read.positions();
        let head = backend::numbers(seen.head);
        let upto = match upper {
            Bound::Unbounded => head,
            Bound::Included(position) => backend::numbers(position).min(head),
            Bound::Excluded(position) => before(backend::numbers(position)).min(head),
        };
        let span = Span { after: backend::numbers(after), upto, direction: read.direction() };
        let bounds = Bounds { events_max: read.page_events_max(), bytes_max: self.config.page_bytes_max };
        let scanned = self.scan(query, span, bounds, deadline).await?;
        let looked = match scanned.rest {
            None => backend::Looked::All,
            Some(rest) => backend::Looked::Past(looked_to(seen.log, rest)),
        };
        Ok(backend::page(read, scanned.events, looked, seen.head, Version::NONE))
    }

    pub(crate) async fn read_stream(
        self: &Arc<Self>,
        read: &Read,
        stream: &StreamId,
        deadline: Instant,
    ) -> Result<Page, Error> {
        let seen = self.see(read, deadline).await?;
        let upto = backend::numbers(seen.head);
        let version = match read.fixed_version() {
            Some(version) => version,
            None => self.version_at(stream, upto, deadline).await?,
        };
        let (from, to) = read.versions();
        let (from, to) = (from.max(Version::FIRST), to.min(version));
        let mut page = Vec::new();
        if from <= to && read.page_events_max() > 0 {
            page = self.versions(stream, from, to, read, seen.log, deadline).await?;
            check_dense(&page, read.direction(), from, to)?;
        }
        let last = page.last().map(RecordedEvent::version);
        let is_all = from > to
            || match read.direction() {
                Direction::Forward => last == Some(to),
                Direction::Backward => last == Some(from),
            };
        let looked = match last {
            Some(last) if !is_all => backend::Looked::UpTo(last),
            _ => backend::Looked::All,
        };
        Ok(backend::page(read, page, looked, seen.head, version))
    }

    /// The version of a stream at a place that is not above the head.
    async fn version_at(&self, stream: &StreamId, upto: Place, deadline: Instant) -> Result<Version, Error> {
        let (in_tail, knowledge, is_now) = {
            let state = self.state();
            let events = state.tail.of_stream(stream);
            let within = events.take_while(|event| backend::numbers(event.position()) <= upto);
            let is_now = backend::numbers(state.tail.position()) == upto;
            (within.last().map(RecordedEvent::version), state.tail.knows(stream), is_now)
        };
        match (in_tail, knowledge) {
            (Some(version), _) => Ok(version),
            (None, Knowledge::Whole(version) | Knowledge::Version(version)) if is_now => Ok(version),
            _ => self.seek(stream, upto, deadline).await,
        }
    }

    /// Consecutive events of a stream that are known to be there, at least one, in the direction of a read.
    async fn versions(
        &self,
        stream: &StreamId,
        from: Version,
        to: Version,
        read: &Read,
        log: LogId,
        deadline: Instant,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let is_within = |event: &RecordedEvent| event.version() >= from && event.version() <= to;
        let (in_tail, first_in_tail) = {
            let state = self.state();
            let first = state.tail.of_stream(stream).next().map_or(Version::MAX, RecordedEvent::version);
            let events = state.tail.of_stream(stream).filter(|event| is_within(event));
            let events: Vec<RecordedEvent> = match read.direction() {
                Direction::Forward => events.take(read.page_events_max()).cloned().collect(),
                Direction::Backward => events.rev().take(read.page_events_max()).cloned().collect(),
            };
            (events, first)
        };
        let begins_in_tail = match read.direction() {
            Direction::Forward => from >= first_in_tail,
            Direction::Backward => to >= first_in_tail,
        };
        if begins_in_tail {
            return Ok(self.cut(in_tail, read));
        }
        let high = to.min(Version::new(first_in_tail.get() - 1));
        let limit = u32::try_from(read.page_events_max()).unwrap_or(u32::MAX);
        let found = self.stream_items(stream, from, high, read.direction(), limit, deadline).await?;
        let mut events = Vec::new();
        for item in found.items {
            let mut some = index::read_events(log, stream, item)?;
            if read.direction() == Direction::Backward {
                some.reverse();
            }
            events.extend(some.into_iter().filter(|event| is_within(event) && event.version() <= high));
        }
        if !found.is_cut && read.direction() == Direction::Forward {
            events.extend(in_tail);
        }
        events.truncate(read.page_events_max());
        Ok(self.cut(events, read))
    }

    /// As many events as a page may have bytes, at least one.
    fn cut(&self, mut events: Vec<RecordedEvent>, read: &Read) -> Vec<RecordedEvent> {
        events.truncate(read.page_events_max());
        let mut bytes = 0;
        let fits = |event: &RecordedEvent| {
            bytes += event.event().size();
            bytes > self.config.page_bytes_max
        };
        let over = events.iter().skip(1).position(fits);
        if let Some(count) = over {
            events.truncate(count + 1);
        }
        events
    }

    /// The items that hold these versions of a stream, as many as one request gives.
    pub(crate) async fn stream_items(
        &self,
        stream: &StreamId,
        from: Version,
        to: Version,
        direction: Direction,
        limit: u32,
        deadline: Instant,
    ) -> Result<StreamItems, Error> {
        let key = |version| self.keys.stream(stream, version);
        let mut range = Range {
            partition: key(from).partition,
            low: key(from).sort,
            high: key(to).sort,
            descending: direction == Direction::Backward,
            limit: Some(limit.max(1)),
            keys_only: false,
        };
        if direction == Direction::Backward {
            // Downward, the item in which the lowest version stands is the last one that is needed.
            range.low = key(Version::FIRST).sort;
            let mut found = self.requests.query(&range, deadline).await?;
            let low = found.items.iter().position(|item| number_of(&item.key.sort) <= Some(from.get()));
            let is_cut = low.is_none() && found.last.is_some();
            found.items.truncate(low.map_or(usize::MAX, |low| low + 1));
            return Ok(StreamItems { items: found.items, is_cut });
        }
        if from == Version::FIRST {
            let found = self.requests.query(&range, deadline).await?;
            return Ok(StreamItems { items: found.items, is_cut: found.last.is_some() });
        }
        // Upward from the middle, the first one stands at or below.
        let first = Range {
            low: key(Version::FIRST).sort,
            high: key(from).sort,
            descending: true,
            limit: Some(1),
            ..range.clone()
        };
        range.low = key(from.next()).sort;
        if range.low > range.high {
            let found = self.requests.query(&first, deadline).await?;
            return Ok(StreamItems { items: found.items, is_cut: false });
        }
        let (first, rest) =
            try_join(self.requests.query(&first, deadline), self.requests.query(&range, deadline)).await?;
        let items = first.items.into_iter().chain(rest.items).collect();
        Ok(StreamItems { items, is_cut: rest.last.is_some() })
    }

    /// How many events of a stream the index holds at or below a place.
    pub(crate) async fn seek(
        &self,
        stream: &StreamId,
        place: Place,
        deadline: Instant,
    ) -> Result<Version, Error> {
        // Of what the stream has, `low` events are at or below the place, and those from `high` on are above.
        let (mut low, mut high) = (Version::NONE, Version::MAX);
        let mut at = Version::MAX;
        while low.next() < high && place > (0, 0) {
            let Some((first, events)) = self.item_at(stream, at, deadline).await? else { break };
            let within = events.iter().filter(|event| backend::numbers(event.position()) <= place).count();
            let last = Version::new(first.get() + events.len() as u64 - 1);
            if within == events.len() {
                if at == Version::MAX {
                    return Ok(last);
                }
                low = low.max(last);
            } else if within == 0 {
                high = high.min(first);
            } else {
                return Ok(Version::new(first.get() + within as u64 - 1));
            }
            at = Version::new(low.get() + (high.get() - low.get()) / 2);
        }
        Ok(low)
    }

    /// The item of a stream that holds a version, or the last one below.
    async fn item_at(
        &self,
        stream: &StreamId,
        version: Version,
        deadline: Instant,
    ) -> Result<Option<(Version, Vec<RecordedEvent>)>, Error> {
        let key = |version| self.keys.stream(stream, version);
        let range = Range {
            partition: key(version).partition,
            low: key(Version::FIRST).sort,
            high: key(version).sort,
            descending: true,
            limit: Some(1),
            keys_only: false,
        };
        let mut found = self.requests.query(&range, deadline).await?;
        let Some(item) = found.items.pop() else { return Ok(None) };
        let events = index::read_events(self.id(), stream, item)?;
        Ok(events.first().map(RecordedEvent::version).map(|first| (first, events)))
    }
}

/// Refuses a page of a stream that does not begin where it must, or has a gap (E4).
fn check_dense(
    page: &[RecordedEvent],
    direction: Direction,
    from: Version,
    to: Version,
) -> Result<(), Error> {
    for (n, event) in
        (0..).zip(page.iter().map(|event| event.version().get()).chain(page.is_empty().then_some(0)))
    {
        let expected = if direction == Direction::Forward { from.get() + n } else { to.get() - n };
        if event != expected {
            return Err(corrupt(&format!("a stream without its version {expected}")));
        }
    }
    Ok(())
}

/// The place up to which a page has looked, as the next one is told.
fn looked_to(log: LogId, rest: Span) -> Position {
    let position = |(number, ordinal): Place| match (number, ordinal) {
        (0, 0) => Position::START,
        (number, ordinal) => backend::position(log, number, ordinal),
    };
    match rest.direction {
        Direction::Forward => position(rest.after),
        // The cursor's bound is exclusive.
        Direction::Backward => match rest.upto {
            (number, u32::MAX) => position((number + 1, 0)),
            (number, ordinal) => position((number, ordinal + 1)),
        },
    }
}
