//! Which requests a fault happens to, and what has come of it.

use std::fmt;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::watch;

use super::Fault;

/// Which requests a fault is to happen to: of those that match, the next one, unless more is said.
///
/// ```
/// use annalist_test_servers::dynamodb::Rule;
///
/// // The third put into this table, and the two after that.
/// let rule = Rule::on("PutItem").matching(|body| body["TableName"] == "events").skip(2).times(3);
/// // Every tenth of all requests on average, differently with another seed.
/// let rule = Rule::any().one_in(10).seed(7).always();
/// ```
pub struct Rule {
    operation: Option<String>,
    matches: Box<dyn Fn(&Value) -> bool + Send>,
    skip: u64,
    left: u64,
    one_in: u32,
    random: StdRng,
}

impl Rule {
    /// Requests of one operation, as in `PutItem`.
    pub fn on(operation: impl Into<String>) -> Self {
        Self { operation: Some(operation.into()), ..Self::any() }
    }

    /// All requests.
    pub fn any() -> Self {
        let random = StdRng::seed_from_u64(0);
        Self { operation: None, matches: Box::new(|_| true), skip: 0, left: 1, one_in: 1, random }
    }

    /// Of those, the ones whose body is such.
    pub fn matching(mut self, such: impl Fn(&Value) -> bool + Send + 'static) -> Self {
        self.matches = Box::new(such);
        self
    }

    /// So many of them pass first.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// It happens so often.
    pub fn times(mut self, times: u64) -> Self {
        self.left = times;
        self
    }

    /// It happens until it is disarmed.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Chance decides, for each with this probability (0 counts as 1).
    pub fn one_in(mut self, requests: u32) -> Self {
        self.one_in = requests.max(1);
        self
    }

    /// Where chance begins.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = StdRng::seed_from_u64(seed);
        self
    }

    fn matches(&self, operation: &str, body: &Value) -> bool {
        self.operation.as_ref().is_none_or(|wanted| wanted == operation) && (self.matches)(body)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, skip, left, one_in, .. } = self;
        let mut rule = f.debug_struct("Rule");
        rule.field("operation", operation).field("skip", skip).field("left", left).field("one_in", one_in);
        rule.finish_non_exhaustive()
    }
}

/// How far a fault has come, each number counted in requests since it was armed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Were such that it could happen to them.
    pub matched: u64,
    /// It was chosen for them: they are held, on their way, or done with.
    pub begun: u64,
    /// Had callers who closed the connection before an answer came.
    pub given_up: u64,
    /// Were executed by the server in spite of it, as far as the server's answer tells: those that it refused itself are not among them.
    pub landed: u64,
    /// The fault has happened to them, from beginning to end.
    pub happened: u64,
}

/// A fault that was armed. It stays armed when this is dropped.
#[derive(Clone, Debug)]
pub struct Armed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    progress: watch::Sender<Progress>,
    released: watch::Sender<bool>,
    disarmed: watch::Sender<bool>,
}

impl Armed {
    fn new() -> Self {
        let shared = Shared {
            progress: watch::Sender::new(Progress::default()),
            released: watch::Sender::new(false),
            disarmed: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        *self.shared.progress.borrow()
    }

    /// How often it has happened. Without this a test that provokes it tells nothing.
    pub fn happened(&self) -> u64 {
        self.progress().happened
    }

    /// Waits until it has come so far. Works in any runtime, and may be dropped.
    pub async fn until(&self, such: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.shared.progress.subscribe();
        let reached = progress.wait_for(|progress| such(progress)).await;
        *reached.expect("the sender is ours")
    }

    /// Lets go what is [held](Fault::Held), now and later.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// It begins to happen to no further request. What is held stays held until it is [released](Self::release).
    pub fn disarm(&self) {
        self.shared.disarmed.send_replace(true);
    }

    pub(super) async fn until_released(&self) {
        let mut released = self.shared.released.subscribe();
        released.wait_for(|released| *released).await.map(drop).expect("the sender is ours");
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        self.shared.progress.send_modify(change);
    }

    fn is_under_way(&self) -> bool {
        let Progress { begun, happened, .. } = self.progress();
        begun > happened
    }

    fn is_disarmed(&self) -> bool {
        *self.shared.disarmed.borrow()
    }
}

/// All that is armed, the eldest first.
#[derive(Default, Debug)]
pub(super) struct Rules {
    rules: Vec<(Rule, Fault, Armed)>,
}

/// A fault that is to happen to a request.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) fault: Fault,
    pub(super) armed: Armed,
    /// Decides what the fault leaves to chance.
    pub(super) seed: u64,
}

