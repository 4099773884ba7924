//! Opening a store by its URL: the one place that knows which schemes there are.

use annalist_core::{Error, ErrorKind, Invalid};

use crate::address::Address;
use crate::{Result, Store};

/// Opens the store that a URL names.
///
/// | scheme | feature | location | options | needs [`setup`] |
/// |---|---|---|---|---|
/// | `memory:` | `memory` (on by default) | none: every call opens a new, empty log | none | no |
/// | `sqlite:` | `sqlite` (on by default) | the path of a file, `history.db` or `/var/lib/shop/history.db`, percent-encoded; `//` before a path from the root is ignored. One file is one namespace | `create` (`false`: a file that is not there is an error; `true` by default) | no |
/// | `dynamodb:` | `dynamodb` | `//id:key@TABLE`, the key being optional | `namespace` (a table holds any number; `annalist` by default), `region`, `endpoint`; what is missing is taken from the environment as the AWS tools do, and so is the key: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`. AWS itself needs the feature `dynamodb-tls` | yes |
/// | `postgres:`, `postgresql:` | `postgres` | `//user:password@host:port/database`; what is missing is taken from `PGHOST`, `PGUSER` and so on, as `psql` does | `schema` (one schema is one namespace; `annalist` by default), `connections` (at most; 10 by default), and the driver's `sslmode`, `sslrootcert`, `sslcert`, `sslkey` (with the feature `postgres-tls`), `application_name`, `statement-cache-capacity` (0 behind a PgBouncer older than 1.21), `options`, `host`, `port`, `user`, `password`, `dbname` | yes |
/// | `kafka:` | `kafka` | `//host:port,host:port/topic`; one topic is one namespace | `folder` (of the local store, percent-encoded; each opened store needs one of its own; without it, it is in memory and read anew at each opening), `replicas` (of a topic that is set up), and the driver's settings that say who the client is: `security.protocol`, `sasl.mechanisms`, `sasl.username`, `sasl.password`, `ssl.ca.location` (where the application adds `rdkafka` with its feature `ssl`) | yes |
///
/// Common to all: `?setup=true` does what [`setup`] does before opening. Options follow the location as `?name=value&name=value`,
/// percent-encoded; one that a scheme does not know is refused, never ignored. Schemes may be written in capitals.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a URL that breaks this grammar or has an unknown scheme;
/// [`Misconfigured`](ErrorKind::Misconfigured) for a scheme whose feature is not compiled in, and for what is wrong on the
/// other side. No error shows more of the URL than its scheme, the names of its options and the path of a file.
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
        "dynamodb" => dynamodb::connect(address).await,
        "memory" => memory::connect(address).await,
        "sqlite" => sqlite::connect(address).await,
        "postgres" | "postgresql" => postgres::connect(address).await,
        "kafka" => kafka::connect(address).await,
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
        "dynamodb" => dynamodb::setup(address).await,
        "memory" => memory::setup(address).await,
        "sqlite" => sqlite::setup(address).await,
        "postgres" | "postgresql" => postgres::setup(address).await,
        "kafka" => kafka::setup(address).await,
        scheme => Err(unknown(scheme)),
    }
    .map_err(|error| error.in_operation("setup"))
}

/// Every scheme, whether its feature is on or not.
const SCHEMES: &str =
    "must have one of the schemes `memory`, `sqlite`, `postgres`, `postgresql`, `dynamodb`, `kafka`";

fn unknown(scheme: &str) -> Error {
    Invalid::new("store URL", SCHEMES, scheme).into()
}

/// The answer for a scheme whose backend is not compiled in.
#[cfg_attr(
    all(
        feature = "memory",
        feature = "sqlite",
        feature = "postgres",
        feature = "dynamodb",
        feature = "kafka"
    ),
    expect(dead_code, reason = "every backend is compiled in")
)]
fn feature_off(feature: &str) -> Error {
    ErrorKind::Misconfigured(format!("the feature `{feature}` of the package `annalist` is not on")).into()
}

mod dynamodb {
    use super::*;

