//! A store on the other side of a socket: the memory store behind a small server, and a client with connections, deadlines and group commit.
//!
//! It is found by the server's address and the name of the namespace alone, also from another process:
//! [`RemoteStore::connect`]. An append takes two round trips, so that there is a moment at which a batch is at the server and not decided.

mod flaw;
mod line;
mod prepared;
mod server;
mod store;
mod wire;
mod world;

use std::time::Duration;

pub use flaw::{Flaw, flawed, sending};
pub use prepared::ServerFlaw;
pub use server::{Base, Server};
pub use store::RemoteStore;
pub use world::{Parts, remote};

/// What every client of a server must know.
pub const PASSWORD: &str = "correct horse battery staple";

/// What a client does with its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Good,
    /// One that lost a reply is used again.
    KeepsLost,
    /// It connects once, and never again.
    ConnectsOnce,
}

/// The settings of a client.
#[derive(Clone, Copy)]
pub struct Config {
    /// How long an operation takes where it does not say.
    pub timeout: Duration,
    /// How long the reply to one attempt is waited for.
    pub attempt_timeout: Duration,
    /// How many connections are in use at once; subscriptions that wait have one more each.
    pub connections_max: usize,
    /// How often what can safely be asked again is asked, in all.
    pub attempts_max: u32,
    /// What it does with its connections.
    pub habit: Habit,
}

impl Config {
    /// For a network that can be relied upon.
    pub const PATIENT: Self = Self {
        timeout: Duration::from_secs(10),
        attempt_timeout: Duration::from_secs(5),
        connections_max: 16,
        attempts_max: 3,
        habit: Habit::Good,
    };

    /// For a network that is expected to fail.
    pub const HASTY: Self = Self {
        timeout: Duration::from_millis(1_000),
        attempt_timeout: Duration::from_millis(800),
        ..Self::PATIENT
    };
}
