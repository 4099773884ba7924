//! A client of the service from a URL and the environment, and what every client here has in common.

use std::env;

use annalist_core::{Error, ErrorKind};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, Credentials, Region, SharedHttpClient, StalledStreamProtectionConfig,
};

/// What a URL says: `dynamodb://[ID:SECRET@]TABLE?region=…&endpoint=…`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) table: String,
    /// The id of a key and the key.
    credentials: Option<(String, String)>,
    region: Option<String>,
    endpoint: Option<String>,
}

fn misconfigured(message: impl Into<String>) -> Error {
    ErrorKind::Misconfigured(message.into()).into()
}

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let rest = url
            .strip_prefix("dynamodb://")
            .ok_or_else(|| misconfigured("the URL must begin with `dynamodb://`"))?;
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (credentials, table) = match location.rsplit_once('@') {
            Some((credentials, table)) => (Some(key_of(credentials)?), table),
            None => (None, location),
        };
        check_table(table)?;
        let mut place = Self { table: table.to_owned(), credentials, region: None, endpoint: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let option = match &*name {
                "region" => &mut place.region,
                "endpoint" => &mut place.endpoint,
                _ => return Err(misconfigured("the URL has an option other than `region` and `endpoint`")),
            };
            *option = Some(value.into_owned());
        }
        Ok(place)
    }

    /// A client, with what the URL does not say taken from the environment.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let endpoint =
            self.endpoint.clone().or_else(|| first_of(&["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"]));
        let region = self.region.clone().or_else(|| first_of(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let region =
            region.ok_or_else(|| misconfigured("no region: put it into the URL or into AWS_REGION"))?;
        let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(self.credentials()?)
            .http_client(http_client(is_plain)?);
        config.set_endpoint_url(endpoint);
        Ok(Client::from_conf(config.build()))
    }

    fn credentials(&self) -> Result<Credentials, Error> {
        if let Some((id, key)) = &self.credentials {
            return Ok(Credentials::new(id, key, None, None, "URL"));
        }
        let needed =
            |variable| first_of(&[variable]).ok_or_else(|| misconfigured(format!("{variable} is not set")));
        let (id, key) = (needed("AWS_ACCESS_KEY_ID")?, needed("AWS_SECRET_ACCESS_KEY")?);
        Ok(Credentials::new(id, key, first_of(&["AWS_SESSION_TOKEN"]), None, "environment"))
    }
}

/// By the service's rule for the names of tables.
pub(crate) fn check_table(name: &str) -> Result<(), Error> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if plain && (3..=255).contains(&name.len()) {
        return Ok(());
    }
    Err(misconfigured("the name of a table has letters, digits, `_`, `-` and `.`, from 3 to 255"))
}

fn first_of(variables: &[&str]) -> Option<String> {
    variables.iter().find_map(|variable| env::var(variable).ok().filter(|value| !value.is_empty()))
}

/// The key in a URL: its id and itself.
fn key_of(text: &str) -> Result<(String, String), Error> {
    let (id, key) =
        text.split_once(':').ok_or_else(|| misconfigured("the URL has an id of a key, and no key"))?;
    let decoded = |text: &str| {
        // A plus sign is one, and not a space as in a form.
        let text = text.replace('+', "%2B");
        let decoded = form_urlencoded::parse(text.as_bytes()).next().map(|(decoded, _)| decoded.into_owned());
        decoded.filter(|decoded| !decoded.is_empty()).ok_or_else(|| misconfigured("the URL has an empty key"))
    };
    Ok((decoded(id)?, decoded(key)?))
}

/// What connects without encryption.
#[doc(hidden)]
pub fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

fn http_client(is_plain: bool) -> Result<SharedHttpClient, Error> {
    if is_plain { Ok(plain_http()) } else { encrypted_http() }
}

#[cfg(feature = "tls")]
fn encrypted_http() -> Result<SharedHttpClient, Error> {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    let provider = Provider::Rustls(CryptoMode::Ring);
    Ok(aws_smithy_http_client::Builder::new().tls_provider(provider).build_https())
}

#[cfg(not(feature = "tls"))]
fn encrypted_http() -> Result<SharedHttpClient, Error> {
    Err(misconfigured("the feature `tls` is needed for an endpoint that is not `http://`"))
}

/// The same client without retries of its own: the store decides what is sent again, since only it knows what a lost answer means.
pub(crate) fn without_retries(client: &Client) -> Client {
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    let config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Place, Error> {
        Place::parse(url)
    }

    #[test]
    fn a_url_is_taken_apart() {
        let place =
            parse("dynamodb://shop.events?region=eu-central-1&endpoint=http%3A%2F%2Flocalhost%3A8000");
        let place = place.expect("a good URL");
        assert_eq!((place.table.as_str(), place.credentials.as_ref()), ("shop.events", None));
        assert_eq!(place.region.as_deref(), Some("eu-central-1"));
        assert_eq!(place.endpoint.as_deref(), Some("http://localhost:8000"));
        let place = parse("dynamodb://AKID:a+b%2Fc%40d@shop").expect("a good URL");
        assert_eq!(place.credentials, Some(("AKID".to_owned(), "a+b/c@d".to_owned())));
    }

    #[test]
    fn a_bad_url_is_refused_without_being_shown() {
        let urls = ["", "dynamodb:shop", "dynamodb://", "dynamodb://ab", "dynamodb://a/hunter2"];
        let with_secrets = [
            "dynamodb://shop?secret=hunter2",
            "dynamodb://hunter2@shop",
            "dynamodb://id:hunter2@s",
            "dynamodb://:hunter2@shop",
        ];
        for url in urls.into_iter().chain(with_secrets) {
            let Err(error) = parse(url) else { panic!("{url}") };
            assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