    /// A URL taken apart into what is ours and what is the backend's.
    #[cfg_attr(
        not(feature = "dynamodb"),
        expect(dead_code, reason = "without the backend a URL is only checked")
    )]
    struct Place {
        url: String,
        namespace: Option<String>,
    }

    fn place(mut address: Address) -> Result<Place> {
        if !address.location().starts_with("//") {
            let shown = format!("{} bytes", address.location().len());
            const RULE: &str = "of a DynamoDB store must have `//` and the name of a table after its scheme";
            return Err(Invalid::new("store URL", RULE, shown).into());
        }
        let mut options = form_urlencoded::Serializer::new(String::new());
        for name in ["region", "endpoint"] {
            if let Some(value) = address.take(name) {
                options.append_pair(name, &value);
            }
        }
        let namespace = address.take("namespace");
        let url = format!("dynamodb:{}?{}", address.location(), options.finish());
        address.finish()?;
        Ok(Place { url, namespace })
    }

    #[cfg(feature = "dynamodb")]
    fn config(place: &Place) -> annalist_dynamodb::Config {
        let mut config = annalist_dynamodb::Config::default();
        if let Some(namespace) = &place.namespace {
            config.namespace.clone_from(namespace);
        }
        config
    }

    #[cfg(feature = "dynamodb")]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        let place = place(address)?;
        Ok(Store::new(annalist_dynamodb::DynamoStore::connect(&place.url, config(&place)).await?))
    }

    #[cfg(feature = "dynamodb")]
    pub(super) async fn setup(address: Address) -> Result<()> {
        let place = place(address)?;
        annalist_dynamodb::DynamoStore::setup(&place.url, &config(&place)).await
    }

    #[cfg(not(feature = "dynamodb"))]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        place(address)?;
        Err(feature_off("dynamodb"))
    }

    #[cfg(not(feature = "dynamodb"))]
    pub(super) async fn setup(address: Address) -> Result<()> {
        place(address)?;
        Err(feature_off("dynamodb"))
    }
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

mod sqlite {
    use super::*;

    /// A URL taken apart.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "without the backend a URL is only checked")
    )]
    pub(super) struct Place {
        /// Still percent-encoded.
        path: String,
        create: bool,
    }

    pub(super) fn place(mut address: Address) -> Result<Place> {
        const RULE: &str =
            "of a SQLite store must have the path of a file, which follows `//` only from the root";
        let location = address.location();
        let path = match location.strip_prefix("//") {
            Some(path) if !path.starts_with('/') => "",
            Some(path) => path,
            None => location,
        };
        if path.is_empty() || path.ends_with('/') {
            return Err(Invalid::new("store URL", RULE, format!("{} bytes", location.len())).into());
        }
        if path.starts_with(':') {
            // SQLite's own word for a database in memory.
            let rule = "of a SQLite store must not begin with `:`; a store in memory is `memory:`";
            return Err(Invalid::new("store URL", rule, format!("{} bytes", location.len())).into());
        }
        let path = path.to_owned();
        let create = address.take_flag("create")?.unwrap_or(true);
        address.finish()?;
        Ok(Place { path, create })
    }

    #[cfg(feature = "sqlite")]
    async fn open(place: &Place) -> Result<annalist_sqlite::SqliteStore> {
        let path = percent_encoding::percent_decode_str(&place.path).decode_utf8();
        let path = path.ok().filter(|path| !path.contains('\0')).ok_or_else(|| {
            let rule = "of a SQLite store must have a path of UTF-8 without NUL";
            Error::from(Invalid::new("store URL", rule, format!("{} bytes", place.path.len())))
        })?;
        let mut config = annalist_sqlite::Config::default();
        config.create = place.create;
        annalist_sqlite::SqliteStore::open(&*path, config).await
    }

    #[cfg(feature = "sqlite")]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        Ok(Store::new(open(&place(address)?).await?))
    }

    /// Opening is all that a file needs.
    #[cfg(feature = "sqlite")]
    pub(super) async fn setup(address: Address) -> Result<()> {
        use annalist_core::EventStore;

        open(&Place { create: true, ..place(address)? }).await?.close().await
    }

    #[cfg(not(feature = "sqlite"))]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        place(address)?;
        Err(feature_off("sqlite"))
    }

    #[cfg(not(feature = "sqlite"))]
    pub(super) async fn setup(address: Address) -> Result<()> {
        place(address)?;
        Err(feature_off("sqlite"))
    }
}

