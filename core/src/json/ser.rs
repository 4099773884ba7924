//! A serializer for variants: it keeps the variant's name apart from its content.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, SerializeStructVariant, SerializeTupleVariant, Serializer};

/// A variant, taken apart.
pub(super) struct Named {
    pub(super) variant: &'static str,
    pub(super) data: Vec<u8>,
}

/// Why a value is no event.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is no variant.
    Shape,
    /// Its content has no JSON form.
    Content,
}

/// The data of a variant without content: an object, so that fields can be added to it later.
const NO_CONTENT: &[u8] = b"{}";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "not a variant",
            Self::Content => "no JSON form",
        })
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Content
    }
}

fn write_json(data: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    serde_json::to_writer(data, value).map_err(|_| Failure::Content)
}

/// A JSON object or array that grows, part by part.
pub(super) struct Parts {
    variant: &'static str,
    data: Vec<u8>,
    close: u8,
}

impl Parts {
    fn open(variant: &'static str, open: u8, close: u8) -> Self {
        Self { variant, data: vec![open], close }
    }

    fn separate(&mut self) {
        if self.data.len() > 1 {
            self.data.push(b',');
        }
    }

    fn close(mut self) -> Named {
        self.data.push(self.close);
        Named { variant: self.variant, data: self.data }
    }
}

impl SerializeTupleVariant for Parts {
    type Ok = Named;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.separate();
        write_json(&mut self.data, value)
    }

    fn end(self) -> Result<Named, Failure> {
        Ok(self.close())
    }
}

impl SerializeStructVariant for Parts {
    type Ok = Named;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.separate();
        write_json(&mut self.data, key)?;
        self.data.push(b':');
        write_json(&mut self.data, value)
    }

    fn end(self) -> Result<Named, Failure> {
        Ok(self.close())
    }
}

/// The serializer.
pub(super) struct Variant;

type Never = Impossible<Named, Failure>;

/// Methods for what is no variant.
macro_rules! no_variant {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self $(, _: $type)*) -> Result<$ok, Failure> {
            Err(Failure::Shape)
        }
    )*};
}

impl Serializer for Variant {
    type Ok = Named;
    type Error = Failure;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Never;
    // A struct is refused: an enum that is tagged internally looks like one, under the enum's name.
    type SerializeStruct = Never;
    type SerializeStructVariant = Parts;

    fn serialize_unit_struct(self, name: &'static str) -> Result<Named, Failure> {
        Ok(Named { variant: name, data: NO_CONTENT.to_vec() })
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Named, Failure> {
        Ok(Named { variant, data: NO_CONTENT.to_vec() })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Named, Failure> {
        let mut data = Vec::new();
        write_json(&mut data, value)?;
        Ok(Named { variant, data })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Failure> {
        Ok(Parts::open(variant, b'[', b']'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Failure> {
        Ok(Parts::open(variant, b'{', b'}'))
    }

    /// As in JSON, a newtype is what it holds.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Named, Failure> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Named, Failure> {
        Err(Failure::Shape)
    }

    no_variant! {
        serialize_bool(bool) -> Named;
        serialize_i8(i8) -> Named;
        serialize_i16(i16) -> Named;
        serialize_i32(i32) -> Named;
        serialize_i64(i64) -> Named;
        serialize_u8(u8) -> Named;
        serialize_u16(u16) -> Named;
        serialize_u32(u32) -> Named;
        serialize_u64(u64) -> Named;
        serialize_f32(f32) -> Named;
        serialize_f64(f64) -> Named;
        serialize_char(char) -> Named;
        serialize_str(&str) -> Named;
        serialize_bytes(&[u8]) -> Named;
        serialize_none() -> Named;
        serialize_unit() -> Named;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
    }
}
