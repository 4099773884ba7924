//! How long a request takes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How long a request takes from its arrival to its answer, the server's own time included: half of it before it reaches the server. The
/// server may take longer. Timers end on a millisecond.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Latency {
    /// As long as the server takes.
    #[default]
    None,
    /// Each as long as the other.
    Fixed(Duration),
    /// Any time from the shortest to the longest, each as likely as the other.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
        /// Where chance begins.
        seed: u64,
    },
}

/// Latencies, one after the other.
#[derive(Debug)]
pub(super) struct Latencies {
    latency: Latency,
    random: StdRng,
}

impl Latencies {
    pub(super) fn new(latency: Latency) -> Self {
        let seed = if let Latency::Uniform { seed, .. } = latency { seed } else { 0 };
        Self { latency, random: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn next(&mut self) -> Duration {
        match self.latency {
            Latency::None => Duration::ZERO,
            Latency::Fixed(long) => long,
            Latency::Uniform { min, max, .. } => self.random.random_range(min..=max.max(min)),
        }
    }
}
