//! Data are bytes, and come back byte for byte.

use annalist_core::{ContentType, EventId, Metadata, NewEvent};
use rand::rngs::StdRng;
use rand::{Rng, RngCore};

use super::{kept, kept_in};
use crate::{Cx, Verdict, checks, event};

checks! {
    area: "payload",
    empty {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "No data, `{}`, `[]`, `null` and `\"\"` are five different data, and each is kept.",
        likely_cause: "no data stored as NULL, or NULL read as `{}` or `null`; a tombstone in Kafka",
    }
    all_bytes {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Every byte value is kept, alone and among others, and also what is no UTF-8.",
        likely_cause: "a column of text; a lossy conversion to UTF-8",
    }
    unicode {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Texts of every script are kept as they were written; composed and decomposed forms stay apart.",
        likely_cause: "normalising, a three-byte `utf8` column, or a lossy conversion",
    }
    nul_in_text {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A NUL is kept, as a byte and as the escape of a JSON text.",
        likely_cause: "`jsonb` or `text`, which refuse it, or a C string, which ends there",
    }
    lone_surrogate {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "JSON with half a surrogate pair is kept as it was written.",
        likely_cause: "parsing and writing the JSON again, with a replacement character",
    }
    metachar {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Nothing in data is a command: quotes, comments, placeholders, escapes and line ends are kept.",
        likely_cause: "SQL put together from texts; unescaping; line ends translated",
    }
    one_mib {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "An event as large as the store takes, up to 1 MiB, is kept whole, whether or not it can be compressed.",
        likely_cause: "a limit of the technology that cuts silently, or a buffer of a fixed size",
    }
    fuzz {
        guarantee: "R1", level: 1, kind: Model,
        summary: "Random events come back as they were given.",
        likely_cause: "an encoding that is right for the examples that its author thought of",
    }
}

fn labelled(data: &[&[u8]]) -> Vec<(String, NewEvent)> {
    data.iter()
        .map(|data| (format!("{:?}", data.escape_ascii().to_string()), event("Kept", data.to_vec())))
        .collect()
}

fn texts(texts: &[&str]) -> Vec<(String, NewEvent)> {
    texts.iter().map(|text| (format!("{text:?}"), event("Kept", (*text).to_owned()))).collect()
}

async fn empty(cx: Cx) -> Verdict {
    kept(&cx, texts(&["", "{}", "[]", "null", "\"\"", " ", "0", "", "false"])).await
}

async fn all_bytes(cx: Cx) -> Verdict {
    let alone = (0..=u8::MAX).map(|byte| (format!("the byte {byte}"), event("Kept", vec![byte])));
    let all: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    let no_utf_8: [&[u8]; 4] = [b"\xff\xfe", b"\xc3\x28 {}", b"ab\xe2\x82", b"\xf0\x9f\x92\xa9\xf5"];
    let more = [("all bytes".to_owned(), event("Kept", all))].into_iter().chain(labelled(&no_utf_8));
    kept(&cx, alone.chain(more).collect()).await
}

async fn unicode(cx: Cx) -> Verdict {
    let corpus = [
        "\u{e9}",
        "e\u{301}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{1d11e}\u{10ffff}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}abc\u{202c}",
        "\u{feff}begins with a mark of byte order",
        "\u{fffd}\u{fffe}\u{2028}\u{2029}\u{85}",
        "\u{212b} \u{c5} A\u{30a}",
        "\u{1e9e}\u{df} \u{130}i\u{131}I",
    ];
    kept(&cx, texts(&corpus)).await
}

async fn nul_in_text(cx: Cx) -> Verdict {
    let corpus: [&[u8]; 5] = [b"\0", b"a\0b", b"\0\0\0", br#"{"text":"a\u0000b"}"#, b"{\"text\":\"a\0b\"}"];
    kept(&cx, labelled(&corpus)).await
}

async fn lone_surrogate(cx: Cx) -> Verdict {
    let corpus = [r#""\ud800""#, r#"{"a":"\udc00\ud800"}"#, r#"["\ud83d\ude00"]"#, r#"["\uD83D\uDE00"]"#];
    kept(&cx, texts(&corpus)).await
}

async fn metachar(cx: Cx) -> Verdict {
    let corpus = [
        "'; DROP TABLE events; --",
        "\"quoted\" 'twice' `thrice` $$four$$",
        "$1 ?1 :name @p0 %s %(name)s {} {0} ${HOME} #{x}",
        "back\\slash \\n \\0 \\u0041 \\x41 %00 %41 &amp; &#65;",
        "line\nends\r\nof\rall\n\rkinds\n",
        "\ttabs and trailing spaces   ",
        "/* no */ -- comment // at # all",
        "\u{1b}[31mred\u{1b}[0m \u{7} \u{8}",
    ];
    kept(&cx, texts(&corpus)).await
}

async fn one_mib(cx: Cx) -> Verdict {
    const MIB: usize = 1024 * 1024;
    let limits = cx.capabilities().limits();
    let name = "Kept";
    let size = MIB.min(limits.bytes_per_event).min(limits.bytes_per_append / 2) - name.len();
    let mut random = vec![0; size];
    cx.rng().fill_bytes(&mut random);
    let both = vec![
        (format!("{size} random bytes"), event(name, random)),
        (format!("{size} zeros"), event(name, vec![0; size])),
    ];
    kept(&cx, both).await
}

async fn fuzz(cx: Cx) -> Verdict {
    const EVENTS_AT_ONCE: usize = 50;
    let rounds = cx.scale(4);
    cx.minimum_ops(rounds * EVENTS_AT_ONCE);
    let mut rng = cx.rng();
    for round in 0..rounds {
        let random = |n| (format!("random event {n} of round {round}"), random_event(&mut rng));
        let labelled: Vec<_> = (0..EVENTS_AT_ONCE).map(random).collect();
        kept_in(&cx, &format!("Fuzz-{round}"), &labelled).await?;
        cx.count_ops(labelled.len());
    }
    Ok(())
}

fn random_event(rng: &mut StdRng) -> NewEvent {
    let mut data = vec![0; rng.random_range(0..300)];
    rng.fill_bytes(&mut data);
    let tags = (0..rng.random_range(0..6)).map(|n| format!("{n}:{}", random_text(rng)));
    let tags: Vec<String> = tags.collect();
    let made = event(&format!("T{}", random_text(rng)), data).with_id(random_id(rng));
    let made = made.with_tags(tags.iter().map(String::as_str)).expect("they are distinct and short");
    match rng.random_range(0..3) {
        0 => made,
        1 => made.with_metadata(Metadata::new("{}").expect("it is an object")),
        _ => {
            let metadata = Metadata::NONE.with_text(&random_text(rng), &random_text(rng));
            let content_type = ContentType::new(format!("application/{}", random_text(rng)));
            made.with_metadata(metadata.expect("a first key is free"))
                .with_content_type(content_type.expect("it is short"))
        }
    }
}

/// Up to twelve characters from all over Unicode, none of which a name forbids.
fn random_text(rng: &mut StdRng) -> String {
    let count = rng.random_range(0..12);
    (0..count).map(|_| rng.random::<char>()).filter(|c| !c.is_control()).collect()
}

fn random_id(rng: &mut StdRng) -> EventId {
    format!("{:032x}", rng.random::<u128>()).parse().expect("32 hexadecimal digits are a UUID")
}
