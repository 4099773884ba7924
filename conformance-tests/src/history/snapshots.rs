//! What was answered about snapshots: each load must give the newest that was there (N1), whole, as it was saved last (N2, R3), and nothing that was
//! removed (N4).
//!
//! Whatever is saved has a content of its own, so that a load tells which save it saw. Each load is held against all saves of its stream and
//! schema: histories give every stream few of them.

use std::collections::HashMap;

use annalist_core::{SnapshotSchema, StreamId, Version};

use super::{Answer, Call, Operation};

pub(super) fn check(operations: &[Operation], wrong: &mut Vec<String>) {
    let mut all: HashMap<(&StreamId, &SnapshotSchema), Series<'_>> = HashMap::new();
    for operation in operations {
        let Some(key) = key(&operation.call) else { continue };
        all.entry(key).or_default().add(operation, wrong);
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    for ((stream, schema), mut series) in all {
        series.see();
        for load in &series.loads {
            if let Err(why) = series.answers(load) {
                wrong.push(format!(
                    "a snapshot of {stream:?} under {schema:?}, loaded at {}: {why}",
                    load.invoked
                ));
            }
        }
    }
}

fn key(call: &Call) -> Option<(&StreamId, &SnapshotSchema)> {
    match call {
        Call::SaveSnapshot { stream, schema, .. }
        | Call::LoadSnapshot { stream, schema, .. }
        | Call::PruneSnapshots { stream, schema, .. } => Some((stream, schema)),
        _ => None,
    }
}

/// All that happened to the snapshots of one stream and schema.
#[derive(Default)]
struct Series<'a> {
    saves: Vec<Save<'a>>,
    loads: Vec<Load<'a>>,
    prunes: Vec<Prune>,
}

struct Save<'a> {
    version: Version,
    content: &'a str,
    invoked: u64,
    /// When it had certainly happened: it had returned, or a load that saw it had.
    certain: Option<u64>,
}

struct Load<'a> {
    at_most: Version,
    invoked: u64,
    returned: u64,
    found: Option<(Version, &'a str)>,
}

struct Prune {
    keep: u64,
    invoked: u64,
    /// `None` where it may happen at any time.
    returned: Option<u64>,
}

impl<'a> Series<'a> {
    fn add(&mut self, operation: &'a Operation, wrong: &mut Vec<String>) {
        let Operation { invoked, returned, call, answer, .. } = operation;
        let (invoked, done) = (*invoked, returned.filter(|_| *answer == Answer::Done));
        match (call, answer) {
            // Nothing was done.
            (_, Answer::Refused(_)) => {}
            (Call::SaveSnapshot { version, content, .. }, Answer::Done | Answer::Unknown) => {
                self.saves.push(Save { version: *version, content, invoked, certain: done });
            }
            (Call::PruneSnapshots { keep, .. }, Answer::Done | Answer::Unknown) => {
                self.prunes.push(Prune { keep: *keep, invoked, returned: done });
            }
            (Call::LoadSnapshot { at_most, .. }, Answer::Snapshot(found)) => {
                let found = found.as_ref().map(|(version, content)| (*version, content.as_str()));
                let returned = returned.unwrap_or(u64::MAX);
                self.loads.push(Load { at_most: *at_most, invoked, returned, found });
            }
            (Call::LoadSnapshot { .. }, Answer::Unknown) => {}
            _ => wrong.push(format!("{answer:?} is no answer to {call:?}")),
        }
    }

    /// What a load saw had happened.
    fn see(&mut self) {
        for load in &self.loads {
            let seen = |save: &&mut Save<'_>| load.found == Some((save.version, save.content));
            if let Some(save) = self.saves.iter_mut().find(seen) {
                save.certain = Some(save.certain.map_or(load.returned, |certain| certain.min(load.returned)));
            }
        }
    }

