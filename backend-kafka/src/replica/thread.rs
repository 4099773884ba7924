//! The thread that reads the topic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annalist_core::{Error, ErrorKind};
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, info};

use super::Replica;
use crate::address::Address;
use crate::client::{self, Context, PARTITION};
use crate::config::Config;
use crate::error::{internal, is_of_lost_records, of_request, wrong_history};
use crate::fold::{Applied, Fold, Mark, Raw, Skipped, Verdict};

/// How often it looks whether it shall end.
const POLL: Duration = Duration::from_millis(50);
/// How many records, and bytes of them, are read at most before what they come to is written and told.
const RECORDS_MAX: usize = 10_000;
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// How often it says how far it has come, while it reads what was there before.
const PROGRESS: Duration = Duration::from_secs(5);

/// Begins to read where the fold stands.
pub(crate) fn start(
    replica: &Arc<Replica>,
    fold: Fold,
    address: &Address,
    config: &Config,
) -> Result<(), Error> {
    let context = Context { health: replica.health().clone() };
    let consumer: BaseConsumer<Context> =
        client::consumer(address, config).create_with_context(context).map_err(of_request)?;
    let reader = Reader {
        replica: replica.clone(),
        check: fold.state().last.map_or(Check::Done, Check::Expects),
        fold,
        consumer,
        topic: address.topic.clone(),
        events_max: config.fold_events_max,
        progress: Progress { next: Instant::now() + PROGRESS },
    };
    reader.assign()?;
    let thread = std::thread::Builder::new().name("annalist-kafka-fold".to_owned());
    thread.spawn(move || reader.run()).map_err(|error| {
        Error::new(ErrorKind::Unavailable("no thread could be started".to_owned())).with_source(error)
    })?;
    Ok(())
}

struct Reader {
    replica: Arc<Replica>,
    fold: Fold,
    consumer: BaseConsumer<Context>,
    topic: String,
    check: Check,
    events_max: usize,
    progress: Progress,
}

/// Whether the topic is still the one that was read before. Once something was wrong with a connection it may be another one, made anew, or cut off
/// and grown again.
#[derive(Clone, Copy, Debug)]
enum Check {
    Done,
    /// The last record that was read is to be read again; nothing else counts before that.
    Due(Mark),
    /// It is to come next: whatever else comes is of another history.
    Expects(Mark),
}

struct Progress {
    next: Instant,
}

/// Says that the thread has ended, however it did.
struct End(Arc<Replica>);

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(internal("the thread that reads the topic panicked"));
        }
        self.0.ended.send_replace(true);
    }
}

impl Reader {
    fn run(mut self) {
        let end = End(self.replica.clone());
        match self.read() {
            Ok(()) => self.replica.end(),
            Err(error) => self.replica.fail(error),
        }
        let Self { fold, consumer, replica, .. } = self;
        drop((fold, replica));
        drop(end);
        // Last, because it can take long.
        drop(consumer);
    }

    /// Begins at the record that was read last, to see that it is still the same.
    fn assign(&self) -> Result<(), Error> {
        let from = self.fold.state().last.map_or(0, |mark| mark.offset);
        let mut partitions = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        partitions.add_partition_offset(&self.topic, PARTITION, offset).map_err(of_request)?;
        self.consumer.assign(&partitions).map_err(of_request)
    }

    fn read(&mut self) -> Result<(), Error> {
        let mut answers = Vec::new();
        while !self.replica.is_stopped() {
            self.look_again();
            let Some(first) = self.poll(POLL)? else { continue };
            self.apply(&first, &mut answers)?;
            let (mut records, mut bytes) = (1, first.value.len());
            // What has come with it is decided with it, so far as that is soon done: there are records without events, and large ones.
            while self.fold.staged_events() < self.events_max && records < RECORDS_MAX && bytes < BYTES_MAX {
                let Some(next) = self.poll(Duration::ZERO)? else { break };
                self.apply(&next, &mut answers)?;
                (records, bytes) = (records + 1, bytes + next.value.len());
            }
            // The answers stand in the log: the local store can be made again and need not be waited for. A barrier must be, because those who wait for it
            // look there.
            let looked_for = answers.extract_if(.., |(_, verdict)| matches!(verdict, Verdict::Barrier));
            let looked_for: Vec<_> = looked_for.collect();
            self.answer(answers.drain(..));
            self.fold.commit()?;
            self.replica.publish(&self.fold);
            self.answer(looked_for);
            self.progress.show(&self.fold);
        }
        Ok(())
    }

