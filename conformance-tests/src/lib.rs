#![doc = include_str!("../README.md")]
//!
//! # How a check is written
//!
//! A check is one sentence of the contract on one screen: an entry in the [`checks!`] block of its area (`src/areas/<area>.rs`) and
//! an async function of the same name below it. A large area is a folder: `src/areas/sub.rs` with `mod catch_up;` … and
//! `PARTS: &[&[Check]] = &[catch_up::CHECKS, …]`, where each file has its own `checks!` block with the same `area`.
//!
//! ```
//! use annalist_conformance::{Cx, Verdict, checks, ensure_eq, events, exact, expect, stream};
//!
//! checks! {
//!     area: "append",
//!     exact_future {
//!         guarantee: "A3", level: 1, kind: Deterministic,
//!         summary: "An append that expects a version above the stream's own conflicts and leaves no hole.",
//!         likely_cause: "only the key of the new event is checked for absence, not that of the one before it",
//!     }
//! }
//!
//! async fn exact_future(cx: Cx) -> Verdict {
//!     let order = stream("Order-1");
//!     cx.append_any("Order-1", 3).await?; // an error that is not expected is a violation by `?`
//!     let before = cx.read_log().await?;
//!     let answer = cx.append_to(&order, exact(4), events(1)).await;
//!     expect::version_conflict(answer, &order, exact(4), 3)?; // one that is expected goes through `expect`
//!     cx.log_is(&before, &[&order], "after the conflict").await // every refusal is looked at on every path
//! }
//! # let _ = CHECKS;
//! ```
//!
//! - The entry: `guarantee` is the contract's name for it (`A3`), `level` 1 for what one caller sees, 2 for many at once, 3 for a network that fails and for several processes, 4 for servers that are killed, `kind` is one of
//!   `Deterministic`, `Stochastic`, `Sweep`, `Model`. Then, where needed, in this order: `needs: [Processes]` (capabilities: not applicable
//!   without), `hooks: [Rewind]`. `summary` is one sentence of the contract, `likely_cause` names the naive store that fails it.
//! - [`Cx`] is the main [`Handle`] of a namespace of the check's own, so stream names need not be unique. [`Cx::fresh`] opens another, independent
//!   handle on it, [`Cx::handles`] several, [`Cx::other_namespace`] another namespace.
//! - [`Handle`] has [`append_to`](Handle::append_to), [`append_any`](Handle::append_any), [`append_medley`](Handle::append_medley),
//!   [`drain`](Handle::drain) (any [`Read`](annalist_core::Read), all pages, with what pages must keep to), [`read_stream`](Handle::read_stream),
//!   [`read_log`](Handle::read_log), [`head`](Handle::head), [`tail`](Handle::tail), [`works`](Handle::works), and the bare stores.
//! - [`Tail`] follows the log with patience: [`take`](Tail::take), [`until_caught_up`](Tail::until_caught_up), [`until`](Tail::until),
//!   [`end`](Tail::end). Nothing in a check sleeps, and a wait that runs out is a violation: [`Cx::within`] does that for any future.
//! - Values: [`stream`], [`event`], [`events`], [`tagged`], [`exact`], [`checkpoint`], [`schema`], [`query_medley`].
//! - Saying what is wrong: [`ensure!`], [`ensure_eq!`], [`same_events`], [`same_as_appended`]; [`note!`] and [`Cx::collect`] go on afterwards, for
//!   checks that look at many things. Every text says what was observed, with numbers.
//! - Concurrency: [`Cx::at_once`] starts tasks at one moment, [`Cx::spawn`] runs one beside the check; [`Cx::rng`] is seeded; [`Cx::scale`]
//!   multiplies the work. A check that is not deterministic says by [`Cx::minimum_ops`] how many operations it needs, counts them by
//!   [`Cx::count_op`], and is inconclusive, which is a failure, below that.
//! - Linearizability: [`history::Recorder`] gives [`Session`](history::Session)s that note appends (of any shape) and reads; [`judge`](history::Recorder::judge)
//!   holds all answers against the log. [`Model`] says what one caller must be answered.
//! - Dropped futures: [`Sweep`] drops an operation after 0, 1, 2 … polls until it completes. Faults and restored backups: [`Cx::fault`], [`Cx::held`], [`Cx::rewind`], with
//!   `hooks: […]` in the entry.
//! - A network that fails: [`Cx::proxied`] gives a handle and the [`Proxy`] in front of its server, whose [`arm`](Proxy::arm) says which [`Trouble`] comes at which of the handle's
//!   sends, with `hooks: [Proxy]` in the entry. `areas/network.rs` sweeps a trouble over all sends of an operation and holds what an append was told against the log;
//!   `areas/every.rs` has every operation of the three traits. A fault that did not happen shows nothing: [`Proxy::has_fired`], or the count of a sweep, makes such a check inconclusive.
//!   The log is looked at through the main handle, which does not go through the proxy.
//! - Panics are caught, also in tasks of the store: nothing to do.
//! - Other processes (`src/agent`): `Cx::agents` starts this program again in the role of agents, which are asked by lines of JSON and tell by
//!   lines of JSON; what was acknowledged to one is told afterwards, so that it counts even if the agent is killed a moment later. They can be
//!   killed and stopped. What their sessions note is merged into one history, on the one clock of the host.
//! - Servers that are killed (`src/server.rs`, `src/areas/crash/storm.rs`): `Cx::served` gives the check a server of its own, and `Storm` writers
//!   that are at work on it. A fault is proven before anything else: a killed process is waited for, a killed server must not answer; else the
//!   check is inconclusive.
//! - A disk whose power is cut (`src/disk.rs`): `Cx::on_disk` gives the check a disk of its own, which loses what was not flushed.
//!
//! # How a mutant is written
//!
//! Every check needs a store that it finds out. `tests/proof/mutants/<area>.rs` lists them:
//!
//! ```text
//! const MUTANTS: &[Mutant] = &[Mutant {
//!     name: "exact_never_checked",
//!     guarantee: "A3",
//!     twin: "a batch writer: puts without a condition",   // what in the wild has this bug
//!     expected: &["append.exact_stale"],                  // every check named here must fail on it
//!     make: || each_handle(|| ExactNeverChecked),
//! }];
//!
//! /// Takes every `Exact` as `Any`.
//! struct ExactNeverChecked;
//!
//! #[async_trait]
//! impl Bug for ExactNeverChecked {
//!     async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
//!         let append = edit_writes(&append, |write| {
//!             if matches!(write.expected, ExpectedVersion::Exact(_)) {
//!                 write.expected = ExpectedVersion::Any;
//!             }
//!         });
//!         honest.append(append).await
//!     }
//! }
//! ```
//!
//! - `Bug` has all methods of the three traits, passed on to `honest`, the memory store beneath, unless they are overridden. Its `subscribe` runs
//!   the engine over the broken store itself, so that broken reads show in subscriptions.
//! - How far a bug's own state reaches is said by `each_handle(|| …)`, `each_database(|| …)` (shared by the handles of one namespace) and
//!   `everywhere(…)` (shared by all namespaces). For more, implement `World`: it can change which namespace opens, how its memory store is made, what
//!   opening gives (any store at all), and the hooks. `Bug::append` has the honest handle only; a bug that needs other databases keeps them in its own state.
//! - `edit.rs` has what falsifies: `edit_writes`, `keep`, `edit_receipt`, `with_event`, `with_version`, `with_position`, `at` (a
//!   position by its numbers), `edit_signals`; the
//!   fields of a `Page` can be set. `annalist_core::backend` makes all else.
//! - `look.rs` looks at the honest store beneath, for a bug that decides by itself, and has `wrong_append!` for bugs without state in `append` alone.
//! - `remote.rs` is a store that has a network: the memory store behind a socket. A bug that needs one is a `Flaw` of its client, a `Habit` of its connections, a `ServerFlaw`, or a
//!   sender of `faulty.rs` that travels by its `carrier()`; `mutants/remote.rs` has them.
//! - A bug that panics in a task of its own goes through `alone(…)`, because nobody can tell which check such a panic belongs to.
//! - A bug between processes or of a server that is killed: `served.rs` has clients over a served memory store, one for each process
//!   (`served(client)`), and what a server serves and what is left of it when it is killed (`with_fate`). Agents are the proof itself once more.
//! - An honest store that is odd where the contract leaves room goes into `tests/proof/oddballs.rs`; all checks must pass on it.
//!
//! `cargo test -p annalist-conformance --test proof -- --mutant NAME --check NAME` runs some of it and tells what
//! each check observed (is it the right reason?), `--full` runs every check on the mutant, `--runs 200`
//! measures how often the checks that tell by chance find their mutants, `--oddball plain --check NAME` runs a check on the honest memory store.

