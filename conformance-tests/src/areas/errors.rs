//! Checks of the area `errors`: every cause has its kind, and no error tells what it must not.

use annalist_core::{
    Append, Capability, Error, ExpectedVersion, NewEvent, Position, Query, QueryItem, Read, StreamId,
    Subscribe, Survives, Version,
};

use crate::{Check, Cx, Verdict, checkpoint, checks, ensure, event, events, exact, expect, schema, stream};

mod closed;
mod extremes;
mod faults;
mod network;
mod secrets;
mod told;

pub(crate) const PARTS: &[&[Check]] = &[
    CHECKS,
    told::CHECKS,
    closed::CHECKS,
    extremes::CHECKS,
    faults::CHECKS,
    network::CHECKS,
    secrets::CHECKS,
];

checks! {
    area: "errors",
    conflict {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A write, a check and a condition that do not hold are each a `Conflict`.",
        likely_cause: "one kind of error for whatever the database refuses",
    }
    id_reused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "An id that was used for something else is `IdReused`, whatever the append expects, and no conflict.",
        likely_cause: "a unique violation told as a conflict, after which the caller decides again for ever",
    }
    invalid {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "A request that breaks a rule is `Invalid`, in appends, reads and subscriptions.",
        likely_cause: "a rule that is checked for appends only, or an error of the server's passed on",
    }
    wrong_history {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A position past the head or of another log is `WrongHistory` in reads, subscriptions, conditions and checkpoints alike.",
        likely_cause: "a position that is compared as a bare number, so that a restored log looks empty",
    }
    fenced {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "An owner that was replaced, by a claim or by a reset, is told so as `Fenced`.",
        likely_cause: "an update that changes no row, taken for success",
    }
    missing_is_no_error {
        guarantee: "R2", level: 1, kind: Deterministic,
        summary: "A stream, snapshot or checkpoint that is not there is no error.",
        likely_cause: "the driver's \"no row\" passed on as an error",
    }
    unsupported {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "What is declared absent answers `Unsupported` when it is asked for; what is declared present works.",
        likely_cause: "an option that is not known, and ignored",
    }
    opt_outs_told {
        guarantee: "A8", level: 1, kind: Deterministic,
        summary: "Whatever is declared absent has a reason, and the declaration does not contradict itself.",
        likely_cause: "an opt-out without a word on why, or durability declared in one place and taken back in another",
    }
}

/// A position beside another one: of the same log with other numbers.
fn neighbour(of: Position, major: u64, minor: u32) -> Position {
    let log = &of.to_string()[..8];
    format!("{log}-{major:016x}-{minor:08x}").parse().expect("three hexadecimal numbers are a position")
}

/// The same numbers in another log.
fn elsewhere(of: Position) -> Position {
    let text = of.to_string();
    let log = u32::from_str_radix(&text[..8], 16).expect("a position begins with eight digits");
    let log = if log == u32::MAX { 1 } else { log + 1 };
    format!("{log:08x}{}", &text[8..]).parse().expect("three hexadecimal numbers are a position")
}

/// A position just past the head, and others far past it.
fn past(head: Position) -> Vec<Position> {
    let text = head.to_string();
    let number = |digits: &str| u64::from_str_radix(digits, 16).expect("a position has hexadecimal digits");
    let (major, minor) = (number(&text[9..25]), number(&text[26..]));
    let mut past = vec![
        neighbour(head, major + 1, 0),
        neighbour(head, i64::MAX as u64, 0),
        neighbour(head, 1 << 63, 0),
        neighbour(head, u64::MAX, u32::MAX),
    ];
    past.extend(u32::try_from(minor + 1).map(|minor| neighbour(head, major, minor)));
    past
}

fn to_one(stream: &StreamId, expected: ExpectedVersion) -> Append {
    Append::to(stream, expected, events(1))
}

