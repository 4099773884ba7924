//! The rules of the values, at their boundaries and on arbitrary input.

mod debug;
mod errors;
mod limits;
mod metadata;
mod names;
mod parsers;
mod query;
mod values;

use std::fmt;

use annalist_core::{Error, ErrorKind, Invalid};

/// What an invalid request is told: the rule or limit, and the value.
fn invalid<T: fmt::Debug>(result: Result<T, Error>) -> Invalid {
    let error = result.expect_err("the request breaks a rule");
    match error.kind() {
        ErrorKind::Invalid(invalid) => invalid.clone(),
        other => panic!("not invalid but {other}"),
    }
}
