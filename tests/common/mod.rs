//! What the integration tests share.

use annalist::Store;

/// Every backend whose feature is on, and the URL of an empty store of it.
const BACKENDS: &[(&str, &str)] = &[
    #[cfg(feature = "memory")]
    ("memory", "memory:?setup=true"),
];

/// An opened, empty store of every backend whose feature is on, with the backend's name.
pub(crate) async fn stores() -> Vec<(&'static str, Store)> {
    assert!(!BACKENDS.is_empty(), "no backend's feature is on, so that nothing would be tested");
    let mut stores = Vec::new();
    for (backend, url) in BACKENDS {
        stores.push((*backend, annalist::connect(url).await.unwrap()));
    }
    stores
}
