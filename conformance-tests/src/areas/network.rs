//! What the checks of a network that fails share: appends of every shape, the sweep over a handle's sends, and what an append was told held against
//! what became of it.

use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, ExpectedVersion, Position, Query, Receipt};

use crate::{
    Cx, Failure, Handle, Proxy, Task, Trouble, Verdict, ensure, ensure_eq, events, exact, same_as_appended,
    stream, tagged,
};

/// Long enough for a few attempts.
pub(super) const SOON: Duration = Duration::from_millis(200);

/// Deadlines for what certainly does not get through. One at which an attempt happens to be under way may leave the answer open; not all of them can.
pub(super) const EVER_LONGER: [Duration; 3] = [SOON, Duration::from_millis(400), Duration::from_millis(800)];

/// Appends of every shape that a retry can get wrong, each to streams of its own, whose names end in `n`.
pub(super) fn shapes(n: &str) -> Vec<(&'static str, Append)> {
    let any = ExpectedVersion::Any;
    let named = |name: &str| stream(&format!("{name}-{n}"));
    let email = format!("email:{n}");
    vec![
        ("no stream", Append::to(&named("A"), ExpectedVersion::NoStream, events(2))),
        ("an exact version", Append::to(&named("B"), exact(0), events(1))),
        ("any version", Append::to(&named("C"), any, events(3))),
        (
            "a condition that its own events would break",
            Append::to(&named("D"), any, [tagged("Registered", &[email.as_str()])])
                .condition(Query::tags([email.as_str()]), Position::START),
        ),
        (
            "several streams",
            Append::to(&named("E1"), exact(0), events(2)).write(
                &named("E2"),
                ExpectedVersion::NoStream,
                events(1),
            ),
        ),
        (
            "a check",
            Append::to(&named("F1"), exact(0), events(1)).check(&named("F2"), ExpectedVersion::NoStream),
        ),
    ]
}

/// One operation after another, each with its trouble at the next send, until one completes before the trouble comes.
pub(super) struct Sends {
    cx: Cx,
    pub(super) handle: Handle,
    pub(super) proxy: Proxy,
    trouble: fn(u64) -> Trouble,
    lasting: bool,
    cold: bool,
    next: u64,
    fired: u64,
    fired_here: bool,
}

impl Sends {
    /// With a trouble that happens once, on connections that are there.
    pub(super) async fn sweep(cx: &Cx, trouble: fn(u64) -> Trouble) -> Verdict<Self> {
        let (handle, proxy) = cx.proxied().await?;
        let (lasting, cold, next, fired, fired_here) = (false, false, 0, 0, false);
        Ok(Self { cx: cx.clone(), handle, proxy, trouble, lasting, cold, next, fired, fired_here })
    }

    /// Nothing gets through once the trouble has happened.
    pub(super) fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// No connection is there when the operation begins.
    pub(super) fn cold(mut self) -> Self {
        self.cold = true;
        self
    }

    /// Whether there is one more send at which the trouble may come.
    ///
    /// # Errors
    ///
    /// A violation if operations never complete; inconclusive if none ever met the trouble.
    pub(super) fn goes_on(&mut self) -> Verdict<bool> {
        const SENDS_MAX: u64 = 1_000;
        let began = self.next > 0;
        self.next += 1;
        if !began || std::mem::take(&mut self.fired_here) {
            ensure!(self.next <= SENDS_MAX, "the operation did not complete within {SENDS_MAX} sends");
            return Ok(true);
        }
        let swept = self.fired > 0;
        let nothing = || Failure::Inconclusive("no send went through the proxy".to_owned());
        if swept { Ok(false) } else { Err(nothing()) }
    }

    /// Arms the trouble for one operation.
    pub(super) async fn arm(&self) -> Verdict {
        if self.cold {
            self.proxy.arm(Trouble::Down).await;
            self.proxy.heal().await;
        } else {
            self.cx.within("a read before the trouble", self.handle.head()).await??;
        }
        let trouble = (self.trouble)(self.at());
        if self.lasting {
            self.proxy.arm_lasting(trouble).await
        } else {
            self.proxy.arm(trouble).await
        }
        Ok(())
    }

    /// The send at which operations have their trouble now.
    pub(super) fn at(&self) -> u64 {
        self.next - 1
    }

    /// Names the present operation.
    pub(super) fn name(&self, what: &str) -> String {
        let cold = if self.cold { " cold" } else { "" };
        format!("{what} {:?}{cold}", (self.trouble)(self.at()))
    }

