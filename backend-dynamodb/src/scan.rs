//! Events of the log that match a query: by the index as far as it reaches, then batch by batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use annalist_core::{
    Direction, Error, Position, Query, QueryItem, RecordedEvent, StreamId, Version, backend,
};
use futures::future::try_join;
use tokio::time::Instant;

use crate::batch::Batch;
use crate::index;
use crate::key::Mark;
use crate::log::Log;
use crate::requests::all;
use crate::table::{Item, Key, Range};

/// The two numbers of a place in the log.
pub(crate) type Place = (u64, u32);

/// A part of the log: above one place and up to another, in a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) after: Place,
    pub(crate) upto: Place,
    pub(crate) direction: Direction,
}

impl Span {
    /// Upward from a position to the end of a batch.
    pub(crate) fn after(position: Position, batch: u64) -> Self {
        let upto = (batch, u32::MAX);
        Self { after: backend::numbers(position), upto, direction: Direction::Forward }
    }

    /// Whether no event can stand in it.
    fn is_empty(&self) -> bool {
        let (low, high) = self.batches();
        self.after >= self.upto || low > high
    }

    fn holds(&self, place: Place) -> bool {
        place > self.after && place <= self.upto
    }

    /// What is left once everything up to a place has been looked at, it included.
    fn beyond(mut self, place: Place) -> Self {
        match self.direction {
            Direction::Forward => self.after = self.after.max(place),
            Direction::Backward => self.upto = self.upto.min(before(place)),
        }
        self
    }

    /// The numbers of the batches that it touches.
    fn batches(&self) -> (u64, u64) {
        let low = if self.after.1 == u32::MAX { self.after.0 + 1 } else { self.after.0.max(1) };
        (low, self.upto.0)
    }

    /// The two parts at the end of a batch.
    fn split(self, batch: u64) -> (Self, Self) {
        let end = (batch, u32::MAX);
        (Self { upto: self.upto.min(end), ..self }, Self { after: self.after.max(end), ..self })
    }
}

/// The last place below another.
pub(crate) fn before((number, ordinal): Place) -> Place {
    match (number, ordinal) {
        // Nothing stands below the first batch.
        (0, _) | (1, 0) => (0, 0),
        (number, 0) => (number - 1, u32::MAX),
        (number, ordinal) => (number, ordinal - 1),
    }
}

/// How much one look gives at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events_max: usize,
    pub(crate) bytes_max: usize,
}

/// What a look gave, in its direction, and what it did not come to.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) rest: Option<Span>,
}

/// By what the events of a query are found.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Source {
    Stream(StreamId),
    Places(Mark, String),
}

/// How many places of a name, or items of a stream, one request asks for.
const SOURCE_ITEMS: u32 = 128;
/// How many batches are read at once, at first and at most.
const WINDOW: (u64, u64) = (4, 64);

/// What a source gave: events that are there already, and places at which to look for others.
#[derive(Default)]
struct Given {
    events: Vec<RecordedEvent>,
    places: Vec<Position>,
    /// Up to where it was looked at, if that is not all.
    horizon: Option<Place>,
}

impl Log {
    /// Looks through a part of the log that is known to be there. May give less than there is, never less than it says.
    pub(crate) async fn scan(
        self: &Arc<Self>,
        query: &Query,
        span: Span,
        bounds: Bounds,
        deadline: Instant,
    ) -> Result<Scanned, Error> {
        if bounds.events_max == 0 || span.is_empty() {
            let rest = (!span.is_empty()).then_some(span);
            return Ok(Scanned { events: Vec::new(), rest });
        }
        let Some(sources) = sources(query) else { return self.walk(query, span, bounds, deadline).await };
        let (low, high) = span.split(self.state().watermark);
        let (first, second) = match span.direction {
            Direction::Forward => (low, high),
            Direction::Backward => (high, low),
        };
        if first.is_empty() {
            return self.part(query, &sources, second, bounds, deadline).await;
        }
        let mut scanned = self.part(query, &sources, first, bounds, deadline).await?;
        scanned.rest = match scanned.rest {
            // The two parts join at the watermark.
            Some(rest) if span.direction == Direction::Forward => Some(Span { upto: span.upto, ..rest }),
            Some(rest) => Some(Span { after: span.after, ..rest }),
            None => (!second.is_empty()).then_some(second),
        };
        Ok(scanned)
    }

