//! The network before a DynamoDB server does what its docs say, before the real server.

mod dynamodb_client;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use annalist_test_servers::dynamodb::{Counts, Fault, Latency, Proxy, Refusal, Rule, Server};
use dynamodb_client::{answer, ask, create_table, item, put, put_if_absent, query, send, sorts_in, tell};
use serde_json::{Value, json};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// A server with a table, and a network before it.
fn started() -> (Server, Proxy) {
    let server = Server::start().expect("a server starts");
    create_table(server.address());
    let proxy = Proxy::start(&server.url()).expect("a proxy starts");
    (server, proxy)
}

fn put_request(partition: &str, sort: u64, data: &str) -> Value {
    json!({"PutRequest": {"Item": item(partition, sort, data)}})
}

fn key(partition: &str, sort: u64) -> Value {
    json!({"p": {"S": partition}, "s": {"N": sort.to_string()}})
}

fn code(refused: &Value) -> &str {
    refused["__type"].as_str().and_then(|code| code.split_once('#')).map_or("", |(_, code)| code)
}

/// Sends a put to where nothing comes back from, and waits no longer than to see that.
fn is_not_answered(proxy: SocketAddr, put: &Value) -> bool {
    let connection = send(proxy, "PutItem", put).expect("it can be sent");
    nothing_comes(&connection)
}

fn nothing_comes(mut connection: &TcpStream) -> bool {
    connection.set_read_timeout(Some(Duration::from_millis(50))).expect("it can be set");
    let read = connection.read(&mut [0]);
    read.is_err_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    })
}

#[test]
fn what_no_fault_happens_to_goes_through() {
    let (server, proxy) = started();
    tell(proxy.address(), "PutItem", &put_if_absent("p", 1, "first"));
    let (status, refused) = ask(proxy.address(), "PutItem", &put_if_absent("p", 1, "second")).unwrap();
    assert_eq!((status, code(&refused)), (400, "ConditionalCheckFailedException"));
    assert_eq!(refused["Item"], item("p", 1, "first"));
    assert_eq!(sorts_in(proxy.address(), "p"), [1]);
    assert_eq!(sorts_in(server.address(), "p"), [1]);
    assert_eq!(proxy.url(), format!("http://{}", proxy.address()));
}

#[test]
fn refused_it_has_not_landed() {
    let (server, proxy) = started();
    let refusals = [
        (Refusal::THROUGHPUT, 400, "ProvisionedThroughputExceededException"),
        (Refusal::REQUEST_LIMIT, 400, "RequestLimitExceeded"),
        (Refusal::THROTTLING, 400, "ThrottlingException"),
        (Refusal::INTERNAL, 500, "InternalServerError"),
        (Refusal::UNAVAILABLE, 503, "ServiceUnavailable"),
        (Refusal::EXPIRED_TOKEN, 400, "ExpiredTokenException"),
        (Refusal::UNKNOWN_KEY, 400, "UnrecognizedClientException"),
        (Refusal::WRONG_SIGNATURE, 400, "InvalidSignatureException"),
        (Refusal::ACCESS_DENIED, 400, "AccessDeniedException"),
    ];
    for (refusal, expected_status, expected_code) in refusals {
        let armed = proxy.arm(Rule::on("PutItem"), Fault::Refused(refusal));
        let (status, refused) = ask(proxy.address(), "PutItem", &put("p", 1, "")).unwrap();
        assert_eq!((status, code(&refused)), (expected_status, expected_code));
        let progress = armed.progress();
        assert_eq!((progress.happened, progress.landed), (1, 0));
    }
    assert_eq!(sorts_in(server.address(), "p"), [0; 0]);
    tell(proxy.address(), "PutItem", &put("p", 1, ""));
    let counts = proxy.counts().of("PutItem");
    assert_eq!((counts.requests, counts.done, counts.write_units), (10, 1, 1.0));
}

