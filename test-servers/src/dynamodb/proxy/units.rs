//! What a request and its answer cost, by DynamoDB's published rules.

use std::collections::HashMap;

use serde_json::Value;

use super::Partition;
use super::size::of_item;

/// Bytes of an item that one write unit covers.
const WRITE_UNIT: usize = 1024;

/// Bytes that one read unit covers.
const READ_UNIT: usize = 4096;

/// A transaction prepares and commits.
const TRANSACTION: f64 = 2.0;

/// The names of the attributes that are the key of a table: the partition's first.
pub(super) type KeyNames = Vec<String>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Write,
    Read,
}

/// What one item, or one query, costs.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Charge {
    pub(super) table: String,
    pub(super) partition: Option<Partition>,
    pub(super) kind: Kind,
    pub(super) units: f64,
}

/// A request that the server has answered.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) operation: &'a str,
    pub(super) request: &'a Value,
    pub(super) done: bool,
    pub(super) answer: &'a Value,
}

/// Whether it is one that costs, and in whose answer the server says how much if it is asked.
pub(super) fn is_charged(operation: &str) -> bool {
    matches!(operation, "Query" | "Scan") || operation.ends_with("Item") || operation.ends_with("Items")
}

/// The tables that a request is about.
pub(super) fn tables(request: &Value) -> Vec<&str> {
    let one = request["TableName"].as_str();
    let batch = request["RequestItems"].as_object().into_iter().flatten().map(|(table, _)| table.as_str());
    let transaction = actions(request).filter_map(|(_, body)| body["TableName"].as_str());
    one.into_iter().chain(batch).chain(transaction).collect()
}

impl Exchange<'_> {
    pub(super) fn refused_by_condition(&self) -> bool {
        let code = self.answer["__type"].as_str().unwrap_or_default();
        !self.done
            && (code.ends_with("#ConditionalCheckFailedException")
                || code.ends_with("#TransactionCanceledException"))
    }

    /// Empty where it costs nothing.
    pub(super) fn charges(&self, keys: &HashMap<String, KeyNames>) -> Vec<Charge> {
        if !is_charged(self.operation) || !(self.done || self.refused_by_condition()) {
            return Vec::new();
        }
        let (request, table) = (self.request, self.request["TableName"].as_str().unwrap_or_default());
        let mut charges = match self.operation {
            "PutItem" => {
                let size = of_item(&request["Item"]).max(of_item(&self.answer["Item"]));
                vec![write(keys, table, &request["Item"], size)]
            }
            // Of the item itself only the server can tell, or a refusal that has it.
            "UpdateItem" | "DeleteItem" => {
                vec![write(keys, table, &request["Key"], of_item(&self.answer["Item"]))]
            }
            "GetItem" => {
                vec![read(keys, table, &request["Key"], of_item(&self.answer["Item"]), is_strong(request))]
            }
            "Query" => vec![self.query(keys, table)],
            "Scan" => vec![Charge { partition: None, ..self.query(keys, table) }],
            "BatchWriteItem" => self.batch_write(keys),
            "BatchGetItem" => self.batch_get(keys),
            "TransactWriteItems" | "TransactGetItems" => self.transaction(keys),
            _ => Vec::new(),
        };
        raise(&mut charges, &self.answer["ConsumedCapacity"]);
        charges
    }

    /// All that it went through together, as far as the answer shows it.
    fn query(&self, keys: &HashMap<String, KeyNames>, table: &str) -> Charge {
        let size = self.answer["Items"].as_array().into_iter().flatten().map(of_item).sum();
        let key = keys.get(table).and_then(|names| condition_on(self.request, names.first()?));
        charge(table, key, Kind::Read, read_units(size, is_strong(self.request)))
    }

    fn batch_write(&self, keys: &HashMap<String, KeyNames>) -> Vec<Charge> {
        let undone = &self.answer["UnprocessedItems"];
        let mut charges = Vec::new();
        for (table, requests) in self.request["RequestItems"].as_object().into_iter().flatten() {
            let undone = undone[table].as_array();
            let requests = requests.as_array().into_iter().flatten();
            for request in requests.filter(|request| undone.is_none_or(|undone| !undone.contains(request))) {
                let item = &request["PutRequest"]["Item"];
                let key = if item.is_null() { &request["DeleteRequest"]["Key"] } else { item };
                charges.push(write(keys, table, key, of_item(item)));
            }
        }
        charges
    }

    fn batch_get(&self, keys: &HashMap<String, KeyNames>) -> Vec<Charge> {
        let mut charges = Vec::new();
        for (table, wanted) in self.request["RequestItems"].as_object().into_iter().flatten() {
            let undone = self.answer["UnprocessedKeys"][table]["Keys"].as_array();
            let found = self.answer["Responses"][table].as_array().into_iter().flatten();
            let names = keys.get(table).map(Vec::as_slice).unwrap_or_default();
            let key_of = |item: &Value| names.iter().map(|name| item[name].to_string()).collect::<Vec<_>>();
            let sizes: HashMap<_, _> = found.map(|item| (key_of(item), of_item(item))).collect();
            let wanted_keys = wanted["Keys"].as_array().into_iter().flatten();
            for key in wanted_keys.filter(|key| undone.is_none_or(|undone| !undone.contains(key))) {
                let size = sizes.get(&key_of(key)).copied().unwrap_or(0);
                charges.push(read(keys, table, key, size, is_strong(wanted)));
            }
        }
        charges
    }

    fn transaction(&self, keys: &HashMap<String, KeyNames>) -> Vec<Charge> {
        let found = self.answer["Responses"].as_array();
        let charge = |(number, (action, body)): (usize, (&str, &Value))| {
            let table = body["TableName"].as_str().unwrap_or_default();
            let mut charge = match action {
                "Get" => {
                    let item = found.and_then(|found| Some(of_item(&found.get(number)?["Item"])));
                    read(keys, table, &body["Key"], item.unwrap_or(0), true)
                }
                "Put" => write(keys, table, &body["Item"], of_item(&body["Item"])),
                _ => write(keys, table, &body["Key"], 0),
            };
            charge.units *= TRANSACTION;
            charge
        };
        actions(self.request).enumerate().map(charge).collect()
    }
}

