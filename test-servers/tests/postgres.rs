//! Private PostgreSQL servers do what their docs say.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use annalist_test_servers::postgres::{Server, Settings};

fn started() -> Server {
    Server::start(Settings::default()).expect("a server starts")
}

/// Every process whose command line has this text, ours left out.
fn processes_with(text: &str) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,stat=,args="])
        .output()
        .expect("ps runs: apt-get install procps");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[test]
fn it_starts_with_default_durability_and_answers() {
    let begun = Instant::now();
    let server = started();
    println!("start took {:.3} s", begun.elapsed().as_secs_f64());
    let settings = ["fsync", "synchronous_commit", "full_page_writes", "max_connections", "server_encoding"];
    let shown: Vec<_> = settings.iter().map(|name| server.sql(&format!("SHOW {name}")).unwrap()).collect();
    assert_eq!(shown, ["on", "on", "on", "300", "UTF8"]);
    let reported = server.sql("SELECT version()").unwrap();
    assert!(reported.starts_with(&format!("{} ", server.version())), "{reported}");
    assert!(server.is_running());
}

#[test]
fn only_its_own_password_opens_it() {
    let server = started();
    let sql = |url: String| Command::new("psql").args([&url, "-c", "SELECT 1"]).output().unwrap();
    assert!(sql(server.url()).status.success());
    let wrong = sql(server.url().replacen(":", ":x", 2).replacen(":x", ":", 1));
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"));
}

#[test]
fn databases_are_apart() {
    let server = started();
    server.create_database("an \"odd\" name").unwrap();
    server.create_database("other").unwrap();
    server.sql_in("other", "CREATE TABLE t (n int)").unwrap();
    assert!(server.sql("SELECT * FROM t").unwrap_err().to_string().contains("does not exist"));
    assert_eq!(server.sql_in("other", "SELECT count(*), 7 FROM t").unwrap(), "0|7");
}

#[test]
fn a_kill_loses_nothing_that_was_committed() {
    let server = started();
    server.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)").unwrap();
    server.kill().unwrap();
    assert!(!server.is_running());
    assert!(TcpStream::connect(server.address()).is_err());
    assert!(server.kill().is_err() && server.sql("SELECT 1").is_err());
    for killed_again in [true, false] {
        server.restart().unwrap();
        assert_eq!(server.sql("SELECT count(*) FROM t").unwrap(), "1000");
        if killed_again {
            server.kill().unwrap();
        }
    }
}

#[test]
fn a_kill_ends_backends_at_work() {
    let server = started();
    let mut client = Command::new("psql");
    client.args([&server.url(), "-At", "-c", "SELECT 'connected'", "-c", "SELECT pg_sleep(600)"]);
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "connected\n");
    server.kill().unwrap();
    assert!(!client.wait().unwrap().success());
    server.restart().unwrap();
}

#[test]
fn one_that_ended_by_itself_is_started_again() {
    let server = started();
    let pid = std::fs::read_to_string(server.data().join("postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    // As an operator would, behind the back of its handle.
    assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
    while server.is_running() {
        std::thread::yield_now();
    }
    server.restart().unwrap();
    assert_eq!(server.sql("SELECT 1").unwrap(), "1");
}

#[test]
fn a_stop_is_in_good_order() {
    let server = started();
    server.sql("CREATE TABLE t (n int)").unwrap();
    server.stop().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    server.restart().unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM t").unwrap(), "0");
}

#[test]
fn paused_it_answers_nobody_until_it_goes_on() {
    let server = started();
    server.pause().unwrap();
    assert!(server.is_running());
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // A request for TLS, which is answered with one letter.
    std::io::Write::write_all(&mut connection, &[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    assert!(connection.read_exact(&mut answer).is_err());
    server.resume().unwrap();
    connection.set_read_timeout(None).unwrap();
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
    server.pause().unwrap();
    server.stop().unwrap();
}

#[test]
fn two_are_strangers_to_each_other() {
    let (one, two) = (started(), started());
    assert_ne!(one.address(), two.address());
    one.sql("CREATE TABLE t (n int)").unwrap();
    assert!(two.sql("SELECT * FROM t").is_err());
    one.kill().unwrap();
    assert_eq!(two.sql("SELECT 1").unwrap(), "1");
}

#[test]
fn settings_hold() {
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let settings = Settings::default().with_line("work_mem = '5MB'").read_only().in_folder(folder.path());
    let server = Server::start(settings).unwrap();
    assert_eq!(server.sql("SHOW work_mem").unwrap(), "5MB");
    assert!(server.sql("CREATE TABLE t (n int)").unwrap_err().to_string().contains("read-only transaction"));
    assert!(server.data().starts_with(folder.path()));
    drop(server);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn what_it_cannot_start_with_it_says() {
    let error = Server::start(Settings::default().with_line("no_such_setting = 1")).unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn a_panic_leaves_neither_process_nor_folder() {
    let data = std::sync::Mutex::new(std::path::PathBuf::new());
    let panicked = std::thread::scope(|scope| {
        let test = scope.spawn(|| {
            let server = started();
            data.lock().unwrap().clone_from(&server.data().to_owned());
            server.pause().unwrap();
            std::panic::resume_unwind(Box::new("the test fails"));
        });
        test.join().is_err()
    });
    let data = data.into_inner().unwrap();
    assert!(panicked && data.is_absolute());
    assert!(!data.parent().unwrap().exists());
    assert_eq!(processes_with(data.to_str().unwrap()), Vec::<String>::new());
}

/// Set for a process in which a test runs a second time, only to hold a server until it is killed.
const HOLDER: &str = "ANNALIST_TEST_SERVERS_HOLDER";

/// Runs the test that is named in a process of its own, kills that process, and waits for what is to follow.
fn nothing_is_left_when_its_process_is_killed(test: &str, paused: bool) {
    if std::env::var_os(HOLDER).is_some() {
        let server = started();
        if paused {
            server.pause().expect("it pauses");
        }
        println!("\ndata {}", server.data().display());
        loop {
            std::thread::park();
        }
    }
    let mut holder = Command::new(std::env::current_exe().expect("we have a file"));
    holder.args(["--exact", "--nocapture", test]).env(HOLDER, "").stdout(Stdio::piped());
    let mut holder = holder.spawn().expect("it runs a second time");
    let lines = BufReader::new(holder.stdout.take().expect("it is piped")).lines();
    let mut data = lines.filter_map(|line| line.ok()?.strip_prefix("data ").map(str::to_owned));
    let data = data.next().expect("it says where its data is");
    assert!(!processes_with(&data).is_empty());
    holder.kill().and_then(|()| holder.wait()).expect("it can be killed");
    let folder = std::path::Path::new(&data).parent().expect("data is in a folder").to_owned();
    // The keeper, which has the folder in its command line, still has to end itself after it has removed that.
    let killed = Instant::now();
    loop {
        let (there, processes) = (folder.exists(), processes_with(&data));
        if !there && processes.is_empty() {
            return;
        }
        assert!(killed.elapsed() < Duration::from_secs(60), "{there}: {processes:?} at {}", folder.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_server_does_not_outlive_the_process_that_started_it() {
    nothing_is_left_when_its_process_is_killed(
        "a_server_does_not_outlive_the_process_that_started_it",
        false,
    );
}

/// The end of a process whose grandchildren stand still is a hangup for all of their group, which once ended the keeper before
/// its work: the server lived on for ever.
#[test]
fn nor_does_one_that_is_paused() {
    nothing_is_left_when_its_process_is_killed("nor_does_one_that_is_paused", true);
}