impl Rules {
    pub(super) fn arm(&mut self, rule: Rule, fault: Fault) -> Armed {
        let armed = Armed::new();
        self.rules.push((rule, fault, armed.clone()));
        armed
    }

    pub(super) fn heal(&mut self) {
        for (.., armed) in self.rules.drain(..) {
            armed.disarm();
            armed.release();
        }
    }

    /// A request is offered to the rules in turn until one takes it; the later ones do not see it.
    pub(super) fn choose(&mut self, operation: &str, body: &Value) -> Option<Chosen> {
        let is_open = |rule: &Rule, armed: &Armed| rule.left > 0 && !armed.is_disarmed();
        // One that may still hold something stays, for whoever heals.
        self.rules.retain(|(rule, _, armed)| is_open(rule, armed) || armed.is_under_way());
        self.rules.iter_mut().find_map(|(rule, fault, armed)| {
            if !is_open(rule, armed) || !fault.concerns(operation) || !rule.matches(operation, body) {
                return None;
            }
            armed.note(|progress| progress.matched += 1);
            if rule.skip > 0 {
                rule.skip -= 1;
                return None;
            }
            if !rule.random.random_ratio(1, rule.one_in) {
                return None;
            }
            rule.left -= 1;
            armed.note(|progress| progress.begun += 1);
            Some(Chosen { fault: *fault, armed: armed.clone(), seed: rule.random.random() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(rules: &mut Rules, operation: &str) -> Option<Fault> {
        rules.choose(operation, &Value::Null).map(|chosen| chosen.fault)
    }

    #[test]
    fn a_request_goes_to_the_first_rule_that_takes_it() {
        let mut rules = Rules::default();
        let first = rules.arm(Rule::on("PutItem").skip(1), Fault::LostReply);
        let second = rules.arm(Rule::any().times(2), Fault::LostRequest);
        let happens =
            ["PutItem", "PutItem", "PutItem", "PutItem"].map(|operation| chosen(&mut rules, operation));
        assert_eq!(
            happens,
            [Some(Fault::LostRequest), Some(Fault::LostReply), Some(Fault::LostRequest), None]
        );
        assert_eq!((first.progress().matched, first.progress().begun), (2, 1));
        assert_eq!((second.progress().matched, second.progress().begun), (2, 2));
    }

    #[test]
    fn only_batches_leave_something_unprocessed() {
        let mut rules = Rules::default();
        let armed = rules.arm(Rule::any().always(), Fault::Unprocessed(1));
        assert_eq!(chosen(&mut rules, "PutItem"), None);
        assert_eq!(chosen(&mut rules, "BatchGetItem"), Some(Fault::Unprocessed(1)));
        armed.disarm();
        assert_eq!(chosen(&mut rules, "BatchGetItem"), None);
    }

    #[test]
    fn chance_is_the_seeds() {
        let happens = |seed| {
            let mut rules = Rules::default();
            rules.arm(Rule::any().one_in(4).seed(seed).always(), Fault::LostReply);
            (0..1_000).map(|_| chosen(&mut rules, "PutItem").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(happens(1), happens(1));
        assert_ne!(happens(1), happens(2));
        let count = happens(1).into_iter().filter(|happens| *happens).count();
        assert!((150..350).contains(&count), "{count}");
    }
}