    /// A part that is either in the index or in the tail.
    async fn part(
        self: &Arc<Self>,
        query: &Query,
        sources: &[Source],
        span: Span,
        bounds: Bounds,
        deadline: Instant,
    ) -> Result<Scanned, Error> {
        if span.upto.0 <= self.state().watermark {
            self.by_index(query, sources, span, bounds, deadline).await
        } else {
            self.walk(query, span, bounds, deadline).await
        }
    }

    /// Batch by batch.
    async fn walk(
        &self,
        query: &Query,
        mut span: Span,
        bounds: Bounds,
        deadline: Instant,
    ) -> Result<Scanned, Error> {
        let mut taken = Taken::new(query, bounds);
        let (mut window, window_max) = WINDOW;
        let mut looked_at = 0;
        while !span.is_empty() {
            let (low, high) = span.batches();
            let (low, high) = match span.direction {
                Direction::Forward => (low, high.min(low + window - 1)),
                Direction::Backward => (low.max(high.saturating_sub(window - 1)), high),
            };
            for batch in in_direction(self.batches(low, high, deadline).await?, span.direction) {
                looked_at += batch.bytes;
                let events = batch.entries.iter().map(|entry| &entry.event);
                for event in in_direction(events.collect(), span.direction) {
                    let place = backend::numbers(event.position());
                    if span.holds(place) && !taken.take(event) {
                        return Ok(taken.finish(Some(span)));
                    }
                    span = span.beyond(place);
                }
                span = span.beyond(end_of(&batch, span.direction));
            }
            if !taken.is_wanting() || looked_at > self.config.page_bytes_max {
                return Ok(taken.finish((!span.is_empty()).then_some(span)));
            }
            window = (window * 2).min(window_max);
        }
        Ok(taken.finish(None))
    }

    /// By what the sources say.
    async fn by_index(
        self: &Arc<Self>,
        query: &Query,
        sources: &[Source],
        mut span: Span,
        bounds: Bounds,
        deadline: Instant,
    ) -> Result<Scanned, Error> {
        let sources = self.existing(sources, deadline).await?;
        let given = sources.iter().map(|source| self.ask(source, span, deadline));
        let given = all(given.collect(), self.config.requests_at_once_max).await?;
        let horizons = given.iter().filter_map(|given| given.horizon);
        let horizon = match span.direction {
            Direction::Forward => horizons.min(),
            Direction::Backward => horizons.max(),
        };
        let mut candidates: BTreeMap<Place, Option<RecordedEvent>> = BTreeMap::new();
        for Given { events, places, .. } in given {
            candidates
                .extend(events.into_iter().map(|event| (backend::numbers(event.position()), Some(event))));
            for place in places {
                candidates.entry(backend::numbers(place)).or_insert(None);
            }
        }
        let is_near = |place: &Place| match (horizon, span.direction) {
            (None, _) => true,
            (Some(horizon), Direction::Forward) => *place <= horizon,
            (Some(horizon), Direction::Backward) => *place >= horizon,
        };
        candidates.retain(|place, _| is_near(place) && span.holds(*place));
        let candidates = in_direction(candidates.into_iter().collect(), span.direction);
        let mut taken = Taken::new(query, bounds);
        for group in candidates.chunks(bounds.events_max.clamp(1, 64)) {
            if !taken.is_wanting() {
                return Ok(taken.finish(Some(span)));
            }
            let batches = self.of_candidates(group, deadline).await?;
            for (place, event) in group {
                let found = event.as_ref().or_else(|| {
                    let entry = batches.get(&place.0)?.entries.get(place.1 as usize)?;
                    Some(&entry.event)
                });
                let event = found.ok_or_else(|| crate::codec::corrupt("a place without its event"))?;
                if !taken.take(event) {
                    return Ok(taken.finish(Some(span)));
                }
                span = span.beyond(*place);
            }
        }
        let rest = horizon.map(|horizon| span.beyond(horizon)).filter(|rest| !rest.is_empty());
        Ok(taken.finish(rest))
    }

