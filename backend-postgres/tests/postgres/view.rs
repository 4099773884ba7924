//! The view for people shows JSON where there is JSON, and never fails.

use annalist_core::{Append, ContentType, EventStore, ExpectedVersion, Metadata, NewEvent};

use crate::support::*;

fn with(content_type: &str, data: impl Into<Vec<u8>>) -> NewEvent {
    let content_type = ContentType::new(content_type).unwrap();
    NewEvent::new("Shown", data.into()).unwrap().with_content_type(content_type)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_stored_is_shown() {
    const JSON: &str = "application/json";
    let base64 = |text: &str| format!("\"{text}\"");
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    // What is stored, and what is shown of it; nothing where that is too long to be written here.
    let shown = [
        (with(JSON, r#"{"total": 12}"#), Some(r#"{"total": 12}"#.to_owned())),
        (with("application/vnd.order+json", "[1,2]"), Some("[1, 2]".to_owned())),
        (with("text/plain", "[1,2]"), Some(base64("WzEsMl0="))),
        (with(JSON, ""), Some(base64(""))),
        (with(JSON, "no json"), Some(base64("bm8ganNvbg=="))),
        (with(JSON, r#""\u0000""#), Some(base64("Ilx1MDAwMCI="))),
        (with(JSON, r#""\ud800""#), Some(base64("Ilx1ZDgwMCI="))),
        (with(JSON, [0xff, 0xfe]), Some(base64("//4="))),
        (with(JSON, [0x00]), Some(base64("AA=="))),
        (with(JSON, "1e1000000"), None),
        (with(JSON, deep), None),
        (with(JSON, vec![b'x'; 1_000_000]), None),
    ];
    let metadata =
        [r#"{"key": "\u0000"}"#, r#"{"key": "\ud800"}"#, r#"{"key": 1e1000000}"#, r#"{"a": {"b": [1]}}"#];
    let config = patient();
    let store = opened(&url(), &config).await;
    let events = shown.iter().map(|(event, _)| event.clone());
    let more = metadata.iter().map(|json| event().with_metadata(Metadata::new(*json).unwrap()));
    let append = Append::to(&stream("Shown-1"), ExpectedVersion::Any, events.chain(more));
    store.append(append).await.unwrap();

    let mut connection = raw(&url()).await;
    let text = format!("SELECT data::text, metadata::text FROM {}.events ORDER BY position", config.schema);
    let rows: Vec<(String, Option<String>)> =
        annalist_postgres::sqlx::query_as(annalist_postgres::sqlx::AssertSqlSafe(text))
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(rows.len(), shown.len() + metadata.len());
    for ((data, metadata), (event, expected)) in rows.iter().zip(&shown) {
        assert_eq!(metadata, &None);
        if let Some(expected) = expected {
            assert_eq!(data, expected, "{event:?}");
        }
    }
    assert_eq!(rows.last().unwrap().1.as_deref(), Some(r#"{"a": {"b": [1]}}"#));
    // What the columns are good for.
    let count = format!("SELECT count(*) FROM {}.events WHERE (data ->> 'total')::int = 12", config.schema);
    assert_eq!(number(&mut connection, count).await, 1);
}
