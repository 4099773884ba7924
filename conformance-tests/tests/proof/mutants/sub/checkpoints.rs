//! Broken checkpoints.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, ExpectedVersion, NewEvent,
    Owner, Position, StreamId,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::table::{Flaw, one_table_for_all, tables};
use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::each_handle;

macro_rules! flawed {
    ($($name:literal, $guarantee:literal, $flaw:ident, $twin:literal, [$($check:literal),+];)+) => {
        &[$(Mutant {
            name: $name,
            guarantee: $guarantee,
            twin: $twin,
            expected: &[$($check),+],
            make: || tables(Flaw::$flaw),
        }),+]
    };
}

/// Those that are a table with one flaw.
pub const IN_A_TABLE: &[Mutant] = flawed! {
    "checkpoint_last_write_wins", "S5", LastWriteWins,
        "pyeventsourcing: a lower position, inserted later", ["sub.checkpoint_below_is_noop", "sub.checkpoint_monotone"];
    "checkpoint_below_is_an_error", "S5", BelowIsAnError,
        "an update that meets no row", ["sub.checkpoint_below_is_noop"];
    "checkpoint_claim_stores_the_start", "S5", ClaimStoresTheStart,
        "an upsert in the claim", ["sub.checkpoint_missing", "sub.checkpoint_isolated"];
    "checkpoint_event_not_kept", "S5", EventNotKept,
        "a table of names and numbers", ["sub.checkpoint_roundtrip", "sub.checkpoint_of_regrown_log"];
    "checkpoint_event_by_equality", "S5", EventByEquality,
        "a join on the position", ["sub.checkpoint_non_event_position"];
    "checkpoint_start_is_null", "S5", StartIsNull,
        "the start is stored as nothing", ["sub.checkpoint_at_start"];
    "checkpoint_one_row_for_all", "S5", OneRowForAll,
        "a table with one row", ["sub.checkpoint_isolated"];
    "checkpoint_names_folded", "S5", NamesFolded,
        "a collation that ignores case and trailing spaces", ["sub.checkpoint_isolated"];
    "checkpoint_saves_the_head", "S5", SavesTheHead,
        "auto-commit: what was fetched, not what was handled", ["sub.checkpoint_roundtrip", "sub.resume_at_every_index"];
    "checkpoint_positions_are_taken", "S5", PositionsAreTaken,
        "positions are bare numbers", ["sub.checkpoint_refuses_other_history"];
    "checkpoint_same_handle_keeps_its_epoch", "S5", SameHandleKeepsItsEpoch,
        "a re-entrant lock", ["sub.checkpoint_epochs_rise", "sub.checkpoint_claim_fences"];
    "checkpoint_no_fencing", "S5", NoFencing,
        "a lease without a token", ["sub.checkpoint_claim_fences", "sub.checkpoint_reset_fences", "sub.checkpoint_one_owner"];
    "checkpoint_fences_other_handles_only", "S5", FencesOtherHandlesOnly,
        "an advisory lock per session", ["sub.checkpoint_claim_fences", "sub.checkpoint_claim_fences_everywhere"];
    "checkpoint_fences_the_same_handle_only", "S5", FencesTheSameHandleOnly,
        "claims are kept in the process", ["sub.checkpoint_claim_fences_everywhere"];
    "checkpoint_no_op_before_fence", "S5", NoOpBeforeFence,
        "the stored position is looked at first", ["sub.checkpoint_fenced_at_any_position"];
    "checkpoint_load_claims", "S5", LoadClaims,
        "a get-or-create that creates", ["sub.checkpoint_load_claims_nothing", "sub.checkpoint_below_is_noop"];
    "checkpoint_reset_is_a_save", "S5", ResetIsASave,
        "`GREATEST` in every update", ["sub.checkpoint_reset_moves", "sub.checkpoint_reset_fences"];
    "checkpoint_reset_does_not_fence", "S5", ResetDoesNotFence,
        "an UPDATE of the position by hand", ["sub.checkpoint_reset_fences", "sub.checkpoint_isolated"];
    "checkpoint_reset_deletes_the_row", "S5", ResetDeletesTheRow,
        "a DELETE and a new beginning", ["sub.checkpoint_epochs_after_reset"];
    "checkpoint_epoch_read_then_written", "S5", EpochReadThenWritten,
        "read, add one, write", ["sub.checkpoint_one_owner"];
    "checkpoint_owner_compared_first", "S5", OwnerComparedFirst,
        "a SELECT of the owner and then an UPDATE", ["sub.checkpoint_no_save_after_claim"];
    "checkpoint_place_compared_first", "S5", PlaceComparedFirst,
        "a SELECT of the place and then an UPDATE", ["sub.checkpoint_monotone"];
    "checkpoint_shorter_log_unnoticed", "S5", ShorterUnnoticed,
        "a consumer that waits for the log to grow past its place", ["sub.checkpoint_of_shorter_log"];
    "checkpoint_regrown_log_unnoticed", "S5", RegrownUnnoticed,
        "only positions are compared", ["sub.checkpoint_of_regrown_log"];
    "checkpoint_other_log_unnoticed", "S5", OtherLogUnnoticed,
        "a topic that was made anew", ["sub.checkpoint_of_another_log"];
    "checkpoint_raises_epoch_first", "S5", RaisesEpochFirst,
        "an UPDATE … RETURNING that is looked at afterwards", ["sub.checkpoint_wrong_history_claims_nothing"];
    "checkpoint_reset_verifies_the_old", "S5", ResetVerifiesTheOld,
        "a reset that begins with a claim", ["sub.checkpoint_reset_out_of_wrong_history"];
    "checkpoint_head_at_saving_compared", "S5", HeadAtSavingCompared,
        "the head is kept instead of the event", ["sub.checkpoint_below_the_restored_head_holds"];
};

