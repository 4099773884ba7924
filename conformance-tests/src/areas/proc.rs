//! Checks of the area `proc`: several processes on one log.

use annalist_core::Append;

use crate::agent::{Agent, Ask};
use crate::history::{Answer, AppendCall};
use crate::{Check, Verdict};

mod fence;
mod history;
mod see;
mod winner;

pub(super) use fence::{place, until_fenced};

pub(crate) const PARTS: &[&[Check]] = &[see::CHECKS, winner::CHECKS, fence::CHECKS, history::CHECKS];

/// How many processes work on the log at once.
const PROCESSES: usize = 4;

/// Lets each agent send its append at the same moment: each has it at hand, and a line tells it to go.
async fn race(agents: &mut [Agent], appends: &[Append]) -> Verdict<Vec<Answer>> {
    for (agent, append) in agents.iter_mut().zip(appends) {
        agent.ask(&Ask::Hold(Box::new(Ask::Append(AppendCall::of(append))))).await?;
    }
    for agent in agents.iter_mut() {
        agent.ask(&Ask::Go).await?;
    }
    let mut answers = Vec::with_capacity(agents.len());
    for agent in agents {
        answers.push(agent.answered().await?);
    }
    Ok(answers)
}
