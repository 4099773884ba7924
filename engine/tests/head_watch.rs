//! Noticing that a log has grown: by being told, and by looking.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_core::{Error, ErrorKind, LogId, Position, backend};
use annalist_engine::{HeadWatch, Pace};
use tokio::time::{Instant, timeout};

const PACE: Pace = Pace { interval_min: Duration::from_millis(5), interval_max: Duration::from_millis(250) };

/// A log that another process appends to, and how often it was looked at.
#[derive(Clone)]
struct Log {
    id: LogId,
    head: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
}

impl Log {
    fn new() -> Self {
        Self { id: LogId::new(), head: Arc::new(AtomicU64::new(1)), looks: Arc::default() }
    }

    fn at(&self, number: u64) -> Position {
        backend::position(self.id, number, 0)
    }

    fn look(&self) -> impl Future<Output = Result<Position, Error>> + use<> {
        let log = self.clone();
        async move {
            log.looks.fetch_add(1, Ordering::SeqCst);
            Ok(log.at(log.head.load(Ordering::SeqCst)))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_this_process_appends_wakes_at_once() {
    let log = Log::new();
    let (watch, teller) = (HeadWatch::of(log.id), HeadWatch::of(log.id));
    let begun = Instant::now();
    let at_first = log.at(1);
    let (woken, ()) = tokio::join!(watch.wait(at_first, PACE, || log.look()), async {
        teller.grown_to(log.at(2));
    });
    woken.expect("woken");
    assert!(begun.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn what_another_process_appends_is_found_within_the_bound() {
    let log = Log::new();
    let watch = HeadWatch::of(log.id);
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { watch.wait(log.at(1), PACE, || log.look()).await }
    });
    // Long enough for the pauses to have grown to their bound.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let looks = log.looks.load(Ordering::SeqCst);
    assert!((240..=700).contains(&looks), "{looks} looks in a minute in which nothing happened");
    log.head.store(2, Ordering::SeqCst);
    let found = timeout(PACE.interval_max, waiting).await;
    found.expect("within the bound").expect("no panic").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn one_looks_for_all_and_another_takes_over() {
    let log = Log::new();
    let wait = || {
        let (log, watch) = (log.clone(), HeadWatch::of(log.id));
        tokio::spawn(async move { watch.wait(log.at(1), PACE, || log.look()).await })
    };
    let mut waiting: Vec<_> = (0..10).map(|_| wait()).collect();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let looks = log.looks.load(Ordering::SeqCst);
    assert!(looks < 400, "{looks} looks by ten who wait");
    // The one who looks goes away.
    waiting.remove(0).abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    log.head.store(2, Ordering::SeqCst);
    for waiting in waiting {
        timeout(PACE.interval_max, waiting).await.expect("in time").expect("no panic").expect("no error");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_went_back_wakes_too() {
    let log = Log::new();
    let watch = HeadWatch::of(log.id);
    watch.grown_to(log.at(9));
    log.head.store(4, Ordering::SeqCst);
    let woken = timeout(Duration::from_secs(1), watch.wait(log.at(9), PACE, || log.look())).await;
    woken.expect("in time").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_look_ends_the_wait() {
    let log = Log::new();
    let failing = || async { Err(ErrorKind::Unavailable("down".into()).into()) };
    let error = HeadWatch::of(log.id).wait(log.at(1), PACE, failing).await.expect_err("down");
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)));
}
