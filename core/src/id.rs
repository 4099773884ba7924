//! Identities: of events and of logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Invalid};

/// The identity of an event, chosen by whoever appends it. It is what makes a retry safe.
///
/// ```
/// use annalist_core::EventId;
///
/// // The same key gives the same ids, on every machine and at any time.
/// assert_eq!(EventId::derived("payment 4711", 0), EventId::derived("payment 4711", 0));
/// assert_ne!(EventId::derived("payment 4711", 0), EventId::derived("payment 4711", 1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

/// The name space of [`EventId::derived`], itself a version 5 UUID. Frozen: another value would give other ids.
const DERIVED: Uuid = Uuid::from_u128(0x8f3a_6c1e_52d4_5b0f_9a47_30c6_1d8e_b259);

impl EventId {
    /// A new UUID of version 7: unique, and roughly in the order of time.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default is a constant in a reader's eyes; this is not one"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The `n`-th id that belongs to an idempotency key: a UUID of version 5 (RFC 9562), the same wherever it is made.
    #[must_use]
    pub fn derived(key: &str, n: u32) -> Self {
        let mut name = Vec::with_capacity(key.len() + 4);
        name.extend_from_slice(&n.to_be_bytes());
        name.extend_from_slice(key.as_bytes());
        Self(Uuid::new_v5(&DERIVED, &name))
    }

    /// An id that was made elsewhere; every UUID is one, the nil and the maximal one too.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

/// The identity of one log, made with it. A log that was made anew has another one; a restored or copied one keeps it,
/// which is why a checkpoint also keeps the id of an event.
///
/// ```
/// use annalist_core::LogId;
///
/// let log = LogId::new();
/// assert_eq!(log.to_string().parse::<LogId>()?, log);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(Uuid);

impl LogId {
    /// A new random identity.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default is a constant in a reader's eyes; this is not one"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// An identity as it was stored.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The identity as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// The short tag that every [`Position`](crate::Position) of this log carries: never 0, which marks
    /// [`Position::START`](crate::Position::START). The last 32 bits, which are random in a version 7 UUID.
    #[must_use]
    pub const fn tag(&self) -> u32 {
        let low = self.0.as_u128() as u32;
        if low == 0 { 1 } else { low }
    }
}

macro_rules! uuid_text {
    ($type:ident, $what:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let id = Uuid::parse_str(text);
                Ok(Self(id.map_err(|_| Invalid::new($what, "must be a UUID", format!("{text:?}")))?))
            }
        }

        impl From<Uuid> for $type {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_text!(EventId, "event id");
uuid_text!(LogId, "log id");
