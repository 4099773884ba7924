//! Checks of the area `append`: versions, expectations, conditions and receipts, as one caller sees them.

use annalist_core::{ExpectedVersion, Position};

use crate::{Check, exact};

mod checks;
mod conditions;
mod expected;
mod invalid;
mod order;
mod receipts;
mod refusals;
mod several;
mod verdicts;
mod versions;

pub(crate) const PARTS: &[&[Check]] = &[
    versions::CHECKS,
    receipts::CHECKS,
    expected::CHECKS,
    refusals::CHECKS,
    order::CHECKS,
    checks::CHECKS,
    conditions::CHECKS,
    verdicts::CHECKS,
    invalid::CHECKS,
    several::CHECKS,
];

/// Expectations of every kind, each with whether it holds of a stream at this version.
fn expectations(version: u64) -> Vec<(ExpectedVersion, bool)> {
    let kinds = [ExpectedVersion::Any, ExpectedVersion::NoStream, ExpectedVersion::Exists];
    let versions = [0, version.saturating_sub(1), version, version + 1, version + 1_000, u64::MAX];
    let all = kinds.into_iter().chain(versions.map(exact));
    all.map(|expected| (expected, expected.holds(version.into()))).collect()
}

/// Positions of the same log that are past its head, which must not be [`Position::START`].
fn past_head(head: Position) -> Vec<Position> {
    let text = head.to_string();
    let number = |range: std::ops::Range<usize>| u64::from_str_radix(&text[range], 16).unwrap_or(0);
    let (log, major, minor) = (&text[..8], number(9..25), number(26..34));
    let near = (minor < u64::from(u32::MAX)).then(|| format!("{log}-{major:016x}-{:08x}", minor + 1));
    let next = format!("{log}-{:016x}-{:08x}", major.saturating_add(1), 0);
    let far = format!("{log}-{:016x}-{:08x}", u64::MAX, u32::MAX);
    let texts = near.into_iter().chain([next, far]);
    texts.filter_map(|text| text.parse().ok()).filter(|position| *position > head).collect()
}
