//! What the client's and the service's errors mean.

use std::error::Error as StdError;

use annalist_core::{Error, ErrorKind};
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::table::{Failure, Fate};

/// An error of the client, and what it says about the request. The one place that knows the service's names of errors:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>.
pub(crate) fn judge<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let (fate, kind) = match &error {
        SdkError::ServiceError(service) => of_service(service.err(), service.raw().status().as_u16()),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) => of_way(connector, failure.is_io() || failure.is_timeout()),
            None => (Fate::Unknown, ErrorKind::Indeterminate("the request failed on its way".into())),
        },
        SdkError::ConstructionFailure(_) => {
            (Fate::NotDone, ErrorKind::Misconfigured("the client lacks credentials or a region".into()))
        }
        SdkError::TimeoutError(_) => {
            (Fate::Unknown, ErrorKind::Indeterminate("the service did not answer in time".into()))
        }
        _ => (Fate::Unknown, ErrorKind::Indeterminate("the answer of the service was not understood".into())),
    };
    // Not the error itself: its debug text holds the response, and with it payloads (E2).
    let told = Error::new(kind);
    let error = match error.into_source() {
        Ok(source) => told.with_source(source),
        Err(_) => told,
    };
    Failure { fate, error }
}

fn of_service(error: &impl ProvideErrorMetadata, status: u16) -> (Fate, ErrorKind) {
    let code = error.code().unwrap_or_default();
    let said = error.message().unwrap_or_default();
    let kind = match code {
        "ResourceNotFoundException" => {
            ErrorKind::Misconfigured("the table does not exist in this region: run its set-up".into())
        }
        "AccessDeniedException" => {
            ErrorKind::Misconfigured("the credentials lack a permission on the table".into())
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "AuthFailure"
        | "OptInRequired" => {
            ErrorKind::Misconfigured(format!("the service refuses the credentials ({code})"))
        }
        "ValidationException" if said.contains("key element") || said.contains("schema") => {
            ErrorKind::Misconfigured("the table has another key schema than a store needs".into())
        }
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "ResourceInUseException"
        | "TableInUseException"
        | "TransactionConflictException"
        | "ReplicatedWriteConflictException" => {
            ErrorKind::Unavailable(format!("the service is too busy ({code})"))
        }
        _ if !(400..500).contains(&status) => {
            let message = format!("the service failed (HTTP {status} {code})");
            return (Fate::Unknown, ErrorKind::Indeterminate(message));
        }
        _ => ErrorKind::Internal(format!("the service refused the request (HTTP {status} {code})")),
    };
    (Fate::NotDone, kind)
}

/// A request that found no way there, or lost it.
fn of_way(error: &(dyn StdError + 'static), is_of_network: bool) -> (Fate, ErrorKind) {
    let mut causes =
        std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source());
    let connecting = causes.any(|cause| {
        cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
    });
    if connecting {
        (Fate::NotDone, ErrorKind::Unavailable("the service cannot be reached".into()))
    } else if is_of_network {
        (Fate::Unknown, ErrorKind::Indeterminate("the connection to the service failed".into()))
    } else {
        (Fate::Unknown, ErrorKind::Indeterminate("the request failed on its way".into()))
    }
}

/// The error of something that changes nothing.
pub(crate) fn of_read(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Indeterminate(said) => Error::new(ErrorKind::Unavailable(said.clone())).with_source(error),
        _ => error,
    }
}

pub(crate) fn too_late(message: &str) -> Error {
    ErrorKind::Unavailable(message.to_owned()).into()
}
