//! What was answered about checkpoints: epochs rise, an owner that was fenced saves nothing any more, and a checkpoint never goes back (S5, R3).

use std::collections::{BTreeMap, HashMap, HashSet};

use annalist_core::{CheckpointName, Position};

use super::{Answer, Call, Operation};

pub(super) fn check(operations: &[Operation], wrong: &mut Vec<String>) {
    let mut all: BTreeMap<&CheckpointName, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        match &operation.call {
            Call::Claim(name) | Call::LoadCheckpoint(name) | Call::SaveCheckpoint { name, .. } => {
                all.entry(name).or_default().push(operation);
            }
            _ => {}
        }
    }
    for (name, operations) in all {
        let known = Known::of(&operations);
        for operation in operations {
            if let Err(why) = known.answers(operation) {
                wrong.push(format!("checkpoint {name:?}, asked at {}: {why}", operation.invoked));
            }
        }
        wrong.extend(
            known
                .epochs_twice
                .iter()
                .map(|epoch| format!("checkpoint {name:?}: two owners have epoch {epoch} (S5)")),
        );
    }
}

/// The highest value that had come up before a moment.
#[derive(Default)]
struct Highest<T>(Vec<(u64, T)>);

impl<T: Ord + Copy> Highest<T> {
    fn of(mut values: Vec<(u64, T)>) -> Self {
        values.sort_unstable();
        let mut highest: Option<T> = None;
        for (_, value) in &mut values {
            *value = highest.map_or(*value, |highest| highest.max(*value));
            highest = Some(*value);
        }
        Self(values)
    }

    fn before(&self, moment: u64) -> Option<T> {
        let count = self.0.partition_point(|(at, _)| *at < moment);
        count.checked_sub(1).map(|last| self.0[last].1)
    }
}

/// What is known of one checkpoint.
struct Known {
    /// Epochs, by the moment at which their claim had returned.
    claimed: Highest<u64>,
    /// Epochs, by the moment at which their claim had begun; one whose outcome is not known counts as the highest.
    claiming: Highest<u64>,
    /// Positions, by the moment at which it was certain that the checkpoint had reached them.
    reached: Highest<Position>,
    /// Positions that were saved and acknowledged, by the epoch of who saved them.
    saved_under: Highest<Position>,
    /// When each position was first sent to be saved.
    sent: HashMap<Position, u64>,
    epochs_twice: Vec<u64>,
}

impl Known {
    fn of(operations: &[&Operation]) -> Self {
        let (mut claimed, mut claiming, mut reached, mut saved_under) = (vec![], vec![], vec![], vec![]);
        let (mut sent, mut epochs, mut epochs_twice) = (HashMap::new(), HashSet::new(), vec![]);
        for operation in operations {
            let Operation { invoked, returned, call, answer, .. } = operation;
            if let Call::SaveCheckpoint { position, .. } = call {
                let first = sent.entry(*position).or_insert(*invoked);
                *first = (*first).min(*invoked);
            }
            match (call, answer, returned) {
                (Call::SaveCheckpoint { epoch, position, .. }, Answer::Done, Some(returned)) => {
                    reached.push((*returned, *position));
                    saved_under.push((*epoch, *position));
                }
                (Call::Claim(_), Answer::Claimed { epoch, position }, Some(returned)) => {
                    claimed.push((*returned, *epoch));
                    claiming.push((*invoked, *epoch));
                    reached.extend(position.map(|position| (*returned, position)));
                    if !epochs.insert(*epoch) {
                        epochs_twice.push(*epoch);
                    }
                }
                (Call::Claim(_), Answer::Unknown, _) => claiming.push((*invoked, u64::MAX)),
                (_, Answer::Checkpoint(Some(position)), Some(returned)) => {
                    reached.push((*returned, *position))
                }
                _ => {}
            }
        }
        let (claimed, claiming) = (Highest::of(claimed), Highest::of(claiming));
        let (reached, saved_under) = (Highest::of(reached), Highest::of(saved_under));
        Self { claimed, claiming, reached, saved_under, sent, epochs_twice }
    }

    fn answers(&self, operation: &Operation) -> Result<(), String> {
        let Operation { invoked, returned, call, answer, .. } = operation;
        let returned = returned.unwrap_or(u64::MAX);
        match (call, answer) {
            (Call::SaveCheckpoint { epoch, .. }, Answer::Done) => match self.claimed.before(*invoked) {
                Some(current) if current > *epoch => {
                    Err(format!("the owner of epoch {epoch} saved, but {current} had claimed it (S5)"))
                }
                _ => Ok(()),
            },
            (Call::SaveCheckpoint { epoch, .. }, Answer::Refused(kind)) if kind == "fenced" => {
                match self.claiming.before(returned) {
                    Some(current) if current > *epoch => Ok(()),
                    _ => Err(format!(
                        "the owner of epoch {epoch} was fenced, but nobody else had claimed it (S5)"
                    )),
                }
            }
            (Call::Claim(_), Answer::Claimed { epoch, position }) => {
                if let Some(before) = self.claimed.before(*invoked).filter(|before| *before >= *epoch) {
                    return Err(format!("epoch {epoch} was given after {before} (S5)"));
                }
                // Whoever saved under an earlier epoch did so before this claim, whenever that was.
                let saved = self.saved_under.before(*epoch);
                self.stands(*position, *invoked, returned, saved)
            }
            (Call::LoadCheckpoint(_), Answer::Checkpoint(position)) => {
                self.stands(*position, *invoked, returned, None)
            }
            (_, Answer::Unknown | Answer::Refused(_)) => Ok(()),
            _ => Err(format!("{answer:?} is no answer to {call:?}")),
        }
    }

