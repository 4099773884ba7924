//! What the integration tests share.

use annalist::Store;

/// An opened, empty store of every backend whose feature is on, with its name.
pub(crate) async fn stores() -> Vec<(&'static str, Store)> {
    let mut stores = Vec::new();
    #[cfg(feature = "memory")]
    stores.push(("memory", annalist::connect("memory:").await.unwrap()));
    assert!(!stores.is_empty(), "no backend's feature is on");
    stores
}
