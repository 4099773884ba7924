//! The spans and events of this crate, all in one place.
//!
//! `trace.md` documents them, and a test holds both together. Nothing here ever holds a payload (E2).

use std::future::Future;

use crate::transact::Failure;
use annalist_core::{
    Append, CheckpointName, Error, ErrorKind, Page, Read, Receipt, RecordedEvent, SnapshotSchema, Source,
    StreamId,
};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span, info_span};

/// What a finished operation tells its span.
pub(crate) trait Outcome {
    fn record(&self, span: &Span);
}

fn ok(span: &Span) {
    span.record("outcome", "ok");
}

impl Outcome for Receipt {
    fn record(&self, span: &Span) {
        span.record("outcome", if self.already_committed() { "already_committed" } else { "ok" });
    }
}

impl Outcome for Page {
    fn record(&self, span: &Span) {
        ok(span);
        span.record("events", self.events.len());
    }
}

/// An outcome that has nothing to tell but that it is there.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T> Outcome for Plain<T> {
    fn record(&self, span: &Span) {
        ok(span);
    }
}

pub(crate) fn append(append: &Append) -> Span {
    let span = info_span!(
        "annalist.append",
        stream = Empty,
        streams = append.writes().len(),
        events = append.event_count(),
        checks = append.checks().len(),
        conditions = append.conditions().len(),
        outcome = Empty,
        attempts = Empty,
    );
    if let Some(stream) = only_stream(append) {
        span.record("stream", display(stream));
    }
    span
}

/// The stream of an append that writes one.
pub(crate) fn only_stream(append: &Append) -> Option<&StreamId> {
    match append.writes() {
        [write] => Some(&write.stream),
        _ => None,
    }
}

pub(crate) fn read(read: &Read) -> Span {
    let span = info_span!("annalist.read", stream = Empty, events = Empty, outcome = Empty);
    if let Source::Stream(stream) = read.source() {
        span.record("stream", display(stream));
    }
    span
}

pub(crate) fn transact(reads: usize) -> Span {
    info_span!("annalist.transact", reads, outcome = Empty, attempts = Empty)
}

pub(crate) fn subscribe() -> Span {
    info_span!("annalist.subscribe", outcome = Empty)
}

pub(crate) fn snapshot(operation: &'static str, stream: &StreamId, schema: &SnapshotSchema) -> Span {
    info_span!("annalist.snapshot", operation, %stream, %schema, outcome = Empty)
}

pub(crate) fn checkpoint(operation: &'static str, name: &CheckpointName) -> Span {
    info_span!("annalist.checkpoint", operation, %name, outcome = Empty)
}

pub(crate) fn handle(consumer: &CheckpointName, event: &RecordedEvent) -> Span {
    let (stream, event_type) = (event.stream(), event.event_type());
    let (version, position) = (event.version().get(), event.position());
    info_span!("annalist.handle", %consumer, %stream, %event_type, version, %position, outcome = Empty)
}

/// Runs an operation in its span, tells the span how it ended, and gives an error its context.
pub(crate) async fn observe<T: Outcome>(
    span: Span,
    operation: &'static str,
    stream: Option<&StreamId>,
    run: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match run.instrument(span.clone()).await {
        Ok(done) => {
            done.record(&span);
            Ok(done)
        }
        Err(error) => {
            failed(&span, error.kind());
            let error = error.in_operation(operation);
            Err(match stream {
                Some(stream) => error.for_stream(stream),
                None => error,
            })
        }
    }
}

pub(crate) fn failed(span: &Span, kind: &ErrorKind) {
    span.record("outcome", kind.name());
}

/// Tells a transaction's span how it ended.
pub(crate) fn transacted<E>(span: &Span, outcome: &Result<Option<Receipt>, Failure<E>>) {
    match outcome {
        Ok(Some(receipt)) => receipt.record(span),
        Ok(None) => drop(span.record("outcome", "nothing_to_do")),
        Err(Failure::Store(error)) => failed(span, error.kind()),
        Err(Failure::Decision(_)) => drop(span.record("outcome", "failed")),
    }
}

/// Tells the span of a handled event how its handler ended.
pub(crate) fn handled(span: &Span, ok: bool) {
    span.record("outcome", if ok { "ok" } else { "failed" });
}
