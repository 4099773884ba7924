//! Positions whose numbers are far apart.

use super::Oddball;
use crate::odd::{Odd, Shape, shaped};

pub const ODDBALLS: &[Oddball] = &[
    Oddball {
        name: "wide_gaps_in_positions",
        what: "between two neighbours there are up to two thousand positions that hold no event",
        make: || shaped(|| Odd::new(Shape { place: wide, ..Shape::PLAIN })),
    },
    Oddball {
        name: "positions_of_two_large_numbers",
        what: "five events to each first number, told apart by second ones that use all 32 bits",
        make: || shaped(|| Odd::new(Shape { place: large, ..Shape::PLAIN })),
    },
];

fn wide(n: u64) -> (u64, u32) {
    (n * 1_000 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000, 0)
}

fn large(n: u64) -> (u64, u32) {
    (n / 5, (n % 5) as u32 * 0x3000_0000 + 7)
}
