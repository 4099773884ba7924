//! Refusals that leave something, or tell something else.

use std::collections::HashSet;
use std::sync::Mutex;

use annalist_core::{
    Append, Conflict, Error, ErrorKind, EventId, EventStore, ExpectedVersion, IdReused, Receipt, StreamId,
    Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::{edit_writes, keep};
use crate::look::{demands, is_conflict, wrong_append};
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "conflict_keeps_the_first_event",
        guarantee: "A5",
        twin: "events inserted in autocommit before the version is checked",
        expected: &[
            "append.conflict_writes_nothing",
            "append.refusal_uses_no_version",
            "batch.atomic_conflict",
        ],
        make: || each_handle(|| ConflictKeepsTheFirstEvent),
    },
    Mutant {
        name: "conflict_echoes_the_expected",
        guarantee: "A5",
        twin: "an error made of the request alone",
        expected: &["append.conflict_reports_actual", "append.refusal_names_stream_expected_actual"],
        make: || each_handle(|| ConflictEchoesTheExpected),
    },
    Mutant {
        name: "second_try_goes_through",
        guarantee: "A5",
        twin: "a version cache that the failure refreshes, used for the next attempt",
        expected: &["append.conflict_repeatable"],
        make: || each_database(|| SecondTryGoesThrough(Mutex::default())),
    },
    Mutant {
        name: "conflict_forgets_the_mode",
        guarantee: "A5",
        twin: "expectations kept as numbers, so that the error cannot tell what was asked",
        expected: &["append.refusal_names_stream_expected_actual"],
        make: || each_handle(|| ConflictForgetsTheMode),
    },
    Mutant {
        name: "refused_ids_are_burned",
        guarantee: "A5",
        twin: "an id reserved before the version is checked",
        expected: &[
            "append.refusal_leaves_ids_free",
            "idem.failed_id_reusable",
            "idem.conflict_then_retry_ok",
        ],
        make: || each_database(|| RefusedIdsAreBurned(Mutex::default())),
    },
    Mutant {
        name: "any_skips_conditions",
        guarantee: "A6",
        twin: "a fast way for unconditional appends, chosen by the expected version alone",
        expected: &["append.any_with_condition_can", "append.condition_fails"],
        make: || each_handle(|| AnySkipsConditions),
    },
    Mutant {
        name: "refusals_in_lock_order",
        guarantee: "A5",
        twin: "streams sorted to avoid deadlocks, and the first row that fails reported",
        expected: &["append.first_failed_write", "append.first_failed_check"],
        make: || each_handle(|| RefusalsInLockOrder),
    },
    Mutant {
        name: "last_failed_condition_named",
        guarantee: "A5",
        twin: "a loop over conditions that goes on after the first failure",
        expected: &["append.first_failed_condition"],
        make: || each_handle(|| LastFailedConditionNamed),
    },
    Mutant {
        name: "condition_index_is_zero",
        guarantee: "A5",
        twin: "one statement for all conditions, which does not tell which one matched",
        expected: &["append.first_failed_condition", "append.first_failed_in_request_order"],
        make: || each_handle(|| ConditionIndexIsZero),
    },
    Mutant {
        name: "conditions_before_versions",
        guarantee: "A5",
        twin: "conditions evaluated first, because they need no lock",
        expected: &["append.first_failed_in_request_order", "append.wrong_history_in_request_order"],
        make: || each_handle(|| ConditionsBeforeVersions),
    },
];

/// The error of an append that is refused by a version, told differently.
fn told_differently(
    error: Error,
    tell: impl FnOnce(StreamId, ExpectedVersion, Version) -> Conflict,
) -> Error {
    match error.kind().clone() {
        ErrorKind::Conflict(Conflict::Version { stream, expected, actual }) => {
            tell(stream, expected, actual).into()
        }
        _ => error,
    }
}

