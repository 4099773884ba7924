//! What a run goes by.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Check, all};

/// How checks run: their randomness, how long they wait, how much they do.
///
/// ```
/// use annalist_conformance::Settings;
///
/// let settings = Settings { seed: 7, ..Settings::default() };
/// assert!(settings.patience < settings.time_limit);
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Settings {
    /// The master seed, from which each check has its own.
    pub seed: u64,
    /// How long to wait for what must come.
    pub patience: Duration,
    /// How long one check may take in all.
    pub time_limit: Duration,
    /// Multiplies the amount of work of checks that have one to choose.
    pub scale: f64,
}

impl Default for Settings {
    fn default() -> Self {
        let (patience, time_limit) = (Duration::from_secs(15), Duration::from_secs(120));
        Self { seed: rand::random(), patience, time_limit, scale: 1.0 }
    }
}

/// Which checks run, how, and how many at once. Empty lists mean all.
///
/// ```
/// use annalist_conformance::Selection;
///
/// let selection = Selection { areas: vec!["append".into()], ..Selection::default() };
/// assert!(selection.checks().iter().all(|check| check.area == "append"));
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct Selection {
    /// The highest level that runs.
    pub level_max: u8,
    /// The areas that run.
    pub areas: Vec<String>,
    /// The checks that run, by name.
    pub names: Vec<String>,
    /// How many run at once.
    pub parallelism: usize,
    /// How they run.
    pub settings: Settings,
}

impl Default for Selection {
    fn default() -> Self {
        let settings = Settings::default();
        Self { level_max: u8::MAX, areas: Vec::new(), names: Vec::new(), parallelism: 8, settings }
    }
}

impl Selection {
    /// The checks that are selected, in the order of the registry.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        all().into_iter().filter(|check| self.selects(check)).collect()
    }

    fn selects(&self, check: &Check) -> bool {
        let among =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|wanted| wanted == value);
        check.level <= self.level_max && among(&self.areas, check.area) && among(&self.names, check.name)
    }
}

/// The seed of the `call`-th generator of a check.
pub(crate) fn sub_seed(seed: u64, check: &str, call: u64) -> u64 {
    // FNV-1a, which is stable over versions and platforms: a seed in an old report still means the same.
    let bytes = seed.to_le_bytes().into_iter().chain(check.bytes()).chain(call.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A name for a namespace that no other check, run or process uses. None is a prefix of another.
pub(crate) fn namespace() -> String {
    static RUN: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let run = RUN.get_or_init(rand::random);
    format!("t{:010x}_{:06}", run >> 24, NEXT.fetch_add(1, Ordering::Relaxed))
}