    /// The sources without the streams that the index does not know: many are looked up in a few requests, while each of them would take some.
    async fn existing(&self, sources: &[Source], deadline: Instant) -> Result<Vec<Source>, Error> {
        let first_of = |source: &Source| match source {
            Source::Stream(stream) => Some(self.keys.stream(stream, Version::FIRST)),
            Source::Places(..) => None,
        };
        let firsts: Vec<Key> = sources.iter().filter_map(first_of).collect();
        if firsts.len() < 3 {
            return Ok(sources.to_vec());
        }
        let found = self.requests.get_all(firsts, deadline).await?;
        let exists = |source: &&Source| first_of(source).is_none_or(|first| found.contains_key(&first));
        Ok(sources.iter().filter(exists).cloned().collect())
    }

    async fn of_candidates(
        &self,
        group: &[(Place, Option<RecordedEvent>)],
        deadline: Instant,
    ) -> Result<BTreeMap<u64, Arc<Batch>>, Error> {
        let wanted = group.iter().filter(|(_, event)| event.is_none());
        let mut numbers: Vec<u64> = wanted.map(|((number, _), _)| *number).collect();
        numbers.dedup();
        let batches = self.some_batches(&numbers, deadline).await?;
        Ok(numbers.into_iter().zip(batches).collect())
    }

    async fn ask(&self, source: &Source, span: Span, deadline: Instant) -> Result<Given, Error> {
        match source {
            Source::Stream(stream) => self.ask_stream(stream, span, deadline).await,
            Source::Places(mark, name) => self.ask_places(*mark, name, span, deadline).await,
        }
    }

    async fn ask_places(
        &self,
        mark: Mark,
        name: &str,
        span: Span,
        deadline: Instant,
    ) -> Result<Given, Error> {
        let (low, high) = span.batches();
        if low > high {
            return Ok(Given::default());
        }
        let (low, high) = (self.keys.place(mark, name, low), self.keys.place(mark, name, high));
        let range = Range {
            partition: low.partition,
            low: low.sort,
            high: high.sort,
            descending: span.direction == Direction::Backward,
            limit: Some(SOURCE_ITEMS),
            keys_only: false,
        };
        let found = self.requests.query(&range, deadline).await?;
        let (log, mut given) = (self.id(), Given::default());
        let is_cut = found.last.is_some();
        for item in found.items {
            let (number, positions) = index::read_place(log, item)?;
            given.places.extend(positions);
            if is_cut {
                let end = if range.descending { 0 } else { u32::MAX };
                given.horizon = Some((number, end));
            }
        }
        Ok(given)
    }

    async fn ask_stream(&self, stream: &StreamId, span: Span, deadline: Instant) -> Result<Given, Error> {
        let (from, to) =
            try_join(self.seek(stream, span.after, deadline), self.seek(stream, span.upto, deadline)).await?;
        if from >= to {
            return Ok(Given::default());
        }
        let items =
            self.stream_items(stream, from.next(), to, span.direction, SOURCE_ITEMS, deadline).await?;
        let (log, mut given) = (self.id(), Given::default());
        for item in items.items {
            given.events.extend(index::read_events(log, stream, item)?);
        }
        if items.is_cut {
            let places = given.events.iter().map(|event| backend::numbers(event.position()));
            given.horizon = match span.direction {
                Direction::Forward => places.max(),
                Direction::Backward => places.min(),
            };
        }
        Ok(given)
    }
}

/// The last place of a batch, in a direction.
fn end_of(batch: &Batch, direction: Direction) -> Place {
    match direction {
        Direction::Forward => (batch.number, u32::MAX),
        Direction::Backward => (batch.number, 0),
    }
}

