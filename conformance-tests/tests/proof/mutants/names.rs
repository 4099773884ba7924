//! Broken stores for the area `names`.

use annalist_core::{
    Append, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore, NewEvent, Page, Read,
    Receipt, RecordedEvent, Snapshot, SnapshotSchema, SnapshotStore, Source, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::edit::{edit_writes, with_event};
use crate::edit_read::{Answers, Matches, bounded};
use crate::world::each_handle;

pub const PARTS: &[&[Mutant]] = &[MUTANTS];

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "stream_names_fold_case",
        guarantee: "R1",
        twin: "a collation that ignores case",
        expected: &["names.case", "read.isolation"],
        make: || each_handle(|| Folds(|name| name.to_lowercase())),
    },
    Mutant {
        name: "stream_names_trimmed",
        guarantee: "R1",
        twin: "PAD SPACE collations",
        expected: &["names.spaces"],
        make: || each_handle(|| Folds(|name| name.trim_matches(' ').to_owned())),
    },
    Mutant {
        name: "stream_names_composed",
        guarantee: "R1",
        twin: "a file system that composes what is equivalent",
        expected: &["names.unicode_forms"],
        make: || each_handle(|| Folds(composed)),
    },
    Mutant {
        name: "stream_names_cut",
        guarantee: "R1",
        twin: "VARCHAR(254) in a server that cuts without a word",
        expected: &["names.max_len"],
        make: || each_handle(|| Folds(|name| cut(name, 254))),
    },
    Mutant {
        name: "stream_names_cut_by_characters",
        guarantee: "R1",
        twin: "a limit of 64 characters, for names of one alphabet only",
        expected: &["names.max_len"],
        make: || each_handle(|| Folds(|name| name.chars().take(64).collect())),
    },
    Mutant {
        name: "stream_names_decoded",
        guarantee: "R1",
        twin: "a URL that is decoded once too often",
        expected: &["names.charset"],
        make: || each_handle(|| Folds(|name| name.replace("%2F", "/"))),
    },
    Mutant {
        name: "stream_names_unescaped",
        guarantee: "R1",
        twin: "doubled quotes and backslashes taken for escapes",
        expected: &["names.charset"],
        make: || each_handle(|| Folds(|name| name.replace("\\\\", "\\").replace("''", "'"))),
    },
    Mutant {
        name: "stream_names_coerced",
        guarantee: "R1",
        twin: "a column of guessed type: 01 is 1",
        expected: &["names.lookalikes"],
        make: || each_handle(|| Folds(coerced)),
    },
    Mutant {
        name: "stream_names_joined",
        guarantee: "R1",
        twin: "category and rest joined by a separator that both can hold",
        expected: &["names.composite"],
        make: || each_handle(|| Folds(|name| name.replace(['/', ':', '|', '#'], "-"))),
    },
    Mutant {
        name: "stream_by_its_crc32",
        guarantee: "R1",
        twin: "CRC-32 of the name as the identity of the stream",
        expected: &["names.hash_twins"],
        make: || each_handle(|| Folds(|name| format!("{:08x}", crc32(name.as_bytes())))),
    },
    Mutant {
        name: "stream_by_16_bits",
        guarantee: "R1",
        twin: "a short hash of the name as the key of the stream",
        expected: &["names.many"],
        make: || each_handle(|| Folds(|name| format!("{:04x}", short_hash(name)))),
    },
    Mutant {
        name: "stream_names_of_its_own",
        guarantee: "R1",
        twin: "a leading underscore is the store's",
        expected: &["names.reserved"],
        make: || each_handle(|| ReservesUnderscore),
    },
    Mutant {
        name: "stream_query_by_key_range",
        guarantee: "R1",
        twin: "a key range `[name, name + 0xff)` in place of equality",
        expected: &["names.prefix_pairs", "read.query_streams"],
        make: || each_handle(|| Matches(range_of_keys)),
    },
    Mutant {
        name: "category_ends_at_any_dash",
        guarantee: "R6",
        twin: "a regular expression for punctuation of the kind dash",
        expected: &["names.unicode_category"],
        make: || each_handle(|| Matches(any_dash)),
    },
    Mutant {
        name: "event_types_fold_case",
        guarantee: "R6",
        twin: "types interned in a table whose collation ignores case",
        expected: &["names.event_types"],
        make: || each_handle(|| Answers(lower_types)),
    },
    Mutant {
        name: "tags_cut",
        guarantee: "R6",
        twin: "tags cut to the width of an index key",
        expected: &["names.tags"],
        make: || each_handle(|| Answers(cut_tags)),
    },
    Mutant {
        name: "keys_trimmed",
        guarantee: "S5",
        twin: "key columns of type CHAR(n), for checkpoints and snapshots",
        expected: &["names.checkpoints", "names.schemas"],
        make: || each_handle(|| TrimsKeys),
    },
];

