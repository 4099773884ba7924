//! The whole suite on this store: what a backend's author writes.

use annalist_conformance::{BoxError, Harness, Namespaces, Opened, conformance_main};
use async_trait::async_trait;
use template_store::TemplateStore;

#[derive(Default)]
struct Template(Namespaces<TemplateStore>);

#[async_trait]
impl Harness for Template {
    fn name(&self) -> &str {
        "template"
    }

    fn server(&self) -> String {
        "in process".to_owned()
    }

    /// The first time an empty log; each further time a second, independent handle on it.
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        Ok(Opened::new(self.0.get(namespace, TemplateStore::new).another_handle()))
    }
}

conformance_main!(Template::default());
