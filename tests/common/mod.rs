//! What the integration tests share.

#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use annalist::Store;

/// An opened, empty store of every backend whose feature is on, with the backend's name.
pub(crate) async fn stores() -> Vec<(&'static str, Store)> {
    let urls: &[(&str, String)] = &[
        #[cfg(feature = "memory")]
        ("memory", "memory:?setup=true".to_owned()),
        #[cfg(feature = "sqlite")]
        ("sqlite", sqlite::url_of_new_log()),
        #[cfg(feature = "dynamodb")]
        ("dynamodb", dynamodb::url_of_new_log()),
        #[cfg(feature = "postgres")]
        ("postgres", postgres::url_of_new_log()),
        #[cfg(feature = "kafka")]
        ("kafka", kafka::url_of_new_log()),
    ];
    assert!(!urls.is_empty(), "no backend's feature is on, so that nothing would be tested");
    let mut stores = Vec::new();
    for (backend, url) in urls {
        stores.push((*backend, annalist::connect(url).await.unwrap()));
    }
    stores
}
