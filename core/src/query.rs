//! Which events a read, a subscription or a condition is about.

use crate::{Error, EventType, Invalid, NewEvent, RecordedEvent, StreamId, Tag};

/// Which events are meant: all of them, or those that match any of its items (R6).
///
/// One type serves reads, subscriptions and conditions. A query gives the same as filtering afterwards; no character
/// in it is special.
///
/// ```
/// use annalist_core::{Query, QueryItem};
///
/// let query = Query::any_of([
///     QueryItem::new().category("Order").types(["OrderPlaced", "OrderPaid"]),
///     QueryItem::new().tags(["email:ada@example.org"]),
/// ]);
/// assert_eq!(query.items().len(), 2);
/// assert!(Query::all().is_all());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query(Option<Vec<QueryItem>>);

/// One alternative of a [`Query`]: within it streams, prefixes, categories and types are each "one of", tags are "all
/// of", and the parts that are given must all hold.
///
/// ```
/// use annalist_core::{NewEvent, QueryItem, StreamId};
///
/// let item = QueryItem::new().category("Order").types(["OrderPlaced"]);
/// let placed = NewEvent::new("OrderPlaced", "{}")?;
/// assert!(item.matches(&StreamId::new("Order-7")?, &placed));
/// assert!(!item.matches(&StreamId::new("Cart-7")?, &placed));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueryItem {
    streams: Vec<String>,
    prefixes: Vec<String>,
    categories: Vec<String>,
    types: Vec<String>,
    tags: Vec<String>,
}

impl Query {
    /// Every event.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// The events that match any of these items.
    #[must_use]
    pub fn any_of(items: impl IntoIterator<Item = QueryItem>) -> Self {
        Self(Some(items.into_iter().collect()))
    }

    /// The events of one stream.
    #[must_use]
    pub fn stream(stream: impl AsRef<str>) -> Self {
        QueryItem::new().stream(stream).into()
    }

    /// The events of the streams of one category.
    #[must_use]
    pub fn category(category: impl AsRef<str>) -> Self {
        QueryItem::new().category(category).into()
    }

    /// The events of these types.
    #[must_use]
    pub fn types<T: AsRef<str>>(types: impl IntoIterator<Item = T>) -> Self {
        QueryItem::new().types(types).into()
    }

    /// The events that carry all of these tags.
    #[must_use]
    pub fn tags<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Self {
        QueryItem::new().tags(tags).into()
    }

    /// Whether this is [`Query::all`].
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The items; none for [`Query::all`].
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether an event, once it is in this stream, is meant.
    #[must_use]
    pub fn matches(&self, stream: &StreamId, event: &NewEvent) -> bool {
        self.0.as_ref().is_none_or(|items| items.iter().any(|item| item.matches(stream, event)))
    }

    /// Whether a recorded event is meant.
    #[must_use]
    pub fn matches_recorded(&self, event: &RecordedEvent) -> bool {
        self.matches(event.stream(), event.event())
    }

    /// The rules of a query that need no limits: it has items, each with a part, and every part could be a name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.as_ref().is_some_and(Vec::is_empty) {
            return Err(
                Invalid::new("query", "must have an item; `Query::all()` is explicit", "0 items").into()
            );
        }
        self.items().iter().try_for_each(QueryItem::check)
    }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self(Some(vec![item]))
    }
}

fn strings<T: AsRef<str>>(parts: impl IntoIterator<Item = T>) -> impl Iterator<Item = String> {
    parts.into_iter().map(|part| part.as_ref().to_owned())
}

/// An absent part holds; a given one must name the value.
fn one_of(part: &[String], mut holds: impl FnMut(&str) -> bool) -> bool {
    part.is_empty() || part.iter().any(|value| holds(value))
}

impl QueryItem {
    /// An item without parts, to be given at least one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream to "one of these streams".
    #[must_use]
    pub fn stream(self, stream: impl AsRef<str>) -> Self {
        self.streams([stream])
    }

    /// Adds streams to "one of these streams".
    #[must_use]
    pub fn streams<T: AsRef<str>>(mut self, streams: impl IntoIterator<Item = T>) -> Self {
        self.streams.extend(strings(streams));
        self
    }

    /// Adds a prefix to "a stream whose name begins with one of these".
    #[must_use]
    pub fn stream_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Adds a category to "a stream of one of these categories".
    #[must_use]
    pub fn category(mut self, category: impl AsRef<str>) -> Self {
        self.categories.push(category.as_ref().to_owned());
        self
    }

    /// Adds types to "one of these types".
    #[must_use]
    pub fn types<T: AsRef<str>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types.extend(strings(types));
        self
    }

    /// Adds tags to "all of these tags".
    #[must_use]
    pub fn tags<T: AsRef<str>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(strings(tags));
        self
    }

    /// The streams, of which one must be the event's; empty where the part is not given.
    #[must_use]
    pub fn stream_part(&self) -> &[String] {
        &self.streams
    }

    /// The prefixes, of which one must begin the stream's name; empty where the part is not given.
    #[must_use]
    pub fn prefix_part(&self) -> &[String] {
        &self.prefixes
    }

    /// The categories, of which one must be the stream's; empty where the part is not given.
    #[must_use]
    pub fn category_part(&self) -> &[String] {
        &self.categories
    }

    /// The types, of which one must be the event's; empty where the part is not given.
    #[must_use]
    pub fn type_part(&self) -> &[String] {
        &self.types
    }

    /// The tags, all of which the event must carry; empty where the part is not given.
    #[must_use]
    pub fn tag_part(&self) -> &[String] {
        &self.tags
    }

    /// Whether an event, once it is in this stream, matches every part that is given.
    #[must_use]
    pub fn matches(&self, stream: &StreamId, event: &NewEvent) -> bool {
        one_of(&self.streams, |name| name == stream.as_str())
            && one_of(&self.prefixes, |prefix| stream.as_str().starts_with(prefix))
            && one_of(&self.categories, |category| category == stream.category())
            && one_of(&self.types, |name| name == event.event_type().as_str())
            && self.tags.iter().all(|wanted| event.tags().iter().any(|tag| tag.as_str() == wanted))
    }

    /// How many names the item has, over all its parts.
    #[must_use]
    pub fn name_count(&self) -> usize {
        let parts = [&self.streams, &self.prefixes, &self.categories, &self.types, &self.tags];
        parts.iter().map(|part| part.len()).sum()
    }

    fn check(&self) -> Result<(), Error> {
        if *self == Self::default() {
            return Err(Invalid::new("query item", "must have a part", "0 parts").into());
        }
        // A part that could never be a name would silently match nothing.
        self.streams
            .iter()
            .chain(&self.prefixes)
            .try_for_each(|name| StreamId::new(name.as_str()).map(drop))?;
        self.categories.iter().try_for_each(|name| check_category(name))?;
        self.types.iter().try_for_each(|name| EventType::new(name.as_str()).map(drop))?;
        self.tags.iter().try_for_each(|name| Tag::new(name.as_str()).map(drop))
    }
}

/// A category is what stands before the first `-` of a stream's name: empty for the stream `-x`, and never with a `-`.
fn check_category(category: &str) -> Result<(), Error> {
    if category.contains('-') {
        let rule = "must not hold `-`, which ends a category";
        return Err(Invalid::new("category", rule, format!("{category:?}")).into());
    }
    if category.is_empty() { Ok(()) } else { StreamId::new(category).map(drop) }
}
