//! The names of the contract: streams, event types, tags, checkpoints and schemas.
//!
//! One set of rules serves them all, and one macro writes the types, so that a rule cannot differ between two of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Invalid};

/// The longest name of any kind, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;

/// What the rules of a name forbid, beyond being empty, too long or holding control characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reserved {
    Nothing,
    /// A leading `$` is kept for names that belong to the store itself.
    LeadingDollar,
}

fn check(what: &'static str, name: &str, reserved: Reserved) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid::new(what, "must not be empty", "\"\""));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Invalid::over(what, "bytes", NAME_BYTES_MAX as u64, name.len() as u64));
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(Invalid::new(what, "must not hold control characters", format!("{control:?}")));
    }
    if reserved == Reserved::LeadingDollar && name.starts_with('$') {
        return Err(Invalid::new(what, "must not begin with `$`, which is reserved", format!("{name:?}")));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $reserved:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the rules of a name and keeps it as it is: case, spaces and Unicode forms are significant.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) names the broken rule and the value.
            pub fn new(name: impl Into<Arc<str>>) -> Result<Self, Error> {
                let name = name.into();
                check($what, &name, $reserved)?;
                Ok(Self(name))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl From<&$type> for $type {
            fn from(name: &$type) -> Self {
                name.clone()
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self, Error> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = Error;

            fn try_from(name: &str) -> Result<Self, Error> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(name: String) -> Result<Self, Error> {
                Self::new(name)
            }
        }
    };
}

name! {
    /// The name of a stream: 1 to 255 bytes of UTF-8, no control characters, not beginning with `$`.
    ///
    /// ```
    /// use annalist_core::StreamId;
    ///
    /// let order = StreamId::new("Order-7f3")?;
    /// assert_eq!(order.category(), "Order");
    /// assert!(StreamId::new("$all").is_err());
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    StreamId, "stream id", Reserved::LeadingDollar
}

name! {
    /// The type of an event, under which readers know how to decode it; not beginning with `$`.
    ///
    /// ```
    /// let placed = annalist_core::EventType::new("OrderPlaced")?;
    /// assert_eq!(placed.as_str(), "OrderPlaced");
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    EventType, "event type", Reserved::LeadingDollar
}

name! {
    /// A tag on an event, for queries across streams: `email:ada@example.org`.
    ///
    /// ```
    /// let tag = annalist_core::Tag::new("email:ada@example.org")?;
    /// assert_eq!(tag.to_string(), "email:ada@example.org");
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    Tag, "tag", Reserved::Nothing
}

name! {
    /// The name under which a consumer keeps its place in the log.
    ///
    /// ```
    /// let name = annalist_core::CheckpointName::new("invoice mailer")?;
    /// assert_eq!(name.as_str(), "invoice mailer");
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    CheckpointName, "checkpoint name", Reserved::Nothing
}

name! {
    /// The schema of a snapshot: what its bytes are to be read as. Part of the snapshot's key.
    ///
    /// ```
    /// let schema = annalist_core::SnapshotSchema::new("order/2")?;
    /// assert_eq!(schema.as_str(), "order/2");
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    SnapshotSchema, "snapshot schema", Reserved::Nothing
}

name! {
    /// The media type of an event's data. The default is `application/json`.
    ///
    /// ```
    /// let media_type = annalist_core::ContentType::new("application/x-protobuf")?;
    /// assert_eq!(media_type.as_str(), "application/x-protobuf");
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    ContentType, "content type", Reserved::Nothing
}

impl StreamId {
    /// The part before the first `-`; the whole name where there is none.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(category, _)| category)
    }
}
