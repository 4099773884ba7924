//! Data that are not kept byte for byte.

use annalist_core::{Metadata, NewEvent};
use serde_json::Value;

use super::{Stores, with_data};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "data_lossy_utf8",
        guarantee: "R1",
        twin: "a column of text behind `String::from_utf8_lossy`",
        expected: &["payload.all_bytes", "payload.fuzz"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let lossy = String::from_utf8_lossy(event.data()).into_owned();
                    with_data(&event, lossy)
                })
            })
        },
    },
    Mutant {
        name: "data_as_jsonb",
        guarantee: "R1",
        twin: "`jsonb`: the value of a JSON text, and not the text",
        expected: &[
            "payload.floats",
            "payload.number_text",
            "payload.key_order_dups",
            "payload.lone_surrogate",
            "payload.nul_in_text",
            "payload.wide",
        ],
        make: || each_handle(|| Stores(jsonb)),
    },
    Mutant {
        name: "numbers_as_f64",
        guarantee: "R1",
        twin: "JSON numbers read by JavaScript",
        expected: &["payload.big_integers", "payload.floats", "payload.number_text"],
        make: || each_handle(|| Stores(numbers_as_f64)),
    },
    Mutant {
        name: "json_bound_on_depth",
        guarantee: "R1",
        twin: "`serde_json`'s bound on recursion, beyond which an error is swallowed",
        expected: &["payload.deep"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let depth = event.data().iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
                    if (128..9_000).contains(&depth) { with_data(&event, "null") } else { event }
                })
            })
        },
    },
    Mutant {
        name: "data_empty_is_null",
        guarantee: "R1",
        twin: "no data stored as NULL and read as JSON",
        expected: &["payload.empty"],
        make: || {
            each_handle(|| {
                Stores(|event| if event.data().is_empty() { with_data(&event, "null") } else { event })
            })
        },
    },
    Mutant {
        name: "nul_stripped",
        guarantee: "R1",
        twin: "NUL removed before a `text` column, which refuses it",
        expected: &["payload.nul_in_text", "payload.all_bytes", "payload.one_mib"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let kept: Vec<u8> = event.data().iter().copied().filter(|byte| *byte != 0).collect();
                    with_data(&event, kept)
                })
            })
        },
    },
    Mutant {
        name: "data_composed",
        guarantee: "R1",
        twin: "text normalised to NFC before it is stored",
        expected: &["payload.unicode"],
        make: || {
            each_handle(|| {
                Stores(|event| match std::str::from_utf8(event.data()) {
                    Ok(text) => {
                        with_data(&event, text.replace("e\u{301}", "\u{e9}").replace("A\u{30a}", "\u{c5}"))
                    }
                    Err(_) => event,
                })
            })
        },
    },
    Mutant {
        name: "line_ends_translated",
        guarantee: "R1",
        twin: "a file opened in text mode",
        expected: &["payload.metachar"],
        make: || {
            each_handle(|| {
                Stores(|event| match std::str::from_utf8(event.data()) {
                    Ok(text) => with_data(&event, text.replace("\r\n", "\n")),
                    Err(_) => event,
                })
            })
        },
    },
    Mutant {
        name: "quotes_doubled",
        guarantee: "R1",
        twin: "SQL put together from texts, with quotes escaped twice",
        expected: &["payload.metachar"],
        make: || {
            each_handle(|| {
                Stores(|event| match std::str::from_utf8(event.data()) {
                    Ok(text) => with_data(&event, text.replace('\'', "''")),
                    Err(_) => event,
                })
            })
        },
    },
    Mutant {
        name: "data_cut_at_64_kib",
        guarantee: "L2",
        twin: "MySQL's `BLOB`, in a mode that is not strict",
        expected: &["payload.one_mib", "payload.wide"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let kept = event.data().len().min(64 * 1024 - 1);
                    with_data(&event, &event.data()[..kept])
                })
            })
        },
    },
    Mutant {
        name: "trailing_byte_lost",
        guarantee: "R1",
        twin: "an encoding that takes a last byte of its own kind for padding",
        expected: &["payload.fuzz", "payload.nul_in_text"],
        make: || {
            each_handle(|| {
                Stores(|event| match event.data().split_last() {
                    Some((last, rest)) if *last >= 0xe0 || *last == 0 => with_data(&event, rest),
                    _ => event,
                })
            })
        },
    },
    Mutant {
        name: "keys_escaped",
        guarantee: "R1",
        twin: "MongoDB before 5: `.` and `$` are replaced in keys",
        expected: &["payload.odd_keys"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let escaped = event.data().iter().map(|byte| if *byte == b'$' { b'_' } else { *byte });
                    let escaped: Vec<u8> = escaped.collect();
                    with_data(&event, escaped)
                })
            })
        },
    },
];

/// What `jsonb` keeps of a text: the value, with the last of equal keys, and with keys sorted. What it refuses becomes null.
fn jsonb(event: NewEvent) -> NewEvent {
    let kept = match serde_json::from_slice::<Value>(event.data()) {
        Ok(value) if !value.to_string().contains("\\u0000") => value.to_string(),
        Ok(_) => "null".to_owned(),
        Err(_) => return event,
    };
    with_data(&event, kept)
}

/// A JSON number that is all of the data, or all of the metadata's `value`, printed as JavaScript does.
fn numbers_as_f64(event: NewEvent) -> NewEvent {
    let Ok(number) = serde_json::from_slice::<f64>(event.data()) else { return event };
    with_data(&event, number.to_string())
}

/// Metadata as a JSON object that was parsed and printed.
pub(super) fn metadata_as_jsonb(event: NewEvent) -> NewEvent {
    let Ok(value) = serde_json::from_str::<Value>(event.metadata().as_str()) else { return event };
    event.with_metadata(Metadata::new(value.to_string()).expect("it is an object still"))
}
