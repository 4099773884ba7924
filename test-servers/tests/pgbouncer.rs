//! A private PgBouncer pools by transaction.

use std::process::{Command, Output};

use annalist_test_servers::pgbouncer::PgBouncer;
use annalist_test_servers::postgres::{Server, Settings};

fn psql(url: &str, statements: &[&str]) -> Output {
    let mut command = Command::new("psql");
    command.args(["-At", url]).args(statements.iter().flat_map(|statement| ["-c", statement]));
    command.output().expect("psql runs")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().replace('\n', " ")
}

#[test]
fn sessions_are_shared_between_connections() {
    let server = Server::start(Settings::default()).unwrap();
    server.create_database("other").unwrap();
    let pool = PgBouncer::start(&server).unwrap();
    let backend = ["SELECT pg_backend_pid()"];
    let first = told(&psql(&pool.url(), &backend));
    assert!(!first.is_empty());
    assert_eq!(told(&psql(&pool.url(), &backend)), first);
    assert_ne!(told(&psql(&server.url(), &backend)), first);
    assert_eq!(told(&psql(&pool.url_of("other"), &["SELECT current_database()"])), "other");
    // What a session would keep for its own client, the next one finds.
    psql(&pool.url(), &["SET search_path = left_behind"]);
    assert_eq!(told(&psql(&pool.url(), &["SHOW search_path"])), "left_behind");
}

#[test]
fn it_asks_for_the_password() {
    let server = Server::start(Settings::default()).unwrap();
    let pool = PgBouncer::start(&server).unwrap();
    let wrong = psql(&pool.url().replace('@', "x@"), &["SELECT 1"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("SASL authentication failed"), "{wrong:?}");
}

#[test]
fn dropped_it_listens_no_more_and_the_server_stays() {
    let server = Server::start(Settings::default()).unwrap();
    let pool = PgBouncer::start(&server).unwrap();
    let url = pool.url();
    assert_eq!(told(&psql(&url, &["SELECT 1"])), "1");
    drop(pool);
    assert!(!psql(&url, &["SELECT 1"]).status.success());
    assert_eq!(server.sql("SELECT 1").unwrap(), "1");
}

#[test]
fn it_outlives_a_crash_of_the_server() {
    let server = Server::start(Settings::default()).unwrap();
    let pool = PgBouncer::start(&server).unwrap();
    assert_eq!(told(&psql(&pool.url(), &["SELECT 1"])), "1");
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(told(&psql(&pool.url(), &["SELECT 1"])), "1");
}
