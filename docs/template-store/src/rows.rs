//! What the store keeps of each event, and how it finds it again.

use std::ops::Bound;
use std::time::SystemTime;

use annalist_core::{
    Append, Direction, Error, EventId, LogId, NewEvent, Page, Position, Query, Read, Receipt, RecordedEvent, StreamId,
    Version, backend,
};
use annalist_engine::admission::{Facts, Stored};

/// An event, and what ties it to the append that it came with: without that no retry could be told from a reuse of ids.
#[derive(Debug)]
pub struct Row {
    event: RecordedEvent,
    append_first: Position,
    append_events: usize,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Rows {
    log: LogId,
    rows: Vec<Row>,
}

impl Rows {
    pub(crate) fn new(log: LogId) -> Self {
        Self { log, rows: Vec::new() }
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    pub(crate) fn head(&self) -> Position {
        self.rows.last().map_or(Position::START, |row| row.event.position())
    }

    /// The event at or before a position.
    pub(crate) fn event_at(&self, position: Position) -> Option<EventId> {
        let row = self.rows.iter().rev().find(|row| row.event.position() <= position);
        row.map(|row| row.event.id())
    }

    fn of_stream(&self, stream: &StreamId) -> impl Iterator<Item = &RecordedEvent> {
        self.rows.iter().map(|row| &row.event).filter(move |event| event.stream() == stream)
    }

    pub(crate) fn commit(&mut self, append: &Append, now: SystemTime) -> Receipt {
        let append_first = backend::position(self.log, self.rows.len() as u64 + 1, 0);
        let mut written = Vec::new();
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let first_version = Version::new(self.of_stream(&write.stream).count() as u64 + 1);
            let mut version = first_version;
            let mut positions = Vec::new();
            for event in &write.events {
                let position = backend::position(self.log, self.rows.len() as u64 + 1, 0);
                let event = backend::recorded(event.clone(), write.stream.clone(), version, position, now);
                self.rows.push(Row { event, append_first, append_events: append.event_count() });
                positions.push(position);
                version = version.next();
            }
            written.push(backend::written(write.stream.clone(), first_version, positions));
        }
        backend::receipt(false, written)
    }

    pub(crate) fn read_stream(&self, read: &Read, stream: &StreamId) -> Result<Page, Error> {
        let head = self.head_of(read)?;
        // The first page fixes head and version; the cursor brings them back with every further page.
        let now = Version::new(self.of_stream(stream).count() as u64);
        let version = read.fixed_version().unwrap_or(now);
        let (from, to) = read.versions();
        let meant = self.of_stream(stream).filter(|event| (from..=to.min(version)).contains(&event.version()));
        let (events, more) = page_of(meant.collect(), read);
        let looked = match events.last() {
            Some(last) if more => backend::Looked::UpTo(last.version()),
            _ => backend::Looked::All,
        };
        Ok(backend::page(read, events, looked, head, version))
    }

    pub(crate) fn read_log(&self, read: &Read, query: &Query) -> Result<Page, Error> {
        let head = self.head_of(read)?;
        let (after, upper) = read.positions();
        let meant = self.rows.iter().map(|row| &row.event).filter(|event| {
            let bounds = (Bound::Excluded(after), upper);
            std::ops::RangeBounds::contains(&bounds, &event.position())
                && event.position() <= head
                && query.matches_recorded(event)
        });
        let (events, more) = page_of(meant.collect(), read);
        let looked = match events.last() {
            Some(last) if more => backend::Looked::Past(last.position()),
            _ => backend::Looked::All,
        };
        Ok(backend::page(read, events, looked, head, Version::NONE))
    }

    /// The head that the read is about: the one its first page fixed, or the present one.
    fn head_of(&self, read: &Read) -> Result<Position, Error> {
        backend::check_read(read, self.log, self.head())?;
        Ok(read.fixed_head().unwrap_or(self.head()))
    }
}

/// The events of one page out of all that are meant, in the read's direction, and whether there are more.
fn page_of(meant: Vec<&RecordedEvent>, read: &Read) -> (Vec<RecordedEvent>, bool) {
    let count = read.page_events_max();
    let more = meant.len() > count;
    let events: Box<dyn Iterator<Item = &RecordedEvent>> = match read.direction() {
        Direction::Forward => Box::new(meant.into_iter()),
        Direction::Backward => Box::new(meant.into_iter().rev()),
    };
    (events.take(count).cloned().collect(), more)
}

impl Facts for Rows {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        Ok(Version::new(self.of_stream(stream).count() as u64))
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let row = self.rows.iter().find(|row| row.event.stream() == stream && row.event.id() == event.id());
        Ok(row.map(|row| Stored {
            version: row.event.version(),
            position: row.event.position(),
            append_first: row.append_first,
            append_events: row.append_events,
            same_content: row.event.event().same_content(event),
        }))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        backend::check_position(after, self.log, self.head())?;
        let mut later = self.rows.iter().map(|row| &row.event).filter(|event| event.position() > after);
        Ok(later.find(|event| query.matches_recorded(event)).map(RecordedEvent::position))
    }
}
