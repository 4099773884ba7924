//! Opening by URL: what opens, and what is refused how.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

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
    fn no_url_makes_it_panic(url in "(memory|sqlite|[a-z]{1,8})?[:/?&=#%@.]{0,6}\\PC{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(annalist::connect(&url));
        let _ = runtime.block_on(annalist::setup(&url));
    }
}
