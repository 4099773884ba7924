//! The offline check: what a soak left in its folder, held against the contract.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::ledger::{self, HISTORY, LOG};
use super::report::{FaultCount, SoakReport};
use crate::history::merge::{Merged, add_attempts, rank};
use crate::history::{Answer, Call, Followed, History, Operation, read_lines};

/// The errors that a client of a store must reckon with, whose requests break no rule. Whether each conflict and each reuse of an id was justified,
/// and whether each owner that was fenced had been, is told by the history.
const EXPECTED: [&str; 5] = ["unavailable", "indeterminate", "conflict", "id_reused", "fenced"];

/// Reads what a soak left in its folder, and holds it against the contract.
///
/// It takes time and memory in proportion to the history.
///
/// # Errors
///
/// What the file system refuses, and what is not of a soak.
///
/// ```
/// let nowhere = std::path::Path::new("no-such-folder");
/// assert!(annalist_conformance::check_soak(nowhere).is_err());
/// ```
pub fn check_soak(dir: &Path) -> io::Result<SoakReport> {
    let about = ledger::about(dir)?;
    let mut merged = Merged::default();
    read_lines(&dir.join(HISTORY), &mut merged)?;
    let log = if about.complete { read_lines(&dir.join(LOG), &mut merged)? } else { Vec::new() };
    let mut violations = std::mem::take(&mut merged.wrong);
    let failures = std::mem::take(&mut merged.failures);
    let (operations, acknowledged, unanswered) = (merged.count(), merged.acknowledged(), merged.unanswered());
    let mut history = History { log, ..merged.history() };

    let unexpected = failures.iter().filter(|(kind, _)| !EXPECTED.contains(&kind.as_str()));
    violations.extend(unexpected.map(|(kind, (count, first))| {
        format!("{count} operations that break no rule were answered {kind:?}, the first: {first}")
    }));
    let answers = answers(&history.operations);
    let mut inconclusive = Vec::new();
    if about.complete {
        add_attempts(&mut history.operations);
        rank(&mut history.operations, &mut history.followed);
        violations.extend(history.check().err().unwrap_or_default());
    } else {
        inconclusive.push("it was cut short: there is no log to hold the answers against".to_owned());
    }
    let mut faults: BTreeMap<String, FaultCount> = BTreeMap::new();
    for fault in ledger::faults(dir)? {
        let count = faults.entry(fault.kind.to_string()).or_default();
        count.tried += 1;
        count.happened += u64::from(fault.proof.is_some());
    }
    inconclusive.extend(never_happened(&faults));
    if acknowledged == 0 || history.followed.is_empty() {
        inconclusive.push("there was no traffic".to_owned());
    }
    Ok(SoakReport {
        backend: about.backend,
        server: about.server,
        seed: about.seed,
        seconds: about.seconds,
        rate: about.rate,
        workers: about.workers,
        operations: operations as u64,
        unanswered: unanswered as u64,
        events: history.log.len() as u64,
        subscriptions: history.followed.len() as u64,
        signals: history.followed.iter().map(Followed::count).sum(),
        answers,
        faults,
        absent: about.absent.into_iter().map(|(kind, reason)| (kind.to_string(), reason)).collect(),
        failures: failures.into_iter().map(|(kind, (count, _))| (kind, count)).collect(),
        violations,
        inconclusive,
    })
}

/// What was tried and never happened shows nothing; once or twice is bad luck where the machine is busy.
fn never_happened(faults: &BTreeMap<String, FaultCount>) -> Vec<String> {
    const TRIES_ENOUGH: u64 = 3;
    let none = faults.values().all(|count| count.happened == 0);
    let never =
        faults.iter().filter(|(_, count)| count.happened == 0 && (none || count.tried >= TRIES_ENOUGH));
    never.map(|(kind, count)| format!("{kind}: tried {} times, never happened", count.tried)).collect()
}

