//! What is no retry, taken for one, or for a part of one.

use std::collections::HashMap;

use annalist_core::{
    Append, Error, ErrorKind, EventId, EventStore, ExpectedVersion, IdReused, Receipt, RecordedEvent,
    Version, Write, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::edit_writes;
use crate::look::{log_of, stream_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "known_events_skipped",
        guarantee: "I3",
        twin: "`INSERT … ON CONFLICT DO NOTHING` for each event",
        expected: &["idem.extension_refused", "idem.mixed_with_new_refused", "idem.extra_stream_refused"],
        make: || each_handle(|| KnownEventsSkipped),
    },
    Mutant {
        name: "rows_before_the_reused_id_stay",
        guarantee: "I3",
        twin: "rows inserted in autocommit until the unique index strikes",
        expected: &["idem.reused_writes_nothing", "batch.atomic_bad_middle", "batch.multi_stream_atomic"],
        make: || each_handle(|| RowsBeforeTheReusedIdStay),
    },
    Mutant {
        name: "ids_compared_as_a_set",
        guarantee: "I3",
        twin: "`SELECT count(*) WHERE id = ANY($1)`",
        expected: &["idem.other_order_refused"],
        make: || each_handle(|| IdsComparedAsASet),
    },
    Mutant {
        name: "all_known_is_a_retry",
        guarantee: "I3",
        twin: "every event looked up for itself, without what it came with",
        expected: &[
            "idem.part_refused",
            "idem.union_of_two_refused",
            "idem.missing_stream_of_append_refused",
        ],
        make: || each_handle(|| AllKnownIsARetry),
    },
    Mutant {
        name: "ids_unique_in_the_store",
        guarantee: "I2",
        twin: "a unique index on the id alone",
        expected: &["idem.same_id_two_streams_two_events"],
        make: || each_handle(|| IdsUniqueInTheStore),
    },
    Mutant {
        name: "reused_names_the_first_of_the_request",
        guarantee: "I3",
        twin: "an error made of the request alone",
        expected: &["idem.reused_names_where", "append.reused_before_conflict"],
        make: || each_handle(|| ReusedNamesTheFirst),
    },
    Mutant {
        name: "reused_id_is_a_conflict",
        guarantee: "I3",
        twin: "a unique violation taken for one of the version",
        expected: &["idem.same_id_next_version", "idem.part_refused", "idem.extension_refused"],
        make: || each_handle(|| ReusedIsAConflict),
    },
    Mutant {
        name: "first_hundred_ids_compared",
        guarantee: "I3",
        twin: "a look-up bounded by the parameters of a statement",
        expected: &["idem.retry_thousand_ids"],
        make: || each_handle(|| FirstHundredIdsCompared),
    },
];

/// The events of a stream by their ids.
async fn by_id(honest: &MemoryStore, write: &Write) -> Result<HashMap<EventId, RecordedEvent>, Error> {
    Ok(stream_of(honest, &write.stream).await?.into_iter().map(|event| (event.id(), event)).collect())
}

/// The writes with the events that stand in their streams, and those that do not.
async fn split(honest: &MemoryStore, append: &Append) -> Result<(usize, Append), Error> {
    let (mut known, mut unknown) = (0, Append::new());
    for write in append.writes() {
        let stored = by_id(honest, write).await?;
        let new: Vec<_> =
            write.events.iter().filter(|event| !stored.contains_key(&event.id())).cloned().collect();
        known += write.events.len() - new.len();
        unknown = unknown.write(&write.stream, ExpectedVersion::Any, new);
    }
    Ok((known, unknown))
}

fn is_reused(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::IdReused(_))
}

/// The version at which the events of a write stand, if all do, side by side and unchanged.
fn standing(write: &Write, stored: &HashMap<EventId, RecordedEvent>) -> Option<Version> {
    let found: Option<Vec<_>> = write.events.iter().map(|event| stored.get(&event.id())).collect();
    let found = found?;
    let side_by_side = found.windows(2).all(|pair| pair[1].version() == pair[0].version().next());
    let same = write.events.iter().zip(&found).all(|(event, found)| found.event().same_content(event));
    found.first().filter(|_| side_by_side && same).map(|first| first.version())
}

wrong_append! {
    /// Appends what is new of what is known in part.
    KnownEventsSkipped: |honest, append| {
        let (known, unknown) = split(honest, &append).await?;
        let partly = known > 0 && unknown.event_count() > 0;
        honest.append(if partly { unknown } else { append }).await
    }

    /// Refuses what is known in part, with what is new written already.
    RowsBeforeTheReusedIdStay: |honest, append| {
        let answer = honest.append(append.clone()).await;
        if answer.as_ref().is_err_and(is_reused) {
            honest.append(split(honest, &append).await?.1).await?;
        }
        answer
    }

    /// Takes known events in any order for a retry.
    IdsComparedAsASet: |honest, append| {
        let mut edited = append.clone();
        for write in append.writes() {
            let stored = by_id(honest, write).await?;
            edited = edit_writes(&edited, |other| {
                if other.stream == write.stream {
                    other.events.sort_by_key(|event| stored.get(&event.id()).map(RecordedEvent::version));
                }
            });
        }
        honest.append(edited).await
    }

    /// Takes known events that stand side by side for a retry.
    AllKnownIsARetry: |honest, append| {
        let mut written = Vec::new();
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let stored = by_id(honest, write).await?;
            let Some(first) = standing(write, &stored) else {
                return honest.append(append).await;
            };
            let positions = write.events.iter().map(|event| stored[&event.id()].position()).collect();
            written.push(backend::written(write.stream.clone(), first, positions));
        }
        if written.is_empty() { honest.append(append).await } else { Ok(backend::receipt(true, written)) }
    }

    /// Takes an id of another stream for used.
    IdsUniqueInTheStore: |honest, append| {
        let log = log_of(honest).await?;
        for (stream, event) in append.events() {
            let elsewhere = log.iter().find(|stored| stored.id() == event.id() && stored.stream() != stream);
            if let Some(stored) = elsewhere {
                return Err(IdReused::new(event.id(), stored.stream().clone(), stored.version()).into());
            }
        }
        honest.append(append).await
    }

    /// Names the first event of the request.
    ReusedNamesTheFirst: |honest, append| {
        let answer = honest.append(append.clone()).await;
        match (answer, append.events().next()) {
            (Err(error), Some((stream, event))) if is_reused(&error) => {
                Err(IdReused::new(event.id(), stream.clone(), Version::FIRST).into())
            }
            (answer, _) => answer,
        }
    }

    /// Tells a reused id as a conflict.
    ReusedIsAConflict: |honest, append| {
        honest.append(append).await.map_err(|error| match error.kind().clone() {
            ErrorKind::IdReused(IdReused { stream, version, .. }) => {
                crate::look::version_conflict(&stream, ExpectedVersion::Any, version)
            }
            _ => error,
        })
    }

    /// Does not compare what comes after the first hundred.
    FirstHundredIdsCompared: |honest, append| {
        let mut edited = append.clone();
        for write in append.writes().iter().filter(|write| write.events.len() > 100) {
            let stored = stream_of(honest, &write.stream).await?;
            edited = edit_writes(&edited, |other| {
                for event in other.events.iter_mut().skip(100) {
                    if let Some(stored) = stored.iter().find(|stored| stored.id() == event.id()) {
                        *event = stored.event().clone();
                    }
                }
            });
        }
        honest.append(edited).await
    }
}