mod postgres {
    use super::*;

    /// What is passed on to the driver.
    const OF_DRIVER: [&str; 12] = [
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "application_name",
        "statement-cache-capacity",
        "options",
        "host",
        "port",
        "user",
        "password",
        "dbname",
    ];

    /// A URL taken apart into what is ours and what is the driver's.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "without the backend a URL is only checked")
    )]
    pub(super) struct Place {
        url: String,
        schema: Option<String>,
        connections: Option<u32>,
    }

    pub(super) fn place(mut address: Address) -> Result<Place> {
        if !address.location().starts_with("//") {
            let shown = format!("{} bytes", address.location().len());
            return Err(Invalid::new(
                "store URL",
                "of a PostgreSQL store must have `//` after its scheme",
                shown,
            )
            .into());
        }
        let mut options = form_urlencoded::Serializer::new(String::new());
        for name in OF_DRIVER {
            if let Some(value) = address.take(name) {
                options.append_pair(name, &value);
            }
        }
        let (schema, connections) = (address.take("schema"), address.take("connections"));
        let connections = connections.map(|text| number(&text)).transpose()?;
        let url = format!("postgres:{}?{}", address.location(), options.finish());
        address.finish()?;
        Ok(Place { url, schema, connections })
    }

    fn number(text: &str) -> Result<u32> {
        const RULE: &str = "has an option that must be a number from 1";
        let number = text.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| {
            Invalid::new("store URL", RULE, format!("connections=<{} bytes>", text.len())).into()
        })
    }

    #[cfg(feature = "postgres")]
    fn config(place: &Place) -> annalist_postgres::Config {
        let mut config = annalist_postgres::Config::default();
        if let Some(schema) = &place.schema {
            config.schema.clone_from(schema);
        }
        if let Some(connections) = place.connections {
            config.connections_max = connections;
        }
        config
    }

    #[cfg(feature = "postgres")]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        let place = place(address)?;
        Ok(Store::new(annalist_postgres::PostgresStore::connect(&place.url, config(&place)).await?))
    }

    #[cfg(feature = "postgres")]
    pub(super) async fn setup(address: Address) -> Result<()> {
        let place = place(address)?;
        annalist_postgres::PostgresStore::setup(&place.url, &config(&place)).await
    }

    #[cfg(not(feature = "postgres"))]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        place(address)?;
        Err(feature_off("postgres"))
    }

    #[cfg(not(feature = "postgres"))]
    pub(super) async fn setup(address: Address) -> Result<()> {
        place(address)?;
        Err(feature_off("postgres"))
    }
}

mod kafka {
    use super::*;

    /// What is passed on.
    const OPTIONS: [&str; 7] = [
        "folder",
        "replicas",
        "security.protocol",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
    ];

    /// The URL as the backend has it, with no option that is not known.
    pub(super) fn place(mut address: Address) -> Result<String> {
        if !address.location().starts_with("//") {
            let shown = format!("{} bytes", address.location().len());
            return Err(
                Invalid::new("store URL", "of a Kafka store must have `//` after its scheme", shown).into()
            );
        }
        let mut options = form_urlencoded::Serializer::new(String::new());
        for name in OPTIONS {
            if let Some(value) = address.take(name) {
                options.append_pair(name, &value);
            }
        }
        let url = format!("kafka:{}?{}", address.location(), options.finish());
        address.finish()?;
        Ok(url)
    }

    #[cfg(feature = "kafka")]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        let config = annalist_kafka::Config::default();
        Ok(Store::new(annalist_kafka::KafkaStore::connect(&place(address)?, config).await?))
    }

    #[cfg(feature = "kafka")]
    pub(super) async fn setup(address: Address) -> Result<()> {
        annalist_kafka::KafkaStore::setup(&place(address)?, &annalist_kafka::Config::default()).await
    }

    #[cfg(not(feature = "kafka"))]
    pub(super) async fn connect(address: Address) -> Result<Store> {
        place(address)?;
        Err(feature_off("kafka"))
    }

    #[cfg(not(feature = "kafka"))]
    pub(super) async fn setup(address: Address) -> Result<()> {
        place(address)?;
        Err(feature_off("kafka"))
    }
}
