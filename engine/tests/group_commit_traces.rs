//! What the group commit tells a tracing subscriber: one span a batch, which follows its callers', and a warning a resend.
//!
//! Alone in its program: what other tests do while no subscriber listens would be remembered for their call sites.

#[path = "group_commit/bench.rs"]
#[expect(dead_code, reason = "the other tests of the group commit need more of it")]
mod bench;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Level, Metadata, Subscriber, info_span};
use tracing_core::span::Current;

use bench::{Bench, answer, event, settle, write};

/// Keeps what it is told, one line each.
#[derive(Default)]
struct Recorder {
    lines: Mutex<Vec<String>>,
    entered: Mutex<Vec<(Id, &'static Metadata<'static>)>>,
    known: Mutex<HashMap<Id, &'static Metadata<'static>>>,
}

/// The one that listens to this program.
static RECORDER: LazyLock<&'static Recorder> = LazyLock::new(|| {
    let recorder: &'static Recorder = Box::leak(Box::default());
    tracing::subscriber::set_global_default(Listener(recorder)).expect("the first");
    recorder
});

/// Whose turn it is to be listened to.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Listener(&'static Recorder);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under the lock")
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("memory");
    }
}

impl Recorder {
    fn lines(&self) -> Vec<String> {
        locked(&self.lines).clone()
    }

    fn add(&self, line: String) -> usize {
        let mut lines = locked(&self.lines);
        lines.push(line);
        lines.len()
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(String::new());
        span.record(&mut fields);
        let id = Id::from_u64(self.0.add(format!("span {}{}", span.metadata().name(), fields.0)) as u64);
        locked(&self.0.known).insert(id.clone(), span.metadata());
        id
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        let lines = self.0.lines();
        let name = |id: &Id| lines[id.into_u64() as usize - 1].split(' ').nth(1).map(ToOwned::to_owned);
        self.0.add(format!("{} follows {}", name(span).expect("a name"), name(follows).expect("a name")));
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.add(format!("{}{}", event.metadata().level(), fields.0));
    }

    fn enter(&self, id: &Id) {
        let metadata = locked(&self.0.known)[id];
        locked(&self.0.entered).push((id.clone(), metadata));
    }

    fn exit(&self, _: &Id) {
        locked(&self.0.entered).pop();
    }

    fn current_span(&self) -> Current {
        locked(&self.0.entered)
            .last()
            .map_or_else(Current::none, |(id, metadata)| Current::new(id.clone(), metadata))
    }
}

/// What is told while a bench plays.
async fn told<F: Future<Output = ()>>(play: impl FnOnce(Bench) -> F) -> Vec<String> {
    let _turn = TURN.lock().await;
    locked(&RECORDER.lines).clear();
    play(Bench::apart()).await;
    settle().await;
    let lines = RECORDER.lines();
    let payload = String::from_utf8_lossy(event().data()).into_owned();
    assert!(lines.iter().all(|line| !line.contains(&payload)), "{lines:?}");
    lines
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_a_span_that_follows_those_of_its_callers() {
    let lines = told(|mut bench| async move {
        let busy = bench.busy().await;
        let calls = ["first", "second"].map(|name| {
            let (commits, append) = (Arc::clone(&bench.commits), write(name));
            let span = if name == "first" { info_span!("first") } else { info_span!("second") };
            tokio::spawn(async move { commits.append(append).await }.instrument(span))
        });
        settle().await;
        busy.commit();
        bench.call().await.commit();
        for call in calls {
            answer(call).await.expect("committed");
        }
    })
    .await;
    assert_eq!(
        lines,
        [
            "span annalist.batch appends=1 events=1 attempt=1",
            "span first",
            "span second",
            "span annalist.batch appends=2 events=2 attempt=1",
            "annalist.batch follows first",
            "annalist.batch follows second",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn each_resend_is_a_warning() {
    let lines = told(|mut bench| async move {
        let task = bench.start(&write("S")).await;
        bench.call().await.not_sent();
        bench.call().await.lose_reply();
        bench.call().await.commit();
        answer(task).await.expect("committed");
    })
    .await;
    assert_eq!(
        lines,
        [
            "span annalist.batch appends=1 events=1 attempt=1",
            "WARN message=appends are sent again appends=1 attempt=1 error=unavailable, nothing was written: connection refused",
            "span annalist.batch appends=1 events=1 attempt=2",
            "WARN message=appends are sent again appends=1 attempt=2 error=indeterminate, may have been written: connection reset",
            "span annalist.batch appends=1 events=1 attempt=3",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_breaks_its_contract_is_an_error() {
    let lines = told(|mut bench| async move {
        drop(bench.start(&write("S")).await);
        bench.call().await.panic();
        settle().await;
    })
    .await;
    assert_eq!(
        lines[1..],
        ["ERROR message=what became of a batch is not known error=internal: the batch writer panicked"]
    );
}
