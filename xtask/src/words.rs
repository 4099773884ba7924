//! That no file in the repository holds a word that says "not finished", or a path of one machine.

use crate::Result;
use crate::run::{output, root};

/// Written in two halves, so that this file does not hold them itself.
const WORDS: [&str; 9] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
];

pub(crate) fn check() -> Result<()> {
    let files = output(std::process::Command::new("git").current_dir(root()).arg("ls-files"))?;
    let mut found = Vec::new();
    for file in files.lines() {
        // A file that is no text has no words; one that git knows and that is gone has none either.
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            found.extend(
                WORDS
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{file}:{}: {word}", number + 1)),
            );
        }
    }
    if files.is_empty() {
        return Err("git lists no file".into());
    }
    println!("{} files", files.lines().count());
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}
