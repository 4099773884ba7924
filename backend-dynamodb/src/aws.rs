//! The requests as the AWS SDK sends them.

use std::fmt;
use std::time::Duration;

use annalist_core::{Error, ErrorKind};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, DeleteRequest, KeySchemaElement, KeyType,
    KeysAndAttributes, PutRequest, ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
    TableDescription, TableStatus, WriteRequest,
};
use tokio::time::sleep;

use crate::error::judge;
use crate::table::{Attributes, Condition, Failure, Fate, Found, Item, Key, PARTITION, Range, SORT, Table};

/// A table of the service.
#[derive(Clone)]
pub(crate) struct AwsTable {
    client: Client,
    name: String,
}

impl fmt::Debug for AwsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsTable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How long to wait between two looks at a table that is being made.
const CREATING: Duration = Duration::from_millis(200);

fn key_attributes(key: &Key) -> Attributes {
    [(PARTITION, &key.partition), (SORT, &key.sort)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())))
        .into()
}

fn all_attributes(item: &Item) -> Attributes {
    let mut attributes = item.attributes.clone();
    attributes.extend(key_attributes(&item.key));
    attributes
}

fn not_understood(what: &str) -> Failure {
    let error = ErrorKind::Corrupt(format!("{what} of the service cannot be understood")).into();
    Failure { fate: Fate::Unknown, error }
}

fn key(attributes: &mut Attributes) -> Result<Key, Failure> {
    let mut take = |name| match attributes.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(not_understood("a key")),
    };
    Ok(Key { partition: take(PARTITION)?, sort: take(SORT)? })
}

fn item(mut attributes: Attributes) -> Result<Item, Failure> {
    Ok(Item { key: key(&mut attributes)?, attributes })
}

/// A request could not even be written down.
fn unsendable(error: aws_sdk_dynamodb::error::BuildError) -> Failure {
    let kind = ErrorKind::Internal("a request cannot be built".into());
    Failure { fate: Fate::NotDone, error: Error::new(kind).with_source(error) }
}

impl AwsTable {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    async fn write(&self, requests: Vec<WriteRequest>) -> Result<Vec<WriteRequest>, Failure> {
        let sent = self.client.batch_write_item().request_items(&self.name, requests).send().await;
        let left = sent.map_err(judge)?.unprocessed_items;
        Ok(left.and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default())
    }

    /// What the service says of the table; `None` where there is none.
    async fn describe(&self) -> Result<Option<TableDescription>, Failure> {
        match self.client.describe_table().table_name(&self.name).send().await {
            Ok(answer) => answer.table.map(Some).ok_or_else(|| not_understood("the description")),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(None)
            }
            Err(error) => Err(judge(error)),
        }
    }

    async fn make(&self) -> Result<(), Failure> {
        let mut request =
            self.client.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, role) in [(PARTITION, KeyType::Hash), (SORT, KeyType::Range)] {
            let element = KeySchemaElement::builder().attribute_name(name).key_type(role).build();
            let definition = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build();
            request = request
                .key_schema(element.map_err(unsendable)?)
                .attribute_definitions(definition.map_err(unsendable)?);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            // Another process was first.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {
                Ok(())
            }
            Err(error) => Err(judge(error)),
        }
    }
}

/// Refuses a table whose keys are others than a store's.
fn check_keys(table: &TableDescription) -> Result<(), Failure> {
    let schema: Vec<_> =
        table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type())).collect();
    let has_keys = schema == [(PARTITION, &KeyType::Hash), (SORT, &KeyType::Range)];
    let texts = table.attribute_definitions().iter().filter(|definition| {
        [PARTITION, SORT].contains(&definition.attribute_name())
            && *definition.attribute_type() == ScalarAttributeType::S
    });
    if has_keys && texts.count() == 2 {
        return Ok(());
    }
    let message = format!("the table needs the keys `{PARTITION}` and `{SORT}`, both texts, and has others");
    Err(Failure { fate: Fate::NotDone, error: ErrorKind::Misconfigured(message).into() })
}

/// The old item of a failed condition.
fn old(error: PutItemError) -> Result<Option<Item>, Failure> {
    match error {
        PutItemError::ConditionalCheckFailedException(failed) => failed.item.map(item).transpose(),
        _ => Err(not_understood("a failed condition")),
    }
}

fn conditional(mut request: PutItemFluentBuilder, condition: &Condition) -> PutItemFluentBuilder {
    let mut parts = Vec::new();
    if let Some((name, value)) = &condition.equal {
        parts.push("#e = :e");
        request =
            request.expression_attribute_names("#e", *name).expression_attribute_values(":e", value.clone());
    }
    if let Some((name, value)) = &condition.below {
        parts.push("(attribute_not_exists(#b) OR #b < :b)");
        request =
            request.expression_attribute_names("#b", *name).expression_attribute_values(":b", value.clone());
    }
    if parts.is_empty() {
        parts.push("attribute_not_exists(#p)");
        request = request.expression_attribute_names("#p", PARTITION);
    }
    request
        .condition_expression(parts.join(" AND "))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}