fn in_direction<T>(mut all: Vec<T>, direction: Direction) -> Vec<T> {
    if direction == Direction::Backward {
        all.reverse();
    }
    all
}

/// The events of a page as they are found.
struct Taken<'a> {
    query: &'a Query,
    bounds: Bounds,
    events: Vec<RecordedEvent>,
    bytes: usize,
}

impl<'a> Taken<'a> {
    fn new(query: &'a Query, bounds: Bounds) -> Self {
        Self { query, bounds, events: Vec::new(), bytes: 0 }
    }

    fn is_wanting(&self) -> bool {
        self.events.len() < self.bounds.events_max
            && (self.events.is_empty() || self.bytes < self.bounds.bytes_max)
    }

    /// Takes an event if it matches; `false` if it does and there is no room for it.
    fn take(&mut self, event: &RecordedEvent) -> bool {
        if !self.query.matches_recorded(event) {
            return true;
        }
        if !self.is_wanting() {
            return false;
        }
        self.bytes += event.event().size();
        self.events.push(event.clone());
        true
    }

    fn finish(self, rest: Option<Span>) -> Scanned {
        Scanned { events: self.events, rest }
    }
}

/// By what all events of a query are found; `None` where one of its items can only be found by looking through the log.
fn sources(query: &Query) -> Option<Vec<Source>> {
    if query.is_all() {
        return None;
    }
    let mut sources = Vec::new();
    for item in query.items() {
        for source in sources_of(item)? {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    Some(sources)
}

/// The part of an item that likely fits the fewest events.
fn sources_of(item: &QueryItem) -> Option<Vec<Source>> {
    let places =
        |mark, names: &[String]| names.iter().map(|name| Source::Places(mark, name.clone())).collect();
    if let Some(tag) = item.tag_part().first() {
        Some(vec![Source::Places(Mark::Tag, tag.clone())])
    } else if !item.stream_part().is_empty() {
        item.stream_part().iter().map(|name| StreamId::new(name.as_str()).ok().map(Source::Stream)).collect()
    } else if !item.type_part().is_empty() {
        Some(places(Mark::Type, item.type_part()))
    } else if !item.category_part().is_empty() {
        Some(places(Mark::Category, item.category_part()))
    } else {
        // A prefix that reaches beyond the category tells it.
        let category =
            |prefix: &String| Some(Source::Places(Mark::Category, prefix.split_once('-')?.0.to_owned()));
        item.prefix_part().iter().map(category).collect()
    }
}

/// Items of a stream, and whether there are more.
pub(crate) struct StreamItems {
    pub(crate) items: Vec<Item>,
    pub(crate) is_cut: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(after: Place, upto: Place) -> Span {
        Span { after, upto, direction: Direction::Forward }
    }

    /// A bound before the first batch, which no event has, was taken for a part that is not empty and touches no batch: it was looked through for
    /// ever.
    #[test]
    fn what_no_event_can_stand_in_is_empty() {
        assert!(span((0, 0), (0, 7)).is_empty());
        assert!(span((3, u32::MAX), (3, u32::MAX)).is_empty());
        assert!(span((3, 5), (3, 5)).is_empty());
        assert!(!span((0, 0), (1, 0)).is_empty());
        assert!(!span((3, u32::MAX), (4, 0)).is_empty());
        assert_eq!(before((1, 0)), (0, 0));
        assert_eq!(before((2, 0)), (1, u32::MAX));
    }

    #[test]
    fn two_parts_join_at_the_end_of_a_batch() {
        let (low, high) = span((2, 1), (9, 3)).split(5);
        assert_eq!((low.after, low.upto), ((2, 1), (5, u32::MAX)));
        assert_eq!((high.after, high.upto), ((5, u32::MAX), (9, 3)));
        assert!(span((6, 0), (9, 3)).split(5).0.is_empty());
        assert!(span((2, 1), (4, 3)).split(5).1.is_empty());
    }
}
