//! What every store must take (L2).

use annalist_core::{Append, ExpectedVersion, Limits, NewEvent, Query, QueryItem};

use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, events, exact, same_as_appended, stream};

checks! {
    area: "batch",
    floors_declared {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "No declared limit is below what every store must take.",
        likely_cause: "the limit of the technology declared as that of the store",
    }
    floor_events {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "An append of 1,000 events over 64 streams is taken, and read back whole.",
        likely_cause: "100 items in a transaction",
    }
    floor_bytes {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "An append of 1 MiB is taken and read back byte for byte, be it of small events or of four of 256 KiB.",
        likely_cause: "400 KB for an item, 1 MB for a message with all that surrounds the data",
    }
    floor_demands {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "An append with 16 checks and 4 conditions of 16 items with 64 names each is taken, and each of them is enforced.",
        likely_cause: "100 items in a transaction, checks included; a bound on the parameters of a statement",
    }
}

async fn floors_declared(cx: Cx) -> Verdict {
    let declared = cx.capabilities().limits().each();
    for ((name, declared), (_, floor)) in declared.into_iter().zip(Limits::FLOOR.each()) {
        crate::note!(
            cx,
            declared >= floor,
            "{name}: declares {declared}, below the {floor} that every store must take"
        );
    }
    Ok(())
}

/// Appends to 64 streams, and reads all of it back through another handle.
async fn taken(cx: &Cx, made: &[NewEvent]) -> Verdict {
    let each = made.len().div_ceil(Limits::FLOOR.streams_per_append);
    let mut append = Append::new();
    for (n, part) in made.chunks(each).enumerate() {
        append = append.write(&stream(&format!("Order-{n}")), ExpectedVersion::Any, part.to_vec());
    }
    let before = cx.read_log().await?.len();
    let receipt = cx.append(append).await?;
    let told: usize = receipt.written().iter().map(|written| written.positions().len()).sum();
    ensure_eq!(told, made.len(), "events in the receipt");
    let log = cx.fresh().await?.read_log().await?.split_off(before);
    same_as_appended(&log, made, "the log")
}

async fn floor_events(cx: Cx) -> Verdict {
    taken(&cx, &events(Limits::FLOOR.events_per_append)).await?;
    taken(&cx, &events(Limits::FLOOR.streams_per_append)).await
}

/// An event of exactly this size whose data no compression makes much smaller.
fn sized(size: usize, seed: u64) -> NewEvent {
    let mut state = seed | 1;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    event("Happened", (0..size - "Happened".len()).map(|_| byte()).collect::<Vec<u8>>())
}

async fn floor_bytes(cx: Cx) -> Verdict {
    let all = Limits::FLOOR.bytes_per_append;
    let one = Limits::FLOOR.bytes_per_event;
    for n in [all / one, 256, 1_000] {
        let (size, rest) = (all / n, all % n);
        let made: Vec<_> = (0..n).map(|i| sized(size + usize::from(i < rest), i as u64 * 2)).collect();
        ensure_eq!(made.iter().map(NewEvent::size).sum::<usize>(), all, "the size of the append");
        taken(&cx, &made).await?;
    }
    Ok(())
}

async fn floor_demands(cx: Cx) -> Verdict {
    let floor = Limits::FLOOR;
    let matched = cx.append_any("Order-1", 1).await?.position();
    let matched = matched.unwrap_or(annalist_core::Position::START);
    let wide = |condition: usize, place: usize| {
        let names = move |n| format!("Never-{condition}-{place}-{n}");
        QueryItem::new().streams((0..floor.names_per_item).map(names))
    };
    let query = |condition: usize, last: Option<QueryItem>| {
        let spare = usize::from(last.is_some());
        let items = (0..floor.items_per_query - spare).map(|place| wide(condition, place));
        Query::any_of(items.chain(last).collect::<Vec<_>>())
    };
    let with = |failing_check: Option<usize>, failing_condition: Option<usize>| {
        let mut append = Append::to(&stream("Cart-1"), ExpectedVersion::NoStream, events(1));
        for n in 0..floor.checks_per_append {
            append =
                append.check(&stream(&format!("Checked-{n}")), exact(u64::from(failing_check == Some(n))));
        }
        (0..floor.conditions_per_append).fold(append, |append, n| {
            let matching = (failing_condition == Some(n)).then(|| QueryItem::new().stream("Order-1"));
            append.condition(query(n, matching), annalist_core::Position::START)
        })
    };
    for n in [0, floor.checks_per_append - 1] {
        let checked = stream(&format!("Checked-{n}"));
        crate::expect::version_conflict(cx.append(with(Some(n), None)).await, &checked, exact(1), 0)?;
    }
    for index in [0, floor.conditions_per_append - 1] {
        let wanted = annalist_core::Conflict::Condition { index, matched };
        let conflict = crate::expect::conflict(cx.append(with(None, Some(index))).await)?;
        ensure_eq!(conflict, wanted, "the conflict of the last item of condition {index}");
    }
    let receipt = cx.append(with(None, None)).await?;
    ensure!(
        receipt.position() > Some(matched),
        "the append stands at {:?}, not above {matched}",
        receipt.position()
    );
    Ok(())
}