async fn conflict(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let (before, order, other) = (cx.read_log().await?, stream("Order-1"), stream("Other-1"));
    expect::conflict(cx.append(to_one(&order, exact(1))).await)?;
    expect::conflict(cx.append(to_one(&order, exact(3))).await)?;
    expect::conflict(cx.append(to_one(&order, ExpectedVersion::NoStream)).await)?;
    expect::conflict(cx.append(to_one(&other, ExpectedVersion::Exists)).await)?;
    let checked = to_one(&other, ExpectedVersion::Any).check(&order, exact(1));
    expect::conflict(cx.append(checked).await)?;
    let conditional =
        to_one(&other, ExpectedVersion::Any).condition(Query::stream("Order-1"), Position::START);
    expect::conflict(cx.append(conditional).await)?;
    expect::conflict(cx.append(Append::new().check(&order, exact(1))).await)?;
    cx.log_is(&before, &[&other], "after seven conflicts").await
}

async fn id_reused(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let [first, second] = [event("Placed", "{}"), event("Paid", "{}")];
    cx.append_to(&order, exact(0), [first.clone()]).await?;
    cx.append_to(&order, exact(1), [second.clone()]).await?;
    let before = cx.read_log().await?;
    let other = event("Placed", "{ }").with_id(first.id());
    for expected in
        [ExpectedVersion::Any, exact(2), exact(0), ExpectedVersion::NoStream, ExpectedVersion::Exists]
    {
        expect::id_reused(cx.append_to(&order, expected, [other.clone()]).await)?;
        expect::id_reused(cx.append_to(&order, expected, [first.clone(), second.clone()]).await)?;
        expect::id_reused(cx.append_to(&order, expected, [event("New", "{}"), first.clone()]).await)?;
    }
    cx.log_is(&before, &[], "after ids were used again for something else").await
}

async fn invalid(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let (before, order, twice) = (cx.read_log().await?, stream("Order-1"), event("Twice", "{}"));
    let appends = [
        (
            "a stream written twice",
            to_one(&order, ExpectedVersion::Any).write(&order, ExpectedVersion::Any, events(1)),
        ),
        (
            "a stream written and checked",
            to_one(&order, ExpectedVersion::Any).check(&order, ExpectedVersion::Exists),
        ),
        ("an id twice in a stream", Append::to(&order, ExpectedVersion::Any, [twice.clone(), twice])),
        (
            "a condition without items",
            to_one(&order, ExpectedVersion::Any).condition(Query::any_of([]), Position::START),
        ),
    ];
    for (what, append) in appends {
        cx.collect(expect::invalid(cx.append(append).await).map(drop), what)?;
    }
    let queries = [
        ("no items", Query::any_of([])),
        ("an item without parts", QueryItem::new().into()),
        ("an empty type", Query::types([""])),
        ("a reserved stream", Query::stream("$all")),
        ("a category with a dash", Query::category("a-b")),
    ];
    for (what, query) in queries {
        cx.collect(
            expect::invalid(cx.read(Read::log(query.clone())).await).map(drop),
            &format!("a read of {what}"),
        )?;
        let subscription = cx.store().subscribe(Subscribe::to(query)).await.map(drop);
        cx.collect(expect::invalid(subscription).map(drop), &format!("a subscription to {what}"))?;
    }
    let by_version = Read::log(Query::all()).from(Version::new(2));
    cx.collect(expect::invalid(cx.read(by_version).await).map(drop), "a read of the log by versions")?;
    let by_position = Read::stream(&order).after(before[0].position());
    cx.collect(expect::invalid(cx.read(by_position).await).map(drop), "a read of a stream by positions")?;
    cx.log_is(&before, &[&order], "after invalid requests").await
}