#[test]
fn refused_after_it_landed_it_is_there() {
    let (server, proxy) = started();
    let armed = proxy.arm(Rule::on("PutItem").times(2), Fault::RefusedAfter(Refusal::INTERNAL));
    for landed in [1, 1] {
        let (status, refused) = ask(proxy.address(), "PutItem", &put_if_absent("p", 1, "")).unwrap();
        assert_eq!((status, code(&refused)), (500, "InternalServerError"));
        assert_eq!(armed.progress().landed, landed);
    }
    assert_eq!(armed.happened(), 2);
    assert_eq!(sorts_in(server.address(), "p"), [1]);
    assert_eq!(proxy.counts().of("PutItem").refused_by_condition, 1);
}

#[test]
fn a_lost_request_leaves_nothing_and_a_lost_reply_does() {
    let (server, proxy) = started();
    let request = proxy.arm(Rule::on("PutItem"), Fault::LostRequest);
    let reply = proxy.arm(Rule::on("PutItem"), Fault::LostReply);
    for sort in [1, 2] {
        assert!(ask(proxy.address(), "PutItem", &put("p", sort, "")).is_err());
    }
    tell(proxy.address(), "PutItem", &put("p", 3, ""));
    assert_eq!((request.happened(), request.progress().landed), (1, 0));
    assert_eq!((reply.happened(), reply.progress().landed), (1, 1));
    assert_eq!(sorts_in(server.address(), "p"), [2, 3]);
}

#[tokio::test]
async fn a_reply_that_does_not_come_is_of_a_request_that_landed() {
    let (server, proxy) = started();
    let silent = proxy.arm(Rule::on("PutItem"), Fault::NoReply);
    assert!(is_not_answered(proxy.address(), &put("p", 1, "")));
    // Its caller has closed the connection.
    silent.until(|progress| progress.given_up == 1).await;
    assert_eq!((silent.happened(), silent.progress().landed), (1, 1));
    assert_eq!(sorts_in(server.address(), "p"), [1]);
}

#[tokio::test]
async fn a_slow_reply_is_of_a_request_that_landed_and_a_slow_request_has_not() {
    let (server, proxy) = started();
    let reply = proxy.arm(Rule::on("PutItem"), Fault::SlowReply(LONG));
    let slow = send(proxy.address(), "PutItem", &put("p", 1, "")).unwrap();
    reply.until(|progress| progress.landed == 1).await;
    let request = proxy.arm(Rule::on("PutItem"), Fault::SlowRequest(LONG));
    let slower = send(proxy.address(), "PutItem", &put("p", 2, "")).unwrap();
    request.until(|progress| progress.begun == 1).await;
    assert!(nothing_comes(&slow) && nothing_comes(&slower));
    assert_eq!(sorts_in(server.address(), "p"), [1]);
    assert_eq!((reply.happened(), request.happened()), (0, 0));
    for fault in [Fault::SlowReply, Fault::SlowRequest] {
        let armed = proxy.arm(Rule::on("PutItem"), fault(Duration::from_millis(1)));
        tell(proxy.address(), "PutItem", &put("p", 3, ""));
        assert_eq!((armed.happened(), armed.progress().landed), (1, 1));
    }
}

#[tokio::test]
async fn a_held_put_lands_after_its_caller_gave_up() {
    let (server, proxy) = started();
    let held = proxy.arm(Rule::on("PutItem").times(2), Fault::Held);
    for sort in [1, 2] {
        let caller = send(proxy.address(), "PutItem", &put_if_absent("p", sort, "late")).unwrap();
        held.until(|progress| progress.begun == sort).await;
        drop(caller);
        held.until(|progress| progress.given_up == sort).await;
    }
    assert_eq!(sorts_in(server.address(), "p"), [0; 0]);
    // Meanwhile somebody else takes one of the keys.
    tell(proxy.address(), "PutItem", &put_if_absent("p", 2, "in time"));
    assert_eq!(held.happened(), 0);
    held.release();
    let progress = held.until(|progress| progress.happened == 2).await;
    assert_eq!(progress.landed, 1);
    let there = tell(server.address(), "Query", &query("p"));
    assert_eq!(there["Items"], json!([item("p", 1, "late"), item("p", 2, "in time")]));
}

