//! Looking for what must not be in a log, in all that this process logs by `tracing`.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::{Failure, Verdict};

/// Watches all log lines and spans of the process until it is dropped.
pub(crate) struct Watch(Arc<Watched>);

struct Watched {
    forbidden: Vec<String>,
    found: Mutex<Vec<String>>,
}

static WATCHES: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());

/// Whether the process's subscriber is the suite's.
static IS_OURS: LazyLock<bool> =
    LazyLock::new(|| tracing::subscriber::set_global_default(Watcher(AtomicU64::new(1))).is_ok());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Begins to look for these texts.
    pub(crate) fn start(forbidden: Vec<String>) -> Verdict<Self> {
        if !*IS_OURS {
            let why = "the process has a subscriber of `tracing` already, so that the suite cannot see its log lines";
            return Err(Failure::Inconclusive(why.to_owned()));
        }
        let watched = Arc::new(Watched { forbidden, found: Mutex::default() });
        lock(&WATCHES).push(watched.clone());
        Ok(Self(watched))
    }

    /// Where forbidden texts were found, without the texts themselves.
    pub(crate) fn found(&self) -> Vec<String> {
        lock(&self.0.found).clone()
    }

    /// The place of a forbidden text in another one, which is not told itself.
    pub(crate) fn in_text(&self, text: &str) -> Option<usize> {
        self.0.in_text(text)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&WATCHES).retain(|watched| !Arc::ptr_eq(watched, &self.0));
    }
}

impl Watched {
    fn in_text(&self, text: &str) -> Option<usize> {
        self.forbidden.iter().find_map(|forbidden| text.find(forbidden))
    }
}

/// The subscriber. It keeps nothing.
struct Watcher(AtomicU64);

/// The fields of a line or span, one after another.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{}={value} ", field.name());
    }
}

fn look(what: &str, fill: impl FnOnce(&mut Text)) {
    let mut text = Text::default();
    fill(&mut text);
    for watched in lock(&WATCHES).iter() {
        if let Some(place) = watched.in_text(&text.0) {
            lock(&watched.found).push(format!("{what}, at byte {place} of {}", text.0.len()));
        }
    }
}

impl Subscriber for Watcher {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    /// What other crates say at the level of traces is their own matter.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let heard = *metadata.level() <= Level::DEBUG || metadata.target().starts_with("annalist");
        heard && !lock(&WATCHES).is_empty()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        look(&format!("the span {}", attributes.metadata().name()), |text| attributes.record(text));
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        look("a field of a span", |text| values.record(text));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let place = event.metadata();
        let (file, line) = (place.file().unwrap_or("?"), place.line().unwrap_or(0));
        look(&format!("a line of {} ({file}:{line})", place.target()), |text| event.record(text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_found_in_lines_and_spans_while_it_is_looked_for() {
        let watch = Watch::start(vec!["4929 0001".to_owned()]).expect("nobody else subscribes");
        tracing::warn!(card = "4929 0001", "lost");
        tracing::info!("harmless");
        let span = tracing::debug_span!("annalist.test", card = tracing::field::Empty);
        span.record("card", format_args!("{:?}", "4929 0001"));
        assert_eq!(watch.found().len(), 2, "{:?}", watch.found());
        assert!(watch.found().iter().all(|found| !found.contains("4929")));
        drop(watch);
        assert!(lock(&WATCHES).is_empty());
    }
}
