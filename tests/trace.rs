//! Span names and fields are part of the interface.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use annalist::{
    Append, Error, ExpectedVersion, NewEvent, Past, Query, Read, Retry, Start, StreamId, Subscribe, Version,
};
use common::stores;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Name and fields of every span that ended, and all text that was ever recorded.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Vec<Fields>, String)>>);

type Fields = BTreeMap<&'static str, String>;

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::from([("", attributes.metadata().name().to_owned())]);
        attributes.record(&mut Collect(&mut fields));
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        record.record(&mut Collect(span.extensions_mut().get_mut().unwrap()));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Collect(&mut fields));
        self.0.lock().unwrap().1.push_str(&format!("{fields:?}"));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let fields: Fields = context.span(&id).unwrap().extensions_mut().remove().unwrap();
        let mut seen = self.0.lock().unwrap();
        seen.1.push_str(&format!("{fields:?}"));
        if fields[""].starts_with("annalist.") {
            seen.0.push(fields);
        }
    }
}

impl Seen {
    /// Runs something and gives the spans of this crate that ended in it.
    async fn during<T>(run: impl Future<Output = T>) -> (Vec<Fields>, String) {
        let seen = Self::default();
        run.with_subscriber(Registry::default().with(seen.clone())).await;
        let (spans, text) = &*seen.0.lock().unwrap();
        (spans.clone(), text.clone())
    }
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

fn secret(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, r#"{"password":"hunter2"}"#).unwrap()
}

#[tokio::test]
async fn an_append_tells_what_it_is_and_how_it_ended() {
    for (backend, store) in stores().await {
        let (order, other) = (StreamId::new("Order-7").unwrap(), StreamId::new("Order-8").unwrap());
        let append = Append::to(&order, ExpectedVersion::NoStream, [secret("A"), secret("B")]);
        let (spans, _) = Seen::during(async {
            store.commit(append.clone()).await.unwrap();
            store.append_retrying(&append, Retry::default()).await.unwrap();
            let stale = append
                .write(&other, ExpectedVersion::Any, [secret("C")])
                .check(&StreamId::new("Order-9").unwrap(), ExpectedVersion::Exists);
            store.commit(stale).await.unwrap_err();
        })
        .await;
        let one = |outcome| {
            fields([
                ("", "annalist.append"),
                ("stream", "Order-7"),
                ("streams", "1"),
                ("events", "2"),
                ("checks", "0"),
                ("conditions", "0"),
                ("outcome", outcome),
                ("attempts", "1"),
            ])
        };
        let several = fields([
            ("", "annalist.append"),
            ("streams", "2"),
            ("events", "3"),
            ("checks", "1"),
            ("conditions", "0"),
            ("outcome", "id_reused"),
            ("attempts", "1"),
        ]);
        assert_eq!(spans, [one("ok"), one("already_committed"), several], "{backend}");
    }
}

#[tokio::test]
async fn every_span_has_the_documented_fields_and_none_a_payload() {
    #[derive(serde::Serialize, serde::Deserialize, Default)]
    struct Tally {
        password: String,
    }
    impl annalist::SnapshotState for Tally {
        const SCHEMA: &'static str = "tally/1";
    }
    for (backend, store) in stores().await {
        let order = StreamId::new("Order-7").unwrap();
        let (spans, text) = Seen::during(async {
            let decide =
                |past: Past| -> Result<_, Error> { Ok(Append::to(&order, past.version, [secret("A")])) };
            store.transact(&order, Retry::none(), decide).await.unwrap();
            let tally = Tally { password: "hunter2".to_owned() };
            store.save_snapshot(&order, Version::FIRST, &tally).await.unwrap();
            store.rehydrate(&order, Tally::default(), |_, _| Ok::<(), Error>(())).await.unwrap();
            store.subscribe(Subscribe::to(Query::all())).await.unwrap();
            let consumer = store.consumer("mailer", Query::all(), Start::BEGINNING).start().await.unwrap();
            let handle = consumer.handle();
            let stop = move |_| {
                handle.stop();
                std::future::ready(Ok::<(), Error>(()))
            };
            consumer.run(stop).await.unwrap();
            store.read(refused()).await.unwrap_err();
        })
        .await;
        let mut seen = Documented::new();
        for mut span in spans {
            let name = span.remove("").unwrap();
            seen.entry(name).or_default().extend(span.into_keys().map(str::to_owned));
        }
        assert_eq!(seen, documented(), "{backend}");
        assert!(!text.contains("hunter2"), "{backend}: {text}");
    }
}

/// A read that no store takes.
fn refused() -> Read {
    Read::log(Query::all()).from(Version::new(2))
}

/// Every span with all fields that it can have.
type Documented = BTreeMap<String, BTreeSet<String>>;

/// What the table in the documentation says.
fn documented() -> Documented {
    let rows = include_str!("../src/trace.md").lines().filter(|line| line.starts_with("| `annalist."));
    let mut documented = Documented::new();
    for row in rows {
        let mut words = row.split('`').skip(1).step_by(2).map(str::to_owned);
        documented.insert(words.next().unwrap(), words.collect());
    }
    documented
}
