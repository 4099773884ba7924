//! The memory store under the conformance suite.

use std::net::SocketAddr;
use std::sync::Arc;

use annalist_conformance::{
    BoxError, Fault, Harness, HookError, Namespaces, Opened, Rewind, Server, conformance_main,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

fn no_connection() -> HookError {
    HookError::NotApplicable("a store in memory has no connection to lose".to_owned())
}

#[derive(Default)]
struct Memory {
    logs: Namespaces<MemoryStore>,
}

impl Memory {
    fn log(&self, namespace: &str) -> MemoryStore {
        self.logs.get(namespace, MemoryStore::new)
    }
}

#[async_trait]
impl Harness for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn server(&self) -> String {
        "in process".to_owned()
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        Ok(Opened::new(self.log(namespace).another_handle()))
    }

    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        let log = self.log(namespace);
        match rewind {
            Rewind::To(position) => log.restore_to(position).map_err(|error| HookError::Failed(error.into())),
            Rewind::AnotherLog => {
                log.replace_log();
                Ok(())
            }
            _ => Err(HookError::NotProvided),
        }
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        Err(HookError::NotApplicable("a store in memory has no server to kill".to_owned()))
    }

    async fn fault(&self, _: &str, _: Fault) -> Result<(), HookError> {
        Err(no_connection())
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Err(no_connection())
    }
}

conformance_main!(Memory::default());
