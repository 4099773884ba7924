//! `ci`: what a change must pass before it is taken.

use lexopt::{Arg, Parser, ValueExt};

use crate::run::{Steps, cargo, run};
use crate::workspace::Workspace;
use crate::{
    Result, bench, deny, docs, drivers, features, graph, guard, guide, links, matrix, msrv, mutants,
    packages, performance, soak, test, words,
};

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let mut steps = Steps::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("only") => steps.only.push(args.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    let reports = workspace.scratch("suite")?;
    steps.step("fmt", || run(&mut cargo(["fmt", "--all", "--check"])));
    steps.step("words", words::check);
    steps.step("links between pages", links::check);
    steps.step("examples in the docs", || docs::check(&workspace));
    steps.step("the guide shows its programs", guide::check);
    steps.step("what core and engine pull in", guard::check);
    steps.step("what each feature pulls in", || drivers::check(&workspace));
    steps.step("what would be published", || packages::check(&workspace));
    steps.step("clippy", || {
        let all = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
        run(&mut cargo(all))
    });
    steps.step("beside sqlx with its macros", || graph::check(&workspace));
    steps.step("each feature alone", || features::check(&workspace));
    steps.step("rustdoc", || {
        let docs = ["doc", "--workspace", "--no-deps", "--all-features"];
        run(cargo(docs).env("RUSTDOCFLAGS", "--deny warnings"))
    });
    steps.step("the oldest Rust", || msrv::check(&workspace));
    steps.step("publishing, but for the last step", || packages::publish_dry(&workspace));
    steps.step("deny", || deny::check(&workspace));
    let mut servers = test::all(&workspace, &[], &reports, &mut steps)?;
    steps.step("each backend, soaked briefly", || {
        soak::brief(&workspace, &workspace.scratch("soak")?, &mut servers)
    });
    steps.step("kill matrix", || mutants::prove(1, &workspace.scratch("mutants")?));
    steps.step("workloads, once and briefly", || bench::smoke(&workspace.scratch("bench")?, &mut servers));
    steps.step("the figures' page", || performance::check(&workspace));
    steps.step("generated tables", || matrix::check(&workspace, &reports));
    steps.verdict()
}