#[tokio::test]
async fn held_and_waited_for_it_is_answered() {
    let (_server, proxy) = started();
    let held = proxy.arm(Rule::on("PutItem"), Fault::Held);
    let caller = send(proxy.address(), "PutItem", &put("p", 1, "")).unwrap();
    held.until(|progress| progress.begun == 1).await;
    // Others pass meanwhile.
    tell(proxy.address(), "PutItem", &put("p", 2, ""));
    proxy.heal();
    assert_eq!(answer(caller).unwrap().0, 200);
    assert_eq!((held.happened(), held.progress().given_up), (1, 0));
}

#[tokio::test]
async fn one_that_lands_late_waits_for_its_caller_to_go() {
    let (server, proxy) = started();
    let late = proxy.arm(Rule::on("PutItem"), Fault::LandsLate(Duration::from_millis(1)));
    let caller = send(proxy.address(), "PutItem", &put("p", 1, "")).unwrap();
    late.until(|progress| progress.begun == 1).await;
    assert!(nothing_comes(&caller));
    assert_eq!(sorts_in(server.address(), "p"), [0; 0]);
    drop(caller);
    late.until(|progress| progress.happened == 1).await;
    assert_eq!((late.progress().given_up, late.progress().landed), (1, 1));
    assert_eq!(sorts_in(server.address(), "p"), [1]);
}

#[test]
fn what_a_batch_write_leaves_unprocessed_is_not_there() {
    let (server, proxy) = started();
    let armed = proxy.arm(Rule::any(), Fault::Unprocessed(3));
    let all: Vec<_> = (0..8).map(|sort| put_request("p", sort, "")).collect();
    let mut answered =
        tell(proxy.address(), "BatchWriteItem", &json!({"RequestItems": {"table": all.clone()}}));
    assert_eq!((armed.happened(), armed.progress().landed), (1, 1));
    let undone = answered["UnprocessedItems"]["table"].take();
    let undone = undone.as_array().unwrap();
    assert_eq!(undone.len(), 3);
    let there = sorts_in(server.address(), "p");
    let expected: Vec<_> = (0..8).filter(|sort| !undone.contains(&put_request("p", *sort, ""))).collect();
    assert_eq!(there, expected);
    assert_eq!(proxy.counts().of("BatchWriteItem").write_units, 5.0);
    // Sent again they are done.
    tell(proxy.address(), "BatchWriteItem", &json!({"RequestItems": {"table": undone}}));
    assert_eq!(sorts_in(server.address(), "p").len(), 8);
}

#[test]
fn a_batch_that_the_server_refuses_has_nothing_left_unprocessed() {
    let (_server, proxy) = started();
    let armed = proxy.arm(Rule::on("BatchWriteItem"), Fault::Unprocessed(1));
    let batch =
        json!({"RequestItems": {"no such table": [put_request("p", 1, ""), put_request("p", 2, "")]}});
    let (status, refused) = ask(proxy.address(), "BatchWriteItem", &batch).unwrap();
    assert_eq!((status, refused.get("UnprocessedItems")), (400, None));
    assert_eq!((armed.progress().begun, armed.happened()), (1, 0));
}

#[test]
fn what_a_batch_read_leaves_unprocessed_is_not_read() {
    let (_server, proxy) = started();
    let keys: Vec<_> = (0..5).map(|sort| key("p", sort)).collect();
    for sort in 0..5 {
        tell(proxy.address(), "PutItem", &put("p", sort, ""));
    }
    let get = json!({"RequestItems": {"table": {"Keys": keys, "ConsistentRead": true}}});
    let armed = proxy.arm(Rule::on("BatchGetItem"), Fault::Unprocessed(2));
    let answered = tell(proxy.address(), "BatchGetItem", &get);
    assert_eq!(armed.happened(), 1);
    let undone = &answered["UnprocessedKeys"]["table"];
    assert_eq!(undone["ConsistentRead"], true);
    let undone = undone["Keys"].as_array().unwrap();
    let read = answered["Responses"]["table"].as_array().unwrap();
    assert_eq!((undone.len(), read.len()), (2, 3));
    assert!(read.iter().all(|item| !undone.iter().any(|key| key["s"] == item["s"])));
    assert_eq!(proxy.counts().of("BatchGetItem").read_units, 3.0);
    let all = proxy.arm(Rule::on("BatchGetItem"), Fault::Unprocessed(5));
    let (status, refused) = ask(proxy.address(), "BatchGetItem", &get).unwrap();
    assert_eq!((status, code(&refused)), (400, "ProvisionedThroughputExceededException"));
    assert_eq!((all.happened(), all.progress().landed), (1, 0));
}

