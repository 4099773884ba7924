//! Opening a store by its URL: the one place that knows which schemes there are.

use annalist_core::{Error, ErrorKind, Invalid};

use crate::address::Address;
use crate::{Result, Store};

/// Opens the store that a URL names.
///
/// | scheme | feature | location | options | needs [`setup`] |
/// |---|---|---|---|---|
/// | `memory:` | `memory` (on by default) | none: every call opens a new, empty log | none | no |
///
/// Common to all: `?setup=true` does what [`setup`] does before opening. Options follow the location as `?name=value&name=value`,
/// percent-encoded; one that a scheme does not know is refused, never ignored. Schemes may be written in capitals.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a URL that breaks this grammar or has an unknown scheme;
/// [`Misconfigured`](ErrorKind::Misconfigured) for a scheme whose feature is not compiled in, and for what is wrong on the
/// other side. No error shows more of the URL than its scheme and the names of its options.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// assert_eq!(store.head().await?, annalist::Position::START);
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<Store> {
    let address = Address::parse(url)?;
    if address.setup() {
        prepare(address.clone()).await?;
    }
    match address.scheme() {
        "memory" => memory::connect(address).await,
        scheme => Err(unknown(scheme)),
    }
    .map_err(|error| error.in_operation("connect"))
}

/// Creates what the store that a URL names needs: schema, table or topic. Does nothing where all is there already.
///
/// # Errors
///
/// As [`connect`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// annalist::setup("memory:").await?;
/// # Ok(())
/// # }
/// ```
pub async fn setup(url: &str) -> Result<()> {
    prepare(Address::parse(url)?).await
}

async fn prepare(address: Address) -> Result<()> {
    match address.scheme() {
        "memory" => memory::setup(address).await,
        scheme => Err(unknown(scheme)),
    }
    .map_err(|error| error.in_operation("setup"))
}

/// Every scheme, whether its feature is on or not.
const SCHEMES: &str = "must have one of the schemes `memory`";

fn unknown(scheme: &str) -> Error {
    Invalid::new("store URL", SCHEMES, scheme).into()
}

/// The answer for a scheme whose backend is not compiled in.
#[cfg_attr(feature = "memory", expect(dead_code, reason = "every backend is compiled in"))]
fn feature_off(feature: &str) -> Error {
    ErrorKind::Misconfigured(format!("the feature `{feature}` of the package `annalist` is not on")).into()
}

mod memory {
    use super::*;

    pub(super) async fn connect(address: Address) -> Result<Store> {
        check(address)?;
        open()
    }

    /// Memory needs nothing, but for a URL that means what it says.
    pub(super) async fn setup(address: Address) -> Result<()> {
        check(address)?;
        open().map(drop)
    }

    fn check(address: Address) -> Result<()> {
        if !address.location().is_empty() {
            let shown = format!("{} bytes", address.location().len());
            return Err(Invalid::new("store URL", "of a memory store must have no location", shown).into());
        }
        address.finish()
    }

    #[cfg(feature = "memory")]
    fn open() -> Result<Store> {
        Ok(Store::new(annalist_memory::MemoryStore::new()))
    }

    #[cfg(not(feature = "memory"))]
    fn open() -> Result<Store> {
        Err(feature_off("memory"))
    }
}
