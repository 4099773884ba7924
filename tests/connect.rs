//! Opening by URL: what opens, and what is refused how.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

#[cfg(feature = "dynamodb")]
#[path = "common/dynamodb.rs"]
mod dynamodb;
#[cfg(feature = "kafka")]
#[path = "common/kafka.rs"]
mod kafka;

#[cfg(feature = "postgres")]
#[path = "common/postgres.rs"]
mod postgres;

#[cfg(feature = "sqlite")]
#[path = "common/sqlite.rs"]
mod sqlite;

use annalist::ErrorKind;
use proptest::prelude::*;

#[cfg(feature = "memory")]
#[tokio::test]
async fn memory_opens_a_new_log_every_time() {
    use annalist::{ExpectedVersion, NewEvent, Position};

    for url in ["memory:", "memory:?setup=true", "memory:?setup=false", "MEMORY:", "memory:?"] {
        annalist::setup(url).await.unwrap();
        let store = annalist::connect(url).await.unwrap();
        assert_eq!(store.head().await.unwrap(), Position::START, "{url}");
        store
            .append("Clock-1", ExpectedVersion::NoStream, [NewEvent::new("Ticked", "{}").unwrap()])
            .await
            .unwrap();
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_opens_the_log_in_a_file() {
    use annalist::{ExpectedVersion, NewEvent};

    let folder = tempfile::tempdir().unwrap();
    let url = sqlite::url_of(&folder.path().join("a history%?#.db"));
    assert!(refusal_of_setup(&format!("{url}?create=false")).await.contains("there is no file"));
    let store = annalist::connect(&url).await.unwrap();
    let ticked = NewEvent::new("Ticked", "{}").unwrap();
    store.append("Clock-1", ExpectedVersion::NoStream, [ticked]).await.unwrap();
    let head = store.head().await.unwrap();
    store.close().await.unwrap();
    let from_the_root = url.replacen("sqlite:", "SQLITE://", 1);
    for again in [format!("{url}?create=false"), format!("{from_the_root}?setup=true"), from_the_root] {
        let again = annalist::connect(&again).await.unwrap();
        assert_eq!(again.head().await.unwrap(), head);
    }
    assert!(folder.path().join("a history%?#.db").is_file());
    assert_eq!(
        annalist::connect(&sqlite::url_of_new_log()).await.unwrap().head().await.unwrap(),
        annalist::Position::START
    );

    let nowhere = sqlite::url_of(&folder.path().join("no folder").join("history.db"));
    let shown = annalist::connect(&nowhere).await.unwrap_err().to_string();
    assert!(
        shown.starts_with("misconfigured: there is no folder") && shown.ends_with("operation=connect"),
        "{shown}"
    );
}

/// Opening refuses what setting up would make.
#[cfg(feature = "sqlite")]
async fn refusal_of_setup(url: &str) -> String {
    let refused = annalist::connect(url).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn what_is_more_than_the_grammar_of_sqlite_is_refused() {
    let refused = [
        ("sqlite:", "must have the path of a file"),
        ("sqlite://", "must have the path of a file"),
        ("sqlite://host/history.db", "follows `//` only from the root"),
        ("sqlite:folder/", "must have the path of a file"),
        ("sqlite::memory:", "a store in memory is `memory:`"),
        ("sqlite:history.db?mode=ro", "not known for its scheme value=mode"),
        ("sqlite:history.db?create=no", "must be `true` or `false`"),
    ];
    for (url, why) in refused {
        let shown = refusal(url).await;
        assert!(shown.contains(why), "{url:?}: {shown}");
    }
    #[cfg(feature = "sqlite")]
    for url in ["sqlite:a%00b.db", "sqlite:%FF.db"] {
        assert!(refusal(url).await.contains("UTF-8 without NUL"), "{url:?}");
    }
}

#[cfg(not(feature = "sqlite"))]
#[tokio::test]
async fn a_scheme_of_sqlite_names_its_feature() {
    for error in [
        annalist::connect("sqlite:history.db").await.unwrap_err(),
        annalist::setup("sqlite:history.db").await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error}");
        assert!(error.to_string().contains("the feature `sqlite`"), "{error}");
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_opens_the_log_of_a_schema() {
    use annalist::{ExpectedVersion, NewEvent};

    let url = postgres::url_of_new_log();
    let store = annalist::connect(&url).await.unwrap();
    let ticked = NewEvent::new("Ticked", "{}").unwrap();
    store.append("Clock-1", ExpectedVersion::NoStream, [ticked]).await.unwrap();
    let again = url.replacen("postgres:", "POSTGRESQL:", 1).replace("setup=true", "setup=false");
    let again = annalist::connect(&format!("{again}&application_name=a%20b&statement-cache-capacity=0"))
        .await
        .unwrap();
    assert_eq!(again.head().await.unwrap(), store.head().await.unwrap());
    let other = annalist::connect(&postgres::url_of_new_log()).await.unwrap();
    assert_eq!(other.head().await.unwrap(), annalist::Position::START);

    let error =
        annalist::connect(&url.replace("setup=true", "setup=false").replace("schema=t", "schema=no")).await;
    let shown = error.unwrap_err().to_string();
    assert!(
        shown.starts_with("misconfigured: the schema") && shown.ends_with("operation=connect"),
        "{shown}"
    );
}

#[cfg(feature = "dynamodb")]
#[tokio::test]
async fn dynamodb_opens_the_log_of_a_namespace() {
    use annalist::{ExpectedVersion, NewEvent};

    let url = dynamodb::url_of_new_log();
    let store = annalist::connect(&url).await.unwrap();
    let ticked = NewEvent::new("Ticked", "{}").unwrap();
    store.append("Clock-1", ExpectedVersion::NoStream, [ticked]).await.unwrap();
    let again = annalist::connect(&url.replace("setup=true", "namespace=annalist")).await.unwrap();
    assert_eq!(again.head().await.unwrap(), store.head().await.unwrap());
    let other = annalist::connect(&format!("{url}&namespace=other")).await.unwrap();
    assert_eq!(other.head().await.unwrap(), annalist::Position::START);

    let missing = annalist::connect(&url.replace("setup=true", "namespace=missing")).await;
    let shown = missing.unwrap_err().to_string();
    assert!(
        shown.starts_with("misconfigured: the table holds no log") && shown.ends_with("operation=connect"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_is_more_than_the_grammar_of_dynamodb_is_refused() {
    let refused = [
        ("dynamodb:shop", "must have `//`"),
        ("dynamodb://shop?secret=hunter2", "not known for its scheme value=secret"),
        ("dynamodb://shop?region=a&region=hunter2", "must have an option only once"),
    ];
    for (url, why) in refused {
        let shown = refusal(url).await;
        assert!(shown.contains(why) && !shown.contains("hunter2"), "{url:?}: {shown}");
    }
}

#[cfg(not(feature = "dynamodb"))]
#[tokio::test]
async fn the_scheme_of_dynamodb_names_its_feature() {
    for error in [
        annalist::connect("dynamodb://shop").await.unwrap_err(),
        annalist::setup("dynamodb://shop?region=eu-central-1").await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error}");
        assert!(error.to_string().contains("the feature `dynamodb`"), "{error}");
    }
}

#[tokio::test]
async fn what_is_more_than_the_grammar_of_postgres_is_refused() {
    let refused = [
        ("postgres:shop", "must have `//`"),
        ("postgresql:", "must have `//`"),
        ("postgres://ada:hunter2@db/shop?pasword=hunter2", "not known for its scheme value=pasword"),
        ("postgres://ada:hunter2@db/shop?hostaddr=1.2.3.4", "not known for its scheme value=hostaddr"),
        ("postgres://ada:hunter2@db/shop?connections=0", "must be a number from 1 value=connections"),
        ("postgres://ada:hunter2@db/shop?connections=hunter2", "must be a number from 1 value=connections"),
    ];
    for (url, why) in refused {
        let shown = refusal(url).await;
        assert!(shown.contains(why) && !shown.contains("hunter2"), "{url:?}: {shown}");
    }
    #[cfg(feature = "postgres")]
    assert!(refusal("postgres://ada:hunter2@db/shop?schema=Shop").await.contains("schema"));
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn a_scheme_of_postgres_names_its_feature() {
    for error in [
        annalist::connect("postgres://ada:hunter2@db/shop").await.unwrap_err(),
        annalist::setup("postgresql://ada:hunter2@db/shop").await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error}");
        assert!(error.to_string().contains("the feature `postgres`"), "{error}");
    }
}

#[cfg(feature = "kafka")]
#[tokio::test]
async fn kafka_opens_the_log_of_a_topic() {
    use annalist::{ExpectedVersion, NewEvent};

    let url = kafka::url_of_new_log();
    let store = annalist::connect(&url).await.unwrap();
    let ticked = NewEvent::new("Ticked", "{}").unwrap();
    store.append("Clock-1", ExpectedVersion::NoStream, [ticked]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let again = format!("{}&folder={}", url.replace("setup=true", "setup=false"), folder.path().display());
    let again = annalist::connect(&again).await.unwrap();
    assert_eq!(again.head().await.unwrap(), store.head().await.unwrap());
    let other = annalist::connect(&kafka::url_of_new_log()).await.unwrap();
    assert_eq!(other.head().await.unwrap(), annalist::Position::START);

    let missing = kafka::url_of_new_log().replace("setup=true", "setup=false");
    let shown = annalist::connect(&missing).await.unwrap_err().to_string();
    assert!(shown.starts_with("misconfigured: the broker has no such topic"), "{shown}");
}

#[tokio::test]
async fn what_is_more_than_the_grammar_of_kafka_is_refused() {
    let refused = [
        ("kafka:broker/topic", "must have `//`"),
        ("kafka://broker/topic?sasl.pasword=hunter2", "not known for its scheme value=sasl.pasword"),
        ("kafka://broker/topic?acks=1", "not known for its scheme value=acks"),
    ];
    for (url, why) in refused {
        let shown = refusal(url).await;
        assert!(shown.contains(why) && !shown.contains("hunter2"), "{url:?}: {shown}");
    }
    #[cfg(feature = "kafka")]
    for url in ["kafka://broker", "kafka://ada:hunter2@broker/topic", "kafka://broker/topic?replicas=0"] {
        let shown = refusal(url).await;
        assert!(shown.starts_with("invalid") && !shown.contains("hunter2"), "{url:?}: {shown}");
    }
}

#[cfg(not(feature = "kafka"))]
#[tokio::test]
async fn the_scheme_of_kafka_names_its_feature() {
    for error in [
        annalist::connect("kafka://broker/topic").await.unwrap_err(),
        annalist::setup("kafka://broker/topic").await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error}");
        assert!(error.to_string().contains("the feature `kafka`"), "{error}");
    }
}

#[cfg(not(feature = "memory"))]
#[tokio::test]
async fn a_scheme_whose_feature_is_off_names_the_feature() {
    for error in
        [annalist::connect("memory:").await.unwrap_err(), annalist::setup("memory:").await.unwrap_err()]
    {
        assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error}");
        assert!(error.to_string().contains("the feature `memory`"), "{error}");
    }
}

/// The message of a refusal, which is the same for opening and for setting up.
async fn refusal(url: &str) -> String {
    let [connect, setup] = [annalist::connect(url).await.map(drop), annalist::setup(url).await];
    let (connect, setup) = (connect.unwrap_err(), setup.unwrap_err());
    assert!(matches!(connect.kind(), ErrorKind::Invalid(_)), "{connect}");
    assert_eq!(connect.kind(), setup.kind());
    connect.to_string()
}

#[tokio::test]
async fn an_unknown_scheme_is_refused_with_those_that_there_are() {
    let shown = refusal("mysql://ada:hunter2@db/history").await;
    assert!(shown.starts_with("invalid store URL: must have one of the schemes `memory`"), "{shown}");
    assert!(shown.contains("value=mysql") && !shown.contains("hunter2"), "{shown}");
}

#[cfg(feature = "memory")]
#[tokio::test]
async fn what_is_more_than_the_grammar_is_refused() {
    let refused = [
        ("memory:history", "must have no location"),
        ("memory://localhost", "must have no location"),
        ("memory:?durable=true", "not known for its scheme value=durable"),
        ("memory:?setup=yes", "must be `true` or `false`"),
        ("memory:?setup=true&setup=true", "only once value=setup"),
        ("memory:#top", "no fragments"),
        (" memory:", "percent-encode spaces"),
        ("memory:\n", "percent-encode spaces"),
        ("memory", "must begin with a scheme"),
        (":", "must begin with a scheme"),
        ("", "must begin with a scheme"),
        ("1memory:", "must begin with a scheme"),
    ];
    for (url, why) in refused {
        let shown = refusal(url).await;
        assert!(shown.contains(why), "{url:?}: {shown}");
    }
    assert!(refusal(&"x".repeat(5_000)).await.contains("limit=4096 value=5000"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_url_makes_it_panic(url in "(memory|[a-z]{1,8})?[:/?&=#%@.]{0,6}\\PC{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(annalist::connect(&url));
        let _ = runtime.block_on(annalist::setup(&url));
    }
}
