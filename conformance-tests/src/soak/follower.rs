//! A subscriber: it follows the log for a while, notes what it is given, and subscribes anew; now and then as the owner of a checkpoint.

use std::time::Duration;

use annalist_core::{Error, ErrorKind, Owner, Position, Query, Read, Signal, Subscribe, Subscription};
use tokio::sync::watch;

use super::client::{answered, ended, passes, read_noted};
use super::plan::{Begin, Life, Plan, TICK};
use crate::history::{Answer, Call, FollowCall, Heard, Session};

/// How many signals an owner takes before it saves where it is.
const SAVE_AFTER: usize = 5;

pub(super) struct Follower {
    pub(super) plan: Plan,
    pub(super) number: u32,
    pub(super) session: Session,
    /// Where it was last, newest first.
    pub(super) seen: Vec<Position>,
}

/// How a subscription came to its end.
enum End {
    /// It was stopped.
    Stopped,
    /// It broke, which it may where an outage was too long.
    Broken,
    /// It gave nothing more for long, where there was more to give.
    Stuck,
}

impl Follower {
    pub(super) async fn follow(mut self, mut over: watch::Receiver<bool>) {
        for number in 0.. {
            if *over.borrow() {
                break;
            }
            let life = self.plan.life(self.number, number, Plan::epoch(self.plan.tick()));
            if self.live(&life, &mut over).await.is_none() {
                // It could not begin, or broke.
                tokio::select! {
                    () = tokio::time::sleep(TICK / 2) => {}
                    () = ended(&mut over) => {}
                }
            }
        }
    }

    /// One life; `None` if it ended before its time.
    async fn live(&mut self, life: &Life, over: &mut watch::Receiver<bool>) -> Option<()> {
        let subscribe = Subscribe::to(life.query.clone()).page_size(life.page_size);
        let (subscribe, owner) = match &life.begin {
            Begin::Start => (subscribe, None),
            Begin::Now => (subscribe.from_now(), None),
            Begin::After(back) => match self.seen.get(*back) {
                Some(position) => (subscribe.after(*position), None),
                // Not from the start: a long log would be given again and again.
                None => (subscribe.from_now(), None),
            },
            Begin::Claimed(name) => {
                let (owner, position) = self.claim(name).await?;
                (subscribe.after(position.unwrap_or(Position::START)), Some(owner))
            }
        };
        let mut subscription = self.subscribe(subscribe).await?;
        let mut run = Run { follower: self, owner, at: Position::START, unsaved: 0 };
        let rest = TICK * life.ticks;
        let broken = tokio::select! {
            end = run.hear(&mut *subscription, life, None) => Some(end),
            () = tokio::time::sleep(rest) => None,
            () = ended(over) => None,
        };
        if broken.is_some() {
            return None;
        }
        let head = run.follower.head().await?;
        let reached = run.hear(&mut *subscription, life, Some(head)).await;
        let (session, at) = (&run.follower.session, run.at);
        match reached {
            End::Stopped => {}
            End::Broken => return None,
            End::Stuck => {
                session.wrong(format!("a subscription stays at {at} although the head is {head} (S1, S2)"));
            }
        }
        subscription.stop().await;
        if let Some(more) = subscription.next().await {
            session.wrong(format!("after it was stopped a subscription gave {more:?} (S8)"));
        }
        Some(())
    }

    async fn claim(&self, name: &annalist_core::CheckpointName) -> Option<(Owner, Option<Position>)> {
        let (handle, mut claimed) = (self.session.handle(), None);
        let claim = async {
            let claim = handle.checkpoints().claim_checkpoint(name).await?;
            let position = claim.checkpoint.map(|checkpoint| checkpoint.position);
            let epoch = claim.owner.epoch();
            claimed = Some((claim.owner, position));
            Ok(Answer::Claimed { epoch, position })
        };
        answered(&self.session, self.plan.patience, Call::Claim(name.clone()), claim).await?.ok()?;
        claimed
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Option<Box<dyn Subscription>> {
        let (handle, mut begun) = (self.session.handle(), None);
        let call = Call::Follow(FollowCall::of(&subscribe));
        let begin = async {
            begun = Some(handle.store().subscribe(subscribe).await?);
            Ok(Answer::Done)
        };
        answered(&self.session, self.plan.patience, call, begin).await?.ok()?;
        begun
    }

    /// The head; asked for again while that fails.
    async fn head(&self) -> Option<Position> {
        let asked = async {
            loop {
                let read = Read::log(Query::all()).limit(0);
                if let Some(found) = read_noted(&self.session, self.plan.patience, read).await {
                    return found.head;
                }
                tokio::time::sleep(TICK / 10).await;
            }
        };
        let head = tokio::time::timeout(2 * self.plan.patience, asked).await;
        if head.is_err() {
            self.session.wrong("the head cannot be read for long".to_owned());
        }
        head.ok()
    }
}

/// A subscription under way.
struct Run<'a> {
    follower: &'a mut Follower,
    owner: Option<Owner>,
    at: Position,
    /// How many signals came since the last save.
    unsaved: usize,
}

impl Run<'_> {
    /// Takes what comes, until it has come to a position, where one is given.
    async fn hear(
        &mut self,
        subscription: &mut dyn Subscription,
        life: &Life,
        until: Option<Position>,
    ) -> End {
        let mut taken = 0;
        while until.is_none_or(|until| self.at < until) {
            // A wait for what comes next has an end where it is known that something must.
            let long = if until.is_some() { self.follower.plan.patience } else { Duration::MAX };
            let signal = match tokio::time::timeout(long, subscription.next()).await {
                Ok(Some(Ok(signal))) => signal,
                Ok(Some(Err(error))) => return self.broken(subscription, &error).await,
                Ok(None) => {
                    self.follower.session.wrong("a subscription ended silently (S7)".to_owned());
                    return End::Broken;
                }
                Err(_) => return End::Stuck,
            };
            self.take(&signal);
            // Whoever drops this future finds each signal noted.
            taken += 1;
            if self.unsaved >= SAVE_AFTER {
                self.save().await;
            }
            if taken % life.breath_after == 0 && until.is_none() {
                tokio::time::sleep(TICK / 10).await;
            }
        }
        End::Stopped
    }

    fn take(&mut self, signal: &Signal) {
        if let Some(heard) = Heard::of(signal) {
            self.at = heard.position();
            self.follower.session.heard(heard);
            self.follower.seen.insert(0, self.at);
            self.follower.seen.truncate(16);
            self.unsaved += 1;
        }
    }

    async fn broken(&self, subscription: &mut dyn Subscription, error: &Error) -> End {
        self.follower.session.failed(error);
        if !passes(error) {
            self.follower.session.wrong(format!("a subscription ended with {error:?} (S7)"));
        }
        if let Some(more) = subscription.next().await {
            self.follower.session.wrong(format!("after its error a subscription gave {more:?} (S7)"));
        }
        End::Broken
    }

    /// Saves where it is. An owner that was fenced saves no more, and goes on following.
    async fn save(&mut self) {
        self.unsaved = 0;
        let Some(owner) = &self.owner else { return };
        let (session, position) = (&self.follower.session, self.at);
        let call = Call::SaveCheckpoint { name: owner.name().clone(), epoch: owner.epoch(), position };
        let handle = session.handle();
        let save =
            async { handle.checkpoints().save_checkpoint(owner, position).await.map(|()| Answer::Done) };
        let saved = answered(session, self.follower.plan.patience, call, save).await;
        if matches!(saved, Some(Err(error)) if matches!(error.kind(), ErrorKind::Fenced(_))) {
            self.owner = None;
        }
    }
}