#[test]
fn a_rule_chooses_by_operation_body_and_order() {
    let (server, proxy) = started();
    let of_log = |body: &Value| body["Item"]["p"]["S"] == "log";
    let armed = proxy.arm(Rule::on("PutItem").matching(of_log).skip(1).times(2), Fault::LostRequest);
    for sort in 0..5 {
        tell(proxy.address(), "PutItem", &put("index", sort, ""));
        let lost = ask(proxy.address(), "PutItem", &put("log", sort, "")).is_err();
        assert_eq!(lost, [1, 2].contains(&sort));
        sorts_in(proxy.address(), "log");
    }
    assert_eq!((armed.progress().matched, armed.happened()), (3, 2));
    assert_eq!(sorts_in(server.address(), "log"), [0, 3, 4]);
    assert_eq!(sorts_in(server.address(), "index").len(), 5);
}

#[test]
fn no_answer_comes_before_its_latency_is_over() {
    let (_server, proxy) = started();
    let (min, max) = (Duration::from_millis(10), Duration::from_millis(20));
    for latency in [Latency::Fixed(min), Latency::Uniform { min, max, seed: 1 }] {
        proxy.set_latency(latency);
        let begun = Instant::now();
        tell(proxy.address(), "PutItem", &put("p", 1, ""));
        assert!(begun.elapsed() >= min);
    }
}

#[tokio::test]
async fn what_was_given_up_on_its_way_lands_all_the_same() {
    let (server, proxy) = started();
    proxy.set_latency(Latency::Fixed(Duration::from_millis(10)));
    let seen = proxy.arm(Rule::on("PutItem"), Fault::SlowReply(Duration::ZERO));
    let caller = send(proxy.address(), "PutItem", &put("p", 1, "")).unwrap();
    seen.until(|progress| progress.begun == 1).await;
    drop(caller);
    seen.until(|progress| progress.happened == 1).await;
    assert_eq!(sorts_in(server.address(), "p"), [1]);
}

/// Items of which each kind of value is a part.
fn items_of_all_kinds() -> Vec<Value> {
    let binary = "AAEC".repeat(400) + "AA==";
    let numbers = ["0", "7", "-7", "1234567", "0.00012", "1e20", "-1.5e-7", "18446744073709551615"];
    let with = |sort: u64, name: &str, value: Value| {
        let mut item = item("kinds", sort, "");
        item[name] = value;
        item
    };
    let list: Vec<_> = (0..200).map(|n| json!({"N": n.to_string()})).collect();
    let map: serde_json::Map<_, _> = (0..100).map(|n| (format!("key{n}"), json!({"NULL": true}))).collect();
    vec![
        with(1, "b", json!({ "B": binary })),
        with(
            2,
            "numbers",
            json!({ "L": numbers.repeat(30).iter().map(|n| json!({"N": n})).collect::<Vec<_>>() }),
        ),
        with(3, "list", json!({"L": [{ "L": list }, {"M": {}}, {"BOOL": true}]})),
        with(4, "map", json!({ "M": map })),
        with(5, "sets", json!({"L": [{"SS": ["a", "ß"]}, {"NS": ["1", "-22"]}, {"BS": ["AAEC", "AA=="]}]})),
        with(6, "ä", json!({"S": "ö".repeat(700)})),
    ]
}

