//! Names of streams.

use annalist_core::{Append, Error, ErrorKind, ExpectedVersion, Query, Read, StreamId};

use super::lists;
use crate::{Cx, Verdict, checks, ensure_eq, event, exact, same_as_appended, same_events, stream};

checks! {
    area: "names",
    charset {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Characters that mean something to URLs, SQL, keys or paths are ordinary in the name of a stream.",
        likely_cause: "a name that is escaped once, or twice, or pasted into a key",
    }
    prefix_pairs {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Streams of which one name begins or ends with another never mix.",
        likely_cause: "begins_with on a joined key",
    }
    case {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Streams whose names differ in case are different streams.",
        likely_cause: "a collation that ignores case",
    }
    spaces {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Spaces of any kind are significant in a name, also at its ends.",
        likely_cause: "PAD SPACE collations, CHAR columns, trim",
    }
    unicode_forms {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Names that are equivalent in Unicode, but not the same, name different streams and come back as they were given.",
        likely_cause: "normalisation, by the store or its file system",
    }
    lookalikes {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Names that look like numbers, nulls or booleans are just names.",
        likely_cause: "a column or a configuration format with guessed types",
    }
    reserved {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Names that some store keeps for itself are ordinary where the contract does not reserve them.",
        likely_cause: "system streams and tables in the same space of names as those of users",
    }
    composite {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Names whose parts make the same text when they are joined otherwise never mix.",
        likely_cause: "category and rest joined by a separator that both can hold",
    }
    max_len {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Names of up to 255 bytes are kept whole, in whatever alphabet, and differ where only their last character does.",
        likely_cause: "a cut to the width of a column, in bytes or in characters",
    }
    hash_twins {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Streams whose names have the same hash are different streams, also when one append writes both.",
        likely_cause: "a short hash as the identity of a stream, or as the key of its lock",
    }
    many {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Thousands of streams keep their own events and versions.",
        likely_cause: "a short hash as the identity of a stream",
    }
    unicode_category {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "The category of a name is what stands before its first ASCII dash, in whatever alphabet.",
        likely_cause: "a split by bytes in another encoding, or at other dashes",
    }
}

/// Appends to each of these streams as a new one, as many events as its place in the list says, and sees to it that each stream has
/// its own events and no others: read by its name, by a query, and in the log.
async fn kept_apart(cx: &Cx, names: &[&str]) -> Verdict {
    let mut appended = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let made: Vec<_> = (0..=i % 3).map(|n| event("Happened", format!("{i} {n}"))).collect();
        let written = cx.append_to(&stream(name), ExpectedVersion::NoStream, made.clone()).await;
        written.map_err(|error| of_name(name, &error))?;
        appended.push(made);
    }
    for (name, appended) in names.iter().zip(&mut appended) {
        let one_more = event("Happened", "the last");
        cx.append_to(&stream(name), exact(appended.len() as u64), [one_more.clone()]).await?;
        appended.push(one_more);
    }
    let fresh = cx.fresh().await?;
    for (name, appended) in names.iter().zip(&appended) {
        let found = fresh.drain(Read::stream(&stream(name))).await?;
        same_as_appended(&found.events, appended, &format!("the stream {name:?}"))?;
        ensure_eq!(found.version.get(), appended.len() as u64, "the version of {name:?}");
        let named = found.events.iter().all(|event| event.stream().as_str() == *name);
        crate::ensure!(named, "the stream {name:?} gives events with another name: {:?}", found.events);
        let by_query = fresh.drain(Read::log(Query::stream(name))).await?.events;
        same_events(&by_query, &found.events, &format!("the log through a query for the stream {name:?}"))?;
    }
    let in_log = fresh.read_log().await?;
    ensure_eq!(in_log.len(), appended.iter().map(Vec::len).sum::<usize>(), "events in the log");
    Ok(())
}