async fn wrong_history(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let (before, head, name) = (cx.read_log().await?, cx.head().await?, checkpoint("mailer"));
    let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
    let there = elsewhere(before[0].position());
    for wrong in past(head).into_iter().chain([there, elsewhere(head)]) {
        let read = Read::log(Query::all());
        let (after, until) = (read.clone().after(wrong), read.until(wrong));
        cx.collect(
            expect::wrong_history(cx.read(after.clone()).await).map(drop),
            &format!("a read after {wrong}"),
        )?;
        cx.collect(
            expect::wrong_history(cx.read(after.backward()).await).map(drop),
            &format!("a read back to {wrong}"),
        )?;
        cx.collect(expect::wrong_history(cx.read(until).await).map(drop), &format!("a read until {wrong}"))?;
        let subscription = cx.store().subscribe(Subscribe::to(Query::all()).after(wrong)).await.map(drop);
        cx.collect(expect::wrong_history(subscription).map(drop), &format!("a subscription after {wrong}"))?;
        let append =
            to_one(&stream("Other-1"), ExpectedVersion::Any).condition(Query::types(["Never"]), wrong);
        cx.collect(
            expect::wrong_history(cx.append(append).await).map(drop),
            &format!("a condition after {wrong}"),
        )?;
        let saved = cx.checkpoints().save_checkpoint(&owner, wrong).await;
        cx.collect(expect::wrong_history(saved).map(drop), &format!("a checkpoint saved at {wrong}"))?;
        let reset = cx.checkpoints().reset_checkpoint(&name, wrong).await;
        cx.collect(expect::wrong_history(reset).map(drop), &format!("a checkpoint reset to {wrong}"))?;
    }
    cx.checkpoints().save_checkpoint(&owner, head).await?;
    cx.log_is(&before, &[&stream("Other-1")], "after positions of other histories").await
}

async fn fenced(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let (head, name) = (cx.head().await?, checkpoint("mailer"));
    let fresh = cx.fresh().await?;
    let first = cx.checkpoints().claim_checkpoint(&name).await?.owner;
    let second = fresh.checkpoints().claim_checkpoint(&name).await?.owner;
    for handle in [&*cx, &fresh] {
        let told = expect::fenced(handle.checkpoints().save_checkpoint(&first, head).await)?;
        ensure!(
            told.epoch == first.epoch() && told.current == second.epoch() && told.name == name,
            "it is told {told:?} after the claims {first:?} and {second:?}"
        );
    }
    let third = cx.checkpoints().reset_checkpoint(&name, Position::START).await?;
    expect::fenced(fresh.checkpoints().save_checkpoint(&second, head).await)?;
    let left = fresh.checkpoints().load_checkpoint(&name).await?;
    ensure!(
        left.as_ref().is_some_and(|left| left.position == Position::START),
        "after fenced saves the checkpoint is {left:?}, not at the start"
    );
    cx.checkpoints().save_checkpoint(&third, head).await?;
    Ok(())
}

async fn missing_is_no_error(cx: Cx) -> Verdict {
    let (missing, schema, name) = (stream("Missing-1"), schema("order/1"), checkpoint("nobody"));
    for appended in [false, true] {
        if appended {
            cx.append_any("Order-1", 1).await?;
        }
        for read in [
            Read::stream(&missing),
            Read::stream(&missing).backward(),
            Read::stream(&missing).from(Version::MAX),
        ] {
            let found = cx.drain(read).await?;
            ensure!(
                found.events.is_empty() && found.version == Version::NONE,
                "a missing stream reads as {found:?}"
            );
        }
        let found = cx.drain(Read::log(Query::stream("Missing-1"))).await?.events;
        ensure!(found.is_empty(), "the log through a missing stream has {} events", found.len());
        let found = cx.snapshots().load_snapshot(&missing, &schema, Version::MAX).await?;
        ensure!(found.is_none(), "a missing snapshot loads as {found:?}");
        cx.snapshots().prune_snapshots(&missing, &schema, 1).await?;
        let found = cx.checkpoints().load_checkpoint(&name).await?;
        ensure!(found.is_none(), "a missing checkpoint loads as {found:?}");
    }
    Ok(())
}

async fn unsupported(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let reads = [
        Read::stream(&stream("Order-1")),
        Read::log(Query::all()),
        Read::log(Query::category("Order")).backward(),
    ];
    let present = cx.capabilities().has(Capability::LocalReads);
    for read in reads {
        let answer = cx.read(read.local()).await;
        if present {
            answer?;
        } else {
            expect::unsupported(answer)?;
        }
    }
    let answer: Result<_, Error> = cx.store().subscribe(Subscribe::to(Query::all()).local()).await.map(drop);
    if present {
        answer?;
    } else {
        expect::unsupported(answer)?;
    }
    Ok(())
}

