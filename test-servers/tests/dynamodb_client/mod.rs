//! As much of a DynamoDB client as the tests here need, and the table that they use.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

/// Status and body of the answer; an error where the connection ends without a whole one.
pub(crate) fn ask(address: SocketAddr, operation: &str, body: &Value) -> std::io::Result<(u16, Value)> {
    answer(send(address, operation, body)?)
}

/// Asks what must not fail.
pub(crate) fn tell(address: SocketAddr, operation: &str, body: &Value) -> Value {
    let (status, answer) = ask(address, operation, body).expect("it answers");
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

/// Sends a request, and does not wait.
pub(crate) fn send(address: SocketAddr, operation: &str, body: &Value) -> std::io::Result<TcpStream> {
    let body = body.to_string();
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=k/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00\r\n\r\n{body}",
        body.len()
    )?;
    Ok(connection)
}

/// Waits for what a request is answered.
pub(crate) fn answer(mut connection: TcpStream) -> std::io::Result<(u16, Value)> {
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let torn = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(torn)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(torn)?;
    Ok((status, serde_json::from_str(body).map_err(|_| torn())?))
}

/// Makes the table `table`, whose partition key `p` is a string and whose sort key `s` is a number.
pub(crate) fn create_table(server: SocketAddr) {
    let table = json!({
        "TableName": "table",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    });
    tell(server, "CreateTable", &table);
}

pub(crate) fn item(partition: &str, sort: u64, data: &str) -> Value {
    json!({"p": {"S": partition}, "s": {"N": sort.to_string()}, "d": {"S": data}})
}

pub(crate) fn put(partition: &str, sort: u64, data: &str) -> Value {
    json!({"TableName": "table", "Item": item(partition, sort, data)})
}

/// Refused, it returns what is there.
pub(crate) fn put_if_absent(partition: &str, sort: u64, data: &str) -> Value {
    json!({
        "TableName": "table",
        "Item": item(partition, sort, data),
        "ConditionExpression": "attribute_not_exists(p)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

/// The items of a partition, in order.
pub(crate) fn query(partition: &str) -> Value {
    json!({
        "TableName": "table",
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": partition}},
        "ConsistentRead": true,
    })
}

/// The sort keys of a partition, whose data must be small.
pub(crate) fn sorts_in(server: SocketAddr, partition: &str) -> Vec<u64> {
    let answer = tell(server, "Query", &query(partition));
    assert!(answer.get("LastEvaluatedKey").is_none(), "one page");
    let sort = |item: &Value| item["s"]["N"].as_str()?.parse().ok();
    answer["Items"].as_array().expect("a query has items").iter().filter_map(sort).collect()
}
