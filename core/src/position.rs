//! The place of an event in its log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Invalid};

/// A place in the global order of one log: opaque, ordered, stable for ever.
///
/// Positions of one log compare as the log is read. They carry a short tag of their log, so that a position of another
/// log is noticed. They are not dense: between two neighbours there may be any number of positions that hold no event.
///
/// The text form sorts as the value does and parses back; serde uses it.
///
/// ```
/// use annalist_core::Position;
///
/// let start: Position = "00000000-0000000000000000-00000000".parse()?;
/// assert_eq!(start, Position::START);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    // The order of the fields is the order of positions: START has log 0 and is thereby before everything.
    log: u32,
    major: u64,
    minor: u32,
}

/// The length of a position's text: three hexadecimal numbers of fixed width and two dashes.
const TEXT_LEN: usize = 8 + 1 + 16 + 1 + 8;

impl Position {
    /// Before everything, in every log.
    pub const START: Self = Self { log: 0, major: 0, minor: 0 };

    pub(crate) const fn from_parts(log: u32, major: u64, minor: u32) -> Self {
        Self { log, major, minor }
    }

    pub(crate) const fn parts(self) -> (u32, u64, u32) {
        (self.log, self.major, self.minor)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:016x}-{:08x}", self.log, self.major, self.minor)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::START { f.write_str("START") } else { fmt::Display::fmt(self, f) }
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(TEXT_LEN + 1).collect();
            Invalid::new("position", "must be three hexadecimal numbers, 8-16-8", format!("{shown:?}")).into()
        })
    }
}

fn parse(text: &str) -> Option<Position> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut parts = text.split('-');
    let position = Position {
        log: u32::try_from(hex(parts.next()?, 8)?).ok()?,
        major: hex(parts.next()?, 16)?,
        minor: u32::try_from(hex(parts.next()?, 8)?).ok()?,
    };
    // Log 0 is no log: only START has it.
    let known = position.log != 0 || position == Position::START;
    (parts.next().is_none() && known).then_some(position)
}

fn hex(digits: &str, width: usize) -> Option<u64> {
    let plain = digits.len() == width && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

impl TryFrom<String> for Position {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}
