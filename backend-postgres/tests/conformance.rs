//! The PostgreSQL store under the conformance suite.

mod common;

use annalist_conformance::{
    BoxError, Fault, Harness, HookError, Namespaces, Opened, Rewind, conformance_main,
};
use annalist_core::{EventId, backend};
use annalist_engine::fault::BatchFaults;
use annalist_postgres::sqlx::{self, AssertSqlSafe, Executor};
use annalist_postgres::{Config, PostgresStore};
use async_trait::async_trait;
use common::Shared;
use std::sync::Arc;
use tokio::sync::OnceCell;

#[derive(Default)]
struct Postgres {
    namespaces: Namespaces<Namespace>,
}

/// What all handles of a namespace share.
#[derive(Clone, Default)]
struct Namespace {
    is_set_up: Arc<OnceCell<()>>,
    faults: BatchFaults,
}

fn config(namespace: &str) -> Config {
    let mut config = Config::default();
    config.schema = namespace.to_owned();
    config.connections_max = 3;
    config.connect_timeout = std::time::Duration::from_secs(15);
    config
}

impl Postgres {
    async fn open_at(&self, url: &str, namespace: &str) -> Result<Opened, BoxError> {
        let shared = self.namespaces.get(namespace, Namespace::default);
        let config = config(namespace);
        shared.is_set_up.get_or_try_init(|| PostgresStore::setup(url, &config)).await?;
        let faults = shared.faults;
        let store =
            PostgresStore::connect_behind(url, config, |writer| Arc::new(faults.before(writer))).await?;
        Ok(Opened::new(store))
    }
}

#[async_trait]
impl Harness for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn server(&self) -> String {
        "PostgreSQL".to_owned()
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        self.open_at(&Shared::get()?.url(), namespace).await
    }

    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        let text = match rewind {
            Rewind::To(position) => {
                let (head, _) = backend::numbers(position);
                format!(
                    "DELETE FROM {namespace}.event WHERE position > {head};
                    DELETE FROM {namespace}.event_tag WHERE position > {head};
                    UPDATE {namespace}.log SET head = {head}"
                )
            }
            Rewind::AnotherLog => format!(
                "TRUNCATE {namespace}.event, {namespace}.event_tag;
                UPDATE {namespace}.log SET id = gen_random_uuid(), head = 0"
            ),
            _ => return Err(HookError::NotProvided),
        };
        execute(&text).await.map_err(HookError::Failed)
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        let faults = self.namespaces.get(namespace, Namespace::default).faults;
        match fault {
            Fault::None => faults.heal(),
            Fault::Refuse(batches) => faults.refuse(batches),
            Fault::LoseReplies(batches) => faults.lose_replies(batches),
            Fault::Stall => faults.stall(),
            _ => return Err(HookError::NotProvided),
        }
        Ok(())
    }

    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        Ok(self.namespaces.get(namespace, Namespace::default).faults.held())
    }
}

/// Several statements in one transaction, past the store.
async fn execute(text: &str) -> Result<(), BoxError> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(&Shared::get()?.url()).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {text}; COMMIT")))).await?;
    connection.close().await?;
    Ok(())
}

conformance_main!(Postgres::default());
