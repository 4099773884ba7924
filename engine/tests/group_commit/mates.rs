//! Which appends may travel together, and that none overtakes one that it touches.

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query, QueryItem, Version};

use crate::bench::{Bench, event, stream, write, write_at};

/// The streams of the batches in which these appends go, which gathered in the queue.
async fn batches(mut bench: Bench, appends: &[Append]) -> Vec<Vec<usize>> {
    let mut call = bench.busy().await;
    for append in appends {
        drop(bench.start(append).await);
    }
    let mut batches: Vec<Vec<usize>> = Vec::new();
    while batches.iter().flatten().count() < appends.len() {
        call.commit();
        call = bench.call().await;
        let place =
            |mate: &Append| appends.iter().position(|append| append.same_request(mate)).expect("known");
        batches.push(call.batch.iter().map(place).collect());
    }
    batches
}

fn tagged(name: &str, tag: &str) -> Append {
    let event = NewEvent::new("Tagged", "{}").and_then(|event| event.with_tags([tag])).expect("an event");
    Append::to(&stream(name), ExpectedVersion::Any, [event])
}

fn unless(query: impl Into<Query>) -> Append {
    write("Deciding-1").condition(query, Position::START)
}

/// Pairs that touch; each does so in both orders.
fn touching() -> Vec<(&'static str, [Append; 2])> {
    let shared = event();
    let twice = |expected| Append::to(&stream("S"), expected, [shared.clone()]);
    let checks = |name: &str| write("Other").check(&stream(name), ExpectedVersion::Exists);
    vec![
        (
            "the same event id",
            [
                twice(ExpectedVersion::Any),
                twice(ExpectedVersion::Any).write(&stream("T"), Version::FIRST, []),
            ],
        ),
        (
            "an expected version of a stream that the other writes",
            [write("S"), write_at("S", Version::new(3))],
        ),
        ("the same expectation twice", [write_at("S", Version::new(3)), write_at("S", Version::new(3))]),
        ("a check of a stream that the other writes", [write("S"), checks("S")]),
        (
            "a write without events, which is a check",
            [write("S"), write("T").write(&stream("S"), Version::FIRST, [])],
        ),
        ("a condition on a tag", [tagged("S", "a"), unless(Query::tags(["a"]))]),
        ("a condition on all", [write("S"), unless(Query::all())]),
        ("a condition on a stream", [write("S"), unless(Query::stream("S"))]),
        ("a condition on a type", [write("S"), unless(Query::types(["Other", "Ticked"]))]),
        ("a condition on a category", [write("Order-1"), unless(Query::category("Order"))]),
        ("a condition on a prefix", [write("Order-1"), unless(QueryItem::new().stream_prefix("Ord"))]),
        (
            "a second condition, a second item",
            [
                write("S"),
                unless(Query::tags(["a"])).condition(
                    Query::any_of([QueryItem::new().tags(["b"]), QueryItem::new().stream("S")]),
                    Position::START,
                ),
            ],
        ),
    ]
}

/// Pairs that do not touch, though they look a little like it.
fn strangers() -> Vec<(&'static str, [Append; 2])> {
    let shared = event();
    let to = |name: &str| Append::to(&stream(name), ExpectedVersion::Any, [shared.clone()]);
    let check = |expected| Append::new().check(&stream("S"), expected);
    let and = QueryItem::new().tags(["a"]).types(["Other"]);
    vec![
        ("one event id in two streams", [to("S"), to("T")]),
        ("one stream, and nothing expected of it", [write("S"), write("S")]),
        ("two checks of one stream", [check(ExpectedVersion::Exists), check(ExpectedVersion::NoStream)]),
        ("a check for any version", [write("S"), write("T").check(&stream("S"), ExpectedVersion::Any)]),
        ("a condition that matches only in part", [tagged("S", "a"), unless(and)]),
        ("a condition on another tag", [tagged("S", "a"), unless(Query::tags(["b"]))]),
        ("a condition on two tags", [tagged("S", "a"), unless(Query::tags(["a", "b"]))]),
    ]
}

#[tokio::test(start_paused = true)]
async fn those_that_touch_go_apart_in_the_order_of_arrival() {
    for (what, [a, b]) in touching() {
        assert_eq!(batches(Bench::apart(), &[a.clone(), b.clone()]).await, [[0], [1]], "{what}");
        assert_eq!(batches(Bench::apart(), &[b, a]).await, [[0], [1]], "{what}, the other way round");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_do_not_touch_go_together() {
    for (what, [a, b]) in strangers() {
        assert_eq!(batches(Bench::apart(), &[a.clone(), b.clone()]).await, [[0, 1]], "{what}");
        assert_eq!(batches(Bench::apart(), &[b, a]).await, [[0, 1]], "{what}, the other way round");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_decides_in_order_gets_all_in_the_order_of_arrival() {
    for (what, [a, b]) in touching() {
        assert_eq!(batches(Bench::in_order(), &[a, b, write("Z")]).await, [[0, 1, 2]], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_overtake_but_nothing_overtakes_what_it_touches() {
    let appends = [
        write_at("S", Version::new(1)),
        // Touches the first, and goes with the second batch.
        write_at("S", Version::new(2)).check(&stream("T"), ExpectedVersion::Exists),
        // Touches the one that was passed over, though none of the first batch.
        write("T"),
        // A stranger to all, which fills the first batch.
        write("U"),
        // Touches the write of T that was passed over, and so waits for it, though it touches none that is sent before.
        write("V").check(&stream("T"), ExpectedVersion::Exists),
    ];
    assert_eq!(batches(Bench::apart(), &appends).await, [vec![0, 3], vec![1], vec![2], vec![4]]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_passed_over_is_not_starved_by_those_that_keep_coming() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let hot = |n| write_at("S", Version::new(n));
    drop((bench.start(&hot(1)).await, bench.start(&hot(2)).await));
    busy.commit();
    for n in 3..8 {
        let call = bench.call().await;
        drop(bench.start(&hot(n)).await);
        let ExpectedVersion::Exact(version) = call.batch[0].writes()[0].expected else { panic!("exact") };
        assert_eq!((call.batch.len(), version), (1, Version::new(n - 2)));
        call.commit();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_stream_holds_up_nobody_else_however_long_its_queue() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    for n in 0..300 {
        drop(bench.start(&write_at("Hot", Version::new(n))).await);
    }
    drop(bench.start(&write("Cold")).await);
    busy.commit();
    assert_eq!(bench.call().await.streams(), ["Hot", "Cold"]);
}
