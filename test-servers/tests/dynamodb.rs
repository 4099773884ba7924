//! Private DynamoDB servers do what their docs say.

mod dynamodb_client;

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_test_servers::dynamodb::Server;
use dynamodb_client::{answer, ask, send};
use serde_json::{Value, json};

fn started() -> Server {
    Server::start().expect("a server starts")
}

/// Asks what must not fail.
fn tell(server: &Server, operation: &str, body: &Value) -> Value {
    let (status, answer) = ask(server.address(), operation, body).expect("it answers");
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

fn create_table(server: &Server) {
    let table = json!({
        "TableName": "table",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    tell(server, "CreateTable", &table);
}

fn item(partition: &str, sort: u64, data: &str) -> Value {
    json!({"p": {"S": partition}, "s": {"N": sort.to_string()}, "d": {"S": data}})
}

fn put_if_absent(partition: &str, sort: u64, data: &str) -> Value {
    json!({
        "TableName": "table",
        "Item": item(partition, sort, data),
        "ConditionExpression": "attribute_not_exists(p)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

fn put(partition: &str, sort: u64, data: &str) -> Value {
    json!({"TableName": "table", "Item": item(partition, sort, data)})
}

/// The sort keys of a partition, whose data must be small.
fn sorts_in(server: &Server, partition: &str) -> Vec<u64> {
    let query = json!({
        "TableName": "table",
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": partition}},
        "ConsistentRead": true,
    });
    let answer = tell(server, "Query", &query);
    assert!(answer.get("LastEvaluatedKey").is_none(), "one page");
    let sort = |item: &Value| item["s"]["N"].as_str()?.parse().ok();
    answer["Items"].as_array().expect("a query has items").iter().filter_map(sort).collect()
}

/// Every process whose command line has this text.
fn processes_with(text: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,args="]).output().expect("ps runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[test]
fn it_starts_empty_and_says_what_it_is() {
    let server = started();
    assert_eq!(tell(&server, "ListTables", &json!({})), json!({"TableNames": []}));
    assert!(server.version().starts_with("dynoxide "), "{}", server.version());
    assert_eq!(server.url(), format!("http://{}", server.address()));
    assert!(server.is_running());
}

#[test]
fn of_many_puts_of_one_absent_key_one_wins_and_the_others_get_its_item() {
    let server = started();
    create_table(&server);
    for round in 0..8 {
        let racers: Vec<_> = (0..16)
            .map(|racer| {
                let put = put_if_absent("race", round, &format!("racer {racer}"));
                (racer, send(server.address(), "PutItem", &put).unwrap())
            })
            .collect();
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        for (racer, connection) in racers {
            match answer(connection).unwrap() {
                (200, _) => winners.push(racer),
                (400, refused) => losers.push(refused),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((winners.len(), losers.len()), (1, 15));
        for refused in losers {
            assert!(
                refused["__type"].as_str().unwrap().ends_with("#ConditionalCheckFailedException"),
                "{refused}"
            );
            assert_eq!(refused["Item"], item("race", round, &format!("racer {}", winners[0])));
        }
    }
}

/// 400 KB is names and values together.
#[test]
fn the_largest_item_is_as_large_as_with_aws() {
    const LARGEST: usize = 400 * 1024;
    let server = started();
    create_table(&server);
    let others = "p".len() + "x".len() + "s".len() + 2 + "d".len();
    tell(&server, "PutItem", &put("x", 1, &"a".repeat(LARGEST - others)));
    let (status, refused) =
        ask(server.address(), "PutItem", &put("x", 2, &"a".repeat(LARGEST - others + 1))).unwrap();
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("Item size has exceeded"), "{refused}");
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    const WRITERS: u64 = 4;
    let server = started();
    create_table(&server);
    let answered: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for (writer, count) in (0..WRITERS).zip(&answered) {
            let address = server.address();
            scope.spawn(move || {
                for sort in 0.. {
                    match ask(address, "PutItem", &put(&format!("writer {writer}"), sort, "")) {
                        Ok((200, _)) => count.store(sort + 1, Ordering::SeqCst),
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => return,
                    }
                }
            });
        }
        while answered.iter().any(|count| count.load(Ordering::SeqCst) < 50) {
            std::thread::yield_now();
        }
        server.kill().unwrap();
    });
    assert!(!server.is_running() && server.kill().is_err());
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart().unwrap();
    for (writer, count) in (0..WRITERS).zip(&answered) {
        let count = count.load(Ordering::SeqCst);
        let found = sorts_in(&server, &format!("writer {writer}"));
        assert!(found.iter().copied().eq(0..found.len() as u64), "{found:?}");
        // The last one may have been written and not answered.
        assert!(
            (count..=count + 1).contains(&(found.len() as u64)),
            "{count} answered, {} found",
            found.len()
        );
    }
}

#[test]
fn a_stop_is_in_good_order() {
    let server = started();
    create_table(&server);
    tell(&server, "PutItem", &put("p", 1, ""));
    server.stop().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    server.restart().unwrap();
    assert_eq!(sorts_in(&server, "p"), [1]);
}

#[test]
fn paused_it_answers_nobody_until_it_goes_on() {
    let server = started();
    server.pause().unwrap();
    assert!(server.is_running());
    let mut connection = send(server.address(), "ListTables", &json!({})).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(connection.read(&mut [0]).is_err());
    server.resume().unwrap();
    connection.set_read_timeout(None).unwrap();
    assert_eq!(answer(connection).unwrap().0, 200);
    server.pause().unwrap();
    server.stop().unwrap();
}

#[test]
fn two_are_strangers_to_each_other() {
    let (one, two) = (started(), started());
    assert_ne!(one.address(), two.address());
    create_table(&one);
    assert_eq!(tell(&two, "ListTables", &json!({})), json!({"TableNames": []}));
    one.kill().unwrap();
    tell(&two, "ListTables", &json!({}));
}

#[test]
fn one_that_was_left_stays_until_it_is_ended() {
    let server = started();
    let address = server.address();
    let left = server.leave().unwrap();
    assert!(left.is_running());
    assert_eq!(ask(address, "ListTables", &json!({})).unwrap().0, 200);
    left.stop().unwrap();
    assert!(!left.is_running() && TcpStream::connect(address).is_err());
}

/// Set for a process in which a test runs a second time, only to hold a server until it is killed.
const HOLDER: &str = "ANNALIST_TEST_SERVERS_HOLDER";

#[test]
fn it_does_not_outlive_the_process_that_started_it() {
    use std::io::BufRead;
    if std::env::var_os(HOLDER).is_some() {
        let server = started();
        println!("\nport {}", server.address().port());
        loop {
            std::thread::park();
        }
    }
    let mut holder = Command::new(std::env::current_exe().expect("we have a file"));
    holder.args(["--exact", "--nocapture", "it_does_not_outlive_the_process_that_started_it"]);
    let mut holder = holder.env(HOLDER, "").stdout(Stdio::piped()).spawn().expect("it runs a second time");
    let lines = std::io::BufReader::new(holder.stdout.take().expect("it is piped")).lines();
    let mut ports = lines.filter_map(|line| line.ok()?.strip_prefix("port ").map(str::to_owned));
    let port = ports.next().expect("it says where it listens");
    let command_line = format!("serve --port {port} --db-path");
    assert_eq!(processes_with(&command_line).len(), 1);
    holder.kill().and_then(|()| holder.wait()).expect("it can be killed");
    while !processes_with(&command_line).is_empty() {
        std::thread::yield_now();
    }
}
