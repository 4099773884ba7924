//! Which records can hold an event that matches a query, by the index of the local store.

use std::ops::{ControlFlow, Range};

use annalist_core::{Error, Query, QueryItem, StreamId};
use bytes::Bytes;

use crate::keys::{self, Term};
use crate::local::{Local, Table, Way};

/// Shows the records that may hold a match, by their offsets, with their accepted events; one that is not shown holds none.
pub(crate) fn candidates(
    local: &Local,
    query: &Query,
    offsets: Range<u64>,
    way: Way,
    see: &mut dyn FnMut(u64, Bytes) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let plans: Option<Vec<Plan>> = query.items().iter().map(Plan::of).collect();
    let Some(plans) = plans.filter(|plans| !plans.is_empty()) else {
        let (from, to) = (keys::offset(offsets.start), keys::offset(offsets.end));
        return local
            .scan(Table::Records, &from, &to, way, &mut |key, value| see(keys::last_number(key)?, value));
    };
    let mut left = offsets;
    while !left.is_empty() {
        let mut found = None;
        for plan in &plans {
            let next = plan.next(local, left.clone(), way)?;
            found = nearer(found, next, way);
        }
        let Some(offset) = found else { return Ok(()) };
        match way {
            Way::Up => left.start = offset + 1,
            Way::Down => left.end = offset,
        }
        let record = local.get(Table::Records, &keys::offset(offset))?;
        if let Some(record) = record
            && see(offset, record)?.is_break()
        {
            return Ok(());
        }
    }
    Ok(())
}

fn nearer(one: Option<u64>, other: Option<u64>, way: Way) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) if way == Way::Up => Some(one.min(other)),
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

/// The parts of a query's item that an index answers: a record with a match is in each of them.
struct Plan<'a>(Vec<OneOf<'a>>);

/// A record with a match is in one of these.
struct OneOf<'a>(Vec<Entry<'a>>);

enum Entry<'a> {
    Term(Term<'a>),
    Stream(StreamId),
}

impl<'a> Plan<'a> {
    /// `None` where no index helps.
    fn of(item: &'a QueryItem) -> Option<Self> {
        let terms = |names: &'a [String], term: fn(&'a str) -> Term<'a>| {
            OneOf(names.iter().map(|name| Entry::Term(term(name))).collect())
        };
        let streams = item.stream_part().iter().flat_map(|name| StreamId::new(name.as_str()));
        // A prefix that goes beyond its category says that.
        let of_prefixes: Option<Vec<_>> =
            item.prefix_part().iter().map(|prefix| prefix.split_once('-')).collect();
        let of_prefixes = of_prefixes.unwrap_or_default().into_iter();
        let mut parts = vec![
            OneOf(streams.map(Entry::Stream).collect()),
            OneOf(of_prefixes.map(|(category, _)| Entry::Term(Term::Category(category))).collect()),
            terms(item.category_part(), Term::Category),
            terms(item.type_part(), Term::Type),
        ];
        parts.extend(item.tag_part().iter().map(|tag| OneOf(vec![Entry::Term(Term::Tag(tag))])));
        parts.retain(|part| !part.0.is_empty());
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// The next record that all parts name.
    fn next(&self, local: &Local, mut left: Range<u64>, way: Way) -> Result<Option<u64>, Error> {
        loop {
            let before = left.clone();
            let mut agreed = 0;
            for part in &self.0 {
                let Some(offset) = part.next(local, left.clone(), way)? else { return Ok(None) };
                agreed = offset;
                match way {
                    Way::Up => left.start = offset,
                    Way::Down => left.end = offset + 1,
                }
            }
            if left == before || self.0.len() == 1 {
                return Ok(Some(agreed));
            }
        }
    }
}

impl OneOf<'_> {
    fn next(&self, local: &Local, left: Range<u64>, way: Way) -> Result<Option<u64>, Error> {
        let mut found = None;
        for entry in &self.0 {
            let next = match entry {
                Entry::Term(term) => next_of_term(local, *term, left.clone(), way)?,
                Entry::Stream(stream) => next_of_stream(local, stream, left.clone(), way)?,
            };
            found = nearer(found, next, way);
        }
        Ok(found)
    }
}

fn next_of_term(local: &Local, term: Term<'_>, left: Range<u64>, way: Way) -> Result<Option<u64>, Error> {
    let (from, to) = (keys::term(term, left.start), keys::term(term, left.end));
    let found = local.first(Table::Terms, &from, &to, way)?;
    Ok(found.map(|(key, _)| keys::last_number(&key)).transpose()?)
}

/// By halving: the versions of a stream are in the order of the log.
fn next_of_stream(
    local: &Local,
    stream: &StreamId,
    left: Range<u64>,
    way: Way,
) -> Result<Option<u64>, Error> {
    let head = version_of(local, stream)?;
    // The first version that stands at the offset or after it; one more than there are, if none does.
    let first_at = |offset: u64| -> Result<u64, Error> {
        let (mut low, mut high) = (1, head + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match offset_of(local, stream, middle)? {
                Some(found) if found < offset => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    };
    let version = match way {
        Way::Up => first_at(left.start)?,
        Way::Down => first_at(left.end)? - 1,
    };
    if version == 0 || version > head {
        return Ok(None);
    }
    Ok(offset_of(local, stream, version)?.filter(|offset| left.contains(offset)))
}

fn offset_of(local: &Local, stream: &StreamId, version: u64) -> Result<Option<u64>, Error> {
    let value = local.get(Table::Events, &keys::version(stream, version))?;
    Ok(value.map(|value| keys::event_offset(&value)).transpose()?)
}

pub(crate) fn version_of(local: &Local, stream: &StreamId) -> Result<u64, Error> {
    let value = local.get(Table::Heads, stream.as_str().as_bytes())?;
    Ok(value.map(|value| keys::number(&value)).transpose()?.unwrap_or_default())
}
