//! Where a store is, as a URL says it.
//!
//! Not the `url` crate: `kafka://host1:9092,host2:9092/topic` and `sqlite:history.db` are no URLs in its eyes, and each backend's
//! driver reads its own part anyway. What is common to all is little: a scheme, and options at the end.

use annalist_core::{Error, Invalid};

/// A URL, taken apart as far as all backends agree: `scheme:location?option=value&…`.
///
/// Errors show no more of a URL than its scheme and the names of its options: all else may be a secret (E2).
#[derive(Clone)]
pub(crate) struct Address {
    scheme: String,
    location: String,
    options: Vec<(String, String)>,
    setup: bool,
}

/// The longest URL; no real one comes near.
const URL_BYTES_MAX: usize = 4096;

fn invalid(rule: &'static str, value: impl Into<String>) -> Error {
    Invalid::new("store URL", rule, value).into()
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let bytes = || format!("{} bytes", url.len());
        if url.len() > URL_BYTES_MAX {
            return Err(Invalid::over("store URL", "bytes", URL_BYTES_MAX as u64, url.len() as u64).into());
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid("must percent-encode spaces and control characters", bytes()));
        }
        if url.contains('#') {
            return Err(invalid("must percent-encode `#`; there are no fragments", bytes()));
        }
        let (scheme, rest) =
            url.split_once(':').ok_or_else(|| invalid("must begin with a scheme and `:`", bytes()))?;
        if !is_scheme(scheme) {
            return Err(invalid("must begin with a scheme and `:`", bytes()));
        }
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains(['@', '?']) {
            // An unescaped `?` in a password looks like this; showing it as an option's name would give it away.
            return Err(invalid("must percent-encode `?` and `@` in passwords and options", bytes()));
        }
        let mut address = Self {
            scheme: scheme.to_ascii_lowercase(),
            location: location.to_owned(),
            options: options(query)?,
            setup: false,
        };
        address.setup = address.take_flag("setup")?.unwrap_or(false);
        Ok(address)
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands between the scheme and the options, as it was written.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// Whether `?setup=true` was given.
    pub(crate) fn setup(&self) -> bool {
        self.setup
    }

    /// Takes an option that is `true` or `false`, where it is given.
    pub(crate) fn take_flag(&mut self, name: &'static str) -> Result<Option<bool>, Error> {
        match self.take(name).as_deref() {
            None => Ok(None),
            Some("false") => Ok(Some(false)),
            Some("true") => Ok(Some(true)),
            Some(other) => {
                let shown = format!("{name}=<{} bytes>", other.len());
                Err(invalid("has an option that must be `true` or `false`", shown))
            }
        }
    }

    /// Takes an option, so that [`finish`](Self::finish) does not find it.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        let at = self.options.iter().position(|(given, _)| given == name)?;
        Some(self.options.swap_remove(at).1)
    }

    /// Refuses what no one has taken: an option that is not known is never ignored.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.options.first() {
            Some((name, _)) => Err(invalid("has an option that is not known for its scheme", shown(name))),
            None => Ok(()),
        }
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn options(query: &str) -> Result<Vec<(String, String)>, Error> {
    let mut options: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if options.iter().any(|(given, _)| *given == name) {
            return Err(invalid("must have an option only once", shown(&name)));
        }
        options.push((name.into_owned(), value.into_owned()));
    }
    Ok(options)
}

/// The name of an option, if it looks like one.
fn shown(name: &str) -> String {
    let plain =
        name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if plain { name.to_owned() } else { format!("<{} bytes>", name.len()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_a_url_apart() {
        let mut address =
            Address::parse("Kafka://user:pass@h1:9092,h2:9092/topic?setup=true&acks=all").unwrap();
        assert_eq!((address.scheme(), address.location()), ("kafka", "//user:pass@h1:9092,h2:9092/topic"));
        assert!(address.setup());
        assert_eq!(address.take("acks").as_deref(), Some("all"));
        assert!(address.finish().is_ok());
    }

    #[test]
    fn percent_encoding_is_undone_in_options() {
        let mut address = Address::parse("sqlite:a%20b.db?name=a%26b%3D%C3%A9").unwrap();
        assert_eq!(address.location(), "a%20b.db");
        assert_eq!(address.take("name").as_deref(), Some("a&b=é"));
    }

    #[test]
    fn an_option_that_no_one_took_is_refused_by_name() {
        let error = Address::parse("memory:?durable=yes").unwrap().finish().unwrap_err();
        assert!(error.to_string().ends_with("value=durable"), "{error}");
    }

    #[test]
    fn an_option_twice_is_refused() {
        assert!(Address::parse("memory:?setup=true&setup=false").is_err());
    }

    #[test]
    fn no_error_shows_a_secret() {
        let urls = [
            "postgres://ada:hunter2@db/x?unknown=hunter2",
            "postgres://ada:hun?hunter2@db/x",
            "postgres://ada:hun?hunter2=1@db/x",
            "postgres://ada:hunter2 @db/x",
            "postgres://ada:hunter2#@db/x",
            "://ada:hunter2@db/x",
            "hunter2",
            "postgres://db/x?setup=hunter2",
            "postgres://db/x?hunter2%20=1",
        ];
        for url in urls {
            let error = Address::parse(url).and_then(Address::finish).expect_err(url);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_it_panic(url in any::<String>()) {
            let _ = Address::parse(&url).and_then(Address::finish);
        }

        #[test]
        fn no_likely_text_makes_it_panic(url in "[a-zA-Z+:/?&=%#@.0-9é \u{0}-]{0,60}") {
            let _ = Address::parse(&url).and_then(Address::finish);
        }

        #[test]
        fn options_come_back(name in "[a-z_]{1,20}", value in any::<String>()) {
            prop_assume!(name != "setup");
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let address = Address::parse(&format!("memory:?{query}")).unwrap();
            prop_assert_eq!(address.options, [(name, value)]);
        }
    }
}
