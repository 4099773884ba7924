//! The log that was read in the end, cut into the appends that it came from, and what a store says at each of its lengths.

use std::collections::HashMap;
use std::time::SystemTime;

use annalist_core::{
    Append, Error, EventId, NewEvent, Position, Query, Read, RecordedEvent, Source, StreamId, Version,
    backend,
};
use annalist_engine::admission::{Facts, Stored};

use super::{Answer, History};
use crate::model::read_of;

/// More violations rarely tell more.
pub(super) const TOLD_MAX: usize = 20;

/// The final log.
pub(super) struct FinalLog {
    pub(super) events: Vec<RecordedEvent>,
    /// The indices of each stream's events.
    streams: HashMap<StreamId, Vec<usize>>,
    ids: HashMap<(StreamId, EventId), usize>,
    pub(super) segments: Vec<Segment>,
    /// The segment of each event.
    segment_of: Vec<usize>,
}

/// The events of one append.
pub(super) struct Segment {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The operations that may have committed it: one that was told so, or several that were told nothing.
    pub(super) committers: Vec<usize>,
}

/// An append of the history, by the index of its operation.
pub(super) type Appends = Vec<Option<Append>>;

impl FinalLog {
    /// Reads the log of a history; what is wrong with it by itself is told.
    pub(super) fn of(history: &History, wrong: &mut Vec<String>) -> Result<Self, Error> {
        let (mut streams, mut ids) = (HashMap::<StreamId, Vec<usize>>::new(), HashMap::new());
        let mut events: Vec<RecordedEvent> = Vec::with_capacity(history.log.len());
        for (index, logged) in history.log.iter().enumerate() {
            let (stream, event) = (&logged.stream, logged.event.event()?);
            if let Some(before) = events.last().filter(|before| before.position() >= logged.position) {
                wrong.push(format!("position {} comes after {} (G1)", logged.position, before.position()));
            }
            let of_stream = streams.entry(stream.clone()).or_default();
            of_stream.push(index);
            if logged.version.get() != of_stream.len() as u64 {
                wrong.push(format!(
                    "event {} of {stream:?} has version {} in place of {} (A2, G3)",
                    event.id(),
                    logged.version,
                    of_stream.len()
                ));
            }
            if ids.insert((stream.clone(), event.id()), index).is_some() {
                wrong.push(format!("event {} is in {stream:?} twice (I2)", event.id()));
            }
            let (version, position) = (logged.version, logged.position);
            events.push(backend::recorded(event, stream.clone(), version, position, SystemTime::UNIX_EPOCH));
        }
        Ok(Self { events, streams, ids, segments: Vec::new(), segment_of: Vec::new() })
    }

    /// Cuts the log into appends; what cannot have come from a single one that may have committed is told.
    pub(super) fn cut(&mut self, history: &History, appends: &Appends, wrong: &mut Vec<String>) {
        let told = self.told(history, appends, wrong);
        let mut untold: HashMap<(&StreamId, EventId), Vec<usize>> = HashMap::new();
        for (index, append) in appends.iter().enumerate() {
            let first = append.as_ref().and_then(|append| append.events().next());
            if let (Answer::Unknown, Some((stream, event))) = (&history.operations[index].answer, first) {
                untold.entry((stream, event.id())).or_default().push(index);
            }
        }
        // A log that is wrong all over need not be cut to its end.
        while self.segment_of.len() < self.events.len() && wrong.len() < TOLD_MAX {
            let start = self.segment_of.len();
            let first = &self.events[start];
            let committers = match told.get(&start) {
                Some(operation) => vec![*operation],
                None => self.candidates(start, untold.get(&(first.stream(), first.id())), appends),
            };
            let end = match committers.first().and_then(|operation| appends[*operation].as_ref()) {
                Some(append) => start + append.event_count(),
                None => {
                    wrong.push(self.unexplained(start, history, appends));
                    start + 1
                }
            };
            self.segment_of.resize(end, self.segments.len());
            self.segments.push(Segment { start, end, committers });
        }
    }

    /// Of some operations those whose append stands at `start`; the longest, because a part of an append is no append.
    fn candidates(&self, start: usize, operations: Option<&Vec<usize>>, appends: &Appends) -> Vec<usize> {
        let events = |operation: &usize| appends[*operation].as_ref().map_or(0, Append::event_count);
        let standing = operations.into_iter().flatten().copied();
        let mut standing: Vec<usize> =
            standing.filter(|operation| self.stands_at(start, appends[*operation].as_ref())).collect();
        let longest = standing.iter().map(events).max();
        standing.retain(|operation| Some(events(operation)) == longest);
        standing
    }

    /// Where the appends begin that were told to be new; what their receipts tell wrongly is told.
    fn told(&self, history: &History, appends: &Appends, wrong: &mut Vec<String>) -> HashMap<usize, usize> {
        let mut told = HashMap::new();
        for (index, append) in appends.iter().enumerate() {
            let (Some(append), Answer::Committed { already: false, written }) =
                (append, &history.operations[index].answer)
            else {
                continue;
            };
            let Some((stream, event)) = append.events().next() else { continue };
            let Some(start) = self.ids.get(&(stream.clone(), event.id())).copied() else {
                wrong
                    .push(format!("an acknowledged append is lost: event {} of {stream:?} (A8)", event.id()));
                continue;
            };
            if !self.stands_at(start, Some(append)) {
                wrong.push(format!(
                    "an acknowledged append is not whole and in order: event {} of {stream:?} (A1, A2)",
                    event.id()
                ));
                continue;
            }
            let found = self.written(append, start);
            if *written != found {
                wrong.push(format!("a receipt tells {written:?}, the log has {found:?} (A4)"));
            }
            if let Some(other) = told.insert(start, index) {
                wrong.push(format!(
                    "operations {other} and {index} were both told that they wrote event {} (I1)",
                    event.id()
                ));
            }
        }
        told
    }