/// The server's counting is compared with AWS's by others; ours is compared with the server's, at the very byte where a unit ends.
#[test]
fn units_are_those_that_the_server_counts() {
    let (server, proxy) = started();
    for mut item in items_of_all_kinds() {
        // So many bytes until one more unit is counted.
        let mut fill = 0;
        let units_of = |item: &Value| {
            let put = json!({"TableName": "table", "Item": item, "ReturnConsumedCapacity": "TOTAL"});
            // Gone before, so that it is the new item alone that counts.
            let delete = json!({"TableName": "table", "Key": {"p": item["p"], "s": item["s"]}});
            tell(server.address(), "DeleteItem", &delete);
            tell(server.address(), "PutItem", &put)["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap()
        };
        let first = units_of(&item);
        let (mut less, mut more) = (0, 1024);
        while more - less > 1 {
            fill = (less + more) / 2;
            item["d"] = json!({"S": "x".repeat(fill)});
            if units_of(&item) > first { more = fill } else { less = fill }
        }
        assert!(fill > 0);
        for (fill, expected) in [(less, first), (more, first + 1.0)] {
            item["d"] = json!({"S": "x".repeat(fill)});
            proxy.count_anew();
            // Not asked for its own figure, the server leaves it to ours.
            let put = json!({"TableName": "table", "Item": item, "ReturnConsumedCapacity": "NONE"});
            tell(proxy.address(), "PutItem", &put);
            assert_eq!(proxy.counts().write_units(), expected, "{item}");
        }
    }
}

/// What was written and read under each key.
fn heat(counts: &Counts) -> Vec<(String, f64, f64)> {
    let heat = counts.partitions.iter();
    heat.map(|(partition, heat)| (partition.to_string(), heat.write_units, heat.read_units)).collect()
}

#[test]
fn every_partition_key_is_charged_for_its_own() {
    let (_server, proxy) = started();
    let large = "x".repeat(5000);
    tell(proxy.address(), "PutItem", &put_if_absent("a", 1, &large));
    // Refused, for an item that is larger than the new one.
    assert_eq!(ask(proxy.address(), "PutItem", &put_if_absent("a", 1, "")).unwrap().0, 400);
    let batch = json!({"RequestItems": {"table": [put_request("b", 1, &large), put_request("c", 1, "")]}});
    tell(proxy.address(), "BatchWriteItem", &batch);
    let expected = [("table/a", 10.0, 0.0), ("table/b", 5.0, 0.0), ("table/c", 1.0, 0.0)];
    let expected = expected.map(|(key, written, read)| (key.to_owned(), written, read));
    assert_eq!(heat(&proxy.count_anew()), expected);

    tell(proxy.address(), "Query", &query("a"));
    tell(proxy.address(), "Query", &query("nothing"));
    let keys = [key("b", 1), key("c", 1), key("c", 2)];
    let get = json!({"RequestItems": {"table": {"Keys": keys, "ConsistentRead": true}}});
    tell(proxy.address(), "BatchGetItem", &get);
    let expected =
        [("table/a", 0.0, 2.0), ("table/b", 0.0, 2.0), ("table/c", 0.0, 2.0), ("table/nothing", 0.0, 1.0)];
    let expected = expected.map(|(key, written, read)| (key.to_owned(), written, read));
    let counts = proxy.count_anew();
    assert_eq!(heat(&counts), expected);
    assert_eq!((counts.read_units(), counts.write_units(), counts.requests()), (7.0, 0.0, 3));
    assert!(counts.hottest_written().is_none() && counts.hottest_read().is_some());
}

#[test]
fn what_the_bodies_do_not_tell_is_counted_too() {
    let (_server, proxy) = started();
    let large = "x".repeat(5000);
    tell(proxy.address(), "PutItem", &put("a", 1, &large));
    tell(proxy.address(), "PutItem", &put("a", 2, &large));
    proxy.count_anew();
    let update = json!({
        "TableName": "table", "Key": key("a", 1),
        "UpdateExpression": "SET e = :e", "ExpressionAttributeValues": {":e": {"N": "1"}},
    });
    tell(proxy.address(), "UpdateItem", &update);
    tell(proxy.address(), "DeleteItem", &json!({"TableName": "table", "Key": key("a", 1)}));
    tell(proxy.address(), "PutItem", &put("a", 2, ""));
    let counts = proxy.counts();
    let units = ["UpdateItem", "DeleteItem", "PutItem"].map(|operation| counts.of(operation).write_units);
    assert_eq!(units, [5.0, 5.0, 5.0]);
}

#[test]
fn reads_that_may_be_old_are_seen() {
    let (_server, proxy) = started();
    let get = |strong| json!({"TableName": "table", "Key": key("a", 1), "ConsistentRead": strong});
    let batch =
        |strong| json!({"RequestItems": {"table": {"Keys": [key("a", 1)], "ConsistentRead": strong}}});
    for strong in [true, false] {
        tell(proxy.address(), "GetItem", &get(strong));
        tell(proxy.address(), "BatchGetItem", &batch(strong));
        let mut query = query("a");
        query["ConsistentRead"] = json!(strong);
        tell(proxy.address(), "Query", &query);
    }
    tell(proxy.address(), "GetItem", &json!({"TableName": "table", "Key": key("a", 1)}));
    let mut of_index = query("a");
    of_index["IndexName"] = json!("no such index");
    assert_eq!(ask(proxy.address(), "Query", &of_index).unwrap().0, 400);
    let counts = proxy.counts();
    let old =
        ["GetItem", "BatchGetItem", "Query"].map(|operation| counts.of(operation).eventually_consistent);
    assert_eq!(old, [2, 1, 1]);
    assert_eq!((counts.of("Query").of_index, counts.of("GetItem").of_index), (1, 0));
    assert_eq!(counts.of("GetItem").read_units, 2.0);
}

#[test]
fn another_table_of_the_same_name_has_its_own_key() {
    let (_server, proxy) = started();
    tell(proxy.address(), "PutItem", &put("p", 1, ""));
    tell(proxy.address(), "DeleteTable", &json!({"TableName": "table"}));
    let table = json!({
        "TableName": "table",
        "KeySchema": [{"AttributeName": "d", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "d", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    tell(proxy.address(), "CreateTable", &table);
    proxy.count_anew();
    tell(proxy.address(), "PutItem", &put("p", 1, "key"));
    assert_eq!(heat(&proxy.counts()), [("table/key".to_owned(), 1.0, 0.0)]);
}

#[test]
fn a_server_that_is_gone_is_a_connection_that_closes() {
    let (server, proxy) = started();
    tell(proxy.address(), "PutItem", &put("p", 1, ""));
    server.kill().unwrap();
    let lost = proxy.arm(Rule::on("PutItem"), Fault::LostReply);
    for _ in 0..2 {
        assert!(ask(proxy.address(), "PutItem", &put("p", 2, "")).is_err());
    }
    // It has not landed, so its reply was not lost.
    assert_eq!((lost.progress().begun, lost.happened()), (1, 0));
    server.restart().unwrap();
    assert_eq!(sorts_in(proxy.address(), "p"), [1]);
}

#[test]
fn dropped_it_listens_no_more_and_what_it_held_is_gone() {
    let (server, proxy) = started();
    let (address, held) = (proxy.address(), proxy.arm(Rule::any(), Fault::Held));
    let caller = send(address, "PutItem", &put("p", 1, "")).unwrap();
    while held.progress().begun == 0 {
        std::thread::yield_now();
    }
    drop(proxy);
    assert!(answer(caller).is_err() && TcpStream::connect(address).is_err());
    held.release();
    assert_eq!(sorts_in(server.address(), "p"), [0; 0]);
}

#[test]
fn it_stands_before_plain_http_alone() {
    for url in ["https://dynamodb.eu-west-1.amazonaws.com", "127.0.0.1:8000", "/", ""] {
        assert!(Proxy::start(url).is_err(), "{url}");
    }
}
