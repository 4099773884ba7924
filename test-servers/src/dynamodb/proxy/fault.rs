//! What can go wrong with a request.

use std::time::Duration;

/// What the network, or the server behind it, does to a request.
///
/// *Landed* is a request that the server has executed, or has itself refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// It does not land, and is answered with this.
    Refused(Refusal),
    /// It lands, and is answered with this nevertheless.
    RefusedAfter(Refusal),
    /// It does not land, and its connection is closed.
    LostRequest,
    /// It lands, and then its connection is closed without an answer.
    LostReply,
    /// It lands, and no answer ever comes; the connection stays open.
    NoReply,
    /// It lands this much later, whatever has become of its caller.
    SlowRequest(Duration),
    /// It lands at once, and the answer comes this much later.
    SlowReply(Duration),
    /// It lands when it is [released](super::Armed::release), whatever has become of its caller.
    Held,
    /// It lands this long after its caller has closed the connection, and not before.
    LandsLate(Duration),
    /// So many of the items of a `BatchWriteItem`, or keys of a `BatchGetItem`, are not executed and come back as unprocessed; other
    /// operations are not concerned. Which ones is random. Where none would be left it is refused for its throughput, as AWS does.
    Unprocessed(usize),
}

impl Fault {
    /// Whether it can happen to such a request.
    pub(super) fn concerns(self, operation: &str) -> bool {
        !matches!(self, Self::Unprocessed(_)) || matches!(operation, "BatchWriteItem" | "BatchGetItem")
    }
}

/// An error as DynamoDB tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    status: u16,
    space: &'static str,
    code: &'static str,
    message: &'static str,
}

/// Where DynamoDB's own errors are named.
const OWN: &str = "com.amazonaws.dynamodb.v20120810";

/// Where those are that all of AWS has.
const COMMON: &str = "com.amazon.coral.service";

impl Refusal {
    /// A partition or the table is asked for more than it is to give in a second.
    pub const THROUGHPUT: Self = Self::dynamodb(
        400,
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded.",
    );
    /// The account is asked for more than it is to give in a second.
    pub const REQUEST_LIMIT: Self = Self::dynamodb(
        400,
        "RequestLimitExceeded",
        "Throughput exceeds the current throughput limit for your account.",
    );
    /// Requests come too fast.
    pub const THROTTLING: Self = Self::common(400, "ThrottlingException", "Rate of requests exceeded.");
    /// Status 500.
    pub const INTERNAL: Self =
        Self::dynamodb(500, "InternalServerError", "The request processing has failed.");
    /// Status 503.
    pub const UNAVAILABLE: Self =
        Self::common(503, "ServiceUnavailable", "The service is temporarily unavailable.");
    /// Credentials that were good once.
    pub const EXPIRED_TOKEN: Self =
        Self::common(400, "ExpiredTokenException", "The security token included in the request is expired");
    /// An access key that nobody knows.
    pub const UNKNOWN_KEY: Self = Self::common(
        400,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    /// A secret key that does not fit the access key.
    pub const WRONG_SIGNATURE: Self = Self::common(
        400,
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided.",
    );
    /// Credentials that do not allow this.
    pub const ACCESS_DENIED: Self =
        Self::common(400, "AccessDeniedException", "User is not authorized to perform this operation.");

    /// One of DynamoDB's own errors.
    pub const fn dynamodb(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, space: OWN, code, message }
    }

    /// One of the errors that all of AWS has.
    pub const fn common(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, space: COMMON, code, message }
    }

    pub(super) fn status(self) -> u16 {
        self.status
    }

    pub(super) fn body(self) -> serde_json::Value {
        serde_json::json!({ "__type": format!("{}#{}", self.space, self.code), "message": self.message })
    }
}