    /// Ends the trouble: whether it happened.
    pub(super) async fn heal(&mut self) -> bool {
        // The send may be one that a store makes beside the operation, and the answer with which it is lost be still on its way. Not every send
        // has one: a goodbye, say.
        if self.proxy.sends() > self.at() {
            let _ = tokio::time::timeout(self.cx.patience() / 10, self.proxy.until_fired()).await;
        }
        let fired = self.proxy.fired() > 0;
        self.fired_here |= fired;
        self.fired += u64::from(fired);
        if fired {
            self.cx.count_op();
        }
        self.proxy.heal().await;
        fired
    }

    /// Waits until the trouble has happened, or the operation is over without it: whether it happened.
    pub(super) async fn until_fired<T>(&self, operation: &Task<T>) -> Verdict<bool> {
        let over = async {
            while !operation.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let either = async {
            tokio::select! {
                () = self.proxy.until_fired() => {}
                () = over => {}
            }
        };
        self.cx.within("an operation that is to be held up", either).await?;
        Ok(self.proxy.fired() > 0)
    }
}

/// Sends an append beside the check.
pub(super) fn send(cx: &Cx, handle: &Handle, append: &Append) -> Task<Result<Receipt, Error>> {
    let (handle, append) = (handle.clone(), append.clone());
    cx.spawn(async move { handle.append(append).await })
}

/// What an append was told.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Told {
    Written(Receipt),
    Absent,
    Open,
}

/// What an append that nothing speaks against was told. While the network fails there is nothing else to tell (E1).
pub(super) fn told(answer: Result<Receipt, Error>, when: &str) -> Verdict<Told> {
    let error = match answer {
        Ok(receipt) => return Ok(Told::Written(receipt)),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::Unavailable(_) => Ok(Told::Absent),
        ErrorKind::Indeterminate(_) => Ok(Told::Open),
        _ => Err(Failure::violation(format!("{when}: it is answered {error:?}"))),
    }
}

/// Whether an append is there, wholly; a part of it is a violation.
pub(super) async fn is_there(cx: &Cx, append: &Append, when: &str) -> Verdict<bool> {
    let alike = |found: &[bool]| found.iter().all(|there| *there == found[0]);
    let mut found = streams_there(cx, append, when).await?;
    if !alike(&found) {
        // One that is still on its way may land between two of the reads; then all of it is there for the next.
        found = streams_there(cx, append, when).await?;
    }
    ensure!(alike(&found), "{when}: of its streams there are {found:?}");
    Ok(found[0])
}

/// Which of an append's streams are there.
async fn streams_there(cx: &Cx, append: &Append, when: &str) -> Verdict<Vec<bool>> {
    let mut found = Vec::new();
    for write in append.writes() {
        let events = cx.read_stream(&write.stream).await?;
        if !events.is_empty() {
            same_as_appended(&events, &write.events, &format!("{:?}, {when}", write.stream))?;
        }
        found.push(!events.is_empty());
    }
    Ok(found)
}

/// Holds what an append was told against what became of it.
pub(super) async fn is_true(cx: &Cx, append: &Append, told: &Told, when: &str) -> Verdict<bool> {
    let there = is_there(cx, append, when).await?;
    match told {
        Told::Written(_) => ensure!(there, "{when}: it was acknowledged, and is not there"),
        Told::Absent => ensure!(!there, "{when}: it was told to be certainly absent, and is there"),
        Told::Open => {}
    }
    Ok(there)
}

/// Sends an append again, and sees to it that it is there once, whole, and answered so.
pub(super) async fn there_once(cx: &Cx, handle: &Handle, append: &Append, when: &str) -> Verdict<Receipt> {
    let again = handle.append(append.clone().timeout(cx.patience()));
    let receipt = cx.within(&format!("{when}, sent again"), again).await??;
    let fresh = cx.fresh().await?;
    for (write, written) in append.writes().iter().zip(receipt.written()) {
        let found = fresh.read_stream(&write.stream).await?;
        same_as_appended(&found, &write.events, &format!("{:?} {when}", write.stream))?;
        let positions: Vec<_> = found.iter().map(|event| event.position()).collect();
        ensure_eq!(written.positions(), positions.as_slice(), "the receipt's positions {when}");
    }
    Ok(receipt)
}

/// Holds the answer to an append against the log, sends it again through the handle, and sees to it that it is there once.
pub(super) async fn converges(
    cx: &Cx,
    handle: &Handle,
    append: &Append,
    answer: Result<Receipt, Error>,
    when: &str,
) -> Verdict {
    let told = told(answer, when)?;
    let there = is_true(cx, append, &told, when).await?;
    let again = there_once(cx, handle, append, when).await?;
    ensure!(!there || again.already_committed(), "{when}: it was there, and a retry is told to be new");
    if let Told::Written(receipt) = told {
        ensure_eq!(receipt.written(), again.written(), "{when}: the receipt of the first answer");
    }
    Ok(())
}
