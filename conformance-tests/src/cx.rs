//! What a check is given: its own namespace, handles on it, randomness, patience, and a place for what it observes.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::{Capabilities, EventId, Query, Read, RecordedEvent, StreamId, Subscribe};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Barrier;

use crate::kept::Kept;
use crate::panics::Panics;
use crate::{
    BoxError, Failure, Fault, Handle, Harness, HookError, Proxy, Rewind, Settings, Verdict, same_events,
};

/// What a check works with. Clones are the same context, for tasks of the check.
///
/// It is the main [`Handle`] of a namespace of its own, empty at first, and gives further handles, other namespaces and
/// all else that a check needs.
///
/// ```
/// use annalist_conformance::{Cx, Verdict, same_events};
///
/// async fn fresh_sees(cx: Cx) -> Verdict {
///     cx.append_any("Order-1", 2).await?;
///     let fresh = cx.fresh().await?;
///     same_events(&fresh.read_log().await?, &cx.read_log().await?, "the log through another handle")
/// }
/// ```
#[derive(Clone)]
pub struct Cx(Arc<Inner>);

struct Inner {
    check: &'static str,
    harness: Arc<dyn Harness>,
    namespace: String,
    settings: Settings,
    main: Handle,
    opened: Arc<Mutex<Kept>>,
    violations: Mutex<Vec<String>>,
    ops: AtomicU64,
    ops_min: AtomicU64,
    rngs: AtomicU64,
    panics: Panics,
}

impl Deref for Cx {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0.main
    }
}

