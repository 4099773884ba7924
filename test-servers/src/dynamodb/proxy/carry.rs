//! Carrying requests and answers, and what happens to them on the way.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, sleep_until};

use super::latency::Latencies;
use super::request::{Answer, Request};
use super::rule::{Chosen, Rules};
use super::units::{Exchange, KeyNames, is_charged, tables};
use super::{Counts, Fault, Latency, Refusal, batch};

/// What all requests of a proxy share.
pub(super) struct Network {
    server: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) rules: Rules,
    pub(super) latencies: Latencies,
    pub(super) counts: Counts,
    pub(super) counted_since: Instant,
    keys: HashMap<String, KeyNames>,
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for Lost {}

/// Lets connections in, and ends with them when it is dropped together with its runtime.
pub(super) async fn accept(network: Arc<Network>, listener: TcpListener) {
    loop {
        // The client may be gone before it is accepted.
        let Ok((client, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(serve(network.clone(), client));
    }
}

async fn serve(network: Arc<Network>, client: TcpStream) {
    // Where it fails the connection is gone.
    let _ = client.set_nodelay(true);
    let service = service_fn(|request| answer(network.clone(), request));
    // That a connection ends before its time is what this is for.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

/// This ends when the caller closes the connection; the request has a life of its own.
async fn answer(
    network: Arc<Network>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let request = Request::receive(request).await.ok_or(Lost)?;
    let (caller, answer) = oneshot::channel();
    tokio::spawn(async move { network.travel(request, caller).await });
    answer.await.ok().flatten().map(Answer::into_response).ok_or(Lost)
}

impl Network {
    pub(super) fn new(server: Uri) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let state = State {
            rules: Rules::default(),
            latencies: Latencies::new(Latency::None),
            counts: Counts::default(),
            counted_since: Instant::now(),
            keys: HashMap::new(),
        };
        Self {
            server,
            client: Client::builder(TokioExecutor::new()).build(connector),
            state: Mutex::new(state),
        }
    }

    /// Nothing that is done with it can leave it broken.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the caller to the server and back. An answer of `None` closes the caller's connection.
    async fn travel(&self, request: Request, mut caller: oneshot::Sender<Option<Answer>>) {
        let arrived = tokio::time::Instant::now();
        let (chosen, latency) = self.admit(&request);
        let gone = watch::Sender::new(false);
        let note_gone = || {
            gone.send_replace(true);
            if let Some(Chosen { armed, .. }) = &chosen {
                armed.note(|progress| progress.given_up += 1);
            }
        };
        let mut answered = pin!(async {
            sleep(latency / 2).await;
            let answer = match chosen.clone() {
                None => self.land(&request, None).await,
                Some(chosen) => self.suffer(request, chosen, gone.subscribe()).await,
            };
            sleep_until(arrived + latency).await;
            answer
        });
        tokio::select! {
            biased;
            () = caller.closed() => {
                note_gone();
                answered.await;
            }
            answer = &mut answered => {
                if caller.send(answer).is_err() {
                    note_gone();
                }
            }
        }
    }

    /// Counts a request and decides what is to happen to it.
    fn admit(&self, request: &Request) -> (Option<Chosen>, Duration) {
        let mut state = self.state();
        let counts = state.counts.operation(&request.operation);
        counts.requests += 1;
        counts.bytes_sent += request.length() as u64;
        counts.eventually_consistent += u64::from(may_be_old(&request.operation, &request.body));
        counts.of_index += u64::from(request.body.get("IndexName").is_some());
        let chosen = state.rules.choose(&request.operation, &request.body);
        (chosen, state.latencies.next())
    }

    async fn suffer(
        &self,
        mut request: Request,
        chosen: Chosen,
        mut gone: watch::Receiver<bool>,
    ) -> Option<Answer> {
        let armed = &chosen.armed;
        match chosen.fault {
            Fault::SlowRequest(long) => sleep(long).await,
            Fault::Held => armed.until_released().await,
            Fault::LandsLate(long) => {
                // The sender lives as long as the request.
                let _ = gone.wait_for(|gone| *gone).await;
                sleep(long).await;
            }
            _ => {}
        }
        let answer = match chosen.fault {
            Fault::Refused(refusal) => Some(Answer::refusal(refusal)),
            Fault::LostRequest => None,
            Fault::Unprocessed(count) => match self.leave_out(&mut request, count, &chosen).await? {
                Ok(answer) => Some(answer),
                Err(refused) => return Some(refused),
            },
            // Where the server cannot be reached nothing more can happen to it.
            _ => Some(self.land(&request, Some(&chosen)).await?),
        };
        if let Fault::SlowReply(long) = chosen.fault {
            sleep(long).await;
        }
        armed.note(|progress| progress.happened += 1);
        match chosen.fault {
            Fault::RefusedAfter(refusal) => Some(Answer::refusal(refusal)),
            Fault::LostReply => None,
            Fault::NoReply => {
                let _ = gone.wait_for(|gone| *gone).await;
                None
            }
            _ => answer,
        }
    }

    /// Executes a batch but for some of it. An error is the answer of a server that has executed nothing.
    async fn leave_out(
        &self,
        request: &mut Request,
        count: usize,
        chosen: &Chosen,
    ) -> Option<Result<Answer, Answer>> {
        let Some(left_out) = batch::take_out(&mut request.body, count, chosen.seed) else {
            return Some(Ok(Answer::refusal(Refusal::THROUGHPUT)));
        };
        request.body_changed();
        let answer = self.land(request, Some(chosen)).await?;
        if answer.status != StatusCode::OK {
            return Some(Err(answer));
        }
        let mut body = answer.body();
        batch::put_in(&mut body, left_out);
        Some(Ok(answer.with_body(&body)))
    }

    /// Brings it to the server, and counts what that costs. `None` where the server cannot be reached or does not answer.
    async fn land(&self, request: &Request, chosen: Option<&Chosen>) -> Option<Answer> {
        let answer = self.send(request).await?;
        let done = answer.status == StatusCode::OK;
        if let (Some(chosen), true) = (chosen, done) {
            chosen.armed.note(|progress| progress.landed += 1);
        }
        if matches!(request.operation.as_str(), "CreateTable" | "DeleteTable") {
            // Another table of the same name may have another key.
            self.state().keys.clear();
        }
        self.learn_keys(request).await;
        let body = answer.body();
        let exchange =
            Exchange { operation: &request.operation, request: &request.body, done, answer: &body };
        let mut state = self.state();
        let charges = exchange.charges(&state.keys);
        let since = state.counted_since.elapsed();
        state.counts.charge(&request.operation, charges, since);
        let counts = state.counts.operation(&request.operation);
        counts.done += u64::from(done);
        counts.refused_by_condition += u64::from(exchange.refused_by_condition());
        counts.bytes_answered += answer.bytes.len() as u64;
        drop(state);
        Some(answer)
    }

    async fn send(&self, request: &Request) -> Option<Answer> {
        Answer::receive(self.client.request(request.to(&self.server)).await.ok()?).await
    }

    /// Asks for the keys of tables that are not known yet.
    async fn learn_keys(&self, request: &Request) {
        if !is_charged(&request.operation) {
            return;
        }
        for table in tables(&request.body) {
            if self.state().keys.contains_key(table) {
                continue;
            }
            let Some(answer) = self.send(&request.describe(table)).await else { continue };
            let names = |key: &Value| key["AttributeName"].as_str().map(str::to_owned);
            if let Some(keys) = answer.body()["Table"]["KeySchema"].as_array() {
                // The partition's key is always the first.
                self.state().keys.insert(table.to_owned(), keys.iter().filter_map(names).collect());
            }
        }
    }
}

/// Whether a request reads what may not be the newest.
fn may_be_old(operation: &str, body: &Value) -> bool {
    let is_weak = |read: &Value| read["ConsistentRead"] != true;
    match operation {
        "GetItem" | "Query" | "Scan" => is_weak(body),
        "BatchGetItem" => {
            body["RequestItems"].as_object().into_iter().flatten().any(|(_, table)| is_weak(table))
        }
        _ => false,
    }
}
