//! Several stores that write to one log on the real server, each request of which takes as long as at AWS.

use std::time::Duration;

use annalist_core::{Append, EventStore, ExpectedVersion};
use annalist_dynamodb::Config;
use annalist_test_servers::dynamodb::{Fault, Latency};
use tokio::task::JoinSet;

use crate::net::{Net, of_batches};
use crate::support::{event, stream};

const STORES: usize = 4;
const CALLERS: usize = 16;
const APPENDS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_meet_put_little_in_vain() {
    let net = Net::new().await;
    let (min, max) = (Duration::from_millis(5), Duration::from_millis(15));
    net.proxy.set_latency(Latency::Uniform { min, max, seed: 1 });
    let puts = net.proxy.arm(of_batches().always(), Fault::SlowRequest(Duration::ZERO));
    let mut tasks = JoinSet::new();
    for process in 0..STORES {
        let store = net.store_with(Config::default()).await;
        for caller in 0..CALLERS {
            let (store, stream) = (store.clone(), stream(&format!("Process{process}-{caller}")));
            tasks.spawn(async move {
                for _ in 0..APPENDS {
                    let append = Append::to(&stream, ExpectedVersion::Any, [event("Ticked", &["a"])]);
                    store.append(append).await.unwrap();
                }
            });
        }
    }
    tasks.join_all().await;
    let puts = puts.progress().begun;
    let (events, batches) = (net.whole().await.len(), net.batches().await);
    assert_eq!(events, STORES * CALLERS * APPENDS);
    let per_commit = puts as f64 / batches as f64;
    println!("{STORES} stores, {events} appends in {batches} batches: {per_commit:.2} attempts per commit");
    assert!(per_commit < 1.6, "{per_commit}");
}