/// An error that says which name it was about.
fn of_name(name: &str, error: &Error) -> Error {
    ErrorKind::Internal(format!("a new stream {name:?} was refused: {error:?}")).into()
}

async fn charset(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::CHARSET).await
}

async fn prefix_pairs(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::PREFIX_PAIRS).await
}

async fn case(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::CASE).await
}

async fn spaces(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::SPACES).await
}

async fn unicode_forms(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::UNICODE_FORMS).await
}

async fn lookalikes(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::LOOKALIKES).await
}

async fn reserved(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::RESERVED).await
}

async fn composite(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::COMPOSITE).await
}

async fn max_len(cx: Cx) -> Verdict {
    let longest = lists::longest();
    kept_apart(&cx, &longest.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn hash_twins(cx: Cx) -> Verdict {
    kept_apart(&cx, &lists::HASH_TWINS).await?;
    for twins in lists::HASH_TWINS.chunks(2) {
        let [one, other]: [StreamId; 2] = [stream(twins[0]), stream(twins[1])];
        let both = Append::to(&one, ExpectedVersion::Exists, [event("Happened", "one")]);
        cx.append(both.write(&other, ExpectedVersion::Exists, [event("Happened", "other")])).await?;
        for (stream, data) in [(&one, "one"), (&other, "other")] {
            let newest = cx.drain(Read::stream(stream).backward().limit(1)).await?.events;
            let newest: Vec<_> = newest.iter().map(|event| event.data().as_ref()).collect();
            ensure_eq!(newest, [data.as_bytes()], "the newest event of {stream:?}");
        }
    }
    Ok(())
}

async fn many(cx: Cx) -> Verdict {
    const STREAMS: usize = 4_096;
    const EACH_TIME: usize = 64;
    let name = |i: usize| stream(&format!("Order-{i}"));
    for first in (0..STREAMS).step_by(EACH_TIME) {
        let append = (first..first + EACH_TIME).fold(Append::new(), |append, i| {
            append.write(&name(i), ExpectedVersion::NoStream, [event("Happened", i.to_string())])
        });
        cx.append(append).await?;
    }
    for i in (0..STREAMS).step_by(61) {
        let receipt = cx.append_to(&name(i), exact(1), [event("Again", i.to_string())]).await?;
        ensure_eq!(receipt.written()[0].last_version().get(), 2, "the version of the stream {i} of many");
        let found = cx.read_stream(&name(i)).await?;
        let data: Vec<_> = found.iter().map(|event| event.data().as_ref().to_vec()).collect();
        ensure_eq!(data, vec![i.to_string().into_bytes(); 2], "the data in the stream {i} of many");
    }
    let log = cx.read_log().await?;
    ensure_eq!(log.len(), STREAMS + STREAMS.div_ceil(61), "events of all streams");
    Ok(())
}

async fn unicode_category(cx: Cx) -> Verdict {
    let names = [
        "注文-1",
        "注文-2",
        "注文",
        "注文‐1",
        "注-文",
        "Ünïcode-1",
        "U\u{308}nïcode-1",
        "😀-1",
        "😀😀-1",
        "a–b-1",
        "a—b",
    ];
    for name in names {
        cx.append_any(name, 1).await?;
    }
    for (category, expected) in [
        ("注文", vec!["注文-1", "注文-2", "注文"]),
        ("注文‐1", vec!["注文‐1"]),
        ("注", vec!["注-文"]),
        ("Ünïcode", vec!["Ünïcode-1"]),
        ("😀", vec!["😀-1"]),
        ("a–b", vec!["a–b-1"]),
        ("a—b", vec!["a—b"]),
        ("a", vec![]),
    ] {
        let found = cx.drain(Read::log(Query::category(category))).await?.events;
        let found: Vec<_> = found.iter().map(|event| event.stream().as_str()).collect();
        ensure_eq!(found, expected, "streams of the category {category:?}");
    }
    Ok(())
}
