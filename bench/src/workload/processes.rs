//! W1 and MISS in several processes: this program starts itself again, and all of them append to one log for the same span.
//!
//! A worker opens the log, makes its appends and says that it is ready. All begin when they are told, and stop when they are told: in W1 as
//! soon as the first of them has sent everything, in MISS after the span of a round. One line on a pipe for each of that.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::append::Plan;
use super::{CASES, Case, Kind, Reading, follow, sum, written};
use crate::subject::{Result, Side, Subject, Volume};

/// A worker could begin.
const READY: &str = "ready";
/// It may.
const GO: &str = "go";
/// It has sent everything.
const DONE: &str = "done";
/// It stops, and says what came of it.
const STOP: &str = "stop";

/// What a worker is told on its command line.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) backend: String,
    pub(crate) subject: String,
    pub(crate) log: String,
    /// The place in the list of all cases.
    pub(crate) case: usize,
    pub(crate) process: u64,
    pub(crate) scale_percent: u64,
}

/// The option under which it is told, with the fields of a [`Job`] in their order.
pub(crate) const WORKER: &str = "worker";

/// The workers of a case.
pub(super) struct Crew {
    workers: Vec<Worker>,
    said: Receiver<Option<String>>,
}

impl Crew {
    /// As many as the case names, all of them ready.
    pub(super) fn start(
        case: &Case,
        backend: &str,
        subject: &str,
        log: &str,
        scale_percent: u64,
    ) -> Result<Self> {
        let place = CASES.iter().position(|known| known == case).ok_or("an unknown case")?;
        let (sender, said) = channel();
        let mut workers = Vec::new();
        for process in 0..case.processes {
            let numbers = [place as u64, process, scale_percent].map(|number| number.to_string());
            let args = [backend, subject, log].into_iter().chain(numbers.iter().map(String::as_str));
            workers.push(Worker::start(args, sender.clone())?);
        }
        // What remains are the senders of the listeners: when all workers have ended, so has the channel.
        drop(sender);
        let crew = Self { workers, said };
        for _ in &crew.workers {
            crew.expect(READY)?;
        }
        Ok(crew)
    }

    /// Appends until the first of them has sent everything: how many events a second that were.
    pub(super) fn rate(mut self) -> Result<Vec<Reading>> {
        self.tell_all(GO)?;
        self.expect(DONE)?;
        let mut rate = 0.0;
        for told in self.stop()? {
            rate += told.parse::<f64>()?;
        }
        Ok(vec![Reading { unit: "events/s", value: rate }])
    }

    /// Appends without pause for so long: the numbers of the acknowledged events.
    pub(super) fn acknowledged(mut self, duration: Duration) -> Result<Vec<Range<u64>>> {
        self.tell_all(GO)?;
        std::thread::sleep(duration);
        let mut acknowledged = Vec::new();
        for told in self.stop()? {
            for range in told.split_whitespace() {
                let (first, end) = range.split_once("..").ok_or_else(|| format!("{told:?} for ranges"))?;
                acknowledged.push(first.parse()?..end.parse()?);
            }
        }
        Ok(acknowledged)
    }

    /// Stops all, and gives what they say came of it.
    fn stop(&mut self) -> Result<Vec<String>> {
        self.tell_all(STOP)?;
        let mut told = Vec::new();
        while told.len() < self.workers.len() {
            told.extend(Some(self.hear()?).filter(|line| is_result(line)));
        }
        self.workers.iter_mut().try_for_each(Worker::ended)?;
        Ok(told)
    }

    /// Whatever any worker says next; the end of any before its result is an error.
    fn hear(&self) -> Result<String> {
        Ok(self.said.recv()?.ok_or("a worker ended before its time")?)
    }

    fn expect(&self, expected: &str) -> Result<()> {
        match self.hear()? {
            line if line == expected => Ok(()),
            line => Err(format!("a worker said {line:?} instead of {expected:?}").into()),
        }
    }

    fn tell_all(&mut self, word: &str) -> Result<()> {
        self.workers.iter_mut().try_for_each(|worker| say(&mut worker.told, word))
    }
}

/// Whether a line is what a worker says last.
fn is_result(line: &str) -> bool {
    line != READY && line != DONE
}

fn say(to: &mut impl Write, word: &str) -> Result<()> {
    writeln!(to, "{word}")?;
    Ok(to.flush()?)
}

struct Worker {
    child: Child,
    told: ChildStdin,
}