    fn answers(&self, load: &Load<'_>) -> Result<(), String> {
        let before =
            || self.saves.iter().filter(|save| save.certain.is_some_and(|certain| certain < load.invoked));
        // The newest of all is never removed; a lower one may be by any removal that had begun.
        let counts = |save: &&Save<'_>| {
            save.version <= load.at_most && (self.is_newest(save) || !self.may_be_removed(load))
        };
        let least = before().filter(counts).map(|save| save.version).max();
        let Some((version, content)) = load.found else {
            return match least {
                Some(least) => Err(format!("there is none, but version {least} had been saved (N1, R3)")),
                None => Ok(()),
            };
        };
        if version > load.at_most {
            return Err(format!("version {version} is above {} (N1)", load.at_most));
        }
        if let Some(least) = least.filter(|least| *least > version) {
            return Err(format!("version {version} was given, but {least} had been saved (N1, R3)"));
        }
        let saved = |save: &&Save<'_>| {
            (save.version, save.content) == (version, content) && save.invoked < load.returned
        };
        let Some(saved) = self.saves.iter().find(saved) else {
            return Err(format!("version {version} with {content:?} was not saved until then (N4)"));
        };
        let replaced = |save: &&Save<'_>| {
            save.version == version && saved.certain.is_some_and(|certain| certain < save.invoked)
        };
        if let Some(newer) = before().find(replaced) {
            return Err(format!(
                "version {version} has {content:?}, which {:?} had replaced (N2, R3)",
                newer.content
            ));
        }
        match self.prunes.iter().find(|prune| self.removes(prune, version, load)) {
            Some(prune) => {
                Err(format!("version {version} was given, but only the newest {} were kept (N4)", prune.keep))
            }
            None => Ok(()),
        }
    }

    /// Whether no save of a higher version was ever begun.
    fn is_newest(&self, save: &Save<'_>) -> bool {
        self.saves.iter().all(|other| other.version <= save.version)
    }

    fn may_be_removed(&self, load: &Load<'_>) -> bool {
        self.prunes.iter().any(|prune| prune.invoked < load.returned)
    }

    /// Whether a version must have been removed before a load began.
    fn removes(&self, prune: &Prune, version: Version, load: &Load<'_>) -> bool {
        // Those that another removal may have taken before do not count.
        let stayed = |save: &&Save<'_>| {
            self.prunes.iter().all(|other| {
                let is_before = other.returned.is_some_and(|returned| returned < save.invoked);
                let is_after = prune.returned.is_some_and(|returned| returned < other.invoked);
                std::ptr::eq(other, prune) || is_before || is_after
            })
        };
        let mut above: Vec<_> = self
            .saves
            .iter()
            .filter(|save| {
                save.version > version && save.certain.is_some_and(|certain| certain < prune.invoked)
            })
            .filter(stayed)
            .map(|save| save.version)
            .collect();
        above.sort_unstable();
        above.dedup();
        let of_version = |save: &&Save<'_>| save.version == version;
        let all_before = self
            .saves
            .iter()
            .filter(of_version)
            .all(|save| save.certain.is_some_and(|certain| certain < prune.invoked));
        let is_over = prune.returned.is_some_and(|returned| returned < load.invoked);
        is_over && all_before && above.len() as u64 >= prune.keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{schema, stream};

    fn operation(moments: (u64, u64), call: Call, answer: Answer) -> Operation {
        Operation { session: 0, invoked: moments.0, returned: Some(moments.1), call, answer }
    }

    fn save(moments: (u64, u64), version: u64, content: &str) -> Operation {
        let (version, content) = (Version::new(version), content.to_owned());
        let call = Call::SaveSnapshot { stream: stream("A-1"), schema: schema("a"), version, content };
        operation(moments, call, Answer::Done)
    }

    fn load(moments: (u64, u64), at_most: Version, found: Option<(u64, &str)>) -> Operation {
        let call = Call::LoadSnapshot { stream: stream("A-1"), schema: schema("a"), at_most };
        let found = found.map(|(version, content)| (Version::new(version), content.to_owned()));
        operation(moments, call, Answer::Snapshot(found))
    }

    fn prune(moments: (u64, u64), keep: u64) -> Operation {
        let call = Call::PruneSnapshots { stream: stream("A-1"), schema: schema("a"), keep };
        operation(moments, call, Answer::Done)
    }

    fn told(operations: &[Operation]) -> String {
        let mut wrong = Vec::new();
        check(operations, &mut wrong);
        wrong.join("\n")
    }

    #[test]
    fn the_newest_is_loaded() {
        let saves = [save((1, 2), 4, "a"), save((3, 4), 7, "b")];
        let with = |load| told(&[saves[0].clone(), saves[1].clone(), load]);
        assert_eq!(with(load((5, 6), Version::MAX, Some((7, "b")))), "");
        assert_eq!(with(load((5, 6), Version::new(6), Some((4, "a")))), "");
        // It overlapped the save.
        assert_eq!(with(load((3, 6), Version::MAX, Some((4, "a")))), "");
        assert!(with(load((5, 6), Version::MAX, Some((4, "a")))).contains("7 had been saved"));
        assert!(with(load((5, 6), Version::MAX, None)).contains("N1"));
        assert!(with(load((5, 6), Version::new(6), Some((7, "b")))).contains("above 6"));
        assert!(with(load((5, 6), Version::MAX, Some((9, "b")))).contains("was not saved"));
    }

    #[test]
    fn the_last_content_is_loaded() {
        let saves = [save((1, 2), 4, "a"), save((3, 4), 4, "b")];
        let with = |loads: &[Operation]| told(&[&saves[..], loads].concat());
        assert_eq!(with(&[load((5, 6), Version::MAX, Some((4, "b")))]), "");
        assert!(with(&[load((5, 6), Version::MAX, Some((4, "a")))]).contains("N2"));
    }

    #[test]
    fn what_was_seen_stays() {
        let unknown = Operation { returned: None, answer: Answer::Unknown, ..save((1, 2), 4, "a") };
        let first = load((3, 4), Version::MAX, Some((4, "a")));
        assert_eq!(told(&[unknown.clone(), load((3, 4), Version::MAX, None)]), "");
        assert!(told(&[unknown, first, load((5, 6), Version::MAX, None)]).contains("R3"));
    }

    #[test]
    fn what_was_removed_stays_away() {
        let before = [save((1, 2), 4, "a"), save((3, 4), 7, "b"), prune((5, 6), 1)];
        let with = |load| told(&[&before[..], &[load]].concat());
        assert_eq!(with(load((7, 8), Version::new(6), None)), "");
        assert_eq!(with(load((7, 8), Version::MAX, Some((7, "b")))), "");
        assert!(with(load((7, 8), Version::new(6), Some((4, "a")))).contains("N4"));
        assert!(with(load((7, 8), Version::MAX, None)).contains("R3"));
    }

    /// The first removal has taken one of the two that were above, so that there is room for a lower one.
    #[test]
    fn what_was_removed_before_takes_no_room() {
        let before = [save((1, 2), 6, "a"), save((3, 4), 8, "b"), prune((5, 6), 1), save((7, 8), 3, "c")];
        let with = |keep| {
            let then = [prune((9, 10), keep), load((11, 12), Version::new(5), Some((3, "c")))];
            told(&[&before[..], &then].concat())
        };
        assert_eq!(with(2), "");
    }
}
