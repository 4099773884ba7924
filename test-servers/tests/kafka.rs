//! Private Kafka servers do what their docs say.

mod kafka_client;

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_test_servers::kafka::Server;
use kafka_client::{
    METADATA_VERSION, TOPIC, answer, coordinator_error, create_topic, fetch_all, metadata, metadata_request,
    name_topic, produce, send, setting,
};
use kafka_protocol::messages::MetadataRequest;

/// As Kafka numbers its errors.
const UNKNOWN_TOPIC: i16 = 3;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;

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
    let found = metadata(server.address());
    let brokers: Vec<_> =
        found.brokers.iter().map(|broker| format!("{}:{}", broker.host, broker.port)).collect();
    assert_eq!(brokers, [server.address().to_string()]);
    assert!(found.topics.is_empty(), "{found:?}");
    assert!(server.version().starts_with("Apache Kafka 4."), "{}", server.version());
    assert_eq!(server.url(), format!("kafka://{}", server.address()));
    assert!(server.is_running());
}

#[test]
fn a_topic_is_made_on_demand_alone_and_is_durable() {
    let server = started();
    assert_eq!(name_topic(server.address()), UNKNOWN_TOPIC);
    assert!(produce(server.address(), "").is_err());
    assert!(metadata(server.address()).topics.is_empty());
    create_topic(server.address());
    assert_eq!(setting(server.address(), "flush.messages"), "1");
    assert_eq!(produce(server.address(), "first").unwrap(), 0);
    assert!(server.data().join(format!("{TOPIC}-0")).is_dir());
}

/// The topic in which groups are kept wants three brokers by default, and is made when the first group is asked for.
#[test]
fn groups_need_no_second_broker() {
    let server = started();
    while coordinator_error(server.address()) == COORDINATOR_NOT_AVAILABLE {
        std::thread::yield_now();
    }
    assert_eq!(coordinator_error(server.address()), 0);
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    const WRITERS: usize = 4;
    let server = started();
    create_topic(server.address());
    let answered: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for (writer, count) in answered.iter().enumerate() {
            let address = server.address();
            scope.spawn(move || {
                let mut sent = 0..;
                while produce(address, &format!("{writer} {}", sent.start)).is_ok() {
                    sent.next();
                    count.store(sent.start, Ordering::SeqCst);
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
    let found = fetch_all(server.address());
    assert!(found.iter().map(|(offset, _)| *offset).eq(0..found.len() as i64), "{found:?}");
    for (writer, count) in answered.iter().enumerate() {
        let prefix = format!("{writer} ");
        let of_writer =
            found.iter().filter_map(|(_, value)| value.strip_prefix(&prefix)?.parse::<u64>().ok());
        let of_writer: Vec<_> = of_writer.collect();
        let count = count.load(Ordering::SeqCst);
        assert!(of_writer.iter().copied().eq(0..of_writer.len() as u64), "{of_writer:?}");
        // The last one may have been written and not answered.
        assert!((count..=count + 1).contains(&(of_writer.len() as u64)), "{count} answered: {of_writer:?}");
    }
}

#[test]
fn a_stop_is_in_good_order() {
    let server = started();
    create_topic(server.address());
    produce(server.address(), "kept").unwrap();
    server.stop().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    server.restart().unwrap();
    assert_eq!(fetch_all(server.address()), [(0, "kept".to_owned())]);
}

#[test]
fn paused_it_answers_nobody_until_it_goes_on() {
    let server = started();
    server.pause().unwrap();
    assert!(server.is_running());
    let connection = send(server.address(), &metadata_request(), METADATA_VERSION).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(connection.peek(&mut [0]).is_err());
    server.resume().unwrap();
    connection.set_read_timeout(None).unwrap();
    assert_eq!(answer::<MetadataRequest>(connection, METADATA_VERSION).unwrap().brokers.len(), 1);
    server.pause().unwrap();
    server.stop().unwrap();
}

#[test]
fn two_are_strangers_to_each_other() {
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(started);
        (started(), one.join().unwrap())
    });
    assert_ne!(metadata(one.address()).cluster_id.unwrap(), metadata(two.address()).cluster_id.unwrap());
    create_topic(one.address());
    assert!(metadata(two.address()).topics.is_empty());
    one.kill().unwrap();
    metadata(two.address());
}

#[test]
fn one_that_was_left_stays_until_it_is_ended() {
    let server = started();
    let (address, folder) = (server.address(), server.data().parent().unwrap().to_owned());
    let left = server.leave().unwrap();
    assert!(left.is_running());
    metadata(address);
    left.stop().unwrap();
    assert!(!left.is_running() && TcpStream::connect(address).is_err() && !folder.exists());
}

/// Set for a process in which a test runs a second time, only to hold a server until it is killed.
const HOLDER: &str = "ANNALIST_TEST_SERVERS_HOLDER";

#[test]
fn it_does_not_outlive_the_process_that_started_it() {
    use std::io::BufRead;
    if std::env::var_os(HOLDER).is_some() {
        let server = started();
        println!("\ndata {}", server.data().display());
        loop {
            std::thread::park();
        }
    }
    let mut holder = Command::new(std::env::current_exe().expect("we have a file"));
    holder.args(["--exact", "--nocapture", "it_does_not_outlive_the_process_that_started_it"]);
    let mut holder = holder.env(HOLDER, "").stdout(Stdio::piped()).spawn().expect("it runs a second time");
    let lines = std::io::BufReader::new(holder.stdout.take().expect("it is piped")).lines();
    let mut folders = lines.filter_map(|line| line.ok()?.strip_prefix("data ").map(str::to_owned));
    let data = folders.next().expect("it says where its data is");
    let folder = std::path::Path::new(&data).parent().expect("data is in a folder");
    let file = folder.join("server.properties").display().to_string();
    // Its keeper has the same words.
    assert_eq!(processes_with(&file).len(), 2);
    holder.kill().and_then(|()| holder.wait()).expect("it can be killed");
    while folder.exists() || !processes_with(&file).is_empty() {
        std::thread::yield_now();
    }
}
