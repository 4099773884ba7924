//! A server that was left stays until it is ended by what is remembered of it, and nothing else is.

use std::process::Command;

use annalist_test_servers::Left;
use annalist_test_servers::postgres::{Server, Settings};

#[test]
fn it_stays_until_it_is_ended() {
    let server = Server::start(Settings::default()).unwrap();
    let (url, folder) = (server.url(), server.data().parent().unwrap().to_owned());
    let left = server.leave().unwrap();
    let answers = || Command::new("psql").args([&url, "-c", "SELECT 1"]).output().unwrap().status.success();
    assert!(left.is_running() && answers());
    left.stop().unwrap();
    assert!(!left.is_running() && !answers() && !folder.exists());
    left.stop().unwrap();
}

#[test]
fn a_process_that_has_the_id_now_is_left_alone() {
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let folder = std::env::temp_dir().join("annalist-server-that-is-gone");
    let memory =
        format!(r#"{{"pid": {}, "end_signal": 9, "folder": {:?}}}"#, stranger.id(), folder.to_str().unwrap());
    let left: Left = serde_json::from_str(&memory).unwrap();
    assert!(!left.is_running());
    left.stop().unwrap();
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