impl Worker {
    fn start<'a>(args: impl Iterator<Item = &'a str>, said: Sender<Option<String>>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(format!("--{WORKER}")).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (told, says) = (child.stdin.take(), child.stdout.take());
        let (told, says) = told.zip(says).ok_or("a worker without pipes")?;
        std::thread::spawn(move || {
            let mut has_ended = false;
            for line in BufReader::new(says).lines().map_while(std::result::Result::ok) {
                has_ended = is_result(&line);
                // Who does not listen any more has failed already.
                let _ = said.send(Some(line));
            }
            if !has_ended {
                let _ = said.send(None);
            }
        });
        Ok(Self { child, told })
    }

    fn ended(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a worker failed: {status}").into()) }
    }
}

impl Drop for Worker {
    /// After a failure nobody waits for what the others would say. One that has ended is not killed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Case {
    /// The part of one worker.
    pub(crate) fn serve<S: Side>(&self, side: &S, job: &Job, volume: Volume) -> Result<()> {
        self.runtime()?.block_on(async {
            let subject = Arc::new(side.open(&job.log, self.crowd()).await?);
            let told = listen();
            let result = match self.kind {
                Kind::Missed => self.write_on(&subject, job.process, told).await?,
                _ => self.send(&subject, Plan::new(self, volume, job.process)?, told).await?,
            };
            subject.close().await?;
            say(&mut std::io::stdout(), &result)
        })
    }

    /// Sends all that is planned; gives how many events a second there were until it was told to stop.
    async fn send<S: Subject>(&self, subject: &Arc<S>, plan: Plan<'_>, mut told: Told) -> Result<String> {
        let appends = plan.prepare(&**subject, 0..plan.appends)?;
        say(&mut std::io::stdout(), READY)?;
        wait_for(&mut told, GO).await?;
        let begun = Instant::now();
        let progress = Arc::new(Progress::default());
        let tasks = send_all(appends, subject, &progress);
        let work = tokio::spawn(async {
            let sent = sum(tasks).await;
            say(&mut std::io::stdout(), DONE)?;
            sent
        });
        wait_for(&mut told, STOP).await?;
        let sent = progress.appends.load(Ordering::Relaxed);
        let rate = (sent * self.batch) as f64 / begun.elapsed().as_secs_f64();
        progress.must_stop.store(true, Ordering::Relaxed);
        work.await??;
        Ok(rate.to_string())
    }

    /// Appends until it is told to stop; gives the numbers of the acknowledged events.
    async fn write_on<S: Subject>(&self, subject: &Arc<S>, process: u64, mut told: Told) -> Result<String> {
        say(&mut std::io::stdout(), READY)?;
        wait_for(&mut told, GO).await?;
        let must_stop = Arc::new(AtomicBool::new(false));
        let is_over = {
            let must_stop = Arc::clone(&must_stop);
            move || must_stop.load(Ordering::Relaxed)
        };
        let writers = follow::writers(self, subject, process, &is_over);
        wait_for(&mut told, STOP).await?;
        must_stop.store(true, Ordering::Relaxed);
        let mut acknowledged = String::new();
        for range in follow::acknowledged(writers).await? {
            acknowledged += &format!("{}..{} ", range.start, range.end);
        }
        Ok(acknowledged)
    }
}

#[derive(Default)]
struct Progress {
    appends: AtomicU64,
    must_stop: AtomicBool,
}

/// One task for each list of appends.
fn send_all<S: Subject>(
    lists: Vec<Vec<S::Append>>,
    subject: &Arc<S>,
    progress: &Arc<Progress>,
) -> JoinSet<Result<u64>> {
    let mut tasks = JoinSet::new();
    for appends in lists {
        let (subject, progress) = (Arc::clone(subject), Arc::clone(progress));
        tasks.spawn(async move {
            let mut sent = 0;
            for append in appends {
                if progress.must_stop.load(Ordering::Relaxed) {
                    break;
                }
                written(subject.append(append).await?)?;
                progress.appends.fetch_add(1, Ordering::Relaxed);
                sent += 1;
            }
            Ok(sent)
        });
    }
    tasks
}

/// The lines that this process is told.
type Told = mpsc::UnboundedReceiver<String>;

/// They are read by a thread, because nothing else can wait for them.
fn listen() -> Told {
    let (sender, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    told
}

/// An end of the pipe is the end of whoever started this process.
async fn wait_for(told: &mut Told, word: &str) -> Result<()> {
    match told.recv().await {
        Some(line) if line == word => Ok(()),
        other => Err(format!("told {other:?} instead of {word:?}").into()),
    }
}