impl Cx {
    pub(crate) async fn open(
        check: &'static str,
        harness: Arc<dyn Harness>,
        settings: Settings,
        panics: Panics,
        opened: Arc<Mutex<Kept>>,
    ) -> Verdict<Self> {
        let namespace = crate::settings::namespace();
        let main = open(&*harness, &namespace, &settings, &opened).await?;
        let (violations, rngs) = (Mutex::default(), AtomicU64::new(0));
        let (ops, ops_min) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner {
            check,
            harness,
            namespace,
            settings,
            main,
            opened,
            violations,
            ops,
            ops_min,
            rngs,
            panics,
        })))
    }

    /// Another, independent handle on the same namespace.
    ///
    /// # Errors
    ///
    /// A violation if the harness cannot open it.
    pub async fn fresh(&self) -> Verdict<Handle> {
        self.open_namespace(&self.0.namespace).await
    }

    /// Another handle that nobody else holds: dropping it drops the store, and nothing closes it once the check is over.
    ///
    /// # Errors
    ///
    /// A violation if the harness cannot open it.
    pub async fn fresh_to_drop(&self) -> Verdict<Handle> {
        open(&*self.0.harness, &self.0.namespace, &self.0.settings, &Mutex::default()).await
    }

    /// `n` independent handles on the same namespace, the main one being the first.
    ///
    /// # Errors
    ///
    /// A violation if the harness cannot open one.
    pub async fn handles(&self, n: usize) -> Verdict<Vec<Handle>> {
        let mut handles = vec![self.0.main.clone()];
        while handles.len() < n {
            handles.push(self.fresh().await?);
        }
        handles.truncate(n);
        Ok(handles)
    }

    /// A handle on another namespace, whose name is this one's and then `suffix` (`a-z`, `0-9`, `_`; at most 16 of them): the same suffix
    /// gives the same namespace.
    ///
    /// # Errors
    ///
    /// A violation if the harness cannot open it.
    pub async fn other_namespace(&self, suffix: &str) -> Verdict<Handle> {
        self.open_namespace(&format!("{}{suffix}", self.0.namespace)).await
    }

    /// Drops a handle now, not at the end of the check: what still keeps its store open afterwards does so by itself. The handle must be the
    /// last clone that the check has.
    pub fn let_go(&self, handle: Handle) {
        lock(&self.0.opened).let_go(&handle);
    }

    async fn open_namespace(&self, namespace: &str) -> Verdict<Handle> {
        open(&*self.0.harness, namespace, &self.0.settings, &self.0.opened).await
    }

    /// Puts the log back; the check is unverified where the harness cannot. Open a [`fresh`](Self::fresh) handle afterwards.
    ///
    /// # Errors
    ///
    /// [`Failure::Unverified`], or a violation if the hook fails.
    pub async fn rewind(&self, rewind: Rewind) -> Verdict {
        hooked(crate::Hook::Rewind, self.0.harness.rewind(&self.0.namespace, rewind).await)
    }

    /// Breaks the way between the handles of this namespace and its log, or heals it; the check is unverified where the
    /// harness cannot.
    ///
    /// # Errors
    ///
    /// [`Failure::Unverified`], [`Failure::NotApplicable`], or a violation if the hook fails.
    pub async fn fault(&self, fault: Fault) -> Verdict {
        hooked(crate::Hook::Fault, self.0.harness.fault(&self.0.namespace, fault).await)
    }

    /// The ids of the events that are held up on their way by [`Fault::Stall`].
    ///
    /// # Errors
    ///
    /// As [`fault`](Self::fault).
    pub async fn held(&self) -> Verdict<Vec<EventId>> {
        hooked(crate::Hook::Fault, self.0.harness.held(&self.0.namespace).await)
    }

    /// Another, independent handle on the same namespace, and the [`Proxy`] that all its connections go through; the check is unverified where
    /// the harness cannot open one. The proxy lives as long as the check keeps it.
    ///
    /// # Errors
    ///
    /// [`Failure::Unverified`], [`Failure::NotApplicable`], or a violation if the proxy or the handle cannot be opened.
    pub async fn proxied(&self) -> Verdict<(Handle, Proxy)> {
        let server = hooked(crate::Hook::Proxy, self.0.harness.address().await)?;
        let started = Proxy::start(server).await;
        let started = started
            .map_err(|error| Failure::violation(format!("the suite's proxy cannot start: {error}")))?;
        let opened = self.0.harness.open_through(&self.0.namespace, started.address()).await;
        let handle = Handle::new(hooked(crate::Hook::Proxy, opened)?, self.0.settings.patience);
        lock(&self.0.opened).push(&handle);
        Ok((handle, started))
    }

    /// What no text of the store may contain.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.0.harness.secrets()
    }

    pub(crate) async fn agent_environment(&self) -> Verdict<Vec<(String, String)>> {
        hooked(crate::Hook::Agent, self.0.harness.agent_environment().await)
    }

    pub(crate) async fn own_server(&self) -> Verdict<Arc<dyn crate::Server>> {
        hooked(crate::Hook::Server, self.0.harness.own_server().await)
    }

    pub(crate) async fn own_disk(&self) -> Verdict<Arc<dyn crate::Disk>> {
        hooked(crate::Hook::Disk, self.0.harness.own_disk().await)
    }

    /// The namespace of the check.
    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Makes a handle of what was opened; it is closed once the check is over.
    pub(crate) fn keep(&self, opened: crate::Opened) -> Handle {
        let handle = Handle::new(opened, self.0.settings.patience);
        lock(&self.0.opened).push(&handle);
        handle
    }

    /// What the store declares.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.store().capabilities()
    }

    /// A random number generator: the same for the same seed, check and count of earlier calls.
    #[must_use]
    pub fn rng(&self) -> StdRng {
        let call = self.0.rngs.fetch_add(1, Ordering::Relaxed);
        StdRng::seed_from_u64(crate::settings::sub_seed(self.0.settings.seed, self.0.check, call))
    }

    /// The seed of the whole run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.settings.seed
    }

    /// An amount of work, multiplied by the scale of the run; at least 1.
    #[must_use]
    pub fn scale(&self, n: usize) -> usize {
        ((n as f64 * self.0.settings.scale) as usize).max(1)
    }

    /// How long to wait for what must come.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.settings.patience
    }

    /// Waits for what must come, as long as patience lasts.
    ///
    /// # Errors
    ///
    /// A violation, which says what did not come, if patience runs out.
    pub async fn within<F: Future>(&self, what: &str, future: F) -> Verdict<F::Output> {
        let waited = tokio::time::timeout(self.patience(), future).await;
        waited.map_err(|_| Failure::violation(format!("{what} took longer than {:?}", self.patience())))
    }

    /// Runs a task of the check beside it. It ends with the check, and a panic in it is one of the check.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task(tokio::spawn(self.0.panics.clone().scope(future)))
    }

    /// Runs `n` tasks that begin at the same moment, and gives their results in order.
    ///
    /// # Errors
    ///
    /// A violation if one of them panics.
    pub async fn at_once<T, F>(&self, n: usize, mut task: impl FnMut(usize) -> F) -> Verdict<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let barrier = Arc::new(Barrier::new(n));
        let begin = |i| {
            let (barrier, future) = (barrier.clone(), task(i));
            self.spawn(async move {
                barrier.wait().await;
                future.await
            })
        };
        let tasks: Vec<_> = (0..n).map(begin).collect();
        let mut results = Vec::with_capacity(n);
        for task in tasks {
            results.push(task.join().await?);
        }
        Ok(results)
    }

    /// Notes a violation and lets the check go on; see [`note!`](crate::note).
    pub fn violation(&self, observed: impl Into<String>) {
        lock(&self.0.violations).push(observed.into());
    }

    /// Notes what a part of the check found, and lets the check go on: whether the part held is given. Only what is not a violation ends
    /// the check.
    ///
    /// # Errors
    ///
    /// Every [`Failure`] but a violation.
    pub fn collect(&self, verdict: Verdict, part: &str) -> Verdict<bool> {
        match verdict {
            Ok(()) => Ok(true),
            Err(Failure::Violated(observed)) => {
                observed.into_iter().for_each(|observed| self.violation(format!("{part}: {observed}")));
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Says how many operations the check needs, counted by [`count_op`](Self::count_op), to be conclusive. Every check that is not deterministic
    /// must say it.
    pub fn minimum_ops(&self, ops: usize) {
        self.0.ops_min.store(ops.max(1) as u64, Ordering::Relaxed);
    }

    /// Counts one operation done: one that could have shown a violation.
    pub fn count_op(&self) {
        self.count_ops(1);
    }

    /// Counts operations done.
    pub fn count_ops(&self, ops: usize) {
        self.0.ops.fetch_add(ops as u64, Ordering::Relaxed);
    }

    /// How many operations were counted.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.0.ops.load(Ordering::Relaxed)
    }

    pub(crate) fn ops_min(&self) -> u64 {
        self.0.ops_min.load(Ordering::Relaxed)
    }

    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0.violations))
    }

    /// Sees to it that the log holds exactly these events, on every path: the log through this handle and a fresh one, each of their streams and
    /// the `streams` named, and a subscription from the start. What a refused operation is followed by.
    ///
    /// # Errors
    ///
    /// A violation where a path gives something else.
    ///
    /// ```
    /// use annalist_conformance::{Cx, Verdict, exact, events, expect, stream};
    ///
    /// async fn conflict_writes_nothing(cx: Cx) -> Verdict {
    ///     cx.append_any("Order-1", 3).await?;
    ///     let (before, order) = (cx.read_log().await?, stream("Order-1"));
    ///     expect::conflict(cx.append_to(&order, exact(2), events(1)).await)?;
    ///     cx.log_is(&before, &[&order], "after a conflict").await
    /// }
    /// ```
    pub async fn log_is(&self, expected: &[RecordedEvent], streams: &[&StreamId], when: &str) -> Verdict {
        same_events(&self.read_log().await?, expected, &format!("the log {when}"))?;
        let fresh = self.fresh().await?;
        let log = fresh.drain(Read::log(Query::all())).await?;
        same_events(&log.events, expected, &format!("the log through another handle {when}"))?;

        let mut streams: Vec<&StreamId> =
            streams.iter().copied().chain(expected.iter().map(RecordedEvent::stream)).collect();
        streams.sort_unstable();
        streams.dedup();
        for stream in streams {
            let of_stream: Vec<_> =
                expected.iter().filter(|event| event.stream() == stream).cloned().collect();
            same_events(
                &fresh.read_stream(stream).await?,
                &of_stream,
                &format!("the stream {stream:?} {when}"),
            )?;
        }

        let (delivered, _) = fresh.tail(Subscribe::to(Query::all())).await?.until_caught_up().await?;
        same_events(&delivered, expected, &format!("what a subscription gives {when}"))
    }
}

