//! Checks of the area `model`: random operations, one after the other, against the reference model.

mod plan;

use annalist_core::{Append, Error, Read, Receipt, RecordedEvent};
use annalist_engine::admission::Verdict as Admission;
use rand::Rng;

use crate::{Check, Cx, Failure, Handle, Model, Verdict, checks, ensure, shown};

use plan::{Plan, Step};

pub(crate) const PARTS: &[&[Check]] = &[CHECKS];

checks! {
    area: "model",
    sequential {
        guarantee: "A3", level: 2, kind: Model,
        summary: "Any series of appends, retries and reads of one caller is answered as admission over a plain list of events answers it.",
        likely_cause: "a combination of features that no single check puts together; the shortest series found is in the text",
    }
}

const CASES: usize = 40;
const STEPS: usize = 60;

async fn sequential(cx: Cx) -> Verdict {
    let mut rng = cx.rng();
    let cases = cx.scale(CASES);
    cx.minimum_ops(cases * STEPS);
    for case in 0..cases {
        let plan = Plan::random(&mut rng, STEPS);
        let Err(failure) = run(&cx, &plan, &format!("c{case}")).await else { continue };
        return Err(shrunk(&cx, plan, failure, case).await);
    }
    Ok(())
}

/// Leaves steps out as long as the rest still fails: what is left is what the author reads.
async fn shrunk(cx: &Cx, plan: Plan, failure: Failure, case: usize) -> Failure {
    /// Each try opens a namespace, which is dear on some backends.
    const TRIES_MAX: usize = 60;
    let (mut smallest, mut failure, mut tries) = (plan, failure, 0);
    let mut part = smallest.steps.len() / 2;
    while part > 0 {
        let mut from = 0;
        while from < smallest.steps.len() && tries < TRIES_MAX {
            tries += 1;
            let smaller = smallest.without(from, part);
            match run(cx, &smaller, &format!("c{case}s{tries}")).await {
                Err(smaller_failure) => (smallest, failure) = (smaller, smaller_failure),
                Ok(()) => from += part,
            }
        }
        part /= 2;
    }
    let Failure::Violated(mut observed) = failure else { return failure };
    observed.push(format!("the steps: {}", shown(&smallest.steps)));
    Failure::Violated(observed)
}

/// One store with two handles, and what it must look like.
struct Case {
    cx: Cx,
    handles: [Handle; 2],
    model: Model,
    sent: Vec<Append>,
}

async fn run(cx: &Cx, plan: &Plan, namespace: &str) -> Verdict {
    let handles = [cx.other_namespace(namespace).await?, cx.other_namespace(namespace).await?];
    let mut case = Case { cx: cx.clone(), handles, model: Model::default(), sent: Vec::new() };
    for (i, (handle, step)) in plan.steps.iter().enumerate() {
        case.step(*handle, step).await.map_err(|failure| in_step(failure, i, step))?;
        cx.count_op();
    }
    let all = Read::log(annalist_core::Query::all());
    case.read(0, all).await
}

fn in_step(failure: Failure, i: usize, step: &Step) -> Failure {
    match failure {
        Failure::Violated(observed) => Failure::Violated(
            observed.into_iter().map(|what| format!("step {i}, {step:?}: {what}")).collect(),
        ),
        other => other,
    }
}

impl Case {
    async fn step(&mut self, handle: usize, step: &Step) -> Verdict {
        if let Some(append) = plan::append(step, &self.model, &self.sent) {
            self.append(handle, append).await
        } else if let Some(read) = plan::read(step, &self.model) {
            self.read(handle, read).await
        } else {
            Ok(())
        }
    }

    async fn append(&mut self, handle: usize, append: Append) -> Verdict {
        let must = self.model.admit(&append);
        let found = self.handles[handle].append(append.clone()).await;
        self.sent.push(append.clone());
        let found: Result<Receipt, Error> = match (&must, found) {
            (Admission::Accepted, Ok(receipt)) if append.event_count() == 0 => {
                ensure!(receipt.written().is_empty(), "an append without events is answered {receipt:?}");
                return Ok(());
            }
            (Admission::Accepted, Ok(receipt)) => {
                return self.model.commit(&append, &receipt).map_err(Failure::violation);
            }
            (_, found) => found,
        };
        let same = match (&must, &found) {
            (Admission::AlreadyCommitted(must), Ok(found)) => must == found,
            (Admission::Refused(must), Err(found)) => must.kind() == found.kind(),
            _ => false,
        };
        ensure!(same, "it must be answered {}, but was {}", shown(&must), shown(&found));
        Ok(())
    }

    async fn read(&self, handle: usize, read: Read) -> Verdict {
        let page_size = self.cx.rng().random_range(1..9);
        let must = self.model.read(&read);
        let version = match read.source() {
            annalist_core::Source::Stream(stream) => self.model.version(stream),
            _ => annalist_core::Version::NONE,
        };
        let drained = self.handles[handle].drain(read.page_size(page_size)).await?;
        // The time is the store's own.
        let of = |event: &RecordedEvent| {
            (event.stream().clone(), event.version(), event.position(), event.event().clone())
        };
        let (found, must): (Vec<_>, Vec<_>) =
            (drained.events.iter().map(of).collect(), must.iter().map(of).collect());
        let at = found
            .iter()
            .zip(&must)
            .position(|(found, must)| found != must)
            .unwrap_or(found.len().min(must.len()));
        ensure!(
            found == must,
            "{} events instead of {}, and at place {at} {} instead of {}",
            found.len(),
            must.len(),
            shown(&found.get(at)),
            shown(&must.get(at))
        );
        ensure!(drained.version == version, "the pages tell version {}, not {version}", drained.version);
        ensure!(drained.head >= self.model.head(), "the head {} is below the newest event", drained.head);
        Ok(())
    }
}
