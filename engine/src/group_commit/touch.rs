//! Which appends touch one another, found by look-up: never by comparing each with each.

use std::fmt;

use annalist_core::{Append, EventId, ExpectedVersion, NewEvent, Query, QueryItem, StreamId};
use hashbrown::{HashMap, HashSet};

/// A group of appends, which can tell whether one more touches any of them, see [`Mates`](super::Mates).
///
/// A writer that is given appends in order, [`Mates::InOrder`](super::Mates::InOrder), and can decide those that do not touch one another as a
/// set, tells by it which way to take.
///
/// ```
/// use annalist_core::{Append, ExpectedVersion, NewEvent, StreamId};
/// use annalist_engine::group_commit::Touching;
///
/// let order = StreamId::new("Order-7")?;
/// let first = Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?]);
/// let second = Append::to(&order, ExpectedVersion::Exists, [NewEvent::new("OrderPaid", "{}")?]);
/// let mut group = Touching::default();
/// group.add(&first);
/// assert!(group.touches(&second));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Default)]
pub struct Touching<'a> {
    members: Vec<&'a Append>,
    ids: HashSet<(&'a StreamId, EventId)>,
    written: HashSet<&'a StreamId>,
    expected: HashSet<&'a StreamId>,
    /// The conditions' items under the marks that an event must bear to match them; `None` matches every event.
    watched: HashMap<Mark<'a>, Vec<Option<&'a QueryItem>>>,
    /// The members' events under their marks. Filled only once a condition asks, which many logs never do.
    events: HashMap<Mark<'a>, Vec<(&'a StreamId, &'a NewEvent)>>,
    /// How many members `events` holds.
    events_of: usize,
}

/// What an event bears and a query item may look for, so that the two find one another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Mark<'a> {
    Any,
    Stream(&'a str),
    Category(&'a str),
    Type(&'a str),
    Tag(&'a str),
}

impl fmt::Debug for Touching<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Touching").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

impl<'a> Touching<'a> {
    /// Takes an append into the group.
    pub fn add(&mut self, append: &'a Append) {
        self.expected.extend(expectations(append));
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            self.written.insert(&write.stream);
            // Where something is expected of the stream, whatever writes it touches, under any id.
            if !self.expected.contains(&write.stream) {
                self.ids.extend(write.events.iter().map(|event| (&write.stream, event.id())));
            }
        }
        for query in append.conditions().iter().map(|condition| &condition.query) {
            self.watch(query);
        }
        self.members.push(append);
    }

    /// Whether an append touches any of the group.
    pub fn touches(&mut self, append: &'a Append) -> bool {
        if self.members.is_empty() {
            return false;
        }
        self.shares_stream(append) || self.is_watching(append) || self.is_watched(append)
    }

    fn shares_stream(&self, append: &'a Append) -> bool {
        let meets = |(stream, event): (_, &NewEvent)| {
            self.expected.contains(stream) || self.ids.contains(&(stream, event.id()))
        };
        append.events().any(meets) || expectations(append).any(|stream| self.written.contains(stream))
    }

    /// Whether a member's condition matches an event of the append.
    fn is_watching(&self, append: &Append) -> bool {
        !self.watched.is_empty()
            && append.events().any(|(stream, event)| {
                let mut watchers = marks(stream, event).filter_map(|mark| self.watched.get(&mark)).flatten();
                watchers.any(|item| item.is_none_or(|item| item.matches(stream, event)))
            })
    }

    /// Whether a condition of the append matches a member's event.
    fn is_watched(&mut self, append: &'a Append) -> bool {
        if append.conditions().is_empty() {
            return false;
        }
        self.index_events();
        let events = &self.events;
        append.conditions().iter().flat_map(|condition| filed(&condition.query)).any(|(mark, item)| {
            let mut found = events.get(&mark).into_iter().flatten();
            found.any(|(stream, event)| item.is_none_or(|item| item.matches(stream, event)))
        })
    }

    fn watch(&mut self, query: &'a Query) {
        for (mark, item) in filed(query) {
            self.watched.entry(mark).or_default().push(item);
        }
    }

    fn index_events(&mut self) {
        for (stream, event) in self.members[self.events_of..].iter().flat_map(|append| append.events()) {
            for mark in marks(stream, event) {
                self.events.entry(mark).or_default().push((stream, event));
            }
        }
        self.events_of = self.members.len();
    }
}

/// The streams of which an append expects something; `Any` expects nothing.
fn expectations(append: &Append) -> impl Iterator<Item = &StreamId> {
    let written = append.writes().iter().map(|write| (&write.stream, write.expected));
    let checked = append.checks().iter().map(|check| (&check.stream, check.expected));
    written.chain(checked).filter(|(_, expected)| *expected != ExpectedVersion::Any).map(|(stream, _)| stream)
}

fn marks<'a>(stream: &'a StreamId, event: &'a NewEvent) -> impl Iterator<Item = Mark<'a>> {
    let tags = event.tags().iter().map(|tag| Mark::Tag(tag.as_str()));
    let of_all = [
        Mark::Any,
        Mark::Stream(stream.as_str()),
        Mark::Category(stream.category()),
        Mark::Type(event.event_type().as_str()),
    ];
    of_all.into_iter().chain(tags)
}

/// The items of a query, each under the marks of which a matching event bears one.
fn filed(query: &Query) -> Vec<(Mark<'_>, Option<&QueryItem>)> {
    if query.is_all() {
        return vec![(Mark::Any, None)];
    }
    let marked = |item| looked_for(item).into_iter().map(move |mark| (mark, Some(item)));
    query.items().iter().flat_map(marked).collect()
}

/// The marks of one part of an item: of the part that likely fits the fewest events.
fn looked_for(item: &QueryItem) -> Vec<Mark<'_>> {
    let one_of = |part: &'_ [String]| !part.is_empty();
    if let Some(tag) = item.tag_part().first() {
        vec![Mark::Tag(tag)]
    } else if one_of(item.stream_part()) {
        item.stream_part().iter().map(|name| Mark::Stream(name)).collect()
    } else if one_of(item.type_part()) {
        item.type_part().iter().map(|name| Mark::Type(name)).collect()
    } else if one_of(item.category_part()) {
        item.category_part().iter().map(|name| Mark::Category(name)).collect()
    } else {
        vec![Mark::Any]
    }
}
