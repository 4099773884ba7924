//! Rows as events, decoded as Annalist's store decodes them, into the same type.

use std::time::{Duration, SystemTime};

use annalist_core::{
    ContentType, Error, EventId, EventType, LogId, Metadata, RecordedEvent, StreamId, Tag, Version, backend,
};
use annalist_postgres::sqlx::encode::IsNull;
use annalist_postgres::sqlx::error::BoxDynError;
use annalist_postgres::sqlx::postgres::types::Oid;
use annalist_postgres::sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueRef};
use annalist_postgres::sqlx::{Decode, Encode, Postgres, Row, Type};
use bytes::Bytes;
use uuid::Uuid;

use crate::subject::Result;

/// Takes in rows.
pub(super) struct Rows {
    log: LogId,
    pub(super) events: Vec<RecordedEvent>,
}

impl Rows {
    pub(super) fn of(log: LogId) -> Self {
        Self { log, events: Vec::new() }
    }

    pub(super) fn take(&mut self, row: &PgRow) -> Result<()> {
        let last = self.events.last();
        let stream = same_or(last.map(RecordedEvent::stream), row.try_get(4)?, |name| StreamId::new(name))?;
        let event_type =
            same_or(last.map(RecordedEvent::event_type), row.try_get(5)?, |name| EventType::new(name))?;
        let content_type = row.try_get::<Option<&str>, _>(6)?.map(ContentType::new).transpose()?;
        let data = Bytes::copy_from_slice(row.try_get(7)?);
        let metadata = match row.try_get::<Option<&str>, _>(8)? {
            Some(json) => Metadata::new(json)?,
            None => Metadata::NONE,
        };
        let tags = row.try_get::<Option<Vec<String>>, _>(9)?.unwrap_or_default();
        let tags = tags.into_iter().map(Tag::new).collect::<std::result::Result<_, _>>()?;
        let id = EventId::from_uuid(row.try_get::<Id, _>(2)?.0);
        let event = backend::event(id, event_type, data, metadata, content_type, tags);
        let version = Version::new(u64::try_from(row.try_get::<i64, _>(1)?)?);
        let position = backend::position(self.log, u64::try_from(row.try_get::<i64, _>(0)?)?, 0);
        let time = row.try_get::<Time, _>(3)?.0;
        self.events.push(backend::recorded(event, stream, version, position, time));
        Ok(())
    }

    /// The number of an event's position.
    pub(super) fn position(event: &RecordedEvent) -> i64 {
        i64::try_from(backend::numbers(event.position()).0).unwrap_or(i64::MAX)
    }
}

/// The name of the row before, where this one has the same.
fn same_or<N: Clone + AsRef<str>>(
    last: Option<&N>,
    text: &str,
    make: impl Fn(&str) -> std::result::Result<N, Error>,
) -> Result<N> {
    match last {
        Some(last) if last.as_ref() == text => Ok(last.clone()),
        _ => Ok(make(text)?),
    }
}

/// `uuid`, for which the driver's own type is behind a feature that would pull other drivers into the lock file.
#[derive(Clone, Copy)]
pub(super) struct Id(pub(super) Uuid);

impl Type<Postgres> for Id {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(2950))
    }
}

impl PgHasArrayType for Id {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(2951))
    }
}

impl Encode<'_, Postgres> for Id {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> std::result::Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Id {
    fn decode(value: PgValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        Ok(Self(Uuid::from_slice(value.as_bytes()?)?))
    }
}

/// `timestamptz`, sent as microseconds since the year 2000.
struct Time(SystemTime);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        const FROM_1970_TO_2000: Duration = Duration::from_secs(946_684_800);
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let since = FROM_1970_TO_2000.checked_add(Duration::from_micros(micros.try_into()?));
        Ok(Self(SystemTime::UNIX_EPOCH + since.ok_or("a time out of range")?))
    }
}
