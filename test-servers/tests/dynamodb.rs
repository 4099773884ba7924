//! Private DynamoDB servers do what their docs say.

mod dynamodb_client;

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_test_servers::dynamodb::Server;
use dynamodb_client::{answer, ask, create_table, item, put, put_if_absent, send, sorts_in, tell};
use serde_json::json;

fn started() -> Server {
    Server::start().expect("a server starts")
}

/// Every process whose command line has this text.
fn processes_with(text: &str) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,args="])
        .output()
        .expect("ps runs: apt-get install procps");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[test]
fn it_starts_empty_and_says_what_it_is() {
    let server = started();
    assert_eq!(tell(server.address(), "ListTables", &json!({})), json!({"TableNames": []}));
    assert!(server.version().starts_with("dynoxide "), "{}", server.version());
    assert_eq!(server.url(), format!("http://{}", server.address()));
    assert!(server.is_running());
}

#[test]
fn of_many_puts_of_one_absent_key_one_wins_and_the_others_get_its_item() {
    let server = started();
    create_table(server.address());
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
    create_table(server.address());
    let others = "p".len() + "x".len() + "s".len() + 2 + "d".len();
    tell(server.address(), "PutItem", &put("x", 1, &"a".repeat(LARGEST - others)));
    let (status, refused) =
        ask(server.address(), "PutItem", &put("x", 2, &"a".repeat(LARGEST - others + 1))).unwrap();
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("Item size has exceeded"), "{refused}");
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    const WRITERS: u64 = 4;
    let server = started();
    create_table(server.address());
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
        let found = sorts_in(server.address(), &format!("writer {writer}"));
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
    create_table(server.address());
    tell(server.address(), "PutItem", &put("p", 1, ""));
    server.stop().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    server.restart().unwrap();
    assert_eq!(sorts_in(server.address(), "p"), [1]);
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
    create_table(one.address());
    assert_eq!(tell(two.address(), "ListTables", &json!({})), json!({"TableNames": []}));
    one.kill().unwrap();
    tell(two.address(), "ListTables", &json!({}));
}

/// The server has several threads. The first had ended, and with it the process as it seemed, while another still listened: for some
/// moments the server was said to be gone and let connections in. It has ended when all of its threads have.
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
