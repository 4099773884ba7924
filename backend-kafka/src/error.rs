//! What the errors of broker and driver mean.

use annalist_core::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

pub(crate) fn unavailable(message: &str) -> Error {
    ErrorKind::Unavailable(message.to_owned()).into()
}

pub(crate) fn misconfigured(message: impl Into<String>) -> Error {
    ErrorKind::Misconfigured(message.into()).into()
}

pub(crate) fn wrong_history(message: &str) -> Error {
    ErrorKind::WrongHistory(message.to_owned()).into()
}

pub(crate) fn internal(message: &str) -> Error {
    ErrorKind::Internal(message.to_owned()).into()
}

/// The error of whatever sends no record: nothing was written.
pub(crate) fn of_request(error: KafkaError) -> Error {
    let kind = match &error {
        KafkaError::ClientConfig(_, _, name, _) => {
            // Not the value: it can be a password.
            let message = format!("the client does not take a setting: {name}");
            return misconfigured(message);
        }
        KafkaError::ClientCreation(_) => ErrorKind::Misconfigured("the client could not be made".to_owned()),
        // The client's thread was told nothing.
        KafkaError::Canceled => ErrorKind::Unavailable("the broker was not asked".to_owned()),
        error => kind_of(code(error)),
    };
    Error::new(kind).with_source(error)
}

/// The fold has stopped while a record was under way.
pub(crate) fn lost(error: Error) -> Error {
    let kind = ErrorKind::Indeterminate("the log cannot be read any further".to_owned());
    Error::new(kind).with_source(error)
}

/// What the driver said.
pub(crate) fn code_of(error: &Error) -> Option<Code> {
    code(std::error::Error::source(error)?.downcast_ref()?)
}

fn code(error: &KafkaError) -> Option<Code> {
    match error {
        // The driver's own look leaves it out.
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

/// What an error says that is sure to have left nothing behind.
fn kind_of(code: Option<Code>) -> ErrorKind {
    match code {
        Some(
            Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicId,
        ) => {
            ErrorKind::Misconfigured("the broker has no such topic: it was not set up, or removed".to_owned())
        }
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::SSL
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState,
        ) => ErrorKind::Misconfigured("the broker does not let this user in, or do this".to_owned()),
        Some(
            Code::PolicyViolation | Code::InvalidTopic | Code::InvalidReplicationFactor | Code::InvalidConfig,
        ) => ErrorKind::Misconfigured("the broker does not allow such a topic".to_owned()),
        Some(Code::UnsupportedVersion | Code::UnsupportedFeature | Code::UnsupportedForMessageFormat) => {
            ErrorKind::Misconfigured("the broker is too old".to_owned())
        }
        Some(code) => ErrorKind::Unavailable(format!("the broker could not be asked: {code:?}")),
        None => ErrorKind::Internal("the driver failed".to_owned()),
    }
}

/// What is known of a record that was not delivered.
#[derive(Clone, Debug)]
pub(crate) enum Undelivered {
    /// It certainly is not in the log and never will be.
    Never(Error),
    /// It is too large for the topic.
    TooLarge(Error),
    /// It may be in the log, or may yet come.
    Maybe(Error),
}

/// The producer sends each record once (`message.send.max.retries=0`), so that one that waits in its queue has never been sent. Kafka's own
/// answers are sure to have left nothing, but for those that say how far it got or that its disk failed.
pub(crate) fn of_delivery(error: KafkaError) -> Undelivered {
    let code = error.rdkafka_error_code();
    match code {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
            let kind = ErrorKind::Misconfigured("the topic does not take a record of this size".to_owned());
            Undelivered::TooLarge(Error::new(kind).with_source(error))
        }
        Some(Code::PurgeQueue | Code::QueueFull) => {
            let kind = ErrorKind::Unavailable("the record did not get on its way to the broker".to_owned());
            Undelivered::Never(Error::new(kind).with_source(error))
        }
        Some(code) if is_sure(code) => Undelivered::Never(Error::new(kind_of(Some(code))).with_source(error)),
        _ => {
            let kind = ErrorKind::Indeterminate("no answer of the broker to a record".to_owned());
            Undelivered::Maybe(Error::new(kind).with_source(error))
        }
    }
}

/// Whether a broker that answers so has written nothing.
fn is_sure(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicId
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::NotEnoughReplicas
            | Code::ISRInsufficient
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTopic
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::PolicyViolation
            | Code::ThrottlingQuotaExceeded
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
    )
}

/// Whether a consumer that is told so reads another history than before, or one that has lost records.
pub(crate) fn is_of_lost_records(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::LogTruncation)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_administrator_is_understood_as_any_other() {
        for of in [KafkaError::AdminOp, KafkaError::MetadataFetch] {
            assert!(matches!(of_request(of(Code::RequestTimedOut)).kind(), ErrorKind::Unavailable(_)));
            let refused = of_request(of(Code::TopicAuthorizationFailed));
            assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)));
            assert_eq!(code_of(&refused), Some(Code::TopicAuthorizationFailed));
        }
    }

    #[test]
    fn only_what_is_sure_counts_as_not_written() {
        let of = |code| of_delivery(KafkaError::MessageProduction(code));
        for code in [Code::PurgeQueue, Code::NotLeaderForPartition, Code::NotEnoughReplicas, Code::QueueFull]
        {
            assert!(
                matches!(of(code), Undelivered::Never(error) if matches!(error.kind(), ErrorKind::Unavailable(_))),
                "{code:?}"
            );
        }
        for code in [
            Code::MessageTimedOut,
            Code::BrokerTransportFailure,
            Code::PurgeInflight,
            Code::RequestTimedOut,
            Code::NotEnoughReplicasAfterAppend,
            Code::KafkaStorageError,
            Code::Unknown,
        ] {
            assert!(
                matches!(of(code), Undelivered::Maybe(error) if matches!(error.kind(), ErrorKind::Indeterminate(_))),
                "{code:?}"
            );
        }
        let gone = of(Code::UnknownTopicOrPartition);
        assert!(
            matches!(gone, Undelivered::Never(error) if matches!(error.kind(), ErrorKind::Misconfigured(_)))
        );
    }
}
