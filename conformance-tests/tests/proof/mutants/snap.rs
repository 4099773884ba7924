//! Broken stores for the area `snap`.

use super::Mutant;
pub use cabinet::honest as honest_cabinets;
use cabinet::{Flaw, cabinets, kept_in_the_handle, one_for_all_namespaces};

mod cabinet;

pub const PARTS: &[&[Mutant]] = &[IN_A_CABINET, OTHERS];

macro_rules! flawed {
    ($($name:literal, $guarantee:literal, $flaw:ident, $twin:literal, [$($check:literal),+];)+) => {
        &[$(Mutant {
            name: $name,
            guarantee: $guarantee,
            twin: $twin,
            expected: &[$($check),+],
            make: || cabinets(Flaw::$flaw),
        }),+]
    };
}

/// Those that keep snapshots of their own, with one flaw.
const IN_A_CABINET: &[Mutant] = flawed! {
    "snapshot_last_saved_wins", "N1", LastSavedWins,
        "a row per stream, read by the time of saving", ["snap.latest", "snap.stale_save"];
    "snapshot_one_per_stream", "N1", OnePerKey,
        "an upsert by stream", ["snap.stale_save", "snap.at_or_before", "snap.prune_keeps_newest"];
    "snapshot_bound_ignored", "N1", AtMostIgnored,
        "`ORDER BY version DESC LIMIT 1`", ["snap.at_or_before", "snap.missing", "snap.ahead_of_stream"];
    "snapshot_bound_exclusive", "N1", AtMostExclusive,
        "`<` for `<=`", ["snap.at_or_before"];
    "snapshot_missing_is_an_error", "N1", MissingIsAnError,
        "`fetch_one`", ["snap.missing"];
    "snapshot_empty_is_none", "N1", EmptyIsNone,
        "empty is NULL", ["snap.empty_data"];
    "snapshot_lossy_text", "N1", LossyText,
        "a TEXT column", ["snap.roundtrip"];
    "snapshot_without_metadata", "N1", MetadataDropped,
        "a column that nobody fills", ["snap.roundtrip", "snap.metadata_as_written"];
    "snapshot_metadata_normalised", "N1", MetadataNormalised,
        "jsonb", ["snap.metadata_as_written"];
    "snapshot_versions_as_text", "N1", VersionsAsText,
        "a sort key without padding", ["snap.digit_edges"];
    "snapshot_versions_of_32_bits", "N1", VersionsOf32Bits,
        "an INTEGER column", ["snap.digit_edges"];
    "snapshot_versions_wrap", "L1", VersionsWrap,
        "`as i64`", ["snap.version_beyond"];
    "snapshot_duplicate_is_an_error", "N2", DuplicateIsAnError,
        "INSERT without ON CONFLICT", ["snap.overwrite_same_version"];
    "snapshot_first_stays", "N2", FirstStays,
        "ON CONFLICT DO NOTHING", ["snap.overwrite_same_version", "snap.stale_save"];
    "snapshot_loads_cached", "R3", LoadsCached,
        "a cache per handle", ["snap.fresh_sees"];
    "snapshot_streams_folded", "N1", StreamsFolded,
        "a collation that ignores case and trailing spaces", ["snap.isolated_streams"];
    "snapshot_schema_ignored", "N1", SchemaIgnored,
        "a key of stream and version", ["snap.isolated_schemas", "snap.missing"];
    "snapshot_joined_key", "N1", JoinedKey,
        "`stream/schema` as the key", ["snap.isolated_schemas"];
    "snapshot_is_an_event", "N3", IsAnEvent,
        "snapshots in the event table", ["snap.not_an_event", "snap.of_missing_stream"];
    "snapshot_needs_a_stream", "N1", NeedsAStream,
        "a foreign key", ["snap.of_missing_stream"];
    "snapshot_ahead_refused", "N1", AheadRefused,
        "a version that is checked against the stream's", ["snap.ahead_of_stream"];
    "snapshot_prune_keeps_oldest", "N4", PruneKeepsOldest,
        "ASC for DESC", ["snap.prune_keeps_newest", "snap.prune_by_version"];
    "snapshot_prune_keeps_one_more", "N4", PruneKeepsOneMore,
        "`OFFSET keep + 1`", ["snap.prune_keeps_newest"];
    "snapshot_prune_by_time", "N4", PruneByTime,
        "ordered by the time of saving", ["snap.prune_by_version"];
    "snapshot_prune_all_schemas", "N4", PruneAllSchemas,
        "the schema is not in the DELETE", ["snap.prune_only_its_key"];
    "snapshot_prune_nothing_is_an_error", "N4", PruneNothingIsAnError,
        "a DELETE that meets no row", ["snap.prune_nothing"];
    "snapshot_prune_leaves_a_mark", "N4", PruneLeavesAMark,
        "a low-water mark", ["snap.prune_then_save"];
    "snapshot_prune_looks_first", "N4", PruneLooksFirst,
        "a list of those to keep, and then a DELETE of all others", ["snap.prune_beside_saves"];
    "snapshot_prune_puts_back", "C1", PrunePutsBack,
        "takes all out and puts the newest back", ["snap.cancelled_prune", "snap.prune_beside_saves"];
    "snapshot_cut_at_64_kib", "L2", CutAt64KiB,
        "a BLOB column of MySQL", ["snap.floor", "snap.at_limit"];
    "snapshot_limit_with_envelope", "L1", LimitWithEnvelope,
        "the item's size, with its key", ["snap.at_limit"];
    "snapshot_metadata_not_counted", "L1", MetadataNotCounted,
        "the length of the data", ["snap.beyond_limit"];
    "snapshot_one_document", "N4", OneDocument,
        "all snapshots of a stream in one JSON document", ["snap.concurrent_save"];
    "snapshot_torn", "N2", Torn,
        "two statements without a transaction", ["snap.concurrent_same_key", "snap.cancelled_save"];
    "snapshot_delete_then_insert", "N2", DeleteThenInsert,
        "DELETE, INSERT", ["snap.never_missing_while_replaced", "snap.cancelled_save"];
};

/// Those whose reach is another.
const OTHERS: &[Mutant] = &[
    Mutant {
        name: "snapshot_one_cabinet_for_all_namespaces",
        guarantee: "N1",
        twin: "the namespace is missing from the key",
        expected: &["snap.isolated_namespaces"],
        make: one_for_all_namespaces,
    },
    Mutant {
        name: "snapshot_kept_in_the_handle",
        guarantee: "N4",
        twin: "written behind, and lost on closing",
        expected: &["snap.survives", "snap.fresh_sees", "snap.roundtrip"],
        make: kept_in_the_handle,
    },
];
