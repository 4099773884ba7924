//! That `docs/track-record.md` names checks and broken stores that there are, and of each pair one that finds the other out.

use crate::mutants::Mutant;

const PAGE: &str = include_str!("../../../docs/track-record.md");

/// The rows that name what there is not.
pub fn unknown_in_track_record(mutants: &[Mutant]) -> Vec<String> {
    let rows: Vec<_> = PAGE.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(!rows.is_empty(), "the track record has no table");
    let is_known = |row: &&&str| {
        let mut names = row.trim_matches('|').rsplit('|').map(|cell| cell.trim().trim_matches('`'));
        let (mutant, check) = (names.next(), names.next());
        mutants.iter().any(|m| Some(m.name) == mutant && m.expected.iter().any(|name| Some(*name) == check))
    };
    rows.iter().filter(|row| !is_known(row)).map(|row| (*row).to_owned()).collect()
}
