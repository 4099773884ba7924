//! Broken stores for the area `conc`.

use annalist_core::{Append, Conflict, Error, EventStore, ExpectedVersion, Read, StreamId, Version};
use annalist_memory::MemoryStore;

use super::Mutant;

mod checked;
mod contended;

pub const PARTS: &[&[Mutant]] = &[checked::MUTANTS, contended::MUTANTS];

async fn version_of(honest: &MemoryStore, stream: &StreamId) -> Result<Version, Error> {
    Ok(honest.read(Read::stream(stream).limit(0)).await?.version)
}

fn conflict(stream: &StreamId, expected: ExpectedVersion, actual: Version) -> Error {
    Conflict::Version { stream: stream.clone(), expected, actual }.into()
}

/// The first expectation of an append, if it has one that can fail.
fn first_expectation(append: &Append) -> Option<(&StreamId, ExpectedVersion)> {
    let first = append.writes().first()?;
    (first.expected != ExpectedVersion::Any).then_some((&first.stream, first.expected))
}
