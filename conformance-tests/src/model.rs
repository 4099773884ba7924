//! The reference model: admission over a plain list of events, and reads by filtering it.

use std::collections::HashMap;

use annalist_core::{
    Append, Direction, Error, EventId, NewEvent, Position, Query, Read, Receipt, RecordedEvent, Source,
    StreamId, Version, backend,
};
use annalist_engine::admission::{Facts, Stored, Verdict, admit};

/// What a store must look like after a series of appends, one after the other.
///
/// The positions are the store's own: the contract leaves them open, but for their order.
///
/// ```
/// use annalist_conformance::{Model, events, exact, stream};
/// use annalist_core::{Append, Query, Read};
/// use annalist_engine::admission::Verdict;
///
/// let model = Model::default();
/// let append = Append::to(&stream("Order-1"), exact(0), events(2));
/// assert!(matches!(model.admit(&append), Verdict::Accepted));
/// assert!(model.read(&Read::log(Query::all())).is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Model {
    entries: Vec<Entry>,
    streams: HashMap<StreamId, u64>,
    ids: HashMap<(StreamId, EventId), usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    event: RecordedEvent,
    /// The index at which its append begins, and how many events that has.
    append: (usize, usize),
}

impl Model {
    /// What must be answered to an append now.
    #[must_use]
    pub fn admit(&self, append: &Append) -> Verdict {
        admit(append, self).expect("every fact about the model is known")
    }

    /// Takes in what an append wrote, with the positions that the store gave. It must have been admitted.
    ///
    /// # Errors
    ///
    /// What the receipt tells wrongly.
    pub fn commit(&mut self, append: &Append, receipt: &Receipt) -> Result<(), String> {
        let writes: Vec<_> = append.writes().iter().filter(|write| !write.events.is_empty()).collect();
        if receipt.already_committed() {
            return Err("the receipt says that it was committed before".to_owned());
        }
        if receipt.written().len() != writes.len() {
            return Err(format!(
                "the receipt names {} streams, not {}",
                receipt.written().len(),
                writes.len()
            ));
        }
        let extent = (self.entries.len(), append.event_count());
        for (write, written) in writes.into_iter().zip(receipt.written()) {
            let next = Version::new(self.version_of(&write.stream) + 1);
            let told = (written.stream(), written.first_version(), written.positions().len());
            if told != (&write.stream, next, write.events.len()) {
                return Err(format!(
                    "the receipt tells {told:?} of {:?}, whose next version is {next}",
                    write.stream
                ));
            }
            for (event, position) in write.events.iter().zip(written.positions()) {
                self.push(event, &write.stream, *position, extent)?;
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        event: &NewEvent,
        stream: &StreamId,
        position: Position,
        append: (usize, usize),
    ) -> Result<(), String> {
        if position <= self.head() {
            return Err(format!("position {position} is not above {}", self.head()));
        }
        let version = self.streams.entry(stream.clone()).or_default();
        *version += 1;
        self.ids.insert((stream.clone(), event.id()), self.entries.len());
        // The time is the store's own and is not compared.
        let time = std::time::SystemTime::UNIX_EPOCH;
        let event = backend::recorded(event.clone(), stream.clone(), Version::new(*version), position, time);
        self.entries.push(Entry { event, append });
        Ok(())
    }

    /// The position of the newest event.
    #[must_use]
    pub fn head(&self) -> Position {
        self.entries.last().map_or(Position::START, |entry| entry.event.position())
    }

    /// The version of a stream.
    #[must_use]
    pub fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.version_of(stream))
    }

    fn version_of(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).copied().unwrap_or(0)
    }

    /// The events, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// All that a read must give, over all its pages.
    #[must_use]
    pub fn read(&self, read: &Read) -> Vec<RecordedEvent> {
        read_of(self.entries.iter().map(|entry| &entry.event), read)
    }
}

/// All that a read must give of a log, over all its pages.
pub(crate) fn read_of<'a>(
    log: impl DoubleEndedIterator<Item = &'a RecordedEvent>,
    read: &Read,
) -> Vec<RecordedEvent> {
    let limit = usize::try_from(read.limit_left().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let (from, to) = read.versions();
    let (after, upper) = read.positions();
    let bounds = (std::ops::Bound::Excluded(after), upper);
    let meant = |event: &&RecordedEvent| match read.source() {
        Source::Stream(stream) => event.stream() == stream && (from..=to).contains(&event.version()),
        Source::Log(query) => {
            std::ops::RangeBounds::contains(&bounds, &event.position()) && query.matches_recorded(event)
        }
        _ => false,
    };
    match read.direction() {
        Direction::Forward => log.filter(meant).take(limit).cloned().collect(),
        Direction::Backward => log.rev().filter(meant).take(limit).cloned().collect(),
    }
}

impl Facts for Model {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        Ok(Model::version(self, stream))
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let at = self.ids.get(&(stream.clone(), event.id()));
        Ok(at.map(|at| {
            let Entry { event: stored, append: (first, append_events) } = &self.entries[*at];
            Stored {
                version: stored.version(),
                position: stored.position(),
                append_first: self.entries[*first].event.position(),
                append_events: *append_events,
                same_content: stored.event().same_content(event),
            }
        }))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        let mut matching =
            self.events().filter(|event| event.position() > after && query.matches_recorded(event));
        Ok(matching.next().map(RecordedEvent::position))
    }
}
