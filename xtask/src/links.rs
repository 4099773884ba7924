//! That links between the pages lead somewhere: to a file that is there, and to a heading that is in it.

use std::path::Path;

use crate::Result;
use crate::run::{output, root};

pub(crate) fn check() -> Result<()> {
    let files = output(std::process::Command::new("git").current_dir(root()).args(["ls-files", "*.md"]))?;
    let (mut links, mut broken) = (0, Vec::new());
    for file in files.lines() {
        let text = std::fs::read_to_string(root().join(file))?;
        for target in targets(&text) {
            links += 1;
            if let Err(why) = leads_somewhere(file, &text, target) {
                broken.push(format!("{file}: {target}: {why}"));
            }
        }
    }
    println!("{links} links between pages");
    match broken.as_slice() {
        [] if links > 0 => Ok(()),
        [] => Err("no link was found".into()),
        broken => Err(broken.join("\n").into()),
    }
}

/// What links of a page lead to, but for those out of the repository, and for what stands in code.
fn targets(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if !is_code {
            targets.extend(line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)));
        }
    }
    targets.retain(|target| !target.contains("://") && !target.contains("::") && !target.contains(' '));
    targets
}

fn leads_somewhere(file: &str, own: &str, target: &str) -> Result<()> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let there = root().join(file).parent().unwrap_or(Path::new("")).join(path);
    if !path.is_empty() && !there.exists() {
        return Err("there is no such file".into());
    }
    if heading.is_empty() {
        return Ok(());
    }
    let text = if path.is_empty() { own.to_owned() } else { std::fs::read_to_string(there)? };
    let has = text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
    if has { Ok(()) } else { Err("there is no such heading".into()) }
}

/// As the web shows a heading's name in a link.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code() {
        let page = "[a](b.md#c) and [d](https://e) and [f](g.md)\n```\nx[0](y.md)\n```\n";
        assert_eq!(targets(page), ["b.md#c", "g.md"]);
    }

    #[test]
    fn a_heading_is_named_as_links_name_it() {
        assert_eq!(anchor("## In one transaction, with tables"), "in-one-transaction-with-tables");
        assert!(leads_somewhere("README.md", "# Own\n", "#own").is_ok());
        assert!(leads_somewhere("README.md", "", "no-such-page.md").is_err());
        assert!(leads_somewhere("README.md", "", "CONTRIBUTING.md#no-such-heading").is_err());
    }
}
