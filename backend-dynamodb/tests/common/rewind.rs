//! What a restored backup leaves of a log.

use annalist_conformance::BoxError;
use annalist_dynamodb::aws_sdk_dynamodb::Client;
use annalist_dynamodb::aws_sdk_dynamodb::types::AttributeValue;
use annalist_dynamodb::{Config, DynamoStore};

use crate::table;

/// Drops every batch above a number, or the whole log, and the index, which grows anew. Checkpoints and snapshots stay.
pub async fn rewind(client: &Client, config: &Config, above: Option<u64>) -> Result<(), BoxError> {
    let namespace = &config.namespace;
    let table = table(namespace);
    let text = |text: String| AttributeValue::S(text);
    for room in ["b", "c", "s", "p"] {
        let mut pages = client
            .scan()
            .table_name(&table)
            .filter_expression("begins_with(pk, :room)")
            .expression_attribute_values(":room", text(format!("{namespace}/{room}/")))
            .projection_expression("pk, sk")
            .into_paginator()
            .items()
            .send();
        while let Some(key) = pages.next().await {
            let key = key?;
            let number = key["sk"]
                .as_s()
                .ok()
                .and_then(|sort| u64::from_str_radix(&sort[..16.min(sort.len())], 16).ok());
            let stays =
                matches!(room, "b" | "c") && above.is_some_and(|above| number.is_some_and(|n| n <= above));
            if !stays {
                client.delete_item().table_name(&table).set_key(Some(key)).send().await?;
            }
        }
    }
    let gone = if above.is_some() { &["watermark"][..] } else { &["watermark", "log"] };
    for sort in gone {
        let delete = client.delete_item().table_name(&table).key("pk", text(namespace.clone()));
        delete.key("sk", text((*sort).to_owned())).send().await?;
    }
    DynamoStore::setup_with(client, &table, config).await?;
    Ok(())
}
