//! Panics are failures (E3), also those in tasks that the store spawned: a hook collects them all.
//!
//! A panic inside the check or one of its tasks belongs to it. One in a task of the store's own cannot be attributed, and
//! belongs to every check that runs at that moment.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

tokio::task_local! {
    static OWN: Arc<Mutex<Vec<String>>>;
}

static STRAY: Mutex<Vec<String>> = Mutex::new(Vec::new());
static WATCHING: AtomicUsize = AtomicUsize::new(0);

/// The panics of one check.
#[derive(Clone)]
pub(crate) struct Panics {
    own: Arc<Mutex<Vec<String>>>,
    stray_before: usize,
    _watch: Arc<Watch>,
}

struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Panics {
    pub(crate) fn watch() -> Self {
        install();
        WATCHING.fetch_add(1, Ordering::Relaxed);
        let stray_before = STRAY.lock().unwrap_or_else(PoisonError::into_inner).len();
        Self { own: Arc::default(), stray_before, _watch: Arc::new(Watch) }
    }

    /// Makes the panics of a future those of this check.
    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        OWN.scope(self.own, future)
    }

    /// What was caught since the watch began.
    pub(crate) fn caught(&self) -> Vec<String> {
        let mut caught = self.own.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stray = STRAY.lock().unwrap_or_else(PoisonError::into_inner);
        let in_background = |panic: &String| format!("in the background, while this check ran, {panic}");
        caught.extend(stray[self.stray_before..].iter().map(in_background));
        caught
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let told = told(info);
            let push = |own: &Arc<Mutex<Vec<String>>>| {
                own.lock().unwrap_or_else(PoisonError::into_inner).push(told.clone())
            };
            if OWN.try_with(push).is_ok() {
                return;
            }
            if WATCHING.load(Ordering::Relaxed) > 0 {
                STRAY.lock().unwrap_or_else(PoisonError::into_inner).push(told);
            } else {
                previous(info);
            }
        }));
    });
}

pub(crate) fn told(info: &PanicHookInfo<'_>) -> String {
    let message = {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
    };
    match info.location() {
        Some(place) => format!("panicked at {}:{}: {message}", place.file(), place.line()),
        None => format!("panicked: {message}"),
    }
}