/// Those that are not.
pub const OTHERS: &[Mutant] = &[
    Mutant {
        name: "checkpoint_table_for_all_namespaces",
        guarantee: "S5",
        twin: "the namespace is missing from the key",
        expected: &["sub.checkpoint_namespaces"],
        make: one_table_for_all,
    },
    Mutant {
        name: "checkpoint_kept_in_the_handle",
        guarantee: "S5",
        twin: "a map in the client",
        expected: &["sub.checkpoint_survives", "sub.checkpoint_fresh_sees", "sub.checkpoint_roundtrip"],
        make: || each_handle(InTheHandle::new),
    },
    Mutant {
        name: "checkpoint_loads_cached",
        guarantee: "R3",
        twin: "a cache per handle that its own saves refresh",
        expected: &["sub.checkpoint_fresh_sees"],
        make: || each_handle(LoadsCached::default),
    },
    Mutant {
        name: "checkpoint_is_an_event",
        guarantee: "S5",
        twin: "checkpoints in a stream of the log",
        expected: &["sub.checkpoint_no_event"],
        make: || each_handle(|| IsAnEvent),
    },
];

/// Keeps every checkpoint for this handle alone.
struct InTheHandle(u64);

impl InTheHandle {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The name under which this handle keeps a checkpoint: one that no other handle uses.
    fn mine(&self, name: &CheckpointName) -> CheckpointName {
        CheckpointName::new(format!("{} {}", self.0, name.as_str())).expect("a short name")
    }
}

#[async_trait]
impl Bug for InTheHandle {
    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        let claim = honest.claim_checkpoint(&self.mine(name)).await?;
        let owner = annalist_core::backend::owner(name.clone(), claim.owner.epoch());
        Ok(annalist_core::backend::claim(owner, claim.checkpoint))
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        let mine = annalist_core::backend::owner(self.mine(owner.name()), owner.epoch());
        honest.save_checkpoint(&mine, position).await
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        honest.load_checkpoint(&self.mine(name)).await
    }
}

/// Remembers what it loaded until it saves itself.
#[derive(Default)]
struct LoadsCached(Mutex<HashMap<CheckpointName, Option<Checkpoint>>>);

#[async_trait]
impl Bug for LoadsCached {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        self.0.lock().expect("nothing panics while it is held").remove(owner.name());
        honest.save_checkpoint(owner, position).await
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        let cached = self.0.lock().expect("nothing panics while it is held").get(name).cloned();
        if let Some(cached) = cached {
            return Ok(cached);
        }
        let loaded = honest.load_checkpoint(name).await?;
        self.0.lock().expect("nothing panics while it is held").insert(name.clone(), loaded.clone());
        Ok(loaded)
    }
}

/// Writes an event for each save.
struct IsAnEvent;

#[async_trait]
impl Bug for IsAnEvent {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        honest.save_checkpoint(owner, position).await?;
        let stream = StreamId::new(owner.name().as_str())?;
        let saved = NewEvent::new("CheckpointSaved", "{}")?;
        honest.append(Append::to(&stream, ExpectedVersion::Any, [saved])).await?;
        Ok(())
    }
}
