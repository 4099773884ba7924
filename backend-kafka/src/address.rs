//! The URL of a store.

use annalist_core::{Error, ErrorKind, Invalid};

use crate::config::Config;

/// Where a log is: brokers and a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// As librdkafka wants them.
    pub(crate) brokers: String,
    pub(crate) topic: String,
}

/// What a topic's name may consist of, by Kafka's rules.
const TOPIC: &str = "must name a topic of letters, digits, `.`, `_` and `-`, at most 249";

impl Address {
    /// Takes a URL apart; its options go into the configuration.
    pub(crate) fn parse(url: &str, config: &mut Config) -> Result<Self, Error> {
        let wrong = |rule| Error::from(Invalid::new("store URL", rule, format!("{} bytes", url.len())));
        let rest = url.strip_prefix("kafka://").ok_or_else(|| wrong("must begin with `kafka://`"))?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (brokers, topic) = place.split_once('/').ok_or_else(|| wrong(TOPIC))?;
        if brokers.is_empty() || brokers.split(',').any(str::is_empty) {
            return Err(wrong("must have brokers, `host:port`, with commas between them"));
        }
        if brokers.contains('@') {
            return Err(wrong("must have no user: `sasl.username` and `sasl.password` are options"));
        }
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if topic.is_empty() || topic.len() > 249 || !topic.bytes().all(is_name) || matches!(topic, "." | "..")
        {
            return Err(wrong(TOPIC));
        }
        for (name, value) in form_urlencoded::parse(options.as_bytes()) {
            option(&name, &value, config)?;
        }
        Ok(Self { brokers: brokers.to_owned(), topic: topic.to_owned() })
    }
}

fn option(name: &str, value: &str, config: &mut Config) -> Result<(), Error> {
    match name {
        "folder" => config.folder = Some(value.into()),
        "replicas" => {
            let replicas = value.parse().ok().filter(|replicas| *replicas > 0);
            let rule = "must be a number of replicas";
            config.replicas = Some(replicas.ok_or_else(|| Invalid::new("option `replicas`", rule, value))?);
        }
        // All settings of librdkafka that concern the way to the broker have a dot.
        name if name.contains('.') => config.client.push((name.to_owned(), value.to_owned())),
        name => return Err(Invalid::new("store URL", "has an unknown option", name.to_owned()).into()),
    }
    Ok(())
}

/// What begins the names of the settings that an application may give: where brokers are and who it is.
const GIVEN: [&str; 6] = ["security.", "sasl.", "ssl.", "socket.keepalive", "broker.address", "client.id"];

/// Refuses settings on which correctness rests.
pub(crate) fn check_settings(config: &Config) -> Result<(), Error> {
    match config.client.iter().find(|(name, _)| !GIVEN.iter().any(|given| name.starts_with(given))) {
        Some((name, _)) => {
            let message = format!("the setting of the client is not one that can be given: {name}");
            Err(ErrorKind::Misconfigured(message).into())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_brokers_a_topic_and_options() {
        let mut config = Config::default();
        let url =
            "kafka://a:9092,b:9092/shop.history?folder=%2Fvar%2Flib%2Fshop&replicas=3&sasl.password=p%26q";
        let address = Address::parse(url, &mut config).expect("a URL");
        assert_eq!((address.brokers.as_str(), address.topic.as_str()), ("a:9092,b:9092", "shop.history"));
        assert_eq!(config.folder, Some("/var/lib/shop".into()));
        assert_eq!(config.replicas, Some(3));
        assert_eq!(config.client, [("sasl.password".to_owned(), "p&q".to_owned())]);
        assert!(!format!("{config:?}").contains("p&q"));
        check_settings(&config).expect("settings that can be given");
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for url in [
            "http://a/b",
            "kafka://a:9092",
            "kafka:///topic",
            "kafka://a,,b/topic",
            "kafka://a/",
            "kafka://a/to/pic",
            "kafka://a/..",
            "kafka://user:secret@a/topic",
            "kafka://a/topic?replicas=0",
            "kafka://a/topic?folders=x",
        ] {
            let refused = Address::parse(url, &mut Config::default()).expect_err(url);
            assert!(matches!(refused.kind(), ErrorKind::Invalid(_)), "{url}: {refused}");
            assert!(!refused.to_string().contains("secret"));
        }
        let mut config = Config::default();
        Address::parse("kafka://a/topic?acks.0=1&x.y=secret", &mut config).expect("a URL");
        let refused = check_settings(&config).expect_err("not for applications");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}
