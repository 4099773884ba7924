//! `services`: servers that stay, for those who run the tests of one package again and again.

use std::path::PathBuf;

use annalist_test_servers::Left;
use lexopt::{Arg, Parser, ValueExt};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::servers::{SERVICES, Service};
use crate::workspace::Workspace;

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let (mut action, mut names) = (None, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Value(value) if action.is_none() => action = Some(value.string()?),
            Arg::Value(value) => names.push(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let services = named(&names)?;
    let beside = Workspace::load()?.target_directory.join("xtask");
    let mut memory = Memory::load(beside.join("services.json"))?;
    match action.as_deref() {
        Some("up") => services.into_iter().try_for_each(|service| up(service, &mut memory)),
        Some("down") => services.into_iter().try_for_each(|service| down(service, &mut memory)),
        Some("status") => {
            services.into_iter().for_each(|service| status(service, &memory));
            Ok(())
        }
        _ => Err("`services` wants up, down or status".into()),
    }
}

/// All where none is named.
fn named(names: &[String]) -> Result<Vec<&'static Service>> {
    let known: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no service {name:?}; there are {known:?}").into());
    }
    let wanted = |service: &&Service| names.is_empty() || names.iter().any(|name| name == service.name);
    Ok(SERVICES.iter().filter(wanted).collect())
}

/// Prints what a shell can take over as it is.
fn up(service: &Service, memory: &mut Memory) -> Result<()> {
    if memory.running(service).is_none() {
        let server = (service.start)()?;
        let (url, version) = (server.url(), server.version());
        memory.put(Entry { name: service.name.to_owned(), url, version, left: server.leave()? })?;
    }
    let entry = memory.running(service).ok_or_else(|| format!("{} ended at once", service.name))?;
    println!("{}={}", service.variable, entry.url);
    Ok(())
}

fn down(service: &Service, memory: &mut Memory) -> Result<()> {
    let Some(entry) = memory.of(service) else {
        println!("{}: not up", service.name);
        return Ok(());
    };
    entry.left.stop()?;
    println!("{}: ended", service.name);
    memory.forget(service)
}

fn status(service: &Service, memory: &Memory) {
    match memory.running(service) {
        Some(entry) => {
            let pid = entry.left.pid();
            println!(
                "{}: {}, process {pid}, {}={}",
                service.name, entry.version, service.variable, entry.url
            );
        }
        None => println!("{}: not up", service.name),
    }
}

/// What was started, in a file beside what cargo builds.
struct Memory {
    file: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    url: String,
    version: String,
    left: Left,
}

impl Memory {
    fn load(file: PathBuf) -> Result<Self> {
        let entries = match std::fs::read_to_string(&file) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?
            }
            Err(_) => Vec::new(),
        };
        Ok(Self { file, entries })
    }

    fn of(&self, service: &Service) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == service.name)
    }

    fn running(&self, service: &Service) -> Option<&Entry> {
        self.of(service).filter(|entry| entry.left.is_running())
    }

    /// One that was remembered and has ended by itself is cleared away.
    fn put(&mut self, entry: Entry) -> Result<()> {
        for old in self.entries.extract_if(.., |old| old.name == entry.name) {
            old.left.stop()?;
        }
        self.entries.push(entry);
        self.save()
    }

    fn forget(&mut self, service: &Service) -> Result<()> {
        self.entries.retain(|entry| entry.name != service.name);
        self.save()
    }

    fn save(&self) -> Result<()> {
        std::fs::create_dir_all(self.file.parent().expect("it is in a folder"))?;
        Ok(std::fs::write(&self.file, serde_json::to_string_pretty(&self.entries)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_is_remembered_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("xtask").join("services.json");
        let service = &SERVICES[0];
        // Our own process, which is no server.
        let left = format!(r#"{{"pid": {}, "end_signal": 9, "folder": "/nowhere"}}"#, std::process::id());
        let entry = |url: &str| Entry {
            name: service.name.to_owned(),
            url: url.to_owned(),
            version: "1".to_owned(),
            left: serde_json::from_str(&left).unwrap(),
        };
        let mut memory = Memory::load(file.clone()).unwrap();
        memory.put(entry("first")).unwrap();
        memory.put(entry("second")).unwrap();
        let mut again = Memory::load(file.clone()).unwrap();
        assert_eq!(again.entries.len(), 1);
        assert_eq!(again.of(service).map(|entry| entry.url.as_str()), Some("second"));
        assert!(again.running(service).is_none());
        again.forget(service).unwrap();
        assert!(Memory::load(file).unwrap().of(service).is_none());
    }

    #[test]
    fn an_unknown_service_is_refused() {
        assert!(named(&["no-such".to_owned()]).is_err());
        assert_eq!(named(&[]).unwrap().len(), SERVICES.len());
    }
}
