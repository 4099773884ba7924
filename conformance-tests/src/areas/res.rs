//! Checks of the area `res`: dropped futures, bounded resources, closing and dropping.

use annalist_core::{Query, Read};

use crate::{Check, Cx, Handle, Verdict, ensure, same_events};

mod cancel;
mod cancel_others;
mod close;
mod faults;
mod load;
mod network;
mod runtimes;

pub(super) use faults::{first_held, send};

pub(crate) const PARTS: &[&[Check]] = &[
    cancel::CHECKS,
    cancel_others::CHECKS,
    load::CHECKS,
    close::CHECKS,
    runtimes::CHECKS,
    faults::CHECKS,
    network::CHECKS,
];

/// Sees to it that the next acknowledged append of a handle is real: it is there for this handle and for another one, and both see the same
/// log.
async fn next_is_real(cx: &Cx, handle: &Handle, when: &str) -> Verdict {
    let proof = cx.within(&format!("the next append {when}"), handle.works("After-1")).await??;
    let fresh = cx.fresh().await?;
    let log = cx.within(&format!("reading {when}"), fresh.read_log()).await??;
    ensure!(
        log.iter().any(|event| event.id() == proof.id()),
        "{when} an append was acknowledged, which another handle does not see among {} events",
        log.len()
    );
    let own = cx.within(&format!("reading {when}"), handle.drain(Read::log(Query::all()))).await??;
    same_events(&own.events, &log, &format!("the log through the handle itself, {when}"))
}
