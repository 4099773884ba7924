//! The page, taken apart.
//!
//! Each block of Rust has the file that it is from in a comment before it. Blocks of one file join to the whole of it, with an empty line at each seam. A
//! block of `console` has commands, each after `$ `, and below it what it prints; `Killed` as the last line means that it is killed then.

use std::collections::BTreeMap;

use crate::Result;

pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Block {
    /// From here on the reader has this program: as the main one, or beside it.
    Program {
        file: String,
        main: bool,
    },
    Code {
        file: String,
        text: String,
    },
    Commands(Vec<Command>),
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Command {
    pub(super) words: String,
    pub(super) prints: Vec<String>,
    /// It does not end by itself.
    pub(super) is_killed: bool,
}

const KILLED: &str = "Killed";

impl Page {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut file = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(program) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
                let (path, main) = match program.split_once(", as ") {
                    Some((path, _)) => (path, true),
                    None => (program, program.ends_with("src/main.rs")),
                };
                blocks.push(Block::Program { file: path.to_owned(), main });
                file = Some(path.to_owned());
            } else if let Some(language) = line.strip_prefix("```") {
                let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                blocks.push(match language {
                    "rust" => {
                        let file = file.take().ok_or("a block of Rust in docs/guide.md is of no file")?;
                        Block::Code { file, text: body.join("\n") }
                    }
                    "console" => Block::Commands(commands(&body)?),
                    other => {
                        return Err(
                            format!("docs/guide.md has a block of {other:?}, which nobody runs").into()
                        );
                    }
                });
            }
        }
        Ok(Self { blocks })
    }

    /// Each file with all that is shown of it.
    pub(super) fn files(&self) -> BTreeMap<&str, String> {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for block in &self.blocks {
            let Block::Code { file, text } = block else { continue };
            let shown = files.entry(file).or_default();
            if !shown.is_empty() {
                shown.push_str("\n\n");
            }
            shown.push_str(text);
        }
        files
    }

    /// All that is added by `cargo add`, with its features in order.
    pub(super) fn dependencies(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut added: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let commands = self.blocks.iter().filter_map(|block| match block {
            Block::Commands(commands) => Some(commands),
            _ => None,
        });
        for words in commands.flatten().filter_map(|command| command.words.strip_prefix("cargo add ")) {
            let (name, features) = match words.split(' ').collect::<Vec<_>>()[..] {
                [name] => (name, ""),
                [name, "--features", features] => (name, features),
                _ => return Err(format!("cargo add {words} is more than this understands").into()),
            };
            let known = added.entry(name.to_owned()).or_default();
            known.extend(features.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned));
        }
        Ok(added)
    }
}

fn commands(body: &[&str]) -> Result<Vec<Command>> {
    let mut commands: Vec<Command> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(words), _) => commands.push(Command { words: words.to_owned(), ..Command::default() }),
            (None, Some(command)) if *line == KILLED => command.is_killed = true,
            (None, Some(command)) => command.prints.push((*line).to_owned()),
            (None, None) => return Err(format!("{line:?} is printed by no command").into()),
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
<!-- guide/a.rs, as src/main.rs -->
```rust
use x;
```
Words.
<!-- guide/a.rs -->
```rust
fn main() {}
```
```console
$ cargo add x --features a,b
$ cargo run
one
two
Killed
```
";

    #[test]
    fn a_page_has_files_commands_and_dependencies() {
        let page = Page::parse(PAGE).unwrap();
        assert_eq!(page.files()["guide/a.rs"], "use x;\n\nfn main() {}");
        assert_eq!(page.dependencies().unwrap()["x"], ["a", "b"]);
        assert_eq!(page.blocks[0], Block::Program { file: "guide/a.rs".to_owned(), main: true });
        let Block::Commands(commands) = page.blocks.last().unwrap() else { panic!("it ends with commands") };
        assert_eq!(commands[1].prints, ["one", "two"]);
        assert!(commands[1].is_killed && !commands[0].is_killed);
    }

    #[test]
    fn what_nobody_checks_is_refused() {
        assert!(Page::parse("```rust\nfn main() {}\n```\n").is_err());
        assert!(Page::parse("```toml\n[a]\n```\n").is_err());
        assert!(Page::parse("```console\nout of nowhere\n```\n").is_err());
    }
}