/// How many operations of each kind were answered in which way.
fn answers(operations: &[Operation]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut answers: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for Operation { call, answer, .. } in operations {
        let call = match call {
            Call::Append(_) => "append",
            Call::Read(_) => "read",
            Call::Follow(_) => "subscribe",
            Call::SaveSnapshot { .. } => "save snapshot",
            Call::LoadSnapshot { .. } => "load snapshot",
            Call::PruneSnapshots { .. } => "prune snapshots",
            Call::Claim(_) => "claim checkpoint",
            Call::SaveCheckpoint { .. } => "save checkpoint",
            Call::LoadCheckpoint(_) => "load checkpoint",
            Call::Other(_) => "other",
        };
        let answer = match answer {
            Answer::Committed { already: false, .. } => "committed",
            Answer::Committed { already: true, .. } => "committed before",
            Answer::Version { .. } | Answer::Condition { .. } => "conflict",
            Answer::IdReused { .. } => "id reused",
            Answer::Refused(kind) => kind,
            Answer::Unknown => "unknown",
            Answer::Events { .. } | Answer::Done | Answer::Snapshot(_) => "done",
            Answer::Claimed { .. } | Answer::Checkpoint(_) => "done",
        };
        *answers.entry(call.to_owned()).or_default().entry(answer.to_owned()).or_default() += 1;
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use annalist_core::{Append, ExpectedVersion, LogId, Query, Subscribe, Version, backend};

    use super::super::ledger::{About, FaultLine, Ledger, LogFile};
    use super::super::nemesis::Kind;
    use super::*;
    use crate::history::merge::Noted;
    use crate::history::{AppendCall, EventText, FollowCall, LogEvent};
    use crate::{stream, tagged};

    fn about(complete: bool) -> About {
        About {
            backend: "none".to_owned(),
            server: "none".to_owned(),
            seed: 7,
            rate: 1,
            seconds: 1.0,
            workers: [1, 0, 0],
            absent: Vec::new(),
            complete,
        }
    }

    /// A soak of one append that was acknowledged, and one subscription; what a test adds, and whether the log has the event in the end.
    fn report(name: &str, complete: bool, is_there: bool, add: impl Fn(&Ledger)) -> SoakReport {
        let dir = folder(name);
        let ledger = Ledger::new(&dir).expect("a writable folder");
        let event = tagged("Made", &[]);
        let position = backend::position(LogId::new(), 1, 0);
        let append = Append::to(&stream("A-1"), ExpectedVersion::Any, [event.clone()]);
        let written = vec![(stream("A-1"), Version::FIRST, vec![position])];
        let calls = [
            (0, Call::Append(AppendCall::of(&append)), Answer::Committed { already: false, written }),
            (1, Call::Follow(FollowCall::of(&Subscribe::to(Query::all()))), Answer::Done),
        ];
        for (session, call, answer) in calls {
            let invoked = u64::from(session) * 10;
            let operation = Operation { session, invoked, returned: None, call, answer: Answer::Unknown };
            ledger.note(Noted::Begun(Box::new(operation)));
            ledger.note(Noted::Ended { session, returned: invoked + 5, answer });
        }
        add(&ledger);
        let mut log = LogFile::new(&dir).expect("a writable folder");
        if is_there {
            let (stream, version) = (stream("A-1"), Version::FIRST);
            log.event(LogEvent { stream, version, position, event: EventText::of(&event) });
        }
        log.end().and_then(|()| ledger.end()).and_then(|()| ledger.about(&about(complete))).expect("written");
        let report = check_soak(&dir).expect("a soak");
        std::fs::remove_dir_all(&dir).expect("it was written");
        report
    }

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("annalist-soak-check-{name}-{}", std::process::id()))
    }

    #[test]
    fn what_holds_passes() {
        let report = report("holds", true, true, |_| ());
        assert!(report.passed(), "{report}");
        assert_eq!((report.operations, report.events, report.subscriptions), (2, 1, 1));
        assert_eq!(report.answers["append"]["committed"], 1);
    }

    #[test]
    fn what_was_lost_is_found() {
        let report = report("lost", true, false, |_| ());
        assert!(report.violations.iter().any(|told| told.contains("lost")), "{report}");
    }

    #[test]
    fn an_error_that_nobody_has_to_reckon_with_is_found() {
        let failed = |kind: &str| {
            let (kind, text) = (kind.to_owned(), "boom".to_owned());
            move |ledger: &Ledger| {
                ledger.note(Noted::Failed { session: 0, at: 9, kind: kind.clone(), text: text.clone() });
            }
        };
        assert!(report("unavailable", true, true, failed("unavailable")).passed());
        let report = report("internal", true, true, failed("internal"));
        assert!(report.violations[0].contains("boom"), "{report}");
    }

    #[test]
    fn what_a_client_saw_is_told() {
        let report = report("wrong", true, true, |ledger| ledger.wrong("it hangs".to_owned()));
        assert!(report.violations[0].contains("it hangs") && !report.passed());
    }

    #[test]
    fn a_soak_that_was_cut_short_shows_nothing() {
        let report = report("short", false, true, |_| ());
        assert!(report.violations.is_empty() && !report.passed());
    }

    #[test]
    fn a_fault_that_never_happens_shows_nothing() {
        let fault = |proof: Option<&str>| FaultLine {
            kind: Kind::ServerKill,
            at: 1,
            ended: 2,
            proof: proof.map(str::to_owned),
        };
        let tried = |ledger: &Ledger| (0..3).for_each(|_| ledger.fault(&fault(None)));
        assert!(!report("never", true, true, tried).passed());
        let happened = report("once", true, true, |ledger| {
            tried(ledger);
            ledger.fault(&fault(Some("it did not answer")));
        });
        assert!(happened.passed(), "{happened}");
        let count = happened.faults["server killed"];
        assert_eq!((count.tried, count.happened), (4, 1));
    }
}
