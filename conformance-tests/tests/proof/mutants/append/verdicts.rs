//! Verdicts in the wrong order, and wrong histories that are not noticed.

use annalist_core::{Append, Error, ErrorKind, EventStore, Position, Query, Receipt};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::keep;
use crate::look::{demands, head_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "past_the_head_is_quiet",
        guarantee: "G5",
        twin: "`WHERE position > $after`, which finds nothing past the head",
        expected: &["append.wrong_history_past_head"],
        make: || each_handle(|| PastTheHeadIsQuiet),
    },
    Mutant {
        name: "positions_are_plain_numbers",
        guarantee: "G5",
        twin: "a position that is an integer, and does not say of which log",
        expected: &["append.wrong_history_other_log", "append.wrong_history_in_request_order"],
        make: || each_handle(|| PositionsArePlainNumbers),
    },
    Mutant {
        name: "positions_checked_first",
        guarantee: "I1",
        twin: "all positions of a request validated where it comes in",
        expected: &["append.wrong_history_in_request_order", "append.wrong_history_after_replay"],
        make: || each_handle(|| PositionsCheckedFirst),
    },
    Mutant {
        name: "versions_before_ids",
        guarantee: "I1",
        twin: "the version compared first, so that a retry conflicts with itself",
        expected: &[
            "append.replay_before_conflict",
            "append.reused_before_conflict",
            "idem.replay_exact",
            "idem.replay_after_growth",
            "idem.replay_deep",
            "idem.retry_whatever_expectations",
        ],
        make: || each_handle(|| VersionsBeforeIds),
    },
    Mutant {
        name: "reused_ids_told_last",
        guarantee: "I3",
        twin: "reused ids left to a unique index, which strikes when all else held",
        expected: &["append.reused_before_conflict"],
        make: || each_handle(|| ReusedIdsToldLast),
    },
    Mutant {
        name: "rules_checked_on_the_way",
        guarantee: "L1",
        twin: "each part validated when its statement is built",
        expected: &["append.invalid_before_everything"],
        make: || each_handle(|| RulesCheckedOnTheWay),
    },
];

/// The append with other positions in its conditions.
fn with_after(append: &Append, edit: impl Fn(Position) -> Position) -> Append {
    append.conditions().iter().fold(keep(append, true, false), |edited, condition| {
        edited.condition(condition.query.clone(), edit(condition.after))
    })
}

wrong_append! {
    /// Finds nothing past the head.
    PastTheHeadIsQuiet: |honest, append| {
        let head = head_of(honest).await?;
        let same_log = |after: Position| after.to_string()[..8] == head.to_string()[..8];
        honest.append(with_after(&append, |after| if same_log(after) { after.min(head) } else { after })).await
    }

    /// Takes every position for one of its own log.
    PositionsArePlainNumbers: |honest, append| {
        let log = head_of(honest).await?.to_string()[..8].to_owned();
        honest.append(with_after(&append, |after| {
            let own = format!("{log}{}", &after.to_string()[8..]);
            if after == Position::START { after } else { own.parse().expect("three hexadecimal numbers") }
        })).await
    }

    /// Checks positions before all else.
    PositionsCheckedFirst: |honest, append| {
        let nothing = append.conditions().iter().fold(Append::new(), |nothing, condition| {
            nothing.condition(Query::stream("no event is in it"), condition.after)
        });
        honest.append(nothing).await?;
        honest.append(append).await
    }

    /// Compares versions and conditions before it looks at ids.
    VersionsBeforeIds: |honest, append| {
        honest.append(demands(&append)).await?;
        honest.append(append).await
    }

    /// Tells of reused ids only where all else holds.
    ReusedIdsToldLast: |honest, append| {
        let answer = honest.append(append.clone()).await;
        if answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::IdReused(_))) {
            honest.append(demands(&append)).await?;
        }
        answer
    }

    /// Comes to a broken rule only once all that stands before it held.
    RulesCheckedOnTheWay: |honest, append| {
        let answer = honest.append(append.clone()).await;
        if answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Invalid(_))) {
            let mut before = Append::new();
            for write in append.writes() {
                before = before.check(&write.stream, write.expected);
            }
            honest.append(before).await?;
        }
        answer
    }
}
