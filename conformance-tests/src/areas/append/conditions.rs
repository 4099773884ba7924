//! Conditions: no event that matches a query stands after a position.

use annalist_core::{Append, Conflict, ExpectedVersion, NewEvent, Position, Query, QueryItem, Read};

use crate::{
    Cx, Handle, Verdict, checks, ensure, ensure_eq, event, events, expect, query_medley, stream, tagged,
};

checks! {
    area: "append",
    condition_holds {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append succeeds where no event matches its conditions, however many others there are.",
        likely_cause: "a condition taken for: nothing was appended since",
    }
    condition_fails {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append conflicts where an event matches its condition, which names the first such event after the position.",
        likely_cause: "conditions ignored, or the newest match reported",
    }
    condition_after_head_is_free {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "A condition after the head that a read told holds as long as nothing is appended, and not any longer.",
        likely_cause: "the head of a page is that of its last event, or that of another state",
    }
    condition_sees_everything_before_it {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "A condition sees every event that was acknowledged before, of every stream and through every handle.",
        likely_cause: "conditions looked up in an index that follows later, or only in the streams that are written",
    }
    condition_ignores_own_events {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "The events of an append never fail its own conditions.",
        likely_cause: "conditions checked after the events were inserted",
    }
    condition_exclusive_after {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "A condition looks at events after its position, not at the one that stands there.",
        likely_cause: "`>=` for `>`",
    }
    condition_query_kinds {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "Conditions find the event that filtering the log would find first, for queries of every kind and after every position.",
        likely_cause: "a part of the query left out, tags taken as any-of, or a category as a prefix",
    }
    condition_literal {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "No character in the query of a condition is special.",
        likely_cause: "LIKE or GLOB patterns made of names",
    }
}

fn probe() -> Vec<NewEvent> {
    vec![event("Probed", "{}")]
}

/// An append of one event to a stream that nothing asks about, under this condition.
fn probing(query: Query, after: Position) -> Append {
    Append::to(&stream("Probe-1"), ExpectedVersion::Any, probe()).condition(query, after)
}

async fn condition_holds(cx: Cx) -> Verdict {
    cx.append_medley(12).await?;
    let nothing = [
        Query::stream("Order-99"),
        Query::types(["Never"]),
        Query::tags(["even", "never"]),
        QueryItem::new().category("Cart").types(["Never"]).into(),
        Query::any_of([QueryItem::new().tags(["never"]), QueryItem::new().category("Nowhere")]),
    ];
    let before = cx.read_log().await?.len();
    for query in &nothing {
        let receipt = cx.append(probing(query.clone(), Position::START)).await?;
        ensure_eq!(receipt.written().len(), 1, "streams in the receipt under {query:?}");
    }
    let [first, second, third, ..] = nothing.clone();
    let several =
        probing(first, Position::START).condition(second, Position::START).condition(third, Position::START);
    cx.append(several).await?;
    ensure_eq!(cx.fresh().await?.read_log().await?.len(), before + nothing.len() + 1, "events in the log");
    Ok(())
}

async fn condition_fails(cx: Cx) -> Verdict {
    cx.append_any("Cart-1", 2).await?;
    for n in 1..=4 {
        cx.append_to(&stream("User-1"), ExpectedVersion::Any, [tagged("Joined", &["email:ada"])]).await?;
        cx.append_any("Cart-1", n).await?;
    }
    let before = cx.read_log().await?;
    let query = Query::tags(["email:ada"]);
    let matches: Vec<_> =
        before.iter().filter(|event| query.matches_recorded(event)).map(|event| event.position()).collect();
    ensure_eq!(matches.len(), 4, "matching events in the log");
    let mut after = Position::START;
    for matched in matches {
        let conflict = expect::conflict(cx.append(probing(query.clone(), after)).await)?;
        ensure_eq!(conflict, Conflict::Condition { index: 0, matched }, "the conflict after {after}");
        after = matched;
    }
    cx.log_is(&before, &[&stream("Probe-1")], "after conditions that did not hold").await?;
    cx.append(probing(query, after)).await?;
    Ok(())
}

async fn condition_after_head_is_free(cx: Cx) -> Verdict {
    cx.append(probing(Query::all(), cx.head().await?)).await?;
    for n in 0..6_u32 {
        // The heads of reads of all kinds, also of such as find nothing.
        let read = match n % 3 {
            0 => Read::log(Query::all()),
            1 => Read::log(Query::types(["Never"])),
            _ => Read::stream(&stream("Nowhere-1")),
        };
        let head = cx.fresh().await?.drain(read).await?.head;
        let receipt = cx.append(probing(Query::all(), head)).await?;
        let again = cx.append(probing(Query::all(), head)).await;
        let matched = receipt.position().unwrap_or(Position::START);
        let wanted = Conflict::Condition { index: 0, matched };
        ensure_eq!(expect::conflict(again)?, wanted, "a second append after the same head");
    }
    Ok(())
}