    /// Whether a checkpoint can have been at a position between two moments.
    fn stands(
        &self,
        position: Option<Position>,
        invoked: u64,
        returned: u64,
        saved: Option<Position>,
    ) -> Result<(), String> {
        let least = self.reached.before(invoked).max(saved);
        if least > position {
            return Err(format!("it is at {position:?}, but had reached {least:?} (S5, R3)"));
        }
        match position {
            Some(position) if self.sent.get(&position).is_none_or(|sent| *sent > returned) => {
                Err(format!("it is at {position}, which nobody had saved until then (S5)"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use annalist_core::{LogId, backend};

    use super::*;
    use crate::checkpoint;

    struct Story {
        log: LogId,
        operations: Vec<Operation>,
        moment: u64,
    }

    impl Story {
        fn new() -> Self {
            Self { log: LogId::new(), operations: Vec::new(), moment: 0 }
        }

        fn at(&self, number: u64) -> Position {
            backend::position(self.log, number, 0)
        }

        fn then(&mut self, call: Call, answer: Answer) {
            let (invoked, returned) = (self.moment + 1, Some(self.moment + 2));
            self.moment += 2;
            self.operations.push(Operation { session: 0, invoked, returned, call, answer });
        }

        fn claim(&mut self, epoch: u64, position: Option<u64>) {
            let position = position.map(|number| self.at(number));
            self.then(Call::Claim(checkpoint("a")), Answer::Claimed { epoch, position });
        }

        fn save(&mut self, epoch: u64, number: u64, answer: Answer) {
            let position = self.at(number);
            self.then(Call::SaveCheckpoint { name: checkpoint("a"), epoch, position }, answer);
        }

        fn told(&self) -> String {
            let mut wrong = Vec::new();
            check(&self.operations, &mut wrong);
            wrong.join("\n")
        }
    }

    fn fenced() -> Answer {
        Answer::Refused("fenced".to_owned())
    }

    #[test]
    fn owners_follow_one_another() {
        let mut story = Story::new();
        story.claim(1, None);
        story.save(1, 5, Answer::Done);
        story.claim(2, Some(5));
        story.save(1, 6, fenced());
        story.save(2, 7, Answer::Done);
        story.then(Call::LoadCheckpoint(checkpoint("a")), Answer::Checkpoint(Some(story.at(7))));
        assert_eq!(story.told(), "");
    }

    #[test]
    fn a_fenced_owner_does_not_save() {
        let mut story = Story::new();
        story.claim(1, None);
        story.claim(2, None);
        story.save(1, 5, Answer::Done);
        assert!(story.told().contains("saved, but 2 had claimed it"));
    }

    #[test]
    fn nobody_is_fenced_without_cause() {
        let mut story = Story::new();
        story.claim(1, None);
        story.save(1, 5, fenced());
        assert!(story.told().contains("nobody else had claimed it"));
    }

    #[test]
    fn epochs_rise() {
        let mut story = Story::new();
        story.claim(2, None);
        story.claim(1, None);
        story.claim(2, None);
        let told = story.told();
        assert!(told.contains("epoch 1 was given after 2") && told.contains("two owners"), "{told}");
    }

    #[test]
    fn a_checkpoint_does_not_go_back() {
        for position in [None, Some(5)] {
            let mut story = Story::new();
            story.claim(1, None);
            story.save(1, 5, Answer::Done);
            story.save(1, 7, Answer::Done);
            story.claim(2, position);
            assert!(story.told().contains("had reached"), "{position:?}");
        }
    }

    /// The claim began before the save returned, and yet must have come after it.
    #[test]
    fn a_claim_sees_what_its_forerunner_saved() {
        let mut story = Story::new();
        story.claim(1, None);
        story.save(1, 5, Answer::Done);
        story.claim(2, None);
        let [_, save, claim] = &mut story.operations[..] else { unreachable!("there are three") };
        (save.returned, claim.invoked, claim.returned) = (Some(9), 4, Some(10));
        assert!(story.told().contains("had reached"));
    }

    #[test]
    fn a_checkpoint_is_where_somebody_saved_it() {
        let mut story = Story::new();
        story.claim(1, Some(3));
        assert!(story.told().contains("nobody had saved"));
    }
}