fn cut(name: &str, bytes: usize) -> String {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    name[..ends.take_while(|end| *end <= bytes).last().unwrap_or(0)].to_owned()
}

/// What a composed form would be, for the few letters that the checks use.
fn composed(name: &str) -> String {
    name.replace("e\u{301}", "é").replace("A\u{30a}", "Å").replace('\u{212b}', "Å")
}

fn coerced(name: &str) -> String {
    name.parse::<f64>().map_or_else(|_| name.to_owned(), |number| number.to_string())
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// Sixteen bits, well mixed: the checksum alone tells names of the same length apart.
fn short_hash(name: &str) -> u32 {
    crc32(name.as_bytes()).wrapping_mul(0x9e37_79b1) >> 16
}

/// Knows a stream by what a function makes of its name.
struct Folds(fn(&str) -> String);

impl Folds {
    fn fold(&self, stream: &StreamId) -> StreamId {
        StreamId::new((self.0)(stream.as_str())).unwrap_or_else(|_| stream.clone())
    }
}

#[async_trait]
impl Bug for Folds {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let folded = edit_writes(&append, |write| write.stream = self.fold(&write.stream));
        honest.append(folded).await
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        match read.source() {
            Source::Stream(stream) if read.fixed_head().is_none() => {
                honest.read(bounded(&read, Read::stream(&self.fold(stream)))).await
            }
            _ => honest.read(read).await,
        }
    }
}

/// Refuses names that begin as its own do.
struct ReservesUnderscore;

#[async_trait]
impl Bug for ReservesUnderscore {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if append.writes().iter().any(|write| write.stream.as_str().starts_with('_')) {
            return Err(ErrorKind::Internal("a reserved name".to_owned()).into());
        }
        honest.append(append).await
    }
}

fn range_of_keys(query: &annalist_core::Query, event: &RecordedEvent) -> bool {
    let in_range = |name: &String| event.stream().as_str().starts_with(name.as_str());
    query.matches_recorded(event) || query.items().iter().any(|item| item.stream_part().iter().any(in_range))
}

fn any_dash(query: &annalist_core::Query, event: &RecordedEvent) -> bool {
    let stream = event.stream().as_str();
    let category = stream.split(['-', '\u{2010}', '–', '—']).next().unwrap_or(stream);
    let by_category =
        |item: &annalist_core::QueryItem| item.category_part().iter().any(|name| name == category);
    query.items().iter().any(by_category)
        || (query.items().iter().all(|item| item.category_part().is_empty()) && query.matches_recorded(event))
}

fn edited(mut page: Page, edit: impl Fn(&NewEvent) -> Result<NewEvent, Error>) -> Result<Page, Error> {
    let each = |event: &RecordedEvent| Ok::<_, Error>(with_event(event, edit(event.event())?));
    page.events = page.events.iter().map(each).collect::<Result<_, _>>()?;
    Ok(page)
}

fn lower_types(_: &Read, page: Page) -> Result<Page, Error> {
    edited(page, |event| {
        let lower = NewEvent::new(event.event_type().as_str().to_lowercase(), event.data().clone())?;
        lower.with_id(event.id()).with_tags(event.tags().iter().cloned())
    })
}

fn cut_tags(_: &Read, page: Page) -> Result<Page, Error> {
    edited(page, |event| {
        let short: Vec<_> = event.tags().iter().map(|tag| cut(tag.as_str(), 191)).collect();
        event.clone().with_tags(short)
    })
}

/// Trims the names of checkpoints and schemas.
struct TrimsKeys;

fn trimmed(name: &CheckpointName) -> CheckpointName {
    CheckpointName::new(name.as_str().trim()).unwrap_or_else(|_| name.clone())
}

fn trimmed_key(stream: &StreamId, schema: &SnapshotSchema) -> (StreamId, SnapshotSchema) {
    let fold = |name: &str| name.trim().to_owned();
    let stream = StreamId::new(fold(stream.as_str())).unwrap_or_else(|_| stream.clone());
    (stream, SnapshotSchema::new(fold(schema.as_str())).unwrap_or_else(|_| schema.clone()))
}

#[async_trait]
impl Bug for TrimsKeys {
    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        honest.claim_checkpoint(&trimmed(name)).await
    }

    async fn save_snapshot(&self, honest: &MemoryStore, mut snapshot: Snapshot) -> Result<(), Error> {
        (snapshot.stream, snapshot.schema) = trimmed_key(&snapshot.stream, &snapshot.schema);
        honest.save_snapshot(snapshot).await
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let (stream, schema) = trimmed_key(stream, schema);
        honest.load_snapshot(&stream, &schema, at_most).await
    }
}
