//! The data of a broker that never ran, as Kafka's own tool makes it, of which each server gets its own.
//!
//! The tool takes as long as a start. All that differs between two of its runs is in one file: the id of the cluster, by which clients
//! know one broker from another, and the id of the folder, which the broker adds by itself.

use std::path::Path;

use crate::account::{output, plain};
use crate::error::{Context, Result};
use crate::kafka::programs::Programs;
use crate::kafka::settings;
use crate::port;

const IDS: &str = "meta.properties";

/// As many letters as the ids of Kafka's own making have.
const ID_LETTERS: usize = 22;

/// Makes the template.
pub(crate) fn make(programs: &Programs) -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let file = folder.path().join("server.properties");
    settings::write(&file, &programs.template(), port::free()?)?;
    let mut tool = plain(&programs.java);
    tool.args(programs.args(None, "kafka.tools.StorageTool"));
    tool.args(["format", "--cluster-id", &new_id(), "--config"]).arg(&file);
    output(&mut tool).map(drop)
}

/// Fills the folder of a new broker, of a cluster that is its own.
pub(crate) fn unpack(programs: &Programs, data: &Path) -> Result<()> {
    std::fs::create_dir(data).context(data.display())?;
    let template = programs.template();
    for entry in std::fs::read_dir(&template).context(template.display())? {
        let from = entry.context(template.display())?.path();
        let to = data.join(from.file_name().expect("an entry has a name"));
        if to.ends_with(IDS) {
            let ids = std::fs::read_to_string(&from).context(from.display())?;
            std::fs::write(&to, with_new_id(&ids)).context(to.display())?;
        } else {
            std::fs::copy(&from, &to).context(from.display())?;
        }
    }
    Ok(())
}

fn with_new_id(ids: &str) -> String {
    let of_one = |line: &&str| !line.starts_with("cluster.id=") && !line.starts_with("directory.id=");
    let lines: Vec<_> = ids.lines().filter(of_one).collect();
    format!("{}\ncluster.id={}\n", lines.join("\n"), new_id())
}

/// Each of its letters is also one of Kafka's.
fn new_id() -> String {
    let mut id = format!("{:032x}", rand::random::<u128>());
    id.truncate(ID_LETTERS);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_ids_stays() {
        let ids = with_new_id("#\nnode.id=1\ndirectory.id=x\nversion=1\ncluster.id=y\n");
        let (rest, id) = ids.trim_end().rsplit_once("cluster.id=").unwrap();
        assert_eq!((rest, id.len()), ("#\nnode.id=1\nversion=1\n", ID_LETTERS));
    }
}