async fn condition_sees_everything_before_it(cx: Cx) -> Verdict {
    let handles = cx.handles(3).await?;
    let query = Query::types(["Counted"]);
    let (mut after, mut names) = (Position::START, ["A-1", "Probe-1", "Z-1"].iter().cycle());
    for n in 0..30 {
        let name = names.next().copied().unwrap_or("A-1");
        let counted = [event("Other", "{}"), event("Counted", "{}"), event("Other", "{}")];
        let receipt = handles[n % 3].append_to(&stream(name), ExpectedVersion::Any, counted).await?;
        let matched = receipt.written()[0].positions()[1];
        let answer = handles[(n + 1) % 3].append(probing(query.clone(), after)).await;
        let wanted = Conflict::Condition { index: 0, matched };
        ensure_eq!(expect::conflict(answer)?, wanted, "what the condition finds in {name} in round {n}");
        after = matched;
    }
    ensure!(cx.read_stream(&stream("Probe-1")).await?.len() == 30, "a refused event is in the stream");
    Ok(())
}

async fn condition_ignores_own_events(cx: Cx) -> Verdict {
    let email = Query::tags(["email:ada"]);
    let joined = || [tagged("Joined", &["email:ada"]), tagged("Confirmed", &["email:ada"])];
    let unique = |name: &str| {
        let append = Append::to(&stream(name), ExpectedVersion::NoStream, joined());
        append.condition(email.clone(), Position::START)
    };
    let receipt = cx.append(unique("User-1")).await?;
    let first = receipt.written()[0].positions()[0];
    let wanted = Conflict::Condition { index: 0, matched: first };
    ensure_eq!(expect::conflict(cx.append(unique("User-2")).await)?, wanted, "the second of its kind");

    let head = cx.head().await?;
    let all = Append::new()
        .write(&stream("User-3"), ExpectedVersion::NoStream, events(3))
        .write(&stream("User-4"), ExpectedVersion::NoStream, events(3))
        .condition(Query::all(), head)
        .condition(Query::stream("User-4"), Position::START);
    cx.append(all).await?;
    ensure_eq!(cx.fresh().await?.read_log().await?.len(), 8, "events in the log");
    Ok(())
}

async fn condition_exclusive_after(cx: Cx) -> Verdict {
    let log = cx.append_medley(15).await?;
    for (i, at) in log.iter().enumerate() {
        let of_stream = Query::stream(at.stream().as_str());
        let next = log[i + 1..].iter().find(|event| event.stream() == at.stream());
        finds(&cx, &of_stream, at.position(), next.map(|event| event.position())).await?;
        let next = log.get(i + 1).map(|event| event.position());
        finds(&cx, &Query::all(), at.position(), next).await?;
    }
    Ok(())
}

/// What an append of this condition alone answers.
async fn finds(handle: &Handle, query: &Query, after: Position, found: Option<Position>) -> Verdict {
    let answer = handle.append(Append::new().condition(query.clone(), after)).await;
    match found {
        None => ensure!(answer.is_ok(), "nothing after {after} matches {query:?}, but it gave {answer:?}"),
        Some(matched) => {
            let wanted = Conflict::Condition { index: 0, matched };
            ensure_eq!(expect::conflict(answer)?, wanted, "what {query:?} finds after {after}");
        }
    }
    Ok(())
}

async fn condition_query_kinds(cx: Cx) -> Verdict {
    let log = cx.append_medley(30).await?;
    for (name, query) in query_medley() {
        let mut after = Position::START;
        for at in log.iter().step_by(4) {
            let mut rest = log.iter().filter(|event| event.position() > after);
            let found = rest.find(|event| query.matches_recorded(event)).map(|event| event.position());
            cx.collect(finds(&cx, &query, after, found).await, name)?;
            after = at.position();
        }
        // The same with events of its own, which no query but the one for all sees.
        let last = log.iter().rfind(|event| query.matches_recorded(event)).map(|event| event.position());
        let after = if query.is_all() { cx.head().await? } else { last.unwrap_or(Position::START) };
        let answer = cx.append(probing(query, after)).await;
        ensure!(answer.is_ok(), "{name}: nothing after {after} matches, but it gave {answer:?}");
    }
    Ok(())
}

async fn condition_literal(cx: Cx) -> Verdict {
    for special in ["%", "_", "*", "?", "\\", ".", "[xy]", "'", "\"", "x%", "^", "$"] {
        let name = |middle: &str| format!("Lit{middle}-a{middle}b");
        let made = |middle: &str| tagged(&format!("T{middle}t"), &[&format!("t{middle}t")]);
        // What a pattern made of the name would find.
        for middle in ["x", "xy", "é", ""] {
            cx.append_to(&stream(&name(middle)), ExpectedVersion::Any, [made(middle)]).await?;
        }
        let longer = stream(&format!("Lit{special}x-1"));
        cx.append_to(&longer, ExpectedVersion::Any, [made("x")]).await?;
        let queries = [
            Query::stream(name(special)),
            QueryItem::new().stream_prefix(format!("Lit{special}-a{special}")).into(),
            Query::category(format!("Lit{special}")),
            Query::types([format!("T{special}t")]),
            Query::tags([format!("t{special}t")]),
        ];
        for query in &queries {
            finds(&cx, query, Position::START, None).await?;
        }
        let receipt = cx.append_to(&stream(&name(special)), ExpectedVersion::Any, [made(special)]).await?;
        for query in &queries {
            finds(&cx, query, Position::START, receipt.position()).await?;
        }
    }
    Ok(())
}
