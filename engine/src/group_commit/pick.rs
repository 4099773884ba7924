//! Which of the appends that wait go into the next batch.

use tokio::time::Instant;

use super::config::{Config, Mates};
use super::entry::Entry;
use super::queue::Arrival;
use super::touch::Touching;

/// How many appends a pick passes over at most, which bounds its work where many touch one another.
const PASSED_OVER_MAX: usize = 512;

/// What the queue should do with those who wait.
#[derive(Default)]
pub(super) struct Picked {
    pub(super) batch: Vec<Arrival>,
    /// Those for whom nobody waits any more.
    pub(super) useless: Vec<Arrival>,
    /// When one that pauses may go.
    pub(super) again_at: Option<Instant>,
}

/// Picks the next batch in the order of arrival.
///
/// One that pauses after a failure, or must not be a mate of one before it, is passed over, and with it all later ones that
/// touch it: nothing overtakes what it touches.
pub(super) fn pick<'a>(
    waiting: impl Iterator<Item = (Arrival, &'a Entry)>,
    config: &Config,
    now: Instant,
) -> Picked {
    let mut picked = Picked::default();
    let mut load = Load::new(config);
    let (mut mates, mut passed_over) = (Touching::default(), Touching::default());
    let mut passes_left = PASSED_OVER_MAX;
    for (arrival, entry) in waiting {
        if entry.deadline <= now {
            // Who waits for it is about to be told, by its own clock.
            if !entry.is_awaited() {
                picked.useless.push(arrival);
            }
            continue;
        }
        let pauses = entry.not_before.filter(|until| *until > now);
        picked.again_at = [picked.again_at, pauses].into_iter().flatten().min();
        if pauses.is_some() || passed_over.touches(&entry.append) || mates.touches(&entry.append) {
            passed_over.add(&entry.append);
            passes_left -= 1;
            if passes_left == 0 {
                break;
            }
            continue;
        }
        if !load.takes(entry) {
            break;
        }
        if config.mates == Mates::Apart {
            mates.add(&entry.append);
        }
        picked.batch.push(arrival);
    }
    picked
}

/// How full a batch is.
struct Load {
    appends: usize,
    appends_max: usize,
    events_left: usize,
    bytes_left: usize,
}

impl Load {
    fn new(config: &Config) -> Self {
        Self {
            appends: 0,
            appends_max: config.batch_appends_max,
            events_left: config.batch_events_max,
            bytes_left: config.batch_bytes_max,
        }
    }

    /// Whether one more goes in; the first always does.
    fn takes(&mut self, entry: &Entry) -> bool {
        let appends_max = self.appends_max.min(entry.batch_max);
        let fits =
            self.appends < appends_max && entry.events <= self.events_left && entry.bytes <= self.bytes_left;
        if !fits && self.appends > 0 {
            return false;
        }
        self.appends += 1;
        self.appends_max = appends_max;
        self.events_left = self.events_left.saturating_sub(entry.events);
        self.bytes_left = self.bytes_left.saturating_sub(entry.bytes);
        true
    }
}
