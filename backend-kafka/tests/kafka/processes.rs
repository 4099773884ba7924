//! Several opened stores, as several processes would have them: all decide alike.

use annalist_core::{ErrorKind, EventStore, ExpectedVersion};

use crate::support::{Topic, log, one, tick};

const STORES: usize = 4;
const CALLERS: usize = 4;
const ROUNDS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_who_expect_the_same_version_one_wins_in_each_of_200_rounds() {
    let topic = Topic::new().set_up().await;
    let mut stores = Vec::new();
    for _ in 0..STORES {
        stores.push(topic.open().await);
    }
    for round in 0..ROUNDS {
        let callers = stores.iter().flat_map(|store| std::iter::repeat_n(store, CALLERS)).map(|store| {
            let (store, append) = (store.clone(), one("Race-1", annalist_core::Version::new(round), round));
            tokio::spawn(async move { store.append(append).await })
        });
        let mut winners = 0;
        for caller in callers.collect::<Vec<_>>() {
            match caller.await.unwrap() {
                Ok(receipt) => {
                    assert_eq!(receipt.written()[0].first_version().get(), round + 1);
                    winners += 1;
                }
                Err(error) => assert!(matches!(error.kind(), ErrorKind::Conflict(_)), "{error:?}"),
            }
        }
        assert_eq!(winners, 1, "round {round}");
    }
    assert_eq!(log(&stores[0]).await.len() as u64, ROUNDS);
    all_are_in_one_state(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blind_appends_of_many_end_in_one_state() {
    let topic = Topic::new().set_up().await;
    let mut stores = Vec::new();
    for _ in 0..STORES {
        stores.push(topic.open().await);
    }
    let writers = (0..16_u64).map(|writer| {
        let store = stores[writer as usize % STORES].clone();
        tokio::spawn(async move {
            for n in 0..50 {
                store
                    .append(one(&format!("Blind-{}", n % 5), ExpectedVersion::Any, writer * 100 + n))
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let logs = [log(&stores[0]).await, log(&stores[3]).await];
    assert_eq!(logs[0].len(), 800);
    assert_eq!(logs[0], logs[1]);
    all_are_in_one_state(&stores).await;
}

/// What all have applied, they have decided alike.
async fn all_are_in_one_state(stores: &[annalist_kafka::KafkaStore]) {
    // An append that all come to.
    let last = tick(&stores[0], 0).await;
    for store in stores {
        assert!(log(store).await.last().map(annalist_core::RecordedEvent::position) >= last.position());
    }
    let reached = stores.iter().map(|store| store.progress().applied).max().unwrap();
    for store in stores {
        crate::support::until(|| store.progress().applied >= reached).await;
    }
    let digests: Vec<_> = stores.iter().map(|store| store.progress()).collect();
    assert!(digests.iter().all(|progress| *progress == digests[0]), "{digests:?}");
}
