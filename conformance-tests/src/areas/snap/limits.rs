//! How big a snapshot may be.

use annalist_core::{Limits, Metadata, Snapshot, Version};

use super::Shelf;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, expect};

checks! {
    area: "snap",
    floor {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "A snapshot of 256 KiB is saved and comes back, and the declared limit is no lower.",
        likely_cause: "an item of a few kilobytes, or a buffer that cuts",
    }
    at_limit {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "A snapshot of exactly the declared size is saved and comes back byte for byte.",
        likely_cause: "the size is counted with the envelope",
    }
    beyond_limit {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "One byte more, in data or in metadata, is refused, naming limit and size, and replaces nothing.",
        likely_cause: "metadata are not counted, or the limit is found out by the server",
    }
    version_beyond {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "A version above 2^63 - 1 is refused when it is saved; loading and pruning take any.",
        likely_cause: "`as i64`, which makes it negative",
    }
}

/// Bytes that no compression makes small and no text holds.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state.to_le_bytes()[7]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn max(cx: &Cx) -> usize {
    cx.capabilities().limits().bytes_per_snapshot
}

impl Shelf<'_> {
    /// A snapshot of so many bytes in all, so many of them metadata.
    fn sized(&self, version: u64, size: usize, of_metadata: usize) -> Verdict<Snapshot> {
        let empty = r#"{"m":""}"#.len();
        let metadata = match of_metadata {
            0 => Metadata::NONE,
            bytes => Metadata::new(format!(r#"{{"m":"{}"}}"#, "x".repeat(bytes.saturating_sub(empty))))?,
        };
        let data = noise(size - metadata.len());
        let snapshot = Snapshot::new(&self.stream, &self.schema, Version::new(version), data);
        Ok(snapshot.with_metadata(metadata))
    }

    /// Saves a snapshot and sees to it that another handle loads it.
    async fn comes_back(&self, cx: &Cx, snapshot: Snapshot) -> Verdict {
        let (size, version) = (snapshot.size(), snapshot.version);
        cx.snapshots().save_snapshot(snapshot.clone()).await?;
        let found = cx.fresh().await?.snapshots().load_snapshot(&self.stream, &self.schema, version).await?;
        ensure!(found.as_ref() == Some(&snapshot), "a snapshot of {size} bytes came back as {found:?}");
        Ok(())
    }
}

async fn floor(cx: Cx) -> Verdict {
    let floor = Limits::FLOOR.bytes_per_snapshot;
    ensure!(max(&cx) >= floor, "the declared limit is {}, below {floor}", max(&cx));
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    for (i, size) in [4_096, 65_537, floor].into_iter().enumerate() {
        shelf.comes_back(&cx, shelf.sized(i as u64 + 1, size, 0)?).await?;
    }
    Ok(())
}

async fn at_limit(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.comes_back(&cx, shelf.sized(1, max(&cx), 0)?).await?;
    shelf.comes_back(&cx, shelf.sized(2, max(&cx), 1_000)?).await
}

async fn beyond_limit(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.save(3, "three").await?;
    for of_metadata in [0, 1_000] {
        for version in [3, 4] {
            let big = shelf.sized(version, max(&cx) + 1, of_metadata)?;
            let answer = cx.snapshots().save_snapshot(big).await;
            expect::over_limit(answer, "bytes per snapshot", max(&cx), max(&cx) + 1)?;
        }
    }
    shelf.holds_all(&[(3, "three")]).await
}

async fn version_beyond(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.save(3, "three").await?;
    for version in [i64::MAX as u64 + 1, u64::MAX] {
        let answer = cx.snapshots().save_snapshot(shelf.made(version, "far")?).await;
        let invalid = expect::invalid(answer)?;
        ensure_eq!(invalid.value, version.to_string(), "the value that is refused");
        shelf.holds(version, Some((3, "three"))).await?;
    }
    shelf.prune(usize::MAX).await?;
    shelf.holds_all(&[(3, "three")]).await
}
