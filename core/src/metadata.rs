//! What an event says about itself beside its data.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::{Error, Invalid};

/// The metadata of an event or snapshot: a JSON object, kept as it was written, or none at all.
///
/// Absent and `{}` are two things. Correlation id, causation id and the W3C `traceparent` have named accessors.
///
/// ```
/// use annalist_core::Metadata;
///
/// let metadata = Metadata::new(r#"{"correlation_id": "order 7"}"#)?;
/// assert_eq!(metadata.correlation_id().as_deref(), Some("order 7"));
/// assert_eq!(metadata.as_str(), r#"{"correlation_id": "order 7"}"#);
/// assert!(Metadata::new("[1, 2]").is_err());
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata(Option<Arc<str>>);

const CORRELATION_ID: &str = "correlation_id";
const CAUSATION_ID: &str = "causation_id";
const TRACEPARENT: &str = "traceparent";

impl Metadata {
    /// No metadata.
    pub const NONE: Self = Self(None);

    /// Takes a JSON object as it is written; the empty text means none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the text is not a JSON object.
    pub fn new(json: impl Into<Arc<str>>) -> Result<Self, Error> {
        let json = json.into();
        if json.is_empty() {
            return Ok(Self::NONE);
        }
        let object = json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(&json).is_ok();
        if !object {
            let shown = format!("{} bytes", json.len());
            return Err(Invalid::new("metadata", "must be a JSON object", shown).into());
        }
        Ok(Self(Some(json)))
    }

    /// The JSON as it was written; the empty text where there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }

    /// Whether there is no metadata at all. `{}` is some.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The length in bytes, as it counts towards an event's size.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Whether its length is 0, which only absent metadata has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_none()
    }

    /// The text under `key` at the top level; `None` where it is absent or not a text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let object: HashMap<String, &RawValue> = serde_json::from_str(self.0.as_deref()?).ok()?;
        serde_json::from_str(object.get(key)?.get()).ok()
    }

    /// The correlation id: what larger conversation the event belongs to.
    #[must_use]
    pub fn correlation_id(&self) -> Option<String> {
        self.text(CORRELATION_ID)
    }

    /// The causation id: the message or event that led to this one.
    #[must_use]
    pub fn causation_id(&self) -> Option<String> {
        self.text(CAUSATION_ID)
    }

    /// The trace that the event was appended in, in the form of W3C Trace Context.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.text(TRACEPARENT)
    }

    /// The same with a correlation id added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is there already.
    pub fn with_correlation_id(self, id: &str) -> Result<Self, Error> {
        self.with_text(CORRELATION_ID, id)
    }

    /// The same with a causation id added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is there already.
    pub fn with_causation_id(self, id: &str) -> Result<Self, Error> {
        self.with_text(CAUSATION_ID, id)
    }

    /// The same with a W3C `traceparent` added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is there already.
    pub fn with_traceparent(self, traceparent: &str) -> Result<Self, Error> {
        self.with_text(TRACEPARENT, traceparent)
    }

    /// The same with a text added under `key`, at the end; the rest stays as it was written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is there already.
    pub fn with_text(self, key: &str, value: &str) -> Result<Self, Error> {
        let pair = format!("{}:{}", serde_json::Value::from(key), serde_json::Value::from(value));
        let Some(json) = self.0 else {
            return Ok(Self(Some(format!("{{{pair}}}").into())));
        };
        let object: HashMap<String, IgnoredAny> = serde_json::from_str(&json).map_err(|_| {
            Invalid::new("metadata", "must be a JSON object", format!("{} bytes", json.len()))
        })?;
        if object.contains_key(key) {
            return Err(Invalid::new("metadata", "must not have the key yet", format!("{key:?}")).into());
        }
        let comma = if object.is_empty() { "" } else { "," };
        let (open, _) = json.rsplit_once('}').expect("a JSON object ends with a brace");
        Ok(Self(Some(format!("{open}{comma}{pair}}}").into())))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