/// The actions of a transaction: of one field each, which names them.
fn actions(request: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let actions = request["TransactItems"].as_array().into_iter().flatten();
    actions.filter_map(|action| action.as_object()?.iter().next().map(|(name, body)| (name.as_str(), body)))
}

fn is_strong(read: &Value) -> bool {
    read["ConsistentRead"] == true
}

fn write(keys: &HashMap<String, KeyNames>, table: &str, item: &Value, size: usize) -> Charge {
    charge(table, partition_key(keys, table, item), Kind::Write, size.div_ceil(WRITE_UNIT).max(1) as f64)
}

fn read(keys: &HashMap<String, KeyNames>, table: &str, item: &Value, size: usize, strong: bool) -> Charge {
    charge(table, partition_key(keys, table, item), Kind::Read, read_units(size, strong))
}

/// What is not there costs as much as what is small.
fn read_units(size: usize, strong: bool) -> f64 {
    size.div_ceil(READ_UNIT).max(1) as f64 * if strong { 1.0 } else { 0.5 }
}

fn charge(table: &str, key: Option<&Value>, kind: Kind, units: f64) -> Charge {
    let key = key.and_then(|key| key.as_object()?.values().next()?.as_str());
    let partition = key.map(|key| Partition { table: table.to_owned(), key: key.to_owned() });
    Charge { table: table.to_owned(), partition, kind, units }
}

fn partition_key<'a>(keys: &HashMap<String, KeyNames>, table: &str, item: &'a Value) -> Option<&'a Value> {
    item.get(keys.get(table)?.first()?)
}

/// The value that a query wants of this attribute.
fn condition_on<'a>(query: &'a Value, name: &str) -> Option<&'a Value> {
    let mut condition = query["KeyConditionExpression"].as_str()?.to_owned();
    for sign in ["=", "(", ")", "<", ">", ","] {
        condition = condition.replace(sign, &format!(" {sign} "));
    }
    let words: Vec<_> = condition.split_whitespace().collect();
    let is_name = |word: &str| word == name || query["ExpressionAttributeNames"][word].as_str() == Some(name);
    let value = words.windows(3).find_map(|words| match words {
        [left, "=", right] if is_name(left) => Some(*right),
        [left, "=", right] if is_name(right) => Some(*left),
        _ => None,
    })?;
    query["ExpressionAttributeValues"].get(value)
}

