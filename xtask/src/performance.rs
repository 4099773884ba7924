//! `performance`: docs/performance.md and its charts, made anew of the figures in docs/performance/bench.json.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser};

use crate::Result;
use crate::run::{cargo, root, run};
use crate::workspace::Workspace;
use crate::{bench, matrix};

/// The page, and the folder with the figures and the charts, beside one another.
const PAGE: &str = "docs/performance.md";
pub(crate) const FOLDER: &str = "docs/performance";

const BEGIN: &str = "<!-- made by `cargo xtask performance` -->";

/// What the page says as long as nothing has been measured for it.
const NO_FIGURES: &str = "No figures are kept at present.";

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let mut only_check = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("check") => only_check = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    if only_check { check(&workspace) } else { write(&workspace) }
}

/// Fails where the page or a chart is not what the figures give.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for (file, text) in made(workspace)? {
        if std::fs::read_to_string(root().join(&file)).ok().as_deref() != Some(&text) {
            return Err(format!(
                "{} is not of its figures; `cargo xtask performance` writes it",
                file.display()
            )
            .into());
        }
        println!("{} is up to date", file.display());
    }
    Ok(())
}

pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for (file, text) in made(workspace)? {
        std::fs::write(root().join(&file), text)?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

/// All files that are made, with what is in them.
fn made(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let figures = root().join(FOLDER).join("bench.json");
    if !figures.exists() {
        return Ok(vec![(PathBuf::from(PAGE), matrix::between(PAGE, BEGIN, NO_FIGURES)?)]);
    }
    let scratch = workspace.scratch("performance")?;
    std::fs::copy(figures, scratch.join("bench.json"))?;
    run(cargo(["run", "--quiet", "--package", bench::PACKAGE, "--", "--render", "--report"]).arg(&scratch))?;
    let page = std::fs::read_to_string(scratch.join("bench.md"))?;
    let mut files = vec![(PathBuf::from(PAGE), matrix::between(PAGE, BEGIN, &table(&page)?)?)];
    for entry in std::fs::read_dir(&scratch)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let name = path.file_name().ok_or("a chart without a name")?;
            files.push((Path::new(FOLDER).join(name), std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// The report as a part of the page: without its title, and with its charts where they are from there.
fn table(report: &str) -> Result<String> {
    let (_, body) = report.split_once('\n').ok_or("an empty report")?;
    Ok(body.trim().replace("](bench-", "](performance/bench-"))
}
