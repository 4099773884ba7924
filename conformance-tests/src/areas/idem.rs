//! Checks of the area `idem`: retries, reused ids, and twins.

use annalist_core::{Append, NewEvent, Receipt};

use crate::{Check, Handle, Verdict, ensure, ensure_eq};

mod content;
mod partly;
mod replay;
mod retry;
mod scope;
mod twins;

pub(crate) const PARTS: &[&[Check]] =
    &[replay::CHECKS, retry::CHECKS, partly::CHECKS, content::CHECKS, scope::CHECKS, twins::CHECKS];

/// Sends an append again and sees to it that the answer is that of the first time.
async fn replays(handle: &Handle, append: Append, original: &Receipt, when: &str) -> Verdict {
    let again = handle.append(append).await?;
    ensure!(again.already_committed(), "{when} a retry is told to be new: {again:?}");
    ensure_eq!(again.written(), original.written(), "what the receipt of a retry tells {when}");
    Ok(())
}

/// The same events under the same ids, with other data.
fn rewritten(events: &[NewEvent]) -> Vec<NewEvent> {
    let other = |event: &NewEvent| crate::event("Happened", r#"{"n":0}"#).with_id(event.id());
    events.iter().map(other).collect()
}