/// Where the server has counted more, because it knows what the bodies do not have, that is spread over all items of the table.
fn raise(charges: &mut [Charge], reported: &Value) {
    let reported = match reported {
        Value::Array(tables) => tables.iter().collect(),
        one => vec![one],
    };
    for report in reported {
        let (Some(table), Some(units)) = (report["TableName"].as_str(), report["CapacityUnits"].as_f64())
        else {
            continue;
        };
        let mut of_table: Vec<_> = charges.iter_mut().filter(|charge| charge.table == table).collect();
        let more = units - of_table.iter().map(|charge| charge.units).sum::<f64>();
        let each = more.max(0.0) / of_table.len().max(1) as f64;
        of_table.iter_mut().for_each(|charge| charge.units += each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn charges(operation: &str, request: Value, done: bool, answer: Value) -> Vec<(Option<String>, f64)> {
        let keys = HashMap::from([("t".to_owned(), vec!["p".to_owned(), "s".to_owned()])]);
        let exchange = Exchange { operation, request: &request, done, answer: &answer };
        let charges = exchange.charges(&keys);
        charges.into_iter().map(|charge| (charge.partition.map(|p| p.key), charge.units)).collect()
    }

    fn item(partition: &str, sort: u64, size: usize) -> Value {
        let mut item = json!({"p": {"S": partition}, "s": {"N": sort.to_string()}, "d": {"S": ""}});
        let data = "x".repeat(size.saturating_sub(of_item(&item)));
        item["d"] = json!({ "S": data });
        item
    }

    fn key(partition: &str, sort: u64) -> Value {
        json!({"p": {"S": partition}, "s": {"N": sort.to_string()}})
    }

    fn of(partition: &str, units: f64) -> (Option<String>, f64) {
        (Some(partition.to_owned()), units)
    }

    #[test]
    fn a_put_costs_by_the_begun_kilobyte() {
        for (size, units) in [(100, 1.0), (1024, 1.0), (1025, 2.0), (409_600, 400.0)] {
            let put = json!({"TableName": "t", "Item": item("a", 1, size)});
            assert_eq!(charges("PutItem", put, true, json!({})), [of("a", units)]);
        }
    }

    #[test]
    fn a_refused_condition_costs_as_much_as_the_larger_item() {
        let put = |size| json!({"TableName": "t", "Item": item("a", 1, size)});
        let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        let refusal = |size| json!({"__type": code, "Item": item("a", 1, size)});
        assert_eq!(charges("PutItem", put(3000), false, json!({ "__type": code })), [of("a", 3.0)]);
        assert_eq!(charges("PutItem", put(100), false, refusal(5000)), [of("a", 5.0)]);
        assert_eq!(charges("PutItem", put(9000), false, refusal(5000)), [of("a", 9.0)]);
        let other = json!({"__type": "com.amazon.coral.validate#ValidationException"});
        assert_eq!(charges("PutItem", put(3000), false, other), []);
    }

    #[test]
    fn a_read_costs_by_four_kilobytes_and_half_if_it_may_be_old() {
        for (size, strong, units) in
            [(4096, true, 1.0), (4097, true, 2.0), (4097, false, 1.0), (0, false, 0.5)]
        {
            let get = json!({"TableName": "t", "Key": key("a", 1), "ConsistentRead": strong});
            let answer = if size == 0 { json!({}) } else { json!({"Item": item("a", 1, size)}) };
            assert_eq!(charges("GetItem", get, true, answer), [of("a", units)]);
        }
    }

    #[test]
    fn a_query_costs_by_all_its_items_together() {
        let items: Vec<_> = (0..10).map(|sort| item("a", sort, 1000)).collect();
        for condition in ["#k = :k AND s > :s", ":k=p", "(p = :k) AND s BETWEEN :s AND :k"] {
            let query = json!({
                "TableName": "t",
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": {"#k": "p"},
                "ExpressionAttributeValues": {":k": {"S": "a"}, ":s": {"N": "0"}},
                "ConsistentRead": true,
            });
            assert_eq!(charges("Query", query, true, json!({ "Items": items })), [of("a", 3.0)]);
        }
    }

    #[test]
    fn batches_cost_by_what_was_processed() {
        let put = |partition, size| json!({"PutRequest": {"Item": item(partition, 1, size)}});
        let write = json!({"RequestItems": {"t": [put("a", 2000), put("b", 10), {"DeleteRequest": {"Key": key("c", 1)}}]}});
        let answer = json!({"UnprocessedItems": {"t": [put("b", 10)]}});
        assert_eq!(charges("BatchWriteItem", write, true, answer), [of("a", 2.0), of("c", 1.0)]);

        let get = json!({"RequestItems": {"t": {"Keys": [key("a", 1), key("b", 1), key("c", 1)], "ConsistentRead": true}}});
        let answer = json!({
            "Responses": {"t": [item("b", 1, 5000)]},
            "UnprocessedKeys": {"t": {"Keys": [key("c", 1)], "ConsistentRead": true}},
        });
        assert_eq!(charges("BatchGetItem", get, true, answer), [of("a", 1.0), of("b", 2.0)]);
    }

    #[test]
    fn transactions_cost_double_and_also_when_they_are_cancelled() {
        let write = json!({"TransactItems": [
            {"Put": {"TableName": "t", "Item": item("a", 1, 1500)}},
            {"ConditionCheck": {"TableName": "t", "Key": key("b", 1)}},
        ]});
        let cancelled = json!({"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"});
        for (done, answer) in [(true, json!({})), (false, cancelled)] {
            assert_eq!(
                charges("TransactWriteItems", write.clone(), done, answer),
                [of("a", 4.0), of("b", 2.0)]
            );
        }
        let get = json!({"TransactItems": [{"Get": {"TableName": "t", "Key": key("a", 1)}}]});
        let answer = json!({"Responses": [{"Item": item("a", 1, 5000)}]});
        assert_eq!(charges("TransactGetItems", get, true, answer), [of("a", 4.0)]);
    }

    #[test]
    fn what_only_the_server_knows_it_says() {
        let delete = json!({"TableName": "t", "Key": key("a", 1)});
        let answer = json!({"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 381.0}});
        assert_eq!(charges("DeleteItem", delete, true, answer), [of("a", 381.0)]);
        let write = json!({"RequestItems": {"t": [
            {"DeleteRequest": {"Key": key("a", 1)}}, {"DeleteRequest": {"Key": key("b", 1)}},
        ]}});
        let answer = json!({"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 6.0}]});
        assert_eq!(charges("BatchWriteItem", write, true, answer), [of("a", 3.0), of("b", 3.0)]);
    }
}
