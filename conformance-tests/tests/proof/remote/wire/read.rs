//! Reads and pages on the wire. A read that goes on is remade from where it goes on, and the head that its first page fixed.

use std::ops::Bound;

use annalist_core::{
    Consistency, Direction, Page, Position, Query, Read, RecordedEvent, Source, StreamId, Version,
    backend::{self, Looked},
};
use serde::{Deserialize, Serialize};

use super::append::WireQuery;
use super::event::WireRecorded;

#[derive(Serialize, Deserialize)]
pub struct WireRead {
    source: WireSource,
    backward: bool,
    local: bool,
    versions: (Version, Version),
    after: Position,
    upper: Bound<Position>,
    limit: Option<u64>,
    page_size: usize,
    fixed: Option<(Position, Option<Version>)>,
}

#[derive(Serialize, Deserialize)]
enum WireSource {
    Stream(StreamId),
    Log(WireQuery),
}

impl From<&Read> for WireRead {
    fn from(read: &Read) -> Self {
        let source = match read.source() {
            Source::Stream(stream) => WireSource::Stream(stream.clone()),
            Source::Log(query) => WireSource::Log(query.into()),
            other => unreachable!("an unknown source {other:?}"),
        };
        let (after, upper) = read.positions();
        Self {
            source,
            backward: read.direction() == Direction::Backward,
            local: read.consistency() == Consistency::Local,
            versions: read.versions(),
            after,
            upper,
            limit: read.limit_left(),
            page_size: read.page_events_max(),
            fixed: read.fixed_head().map(|head| (head, read.fixed_version())),
        }
    }
}

impl From<WireRead> for Read {
    fn from(wire: WireRead) -> Self {
        let (from, to) = wire.versions;
        let mut read = match wire.source {
            WireSource::Stream(stream) => Self::stream(&stream).from(from).to(to),
            WireSource::Log(query) => {
                let read = Self::log(Query::from(query)).after(wire.after);
                if let Bound::Included(upper) = wire.upper { read.until(upper) } else { read }
            }
        };
        if let Some(limit) = wire.limit {
            read = read.limit(limit);
        }
        if wire.backward {
            read = read.backward();
        }
        if wire.local {
            read = read.local();
        }
        read = read.page_size(wire.page_size);
        let Some((head, version)) = wire.fixed else { return read };
        // Looked at nothing yet, and goes on from there: that is a read with a cursor.
        let looked = match (read.source(), wire.backward, wire.upper) {
            (Source::Stream(_), false, _) => Looked::UpTo(Version::new(from.get().saturating_sub(1))),
            (Source::Stream(_), true, _) => Looked::UpTo(to.next()),
            (_, false, _) => Looked::Past(wire.after),
            (_, true, Bound::Excluded(upper)) => Looked::Past(upper),
            (_, true, _) => unreachable!("a read back that goes on is bounded by where it came to"),
        };
        backend::page(&read, Vec::new(), looked, head, version.unwrap_or(Version::NONE)).next.unwrap_or(read)
    }
}

#[derive(Serialize, Deserialize)]
pub struct WirePage {
    events: Vec<WireRecorded>,
    looked: WireLooked,
    head: Position,
    version: Version,
}

#[derive(Serialize, Deserialize)]
enum WireLooked {
    All,
    UpTo(Version),
    Past(Position),
}

impl From<Page> for WirePage {
    fn from(page: Page) -> Self {
        let looked = page.next.map_or(WireLooked::All, |next| {
            let (from, to) = next.versions();
            match (next.source(), next.direction(), next.positions()) {
                (Source::Stream(_), Direction::Forward, _) => {
                    WireLooked::UpTo(Version::new(from.get().saturating_sub(1)))
                }
                (Source::Stream(_), Direction::Backward, _) => WireLooked::UpTo(to.next()),
                (_, Direction::Backward, (_, Bound::Excluded(upper))) => WireLooked::Past(upper),
                (_, _, (after, _)) => WireLooked::Past(after),
            }
        });
        let events = page.events.iter().map(WireRecorded::from).collect();
        Self { events, looked, head: page.head, version: page.version }
    }
}

impl WirePage {
    /// The page, as the answer to the read that asked for it.
    pub fn answer(self, read: &Read) -> Page {
        let looked = match self.looked {
            WireLooked::All => Looked::All,
            WireLooked::UpTo(version) => Looked::UpTo(version),
            WireLooked::Past(position) => Looked::Past(position),
        };
        let events = self.events.into_iter().map(RecordedEvent::from).collect();
        backend::page(read, events, looked, self.head, self.version)
    }
}
