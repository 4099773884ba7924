//! That the packages on which everything rests pull in no database client, runtime or configuration by accident.

use std::collections::BTreeSet;

use crate::Result;
use crate::run::{cargo, output};

/// For each guarded package all that it may pull in, itself not counted. Adding a line here is a decision.
const GUARDED: [(&str, &[&str]); 2] = [
    (
        "annalist-core",
        &[
            "async-trait",
            "bytes",
            "cfg-if",
            "chacha20",
            "cpufeatures",
            "getrandom",
            "itoa",
            "libc",
            "memchr",
            "proc-macro2",
            "quote",
            "rand",
            "rand_core",
            "serde",
            "serde_core",
            "serde_derive",
            "serde_json",
            "sha1_smol",
            "syn",
            "unicode-ident",
            "uuid",
            "zmij",
        ],
    ),
    (
        "annalist-engine",
        &[
            "allocator-api2",
            "annalist-core",
            "async-trait",
            "bytes",
            "cfg-if",
            "chacha20",
            "cpufeatures",
            "equivalent",
            "foldhash",
            "futures",
            "futures-channel",
            "futures-core",
            "futures-io",
            "futures-macro",
            "futures-sink",
            "futures-task",
            "futures-util",
            "getrandom",
            "hashbrown",
            "itoa",
            "libc",
            "memchr",
            "once_cell",
            "pin-project-lite",
            "proc-macro2",
            "quote",
            "rand",
            "rand_core",
            "serde",
            "serde_core",
            "serde_derive",
            "serde_json",
            "sha1_smol",
            "slab",
            "syn",
            "tokio",
            "tracing",
            "tracing-attributes",
            "tracing-core",
            "unicode-ident",
            "uuid",
            "zmij",
        ],
    ),
];

/// One platform, so that the verdict does not depend on who asks.
const TARGET: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn check() -> Result<()> {
    for (package, allowed) in GUARDED {
        let found = closure(package)?;
        let allowed: BTreeSet<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        if let Some(name) = found.difference(&allowed).next() {
            return Err(
                format!("{package} pulls in {name}, which is not in the list in xtask/src/guard.rs").into()
            );
        }
        if let Some(name) = allowed.difference(&found).next() {
            return Err(format!("{package} does not pull in {name} any more: take it out of the list").into());
        }
        println!("{package} pulls in {} packages, all of them known", found.len());
    }
    Ok(())
}

fn closure(package: &str) -> Result<BTreeSet<String>> {
    let found = pulled_in(&["--package", package, "--all-features"])?;
    Ok(found.into_iter().map(|(name, _)| name).filter(|name| name != package).collect())
}

/// Name and version of all that a build has of such a package, without what only its tests and its build need.
pub(crate) fn pulled_in(selection: &[&str]) -> Result<BTreeSet<(String, String)>> {
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--format", "{lib}|{p}", "--target", TARGET];
    let text = output(cargo(tree).args(selection))?;
    let package = |line: &str| {
        let (name, rest) = line.split_once('|')?.1.split_once(' ')?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    Ok(text.lines().filter_map(package).collect())
}
