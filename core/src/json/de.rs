//! A deserializer for variants: the event type is the variant's name, the data its content.
//!
//! An enum that serde derives first takes the variant's name and only then its content. Whether it knows the name is thereby
//! seen before the data is looked at, and an unknown type is never mistaken for data that does not fit, or the reverse.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Failure {
    /// The enum has no such variant.
    UnknownVariant,
    /// The type asked for is no externally tagged enum.
    Shape,
    /// The data does not fit the variant.
    Content { line: usize, column: usize },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownVariant => "unknown variant",
            Self::Shape => "not an enum",
            Self::Content { .. } => "the data does not fit",
        })
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Content { line: 0, column: 0 }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Content { line: error.line(), column: error.column() }
    }
}

pub(super) fn decode<T: DeserializeOwned>(event_type: &str, data: &[u8]) -> Result<T, Failure> {
    T::deserialize(Event { event_type, data, known: true })
}

/// An event, as serde sees it: one variant and its content.
struct Event<'de> {
    event_type: &'de str,
    data: &'de [u8],
    /// Whether the type is among the names that the enum lists; a `#[serde(other)]` variant takes the rest.
    known: bool,
}

impl<'de> Deserializer<'de> for Event<'de> {
    type Error = Failure;

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.known = variants.contains(&self.event_type);
        visitor.visit_enum(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name != self.event_type {
            return Err(Failure::UnknownVariant);
        }
        self.unit_variant()?;
        visitor.visit_unit()
    }

    /// As in JSON, a newtype is what it holds.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(Failure::Shape)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Event<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let name = StrDeserializer::<de::value::Error>::new(self.event_type);
        let variant = seed.deserialize(name).map_err(|_| Failure::UnknownVariant)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Event<'de> {
    type Error = Failure;

    /// No content fits any object, so that fields can be taken away from a variant, and `null`, which others write.
    fn unit_variant(self) -> Result<(), Failure> {
        if !self.known {
            return Ok(());
        }
        let _: Option<NoContent> = serde_json::from_slice(self.data)?;
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        whole(self.data, |json| seed.deserialize(json))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        whole(self.data, |json| json.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        whole(self.data, |json| json.deserialize_struct("", fields, visitor))
    }
}

type Json<'de> = serde_json::Deserializer<serde_json::de::SliceRead<'de>>;

/// Reads one JSON value and nothing after it.
fn whole<'de, T>(
    data: &'de [u8],
    read: impl FnOnce(&mut Json<'de>) -> Result<T, serde_json::Error>,
) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(data);
    let value = read(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Any object.
#[derive(Deserialize)]
struct NoContent {}
