//! Events as values: the variants of an enum, by serde alone.

mod de;
mod ser;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, EventType, Invalid, NewEvent, RecordedEvent};

/// The default content type is JSON, and so these need to say nothing of it.
impl NewEvent {
    /// The event that a value stands for: a variant of an enum, its name being the event's type and its content the data, in JSON.
    ///
    /// The enum must be tagged externally, as serde does where nothing is said; `#[serde(rename)]` gives an event another type than
    /// its variant's name. A variant without content has the data `{}`. A unit struct is an event by its name likewise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the value is something else, if its name breaks the rules of an
    /// event type, or if it has no JSON form.
    ///
    /// ```
    /// use annalist_core::NewEvent;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, PartialEq, Debug)]
    /// enum OrderEvent {
    ///     OrderPlaced { total: u32 },
    ///     OrderPaid,
    /// }
    ///
    /// let placed = NewEvent::of(&OrderEvent::OrderPlaced { total: 12 })?;
    /// assert_eq!(placed.event_type().as_str(), "OrderPlaced");
    /// assert_eq!(&placed.data()[..], br#"{"total":12}"#);
    /// assert_eq!(placed.decode()?, Some(OrderEvent::OrderPlaced { total: 12 }));
    /// # Ok::<(), annalist_core::Error>(())
    /// ```
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let type_name = std::any::type_name::<T>();
        let named = value.serialize(ser::Variant).map_err(|failure| match failure {
            ser::Failure::Shape => {
                Invalid::new("event", "must be a variant of an externally tagged enum", type_name)
            }
            // What serde says may quote the value (E2).
            ser::Failure::Content => Invalid::new("event", "must have a JSON form", type_name),
        })?;
        Self::new(EventType::new(named.variant)?, named.data)
    }

    /// The value that the event stands for; `None` if its type is not one that `T` knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if `T` knows the type and the data does not fit it,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if `T` is not an externally tagged enum.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let failure = match de::decode(self.event_type().as_str(), self.data()) {
            Ok(value) => return Ok(Some(value)),
            Err(failure) => failure,
        };
        match failure {
            de::Failure::UnknownVariant => Ok(None),
            de::Failure::Shape => {
                let type_name = std::any::type_name::<T>();
                Err(Invalid::new("event", "must be decoded as an externally tagged enum", type_name).into())
            }
            // What serde says may quote the data (E2); where it is says enough to find it.
            de::Failure::Content { line, column } => {
                let (event_type, id) = (self.event_type(), self.id());
                let place = format!("line={line} column={column}");
                let message =
                    format!("the data does not fit the event type event_type={event_type:?} id={id} {place}");
                Err(ErrorKind::Corrupt(message).into())
            }
        }
    }
}

impl RecordedEvent {
    /// The value that the event stands for; `None` if its type is not one that `T` knows.
    ///
    /// # Errors
    ///
    /// As [`NewEvent::decode`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.event().decode().map_err(|error| error.for_stream(self.stream()))
    }
}
