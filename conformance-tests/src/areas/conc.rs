//! Checks of the area `conc`: many writers at once.

use annalist_core::{Append, Error, Receipt};

use crate::{Check, Cx, Handle, Verdict};

mod history;
mod land;
mod parked;
mod winner;

pub(crate) const PARTS: &[&[Check]] = &[winner::CHECKS, land::CHECKS, history::CHECKS, parked::CHECKS];

type Answer = Result<Receipt, Error>;

/// Sends appends at the same moment, in turn through these handles. Each counts as an operation.
async fn race(cx: &Cx, handles: &[Handle], appends: Vec<Append>) -> Verdict<Vec<Answer>> {
    let task = |i: usize| {
        let (handle, append) = (handles[i % handles.len()].clone(), appends[i].clone());
        async move { handle.append(append).await }
    };
    let answers = cx.within("appends at the same moment", cx.at_once(appends.len(), task)).await??;
    cx.count_ops(answers.len());
    Ok(answers)
}
