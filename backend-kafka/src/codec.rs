//! How numbers, texts and events are laid out in bytes, in records of the topic and in the local store alike.
//!
//! | what | bytes |
//! |---|---|
//! | number | LEB128: seven bits a byte, lowest first, the highest bit set in all but the last; at most ten bytes |
//! | text, bytes | its length as a number, then it |
//! | id | the 16 bytes of the UUID |
//! | position | its text form: 34 bytes of ASCII, so that one of another log is recognised as that |
//! | event | id; type; data; metadata, empty for none; content type, empty for the default; the number of tags; the tags |

use annalist_core::{
    ContentType, Error, ErrorKind, EventId, EventType, Metadata, NewEvent, Position, StreamId, Tag, backend,
};
use bytes::Bytes;
use uuid::Uuid;

/// How long the text form of a position is.
const POSITION_LEN: usize = 34;

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(crate) fn put_position(out: &mut Vec<u8>, position: Position) {
    out.extend_from_slice(position.to_string().as_bytes());
}

/// What an event takes in bytes beside its [`size`](NewEvent::size), at most.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &NewEvent) {
    out.extend_from_slice(event.id().as_uuid().as_bytes());
    put_text(out, event.event_type().as_str());
    put_bytes(out, event.data());
    put_text(out, event.metadata().as_str());
    let content_type = event.content_type();
    put_text(out, if content_type == CONTENT_TYPE_DEFAULT { "" } else { content_type });
    put_number(out, event.tags().len() as u64);
    event.tags().iter().for_each(|tag| put_text(out, tag.as_str()));
}

const CONTENT_TYPE_DEFAULT: &str = "application/json";

/// Bytes that are taken from the front; what is not as it should be is an error, never a panic.
pub(crate) struct Reader {
    bytes: Bytes,
    at: usize,
}

/// What was read is not what was ever written.
#[derive(Debug)]
pub(crate) struct Malformed;

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        ErrorKind::Corrupt("what is stored is not as it was written".to_owned()).into()
    }
}

impl From<Error> for Malformed {
    fn from(_: Error) -> Self {
        Self
    }
}

type Read<T> = Result<T, Malformed>;

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been taken.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The bytes from a place up to where the reader is.
    pub(crate) fn since(&self, from: usize) -> Bytes {
        self.bytes.slice(from..self.at)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Read<()> {
        if self.is_at_end() { Ok(()) } else { Err(Malformed) }
    }

    pub(crate) fn byte(&mut self) -> Read<u8> {
        let byte = *self.rest().first().ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let array = *self.rest().first_chunk::<N>().ok_or(Malformed)?;
        self.at += N;
        Ok(array)
    }

    pub(crate) fn number(&mut self) -> Read<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A number of things that take at least a byte each: what was not written cannot make a reader reserve memory.
    pub(crate) fn count(&mut self) -> Read<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if count <= self.rest().len() { Ok(count) } else { Err(Malformed) }
    }

    pub(crate) fn bytes(&mut self) -> Read<Bytes> {
        let len = self.count()?;
        let begin = self.at;
        self.at += len;
        Ok(self.bytes.slice(begin..self.at))
    }

    pub(crate) fn text(&mut self) -> Read<&str> {
        let len = self.count()?;
        let begin = self.at;
        self.at += len;
        std::str::from_utf8(&self.bytes[begin..self.at]).map_err(|_| Malformed)
    }

    pub(crate) fn uuid(&mut self) -> Read<Uuid> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(crate) fn stream(&mut self) -> Read<StreamId> {
        Ok(StreamId::new(self.text()?)?)
    }

    pub(crate) fn position(&mut self) -> Read<Position> {
        let text: [u8; POSITION_LEN] = self.array()?;
        let text = std::str::from_utf8(&text).map_err(|_| Malformed)?;
        Ok(text.parse()?)
    }

    pub(crate) fn metadata(&mut self) -> Read<Metadata> {
        match self.text()? {
            "" => Ok(Metadata::NONE),
            text => Ok(Metadata::new(text)?),
        }
    }

    pub(crate) fn event(&mut self) -> Read<NewEvent> {
        let id = EventId::from_uuid(self.uuid()?);
        let event_type = EventType::new(self.text()?)?;
        let data = self.bytes()?;
        let metadata = self.metadata()?;
        let content_type = match self.text()? {
            "" => None,
            text => Some(ContentType::new(text)?),
        };
        let count = self.count()?;
        if count > annalist_core::TAGS_MAX {
            return Err(Malformed);
        }
        let mut tags = Vec::with_capacity(count);
        for _ in 0..count {
            tags.push(Tag::new(self.text()?)?);
        }
        Ok(backend::event(id, event_type, data, metadata, content_type, tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_too_long_ones_are_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            let mut reader = Reader::new(out.into());
            assert_eq!(reader.number().expect("a number"), number);
            assert!(reader.is_at_end());
        }
        for bytes in [&[0x80][..], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]] {
            assert!(Reader::new(Bytes::copy_from_slice(bytes)).number().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_event_comes_back_and_every_part_of_it_is_refused() {
        let event = NewEvent::new("OrderPlaced", vec![0, 1, 0xff])
            .and_then(|event| event.with_tags(["customer:7", "Ä"]))
            .expect("an event")
            .with_metadata(Metadata::new(r#"{"a": 1}"#).expect("an object"))
            .with_content_type(ContentType::new("text/plain").expect("a content type"));
        let mut out = Vec::new();
        put_event(&mut out, &event);
        let bytes = Bytes::from(out);
        assert_eq!(Reader::new(bytes.clone()).event().expect("an event"), event);
        for len in 0..bytes.len() {
            assert!(Reader::new(bytes.slice(..len)).event().is_err(), "{len} bytes");
        }
    }
}
