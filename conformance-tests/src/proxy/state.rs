//! What all connections of a proxy share: the trouble, and how much of it has happened.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Trouble;

pub(super) struct Shared {
    pub(super) server: SocketAddr,
    pub(super) address: SocketAddr,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    trouble: Trouble,
    /// Whether the server is down once the trouble has happened.
    lasting: bool,
    /// Counts armings: what was lost under an earlier one cannot be made good.
    pub(super) armed: u64,
    pub(super) sends: u64,
    pub(super) replied: u64,
    pub(super) fired: u64,
    /// Whether nothing gets through and nothing is listened for.
    pub(super) down: bool,
    /// Whether the listener is there, which follows `down`.
    pub(super) listens: bool,
}

/// What becomes of a send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Forward,
    /// Forward it, and lose the connection at the first byte of an answer.
    ForwardThenCut,
    /// Forward it, and let no answer through.
    ForwardThenSilence,
    /// Forward it once another trouble is armed than the one of this number.
    Hold(u64),
    Later(Duration),
    /// It is lost, and the connection stays open.
    Swallow,
    Cut,
}

impl Shared {
    pub(super) fn new(server: SocketAddr, address: SocketAddr) -> Self {
        let state = State {
            trouble: Trouble::None,
            lasting: false,
            armed: 0,
            sends: 0,
            replied: 0,
            fired: 0,
            down: false,
            listens: true,
        };
        Self { server, address, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells everyone who waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.look());
        self.changed.notify_waiters();
        result
    }

    /// Waits until the state is such.
    pub(super) async fn until(&self, mut such: impl FnMut(&State) -> bool) {
        loop {
            // Made before the look, so that a change between the two is not missed.
            let changed = self.changed.notified();
            if such(&self.look()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) async fn arm(&self, trouble: Trouble, lasting: bool) {
        let down = trouble == Trouble::Down;
        self.change(|state| {
            let armed = state.armed + 1;
            let listens = state.listens;
            *state = State { trouble, lasting, armed, sends: 0, replied: 0, fired: 0, down, listens };
        });
        self.until(|state| state.listens != state.down).await;
    }

    /// Counts a connection that comes: whether it is let in.
    pub(super) fn let_in(&self) -> bool {
        self.change(|state| {
            if state.down {
                state.fired += 1;
            }
            !state.down
        })
    }

    /// Counts a send, and says what becomes of it; `stays` tells of its connection whether it outlives that the server is down.
    pub(super) fn send(&self, stays: &AtomicBool) -> Step {
        self.change(|state| {
            let number = state.sends;
            state.sends += 1;
            let step = state.step(number);
            // Before anyone can learn that the server is down now.
            stays.store(matches!(step, Step::Hold(_) | Step::ForwardThenSilence), Ordering::SeqCst);
            match step {
                Step::Cut | Step::Swallow | Step::Hold(_) | Step::Later(_) | Step::ForwardThenSilence => {
                    state.happened();
                }
                // It has happened once the answer is lost.
                Step::ForwardThenCut | Step::Forward => {}
            }
            step
        })
    }

    /// Counts the bytes of an answer, and says how many of them still arrive; fewer than came means that the connection is lost.
    pub(super) fn reply(&self, bytes: usize) -> usize {
        self.change(|state| {
            let before = state.replied;
            state.replied += bytes as u64;
            match state.trouble {
                // Only once: what is asked for again arrives.
                Trouble::CutReply(most) if state.fired == 0 && state.replied > most => {
                    state.happened();
                    usize::try_from(most - before).unwrap_or(bytes)
                }
                _ => bytes,
            }
        })
    }

    /// Whether answers are kept back.
    pub(super) fn is_silent(&self) -> bool {
        self.look().trouble == Trouble::Silent
    }

    /// An answer was lost.
    pub(super) fn answer_lost(&self) {
        self.change(State::happened);
    }
}

impl State {
    fn happened(&mut self) {
        self.fired += 1;
        // These two last by themselves, and are no longer what they are once the server is down.
        let lasts = matches!(self.trouble, Trouble::Silent | Trouble::Delay(_));
        self.down |= self.lasting && !lasts;
    }

    fn step(&self, number: u64) -> Step {
        if self.down {
            return Step::Cut;
        }
        match self.trouble {
            Trouble::CutBefore(at) if at == number => Step::Cut,
            Trouble::CutAfter(at) if at == number => Step::ForwardThenCut,
            Trouble::SilentAfter(at) if at == number => Step::ForwardThenSilence,
            Trouble::Hold(at) if at == number => Step::Hold(self.armed),
            Trouble::Silent => Step::Swallow,
            Trouble::Delay(long) => Step::Later(long),
            _ => Step::Forward,
        }
    }
}
