//! Appends under the latency of the real service, and several processes that write to one log: in the time of a simulation, so that the figures are
//! those of the protocol and not of this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use annalist_core::{Append, EventStore, ExpectedVersion};
use annalist_dynamodb::Config;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::memory::MemoryTable;
use crate::support::{check_log, event, index_of, indexed, open, rebuilt, stream};

/// What came of a run.
#[derive(Debug)]
struct Run {
    appends_per_second: f64,
    commits_per_second: f64,
    attempts_per_commit: f64,
    /// The share of the process that appended least, where 1 is a fair one.
    least: f64,
    most: f64,
}

const LASTS: Duration = Duration::from_secs(4);

async fn run(processes: usize, callers: usize, from: u64, to: u64) -> Run {
    let table = MemoryTable::default().slow(Duration::from_millis(from), Duration::from_millis(to));
    let mut stores = Vec::new();
    for _ in 0..processes {
        stores.push(open(&table, Config::default()).await);
    }
    let (is_over, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
    table.take_units();
    let counts: Vec<Arc<AtomicUsize>> = stores.iter().map(|_| Arc::default()).collect();
    let mut tasks = JoinSet::new();
    for (process, store) in stores.iter().enumerate() {
        for caller in 0..callers / processes {
            let (store, count, is_over) = (store.clone(), counts[process].clone(), is_over.clone());
            tasks.spawn(async move {
                let stream = stream(&format!("Process{process}-{caller}"));
                while !is_over.load(Ordering::Relaxed) {
                    let append = Append::to(&stream, ExpectedVersion::Any, [event("Ticked", &["a"])]);
                    store.append(append).await.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    sleep(LASTS).await;
    is_over.store(true, Ordering::Relaxed);
    let counts: Vec<f64> = counts.iter().map(|count| count.load(Ordering::Relaxed) as f64).collect();
    while tasks.join_next().await.transpose().unwrap().is_some() {}
    let took = began.elapsed().as_secs_f64();
    let batches = check_log(&table) as f64;
    let puts = table.take_units().log_puts as f64;
    let total: f64 = counts.iter().sum();
    let fair = total / processes as f64;
    assert!(puts >= batches);
    Run {
        appends_per_second: total / LASTS.as_secs_f64(),
        commits_per_second: batches / took,
        attempts_per_commit: puts / batches,
        least: counts.iter().fold(f64::MAX, |least, count| least.min(*count)) / fair,
        most: counts.iter().fold(0.0, |most: f64, count| most.max(*count)) / fair,
    }
}

fn print(processes: usize, callers: usize, latency: &str, run: &Run) {
    println!(
        "| {processes} | {callers} | {latency} | {:.0} | {:.1} | {:.2} | {:.2} to {:.2} |",
        run.appends_per_second, run.commits_per_second, run.attempts_per_commit, run.least, run.most
    );
}

const HEAD: &str = "| processes | callers | ms per request | appends/s | commits/s | attempts per commit | shares, 1 is fair |";

#[tokio::test(start_paused = true)]
async fn simulated_contention_costs_few_puts_in_vain() {
    println!("{HEAD}\n|---|---|---|---|---|---|---|");
    for processes in [1, 2, 4, 8] {
        let run = run(processes, 64, 5, 15).await;
        print(processes, 64, "5 to 15", &run);
        assert!(run.attempts_per_commit < 1.6, "{processes} processes: {run:?}");
        assert!(run.least > 0.3, "{processes} processes: {run:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn simulated_one_process_fills_its_batches() {
    println!("{HEAD}\n|---|---|---|---|---|---|---|");
    let run = run(1, 256, 8, 8).await;
    print(1, 256, "8", &run);
    assert!(run.appends_per_second > 10_000.0, "{run:?}");
    assert!(run.attempts_per_commit < 1.01, "{run:?}");
}

/// What is left after writers that met: a chain without gaps, and the index that it says.
#[tokio::test(start_paused = true)]
async fn simulated_writers_leave_one_chain_and_its_index() {
    let table = MemoryTable::default().slow(Duration::from_millis(5), Duration::from_millis(15));
    let mut tasks = JoinSet::new();
    for process in 0..4 {
        let store = open(&table, Config::default()).await;
        tasks.spawn(async move {
            for n in 0..30 {
                let name = stream(&format!("Shared-{}", n % 3));
                let append =
                    Append::to(&name, ExpectedVersion::Any, [event("Ticked", &[["a", "b"][process % 2]])]);
                store.append(append).await.unwrap();
            }
            store
        });
    }
    let stores = tasks.join_all().await;
    assert!(check_log(&table) <= 120);
    let mut config = Config::default();
    (config.index_batches_min, config.index_batches_help) = (1, 1);
    drop(stores);
    let store = open(&table, config).await;
    indexed(&store, &table).await;
    assert_eq!(index_of(&table), rebuilt(&table).await);
}
