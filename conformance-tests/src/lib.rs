#![doc = include_str!("../README.md")]

mod areas;
mod check;
mod cx;
pub mod expect;
mod handle;
mod harness;
mod make;
mod panics;
mod report;
mod runner;
mod settings;
mod tail;
mod verdict;

#[doc(no_inline)]
pub use annalist_core::Capability;
pub use areas::all;
pub use check::{Check, Kind};
pub use cx::{Cx, Task};
pub use handle::{Drained, Handle, same_as_appended, same_events};
pub use harness::{BoxError, Harness, Hook, HookError, Namespaces, Opened, Rewind};
pub use make::{checkpoint, event, events, exact, query_medley, schema, stream, tagged};
pub use report::{CheckResult, Outcome, Report};
pub use runner::{run, run_check};
pub use settings::{Selection, Settings};
pub use tail::Tail;
pub use verdict::{Failure, Verdict};

#[doc(hidden)]
pub use check::check;
#[doc(hidden)]
pub use verdict::shown;