wrong_append! {
    /// Leaves the first event of an append that conflicts.
    ConflictKeepsTheFirstEvent: |honest, append| {
        let answer = honest.append(append.clone()).await;
        if answer.as_ref().is_err_and(is_conflict)
            && let Some((stream, event)) = append.events().next()
        {
            honest.append(Append::to(stream, ExpectedVersion::Any, [event.clone()])).await?;
        }
        answer
    }

    /// Tells the expected version as the actual one.
    ConflictEchoesTheExpected: |honest, append| {
        honest.append(append).await.map_err(|error| {
            told_differently(error, |stream, expected, actual| {
                let actual = if let ExpectedVersion::Exact(version) = expected { version } else { actual };
                Conflict::Version { stream, expected, actual }
            })
        })
    }

    /// Tells every expectation as a number.
    ConflictForgetsTheMode: |honest, append| {
        honest.append(append).await.map_err(|error| {
            told_differently(error, |stream, expected, actual| {
                let expected = match expected {
                    ExpectedVersion::NoStream => ExpectedVersion::Exact(Version::NONE),
                    other => other,
                };
                Conflict::Version { stream, expected, actual }
            })
        })
    }

    /// Does not look at conditions where no version is expected.
    AnySkipsConditions: |honest, append| {
        let unconditional = append.writes().iter().all(|write| write.expected == ExpectedVersion::Any);
        let skips = unconditional && append.event_count() > 0;
        honest.append(if skips { keep(&append, true, false) } else { append }).await
    }

    /// Refuses for the first stream by name.
    RefusalsInLockOrder: |honest, append| {
        let answer = honest.append(append.clone()).await;
        if !answer.as_ref().is_err_and(is_conflict) {
            return answer;
        }
        let mut writes: Vec<_> = append.writes().to_vec();
        let mut checks: Vec<_> = append.checks().to_vec();
        writes.sort_by(|a, b| a.stream.cmp(&b.stream));
        checks.sort_by(|a, b| a.stream.cmp(&b.stream));
        let mut sorted = Append::new();
        for write in writes {
            sorted = sorted.check(&write.stream, write.expected);
        }
        for check in checks {
            sorted = sorted.check(&check.stream, check.expected);
        }
        honest.append(sorted).await?;
        answer
    }

    /// Looks at conditions from the last to the first.
    LastFailedConditionNamed: |honest, append| {
        let mut turned = keep(&append, true, false);
        for condition in append.conditions().iter().rev() {
            turned = turned.condition(condition.query.clone(), condition.after);
        }
        let last = append.conditions().len().saturating_sub(1);
        honest.append(turned).await.map_err(|error| match error.kind().clone() {
            ErrorKind::Conflict(Conflict::Condition { index, matched }) => {
                Conflict::Condition { index: last - index, matched }.into()
            }
            _ => error,
        })
    }

    /// Tells every condition as the first.
    ConditionIndexIsZero: |honest, append| {
        honest.append(append).await.map_err(|error| match error.kind().clone() {
            ErrorKind::Conflict(Conflict::Condition { matched, .. }) => {
                Conflict::Condition { index: 0, matched }.into()
            }
            _ => error,
        })
    }

    /// Looks at conditions before anything else that can fail.
    ConditionsBeforeVersions: |honest, append| {
        let answer = honest.append(append.clone()).await;
        if answer.as_ref().is_err_and(is_conflict) {
            let conditions = append.conditions().iter().fold(Append::new(), |conditions, condition| {
                conditions.condition(condition.query.clone(), condition.after)
            });
            honest.append(conditions).await?;
        }
        answer
    }
}

/// Lets an append through that conflicted before.
struct SecondTryGoesThrough(Mutex<HashSet<EventId>>);

#[async_trait]
impl Bug for SecondTryGoesThrough {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let first = append.events().next().map(|(_, event)| event.id());
        let again = first.is_some_and(|id| self.0.lock().expect("no panic").contains(&id));
        let append =
            if again { edit_writes(&append, |write| write.expected = ExpectedVersion::Any) } else { append };
        let answer = honest.append(append).await;
        if answer.as_ref().is_err_and(is_conflict) {
            self.0.lock().expect("no panic").extend(first);
        }
        answer
    }
}

/// Takes the ids of a refused append as used.
struct RefusedIdsAreBurned(Mutex<HashSet<(StreamId, EventId)>>);

#[async_trait]
impl Bug for RefusedIdsAreBurned {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let ids: Vec<_> = append.events().map(|(stream, event)| (stream.clone(), event.id())).collect();
        let burned = ids.iter().find(|id| self.0.lock().expect("no panic").contains(id));
        if let Some((stream, id)) = burned {
            // What does not hold is still told; only what would go through now shows the burned id.
            honest.append(demands(&append)).await?;
            return Err(IdReused::new(*id, stream.clone(), Version::FIRST).into());
        }
        let answer = honest.append(append).await;
        if answer.as_ref().is_err_and(is_conflict) {
            self.0.lock().expect("no panic").extend(ids);
        }
        answer
    }
}
