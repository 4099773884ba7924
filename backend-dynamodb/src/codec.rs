//! Bytes in which events are kept: numbers of variable length, texts and bytes with their length before them.
//!
//! Whatever is written here is read for ever. A body begins with the number of its format, and a format is never changed.

use std::time::{Duration, SystemTime};

use annalist_core::{
    ContentType, Error, ErrorKind, EventId, EventType, Metadata, NewEvent, StreamId, Tag, backend,
};
use bytes::Bytes;
use uuid::Uuid;

/// The only format so far.
const FORMAT: u8 = 1;

pub(crate) fn corrupt(what: &str) -> Error {
    ErrorKind::Corrupt(format!("{what} cannot be understood")).into()
}

/// Writes a body.
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn new() -> Self {
        Self(vec![FORMAT])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Seven bits a byte, the lowest first; the highest bit says that there are more.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Bytes whose number is known.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Microseconds since 1970; a clock before that counts as 1970.
    pub(crate) fn time(&mut self, time: SystemTime) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.number(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn event(&mut self, event: &NewEvent) {
        self.raw(event.id().as_uuid().as_bytes());
        self.text(event.event_type().as_str());
        self.bytes(event.data());
        self.text(event.metadata().as_str());
        self.text(content_type(event));
        self.number(event.tags().len() as u64);
        event.tags().iter().for_each(|tag| self.text(tag.as_str()));
    }
}

/// Empty stands for the default, which is by far the most frequent.
fn content_type(event: &NewEvent) -> &str {
    match event.content_type() {
        "application/json" => "",
        other => other,
    }
}

/// Reads a body.
pub(crate) struct Decoder {
    rest: Bytes,
    what: &'static str,
}

impl Decoder {
    pub(crate) fn new(body: Bytes, what: &'static str) -> Result<Self, Error> {
        let mut decoder = Self { rest: body, what };
        match decoder.take(1)?[0] {
            FORMAT => Ok(decoder),
            other => {
                let message = format!("{what} has the format {other}, this version knows {FORMAT}");
                Err(ErrorKind::Corrupt(message).into())
            }
        }
    }

    fn corrupt(&self) -> Error {
        corrupt(self.what)
    }

    fn take(&mut self, count: usize) -> Result<Bytes, Error> {
        if count > self.rest.len() {
            return Err(self.corrupt());
        }
        Ok(self.rest.split_to(count))
    }

    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.take(1)?[0]);
            let bits = byte & 0x7f;
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.corrupt())
    }

    /// A number of things, each of which takes a byte or more: what could not be there is refused before room is made for it.
    pub(crate) fn count(&mut self) -> Result<usize, Error> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len());
        count.ok_or_else(|| self.corrupt())
    }

    pub(crate) fn small(&mut self) -> Result<u32, Error> {
        u32::try_from(self.number()?).map_err(|_| self.corrupt())
    }

    /// As many bytes as are wanted.
    pub(crate) fn raw<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.take(N)?);
        Ok(bytes)
    }

    fn bytes(&mut self) -> Result<Bytes, Error> {
        let count = self.count()?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| self.corrupt())
    }

    pub(crate) fn stream(&mut self) -> Result<StreamId, Error> {
        StreamId::new(self.text()?).map_err(|_| self.corrupt())
    }

    pub(crate) fn time(&mut self) -> Result<SystemTime, Error> {
        let since = Duration::from_micros(self.number()?);
        SystemTime::UNIX_EPOCH.checked_add(since).ok_or_else(|| self.corrupt())
    }

    pub(crate) fn event(&mut self) -> Result<NewEvent, Error> {
        let id = Uuid::from_bytes(self.raw()?);
        let event_type = EventType::new(self.text()?).map_err(|_| self.corrupt())?;
        let data = self.bytes()?;
        let metadata = Metadata::new(self.text()?).map_err(|_| self.corrupt())?;
        let content_type = self.text()?;
        let content_type = (!content_type.is_empty()).then(|| ContentType::new(content_type)).transpose();
        let content_type = content_type.map_err(|_| self.corrupt())?;
        let mut tags = Vec::new();
        for _ in 0..self.count()? {
            tags.push(Tag::new(self.text()?).map_err(|_| self.corrupt())?);
        }
        Ok(backend::event(EventId::from_uuid(id), event_type, data, metadata, content_type, tags))
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(encoder: Encoder) -> Decoder {
        Decoder::new(encoder.finish().into(), "the test").expect("a format")
    }

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut encoder = Encoder::new();
            encoder.number(number);
            assert_eq!(decoder(encoder).number().expect("a number"), number);
        }
    }

    /// At most so many bytes of an event are beside what its size counts: id, content type, lengths. Limits leave room for them.
    const BESIDE_EVENT_MAX: usize = 16 + 257 + 4 * 5 + 32 * 2;

    #[test]
    fn events_come_back_and_are_no_larger_than_was_said() {
        let long = "x".repeat(255);
        let event = NewEvent::new(long.as_str(), vec![0, 255, 128])
            .and_then(|event| event.with_tags((0..32).map(|n| format!("{n:0255}"))))
            .expect("an event")
            .with_metadata(Metadata::new(r#"{"a": 1}"#).expect("an object"))
            .with_content_type(ContentType::new(long.as_str()).expect("a name"));
        let mut encoder = Encoder::new();
        encoder.event(&event);
        assert!(encoder.len() - 1 <= event.size() + BESIDE_EVENT_MAX, "{}", encoder.len() - event.size());
        let mut decoder = decoder(encoder);
        assert_eq!(decoder.event().expect("an event"), event);
        assert!(decoder.finish().is_ok());
    }

    #[test]
    fn whatever_is_cut_off_or_added_is_corrupt() {
        let mut encoder = Encoder::new();
        encoder.event(&NewEvent::new("Ticked", "{}").expect("an event"));
        let whole = encoder.finish();
        let read = |body: &[u8]| {
            let mut decoder = Decoder::new(Bytes::copy_from_slice(body), "the test")?;
            decoder.event()?;
            decoder.finish()
        };
        assert!(read(&whole).is_ok());
        for cut in 0..whole.len() {
            let error = read(&whole[..cut]).expect_err("cut off");
            assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(read(&longer).is_err());
        assert!(read(&[2, 0]).expect_err("a later format").to_string().contains("format 2"));
    }
}