fn hooked<T>(hook: crate::Hook, answer: Result<T, HookError>) -> Verdict<T> {
    answer.map_err(|error| match error {
        HookError::NotProvided => Failure::Unverified(hook),
        HookError::NotApplicable(reason) => Failure::NotApplicable(reason),
        HookError::Failed(error) => Failure::violation(format!("the hook `{hook}` failed: {error}")),
    })
}

async fn open(
    harness: &dyn Harness,
    namespace: &str,
    settings: &Settings,
    opened: &Mutex<Kept>,
) -> Verdict<Handle> {
    let failed =
        |error: BoxError| Failure::violation(format!("the harness could not open the store: {error}"));
    let handle = Handle::new(harness.open(namespace).await.map_err(failed)?, settings.patience);
    lock(opened).push(&handle);
    Ok(handle)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("check", &self.0.check)
            .field("namespace", &self.0.namespace)
            .finish_non_exhaustive()
    }
}

/// A task of a check; it ends when this is dropped.
///
/// ```
/// use annalist_conformance::{Cx, Verdict, ensure_eq};
///
/// async fn beside(cx: Cx) -> Verdict {
///     let handle = cx.fresh().await?;
///     let writer = cx.spawn(async move { handle.append_any("Order-1", 1).await });
///     ensure_eq!(writer.join().await??.already_committed(), false, "a first append");
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for the task's result.
    ///
    /// # Errors
    ///
    /// A violation if it panicked.
    pub async fn join(mut self) -> Verdict<T> {
        (&mut self.0)
            .await
            .map_err(|error| Failure::violation(format!("a task of the check ended early: {error}")))
    }

    /// Ends the task at its next await point.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the task is over.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