mod agent;
mod areas;
mod check;
mod cx;
mod disk;
pub mod expect;
mod handle;
mod harness;
pub mod history;
mod kept;
mod logs;
mod main_program;
mod make;
mod model;
mod os;
mod panics;
mod proxy;
mod report;
mod runner;
mod server;
mod settings;
mod soak;
mod sweep;
mod tail;
mod traffic;
mod verdict;

#[doc(no_inline)]
pub use annalist_core::Capability;
pub use areas::all;
pub use check::{Check, Kind};
pub use cx::{Cx, Task};
pub use disk::Disk;
pub use handle::{Drained, Handle, same_as_appended, same_events};
pub use harness::{BoxError, Fault, Harness, Hook, HookError, Namespaces, Opened, Rewind};
pub use make::{checkpoint, event, events, exact, query_medley, schema, stream, tagged};
pub use model::Model;
pub use proxy::{Proxy, Trouble};
pub use report::{CheckResult, Outcome, Report};
pub use runner::{run, run_check};
pub use server::Server;
pub use settings::{Selection, Settings};
pub use soak::{FaultCount, Soak, SoakReport, check_soak, soak};
pub use sweep::{PollLimit, Sweep};
pub use tail::Tail;
pub use verdict::{Failure, Verdict};

#[doc(hidden)]
pub use agent::agent_program;
#[doc(hidden)]
pub use check::check;
#[doc(hidden)]
pub use main_program::main_program;
#[doc(hidden)]
pub use soak::soak_program;
#[doc(hidden)]
pub use verdict::shown;
