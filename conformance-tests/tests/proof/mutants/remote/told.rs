//! Clients that tell too much, or the wrong thing.

use super::*;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "remote_all_is_indeterminate",
        guarantee: "E1",
        twin: "`Indeterminate` for whatever goes wrong",
        expected: &[
            "errors.unavailable_retryable",
            "errors.indeterminate_only_when_needed",
            "res.unavailable",
        ],
        make: || with(|store| flawed(store, AllIsIndeterminate)),
    },
    Mutant {
        name: "remote_prepare_is_indeterminate",
        guarantee: "E1",
        twin: "one `catch` around the whole transaction",
        expected: &["errors.indeterminate_only_when_needed"],
        make: || with(|store| flawed(store, PrepareIsIndeterminate)),
    },
    Mutant {
        name: "remote_password_in_errors",
        guarantee: "E2",
        twin: "a connection string told with the error",
        expected: &["errors.no_secrets_in_faults"],
        make: || with(|store| flawed(store, PasswordInErrors)),
    },
    Mutant {
        name: "remote_payload_in_the_log",
        guarantee: "E2",
        twin: "a request that is logged before it is sent again",
        expected: &["errors.no_secrets_in_faults"],
        make: || with(|store| flawed(store, PayloadInTheLog)),
    },
];

fn certain(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable(_))
}

struct AllIsIndeterminate;

impl Flaw for AllIsIndeterminate {
    fn told(&self, error: Error) -> Error {
        if certain(&error) { indeterminate("something went wrong").with_source(error) } else { error }
    }
}

/// Knows only whether there was a connection at all.
struct PrepareIsIndeterminate;

#[async_trait]
impl Flaw for PrepareIsIndeterminate {
    async fn append(&self, honest: &RemoteStore, append: Append) -> Answer {
        let connected = honest.is_connected();
        match honest.append(append).await {
            Err(error) if connected && certain(&error) => Err(indeterminate("the transaction failed")),
            answer => answer,
        }
    }
}

struct PasswordInErrors;

impl Flaw for PasswordInErrors {
    fn told(&self, error: Error) -> Error {
        if certain(&error) {
            unavailable(&format!("no connection to remote://annalist:{PASSWORD}@localhost"))
                .with_source(error)
        } else {
            error
        }
    }
}

struct PayloadInTheLog;

#[async_trait]
impl Flaw for PayloadInTheLog {
    async fn append(&self, honest: &RemoteStore, append: Append) -> Answer {
        let answer = honest.append(append.clone()).await;
        if answer.is_err() {
            for (stream, event) in append.events() {
                let data = String::from_utf8_lossy(event.data());
                tracing::warn!(%stream, %data, "the append has to be sent again");
            }
        }
        answer
    }
}