    fn answer(&self, answers: impl IntoIterator<Item = (u64, Verdict)>) {
        for (number, verdict) in answers {
            self.replica.pending().folded(number, verdict);
        }
    }

    /// Goes back to the last record, where that is due. While there is no connection it cannot, and tries again.
    ///
    /// Best before there is a connection again: what is asked for then waits for more to come, and only then goes back.
    fn look_again(&mut self) {
        if let (Check::Done, Some(mark)) = (self.check, self.fold.state().last)
            && self.replica.health().take_suspicion()
        {
            self.check = Check::Due(mark);
        }
        if let Check::Due(mark) = self.check {
            let offset = Offset::Offset(i64::try_from(mark.offset).unwrap_or(i64::MAX));
            // Not assigned again: the driver does not bear that while it is still stopping.
            match self.consumer.seek(&self.topic, PARTITION, offset, Duration::ZERO) {
                Ok(()) => self.check = Check::Expects(mark),
                Err(error) => debug!(%error, "the topic cannot be looked at again yet"),
            }
        }
    }

    fn poll(&mut self, within: Duration) -> Result<Option<Raw>, Error> {
        match self.consumer.poll(within) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(raw(&message))),
            Some(Err(error)) => self.bear(error).map(|()| None),
        }
    }

    /// Goes on after an error that may pass.
    fn bear(&self, error: KafkaError) -> Result<(), Error> {
        if is_of_lost_records(&error) {
            return Err(lost().with_source(error));
        }
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(of_request(error));
        }
        debug!(%error, "reading the topic goes on");
        self.replica.health().doubt();
        Ok(())
    }

    fn apply(&mut self, raw: &Raw, answers: &mut Vec<(u64, Verdict)>) -> Result<(), Error> {
        match self.check {
            Check::Due(_) => return Ok(()),
            Check::Expects(mark) if raw.offset < mark.offset => return Ok(()),
            Check::Expects(mark) if Mark::of(raw) != mark => return Err(lost()),
            Check::Expects(_) => {
                self.check = Check::Done;
                self.replica.checked();
                return Ok(());
            }
            Check::Done => {}
        }
        // Before anything counts that came after the trouble. Where nothing comes, nothing can be wrong.
        if self.replica.health().take_suspicion()
            && let Some(mark) = self.fold.state().last
        {
            self.check = Check::Due(mark);
            return Ok(());
        }
        if raw.offset < self.fold.state().applied {
            // It was read before.
            return Ok(());
        }
        let Applied { writer, verdict } = self.fold.apply(raw)?;
        if let (Verdict::Skipped(Skipped::OfAnotherLog(_)), Some(mark)) = (&verdict, self.fold.state().last) {
            // The topic may have been made anew without any trouble that the driver tells of.
            self.check = Check::Due(mark);
        }
        if let Some((writer, number)) = writer
            && writer == self.replica.writer()
        {
            answers.push((number, verdict));
        }
        Ok(())
    }
}

fn lost() -> Error {
    wrong_history(
        "the topic does not hold what was read of it before: it was made anew, or cut off and has grown again; \
         a local store that was kept of it is of another history, and its folder must be removed if this one counts",
    )
}

fn raw(message: &BorrowedMessage<'_>) -> Raw {
    Raw {
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        time: message.timestamp().to_millis().unwrap_or_default(),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

impl Progress {
    fn show(&mut self, fold: &Fold) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PROGRESS;
            info!(applied = fold.state().applied, foreign = fold.state().foreign, "the topic has been read");
        }
    }
}