    /// What a receipt must tell of an append whose events stand from `start` on.
    fn written(&self, append: &Append, start: usize) -> Vec<(StreamId, Version, Vec<Position>)> {
        let mut next = start;
        let written = append.writes().iter().filter(|write| !write.events.is_empty()).map(|write| {
            let events = &self.events[next..next + write.events.len()];
            next += events.len();
            let positions = events.iter().map(RecordedEvent::position).collect();
            (write.stream.clone(), events[0].version(), positions)
        });
        written.collect()
    }

    /// Whether exactly the events of an append stand from `start` on, in its order.
    fn stands_at(&self, start: usize, append: Option<&Append>) -> bool {
        let Some(append) = append else { return false };
        let events = self.events.get(start..start + append.event_count()).unwrap_or_default();
        let same = |(found, (stream, event)): (&RecordedEvent, (&StreamId, &NewEvent))| {
            found.stream() == stream && found.id() == event.id() && found.event().same_content(event)
        };
        events.len() == append.event_count() && events.iter().zip(append.events()).all(same)
    }

    fn unexplained(&self, start: usize, history: &History, appends: &Appends) -> String {
        let found = &self.events[start];
        let asked = |append: &Append| {
            append.events().any(|(stream, event)| stream == found.stream() && event.id() == found.id())
        };
        let by = appends.iter().position(|append| append.as_ref().is_some_and(asked));
        let what = format!("event {} of {:?} at {}", found.id(), found.stream(), found.position());
        match by.map(|operation| (operation, &history.operations[operation].answer)) {
            None => format!("{what} was never sent"),
            Some((operation, answer)) => {
                format!(
                    "{what} stands alone, changed or out of place: it was sent by operation {operation}, which was answered {answer:?} (A1, A2, A5)"
                )
            }
        }
    }

    /// The lengths at which the log stood between two appends, from the `segments`-th on.
    pub(super) fn boundary(&self, segments: usize) -> usize {
        segments.checked_sub(1).map_or(0, |last| self.segments[last].end)
    }

    /// How many appends had committed when the log had this length; `None` if it never had.
    pub(super) fn segments_at(&self, length: usize) -> Option<usize> {
        let segments = self.segments.partition_point(|segment| segment.end <= length);
        (self.boundary(segments) == length).then_some(segments)
    }

    /// The segment that each operation may have committed.
    pub(super) fn committed(&self) -> HashMap<usize, usize> {
        let of = |(number, segment): (usize, &Segment)| {
            segment.committers.iter().map(move |operation| (*operation, number)).collect::<Vec<_>>()
        };
        self.segments.iter().enumerate().flat_map(of).collect()
    }

    /// Where an event stands.
    pub(super) fn index_of(&self, stream: &StreamId, id: EventId) -> Option<usize> {
        self.ids.get(&(stream.clone(), id)).copied()
    }

    /// How many events stand at or below a position.
    pub(super) fn length_at(&self, position: Position) -> usize {
        self.events.partition_point(|event| event.position() <= position)
    }

    /// The log when it had its first `length` events.
    pub(super) fn prefix(&self, length: usize) -> Prefix<'_> {
        Prefix { log: self, length }
    }
}

/// The log when it was shorter.
pub(super) struct Prefix<'a> {
    log: &'a FinalLog,
    length: usize,
}

impl Prefix<'_> {
    fn events(&self) -> &[RecordedEvent] {
        &self.log.events[..self.length]
    }

    /// What a read must give. It looks at what the read is about alone, since there are as many reads as there are lengths.
    pub(super) fn read(&self, read: &Read) -> Vec<RecordedEvent> {
        match read.source() {
            Source::Stream(stream) => {
                let (from, to) = read.versions();
                let of_stream = self.log.streams.get(stream).map_or(&[][..], Vec::as_slice);
                let end = self.version_of(stream).min(to).get() as usize;
                let begin = (from.get().saturating_sub(1) as usize).min(end);
                read_of(of_stream[begin..end].iter().map(|index| &self.log.events[*index]), read)
            }
            _ => {
                let begin = self.log.length_at(read.positions().0).min(self.length);
                read_of(self.log.events[begin..self.length].iter(), read)
            }
        }
    }

    pub(super) fn version_of(&self, stream: &StreamId) -> Version {
        let of_stream = self.log.streams.get(stream).map_or(&[][..], Vec::as_slice);
        Version::new(of_stream.partition_point(|index| *index < self.length) as u64)
    }
}

impl Facts for Prefix<'_> {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        Ok(self.version_of(stream))
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let at = self.log.ids.get(&(stream.clone(), event.id())).filter(|at| **at < self.length);
        Ok(at.map(|at| {
            let (stored, segment) = (&self.log.events[*at], &self.log.segments[self.log.segment_of[*at]]);
            Stored {
                version: stored.version(),
                position: stored.position(),
                append_first: self.log.events[segment.start].position(),
                append_events: segment.end - segment.start,
                same_content: stored.event().same_content(event),
            }
        }))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        let events = self.events().get(self.log.length_at(after)..).unwrap_or_default();
        Ok(events.iter().find(|event| query.matches_recorded(event)).map(RecordedEvent::position))
    }
}