async fn opt_outs_told(cx: Cx) -> Verdict {
    let capabilities = cx.capabilities();
    for capability in Capability::ALL {
        if let Some(reason) = capabilities.reason_against(capability) {
            ensure!(reason.trim().len() > 3, "{capability} is declared absent, for the reason {reason:?}");
        }
    }
    let (survives, durable) = (capabilities.survives(), capabilities.has(Capability::Durability));
    ensure!(
        durable == (survives > Survives::Nothing),
        "an acknowledged append survives {survives:?}, and durability is declared {}",
        if durable { "present" } else { "absent" }
    );
    ensure!(
        !capabilities.durability_settings().trim().is_empty(),
        "the settings of its durability are not told"
    );
    ensure!(!capabilities.wake_up_max().is_zero(), "a wake-up is declared to take no time at all");
    Ok(())
}

/// One error of each cause that can be brought about without faults, each with what brought it about. Everything that the requests hold has `marker` in it.
async fn provoked(cx: &Cx, marker: &str) -> Verdict<Vec<(&'static str, Error)>> {
    let marked = |n: u32| -> NewEvent {
        let metadata = annalist_core::Metadata::NONE.with_text("secret", &format!("{marker} m{n}"));
        event("Secret", format!("{{\"card\":\"{marker} d{n}\"}}"))
            .with_metadata(metadata.expect("a first key is free"))
            .with_tags([format!("{marker} t{n}").as_str()])
            .expect("the check uses valid tags")
    };
    let (order, other, name) = (stream("Order-1"), stream("Other-1"), checkpoint("mailer"));
    let stored = marked(0);
    cx.append_to(&order, exact(0), [stored.clone()]).await?;
    let head = cx.head().await?;
    let old = cx.checkpoints().claim_checkpoint(&name).await?.owner;
    cx.checkpoints().claim_checkpoint(&name).await?;
    let limits = *cx.capabilities().limits();
    let large = format!("{marker}{}", "x".repeat(limits.bytes_per_event));
    let snapshot =
        |data: String| annalist_core::Snapshot::new(&order, &schema("order/1"), Version::new(1), data);
    let large_snapshot = snapshot(format!("{marker}{}", "x".repeat(limits.bytes_per_snapshot)));
    let twice = marked(5);
    let condition = Append::to(&other, ExpectedVersion::Any, [marked(2)])
        .condition(Query::stream("Order-1"), Position::START);
    let wrong = Append::to(&other, ExpectedVersion::Any, [marked(3)]).condition(Query::all(), past(head)[0]);
    let given = [
        ("a stale version", cx.append_to(&order, exact(0), [marked(1)]).await.map(drop)),
        ("a condition that does not hold", cx.append(condition).await.map(drop)),
        (
            "an id that was used before",
            cx.append_to(&order, ExpectedVersion::Any, [marked(4).with_id(stored.id())]).await.map(drop),
        ),
        ("a part of what was stored", cx.append_to(&order, exact(0), [stored, marked(6)]).await.map(drop)),
        ("an id twice", cx.append_to(&order, ExpectedVersion::Any, [twice.clone(), twice]).await.map(drop)),
        (
            "an event that is too large",
            cx.append_to(&order, ExpectedVersion::Any, [event("Large", large)]).await.map(drop),
        ),
        ("a snapshot that is too large", cx.snapshots().save_snapshot(large_snapshot).await),
        ("a condition after another history", cx.append(wrong).await.map(drop)),
        (
            "a read after another history",
            cx.read(Read::log(Query::all()).after(elsewhere(head))).await.map(drop),
        ),
        ("a fenced owner", cx.checkpoints().save_checkpoint(&old, head).await),
    ];
    let mut errors = Vec::new();
    for (cause, answer) in given {
        errors.push((cause, expect::error(answer)?));
    }
    let closed = cx.fresh().await?;
    closed.close().await?;
    errors.push((
        "a closed store",
        expect::error(closed.append_to(&order, ExpectedVersion::Any, [marked(7)]).await)?,
    ));
    errors.push((
        "a closed store, a snapshot",
        expect::error(closed.snapshots().save_snapshot(snapshot(marker.to_owned())).await)?,
    ));
    Ok(errors)
}