#[async_trait]
impl Table for AwsTable {
    async fn get(&self, keys: &[Key]) -> Result<(Vec<Item>, Vec<Key>), Failure> {
        if let [only] = keys {
            let request = self.client.get_item().table_name(&self.name).consistent_read(true);
            let sent = request.set_key(Some(key_attributes(only))).send().await;
            let found = sent.map_err(judge)?.item;
            return Ok((found.map(item).transpose()?.into_iter().collect(), Vec::new()));
        }
        let wanted = KeysAndAttributes::builder()
            .consistent_read(true)
            .set_keys(Some(keys.iter().map(key_attributes).collect()))
            .build()
            .map_err(unsendable)?;
        let sent = self.client.batch_get_item().request_items(&self.name, wanted).send().await;
        let answer = sent.map_err(judge)?;
        let found = answer.responses.and_then(|mut tables| tables.remove(&self.name)).unwrap_or_default();
        let left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.name));
        let left = left.map(|left| left.keys).unwrap_or_default();
        let found = found.into_iter().map(item).collect::<Result<_, _>>()?;
        Ok((found, left.into_iter().map(|mut left| key(&mut left)).collect::<Result<_, _>>()?))
    }

    async fn query(&self, range: &Range) -> Result<Found, Failure> {
        let mut request = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .scan_index_forward(!range.descending)
            .key_condition_expression("#p = :p AND #s BETWEEN :l AND :h")
            .expression_attribute_names("#p", PARTITION)
            .expression_attribute_names("#s", SORT)
            .expression_attribute_values(":p", AttributeValue::S(range.partition.clone()))
            .expression_attribute_values(":l", AttributeValue::S(range.low.clone()))
            .expression_attribute_values(":h", AttributeValue::S(range.high.clone()));
        if let Some(limit) = range.limit {
            request = request.limit(i32::try_from(limit).unwrap_or(i32::MAX));
        }
        if range.keys_only {
            request = request.projection_expression("#p, #s");
        }
        let answer = request.send().await.map_err(judge)?;
        let items = answer.items.unwrap_or_default().into_iter().map(item).collect::<Result<_, _>>()?;
        let last = answer.last_evaluated_key.map(|mut last| key(&mut last)).transpose()?;
        Ok(Found { items, last: last.map(|key| key.sort) })
    }

    async fn put_if(&self, item: &Item, condition: &Condition) -> Result<Result<(), Option<Item>>, Failure> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(all_attributes(item)));
        match conditional(request, condition).send().await {
            Ok(_) => Ok(Ok(())),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(Err(old(error.into_service_error())?))
            }
            Err(error) => Err(judge(error)),
        }
    }

    async fn put(&self, item: &Item) -> Result<(), Failure> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(all_attributes(item)));
        request.send().await.map(drop).map_err(judge)
    }

    async fn put_all(&self, items: &[Item]) -> Result<Vec<Item>, Failure> {
        let put = |item: &Item| {
            let put = PutRequest::builder().set_item(Some(all_attributes(item))).build();
            Ok(WriteRequest::builder().put_request(put.map_err(unsendable)?).build())
        };
        let left = self.write(items.iter().map(put).collect::<Result<_, Failure>>()?).await?;
        left.into_iter().filter_map(|request| request.put_request).map(|put| item(put.item)).collect()
    }

    async fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, Failure> {
        let delete = |key: &Key| {
            let delete = DeleteRequest::builder().set_key(Some(key_attributes(key))).build();
            Ok(WriteRequest::builder().delete_request(delete.map_err(unsendable)?).build())
        };
        let left = self.write(keys.iter().map(delete).collect::<Result<_, Failure>>()?).await?;
        let left = left.into_iter().filter_map(|request| request.delete_request);
        left.map(|mut delete| key(&mut delete.key)).collect()
    }

    async fn scan(&self, prefix: &str, after: Option<&Key>) -> Result<(Vec<Key>, Option<Key>), Failure> {
        let request = self
            .client
            .scan()
            .table_name(&self.name)
            .consistent_read(true)
            .filter_expression("begins_with(#p, :p)")
            .projection_expression("#p, #s")
            .expression_attribute_names("#p", PARTITION)
            .expression_attribute_names("#s", SORT)
            .expression_attribute_values(":p", AttributeValue::S(prefix.to_owned()))
            .set_exclusive_start_key(after.map(key_attributes));
        let answer = request.send().await.map_err(judge)?;
        let keys = answer.items.unwrap_or_default().iter_mut().map(key).collect::<Result<_, _>>()?;
        Ok((keys, answer.last_evaluated_key.map(|mut last| key(&mut last)).transpose()?))
    }

    async fn create(&self) -> Result<(), Failure> {
        let mut is_made = false;
        loop {
            match self.describe().await? {
                Some(table) => {
                    check_keys(&table)?;
                    if !matches!(table.table_status(), Some(TableStatus::Creating | TableStatus::Updating)) {
                        return Ok(());
                    }
                }
                None if !is_made => {
                    self.make().await?;
                    is_made = true;
                    continue;
                }
                None => {}
            }
            sleep(CREATING).await;
        }
    }
}
