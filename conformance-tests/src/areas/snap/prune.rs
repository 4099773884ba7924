//! Removing what is not needed any more.

use super::Shelf;
use crate::{Cx, Verdict, checks};

checks! {
    area: "snap",
    prune_keeps_newest {
        guarantee: "N4", level: 1, kind: Deterministic,
        summary: "Pruning keeps exactly the newest so many: none, one, some, or all where there are fewer.",
        likely_cause: "the oldest are kept, or one too few or too many",
    }
    prune_by_version {
        guarantee: "N4", level: 1, kind: Deterministic,
        summary: "The newest are those of the highest versions, not those saved last.",
        likely_cause: "ordered by the time of saving",
    }
    prune_only_its_key {
        guarantee: "N4", level: 1, kind: Deterministic,
        summary: "Pruning leaves other streams and other schemas alone.",
        likely_cause: "the schema, or the whole stream, is left out of the DELETE",
    }
    prune_nothing {
        guarantee: "N4", level: 1, kind: Deterministic,
        summary: "Pruning where there is nothing, and twice, succeeds.",
        likely_cause: "a DELETE that meets no row is an error",
    }
    prune_then_save {
        guarantee: "N4", level: 1, kind: Deterministic,
        summary: "After pruning, snapshots of any version can be saved again, older ones too.",
        likely_cause: "a mark below which nothing is taken",
    }
}

const FIVE: [(u64, &str); 5] = [(9, "nine"), (7, "seven"), (5, "five"), (3, "three"), (1, "one")];

async fn save(shelf: &Shelf<'_>, snapshots: &[(u64, &str)]) -> Verdict {
    for (version, state) in snapshots {
        shelf.save(*version, state).await?;
    }
    Ok(())
}

async fn prune_keeps_newest(cx: Cx) -> Verdict {
    for (i, keep) in [0, 1, 2, 4, 5, 6, usize::MAX].into_iter().enumerate() {
        let name = format!("Order-{i}");
        let shelf = Shelf::new(&cx, &name, "order/1");
        let mut rising = FIVE;
        rising.reverse();
        save(&shelf, &rising).await?;
        shelf.prune(keep).await?;
        shelf.holds_all(&FIVE[..keep.min(5)]).await?;
    }
    Ok(())
}

async fn prune_by_version(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    save(&shelf, &FIVE).await?;
    shelf.prune(2).await?;
    shelf.holds_all(&FIVE[..2]).await
}

async fn prune_only_its_key(cx: Cx) -> Verdict {
    let keys =
        [("Order-1", "order/1"), ("Order-1", "order/2"), ("Order-10", "order/1"), ("Order-2", "order/1")];
    let shelves = keys.map(|(stream, schema)| Shelf::new(&cx, stream, schema));
    for shelf in &shelves {
        save(shelf, &FIVE).await?;
    }
    cx.append_any("Order-1", 9).await?;
    let log = cx.read_log().await?;
    shelves[0].prune(1).await?;
    shelves[0].holds_all(&FIVE[..1]).await?;
    for shelf in &shelves[1..] {
        shelf.holds_all(&FIVE).await?;
    }
    cx.log_is(&log, &[], "after pruning").await
}

async fn prune_nothing(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.prune(0).await?;
    shelf.prune(3).await?;
    save(&shelf, &FIVE).await?;
    shelf.prune(2).await?;
    shelf.prune(2).await?;
    shelf.holds_all(&FIVE[..2]).await
}

async fn prune_then_save(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    save(&shelf, &FIVE).await?;
    shelf.prune(0).await?;
    shelf.holds(u64::MAX, None).await?;
    shelf.save(5, "five again").await?;
    shelf.save(3, "three again").await?;
    shelf.holds_all(&[(5, "five again"), (3, "three again")]).await
}
