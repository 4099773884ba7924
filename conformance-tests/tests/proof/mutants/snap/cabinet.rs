//! Snapshots beside the log, as a backend would keep them, with room for one flaw.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use annalist_conformance::Namespaces;
use annalist_core::{
    Append, Error, ErrorKind, EventStore, ExpectedVersion, Limits, Metadata, NewEvent, Query, Read, Snapshot,
    SnapshotSchema, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use crate::bug::Bug;
use crate::world::World;

/// What is wrong with a cabinet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    AheadRefused,
    AtMostExclusive,
    AtMostIgnored,
    CutAt64KiB,
    DeleteThenInsert,
    DuplicateIsAnError,
    EmptyIsNone,
    FirstStays,
    IsAnEvent,
    JoinedKey,
    LastSavedWins,
    LimitWithEnvelope,
    LoadsCached,
    LossyText,
    MetadataDropped,
    MetadataNormalised,
    MetadataNotCounted,
    MissingIsAnError,
    NeedsAStream,
    None,
    OneDocument,
    OnePerKey,
    PruneAllSchemas,
    PruneByTime,
    PruneKeepsOldest,
    PruneKeepsOneMore,
    PruneLeavesAMark,
    PruneLooksFirst,
    PruneNothingIsAnError,
    PrunePutsBack,
    SchemaIgnored,
    StreamsFolded,
    Torn,
    VersionsAsText,
    VersionsOf32Bits,
    VersionsWrap,
}

type Key = (String, String);

/// The snapshots of one key by version, each with the number of its save.
type Drawer = BTreeMap<i64, (u64, Snapshot)>;

#[derive(Default)]
struct Rows {
    drawers: HashMap<Key, Drawer>,
    marks: HashMap<Key, i64>,
    saves: u64,
}

/// Who shares a cabinet.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Handle,
    Namespace,
    Everyone,
}

/// Gives each handle its view of the cabinet of its namespace.
pub struct Cabinets {
    flaw: Flaw,
    reach: Reach,
    rows: Namespaces<Arc<Mutex<Rows>>>,
    handles: AtomicU64,
}

/// Stores whose snapshots are in a cabinet with this flaw.
pub fn cabinets(flaw: Flaw) -> Arc<dyn World> {
    Arc::new(Cabinets::new(flaw, Reach::Namespace))
}

/// An honest cabinet.
pub fn honest() -> Arc<dyn World> {
    cabinets(Flaw::None)
}

/// An honest cabinet that all namespaces share.
pub fn one_for_all_namespaces() -> Arc<dyn World> {
    Arc::new(Cabinets::new(Flaw::None, Reach::Everyone))
}

/// An honest cabinet that each handle has for itself.
pub fn kept_in_the_handle() -> Arc<dyn World> {
    Arc::new(Cabinets::new(Flaw::None, Reach::Handle))
}

impl Cabinets {
    fn new(flaw: Flaw, reach: Reach) -> Self {
        Self { flaw, reach, rows: Namespaces::default(), handles: AtomicU64::new(0) }
    }
}

impl World for Cabinets {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        let shared_by = match self.reach {
            Reach::Handle => format!("{handle}"),
            Reach::Namespace => namespace.to_owned(),
            Reach::Everyone => String::new(),
        };
        let rows = self.rows.get(&shared_by, Default::default);
        Arc::new(Cabinet { flaw: self.flaw, rows, cached: Mutex::default() })
    }
}

/// The cabinet as one handle sees it.
struct Cabinet {
    flaw: Flaw,
    rows: Arc<Mutex<Rows>>,
    cached: Mutex<HashMap<(Key, Version), Option<Snapshot>>>,
}

impl Cabinet {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("nothing panics while it is held")
    }

    fn key(&self, stream: &StreamId, schema: &SnapshotSchema) -> Key {
        let (stream, schema) = (stream.as_str(), schema.as_str());
        match self.flaw {
            Flaw::StreamsFolded => (stream.trim().to_lowercase(), schema.to_owned()),
            Flaw::SchemaIgnored => (stream.to_owned(), String::new()),
            Flaw::JoinedKey => (format!("{stream}/{schema}"), String::new()),
            _ => (stream.to_owned(), schema.to_owned()),
        }
    }

    /// A version as the column holds it.
    #[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "that is the flaw")]
    fn number(&self, version: Version) -> i64 {
        match self.flaw {
            Flaw::VersionsOf32Bits => i64::from(version.get() as i32),
            Flaw::VersionsWrap => version.get() as i64,
            _ => i64::try_from(version.get()).unwrap_or(i64::MAX),
        }
    }

    fn check(&self, snapshot: &Snapshot, limits: &Limits) -> Result<(), Error> {
        match self.flaw {
            Flaw::MetadataNotCounted => {
                limits.check_snapshot(&snapshot.clone().with_metadata(Metadata::NONE))
            }
            Flaw::VersionsWrap => {
                let mut first = snapshot.clone();
                first.version = Version::FIRST;
                limits.check_snapshot(&first)
            }
            Flaw::LimitWithEnvelope => {
                let bytes_per_snapshot = limits.bytes_per_snapshot - snapshot.stream.as_str().len();
                Limits { bytes_per_snapshot, ..*limits }.check_snapshot(snapshot)
            }
            _ => limits.check_snapshot(snapshot),
        }
    }

    /// The snapshot as the columns hold it.
    fn stored(&self, mut snapshot: Snapshot) -> Snapshot {
        match self.flaw {
            Flaw::LossyText => snapshot.data = String::from_utf8_lossy(&snapshot.data).into_owned().into(),
            Flaw::CutAt64KiB => snapshot.data.truncate(65_536),
            Flaw::MetadataDropped => snapshot.metadata = Metadata::NONE,
            Flaw::MetadataNormalised => {
                let spaceless: String = snapshot.metadata.as_str().split_whitespace().collect();
                snapshot.metadata = Metadata::new(spaceless).unwrap_or(Metadata::NONE);
            }
            _ => {}
        }
        snapshot
    }

    fn insert(&self, key: &Key, snapshot: Snapshot) {
        let mut rows = self.rows();
        rows.saves += 1;
        let (save, number) = (rows.saves, self.number(snapshot.version));
        let drawer = rows.drawers.entry(key.clone()).or_default();
        if self.has(Flaw::OnePerKey) {
            drawer.clear();
        }
        drawer.insert(number, (save, snapshot));
    }

    fn drawer(&self, key: &Key) -> Drawer {
        self.rows().drawers.get(key).cloned().unwrap_or_default()
    }

    fn replace(&self, key: &Key, drawer: Drawer) {
        self.rows().drawers.insert(key.clone(), drawer);
    }

    /// What the log has to do with it, which should be nothing.
    async fn ask_log(&self, honest: &MemoryStore, snapshot: &Snapshot) -> Result<(), Error> {
        let version = honest.read(Read::stream(&snapshot.stream).limit(0)).await?.version;
        let refused = match self.flaw {
            Flaw::AheadRefused => version < snapshot.version && version > Version::NONE,
            Flaw::NeedsAStream => version == Version::NONE,
            _ => false,
        };
        if self.has(Flaw::IsAnEvent) {
            let saved = NewEvent::new("SnapshotSaved", "{}")?;
            honest.append(Append::to(&snapshot.stream, ExpectedVersion::Any, [saved])).await?;
        }
        if refused { Err(ErrorKind::Internal("violates a constraint".to_owned()).into()) } else { Ok(()) }
    }

    /// The versions that a prune is to remove.
    fn surplus(&self, drawer: &Drawer, keep: usize) -> Vec<i64> {
        let mut newest_first: Vec<_> =
            drawer.iter().rev().map(|(number, (save, _))| (*save, *number)).collect();
        match self.flaw {
            Flaw::PruneKeepsOldest => newest_first.reverse(),
            Flaw::PruneByTime => newest_first.sort_by_key(|(save, _)| std::cmp::Reverse(*save)),
            _ => {}
        }
        let keep = if self.has(Flaw::PruneKeepsOneMore) { keep.saturating_add(1) } else { keep };
        newest_first.into_iter().skip(keep).map(|(_, number)| number).collect()
    }
}

/// Refuses what is asked of a closed store: only the memory store knows.
async fn open(honest: &MemoryStore) -> Result<(), Error> {
    honest.read(Read::log(Query::all()).limit(0)).await.map(drop)
}

#[async_trait]
impl Bug for Cabinet {
    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        open(honest).await?;
        self.check(&snapshot, honest.capabilities().limits())?;
        self.ask_log(honest, &snapshot).await?;
        let key = self.key(&snapshot.stream, &snapshot.schema);
        let (number, snapshot) = (self.number(snapshot.version), self.stored(snapshot));
        let old = self.drawer(&key).get(&number).cloned();
        match (self.flaw, old) {
            (Flaw::DuplicateIsAnError, Some(_)) => {
                return Err(ErrorKind::Internal("duplicate key".to_owned()).into());
            }
            (Flaw::FirstStays, Some(_)) => return Ok(()),
            (Flaw::PruneLeavesAMark, _)
                if self.rows().marks.get(&key).is_some_and(|mark| number <= *mark) =>
            {
                return Ok(());
            }
            (Flaw::OneDocument, _) => {
                let mut document = self.drawer(&key);
                yield_now().await;
                document.insert(number, (0, snapshot.clone()));
                self.replace(&key, document);
                return Ok(());
            }
            (Flaw::Torn, Some((_, old))) => {
                self.insert(&key, snapshot.clone().with_metadata(old.metadata));
                yield_now().await;
            }
            (Flaw::DeleteThenInsert, Some(_)) => {
                self.rows().drawers.entry(key.clone()).or_default().remove(&number);
                yield_now().await;
            }
            _ => {}
        }
        self.insert(&key, snapshot);
        Ok(())
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        open(honest).await?;
        let key = self.key(stream, schema);
        let cached = self
            .cached
            .lock()
            .expect("nothing panics while it is held")
            .get(&(key.clone(), at_most))
            .cloned();
        if let (Flaw::LoadsCached, Some(cached)) = (self.flaw, cached) {
            return Ok(cached);
        }
        let drawer = self.drawer(&key);
        let bound = match self.flaw {
            Flaw::AtMostIgnored => i64::MAX,
            Flaw::VersionsOf32Bits if at_most == Version::MAX => i64::MAX,
            Flaw::VersionsWrap if at_most == Version::MAX => i64::MAX,
            Flaw::AtMostExclusive if at_most < Version::MAX => self.number(at_most) - 1,
            _ => self.number(at_most),
        };
        let below = || drawer.iter().filter(|(number, _)| **number <= bound);
        let newest = match self.flaw {
            Flaw::LastSavedWins => below().max_by_key(|(_, (save, _))| *save),
            Flaw::VersionsAsText => below().max_by_key(|(number, _)| number.to_string()),
            _ => below().next_back(),
        };
        let found = newest.map(|(_, (_, snapshot))| snapshot.clone());
        let found = found.filter(|found| !(self.has(Flaw::EmptyIsNone) && found.data.is_empty()));
        if found.is_none() && self.has(Flaw::MissingIsAnError) {
            return Err(ErrorKind::Internal("no rows were returned".to_owned()).into());
        }
        self.cached.lock().expect("nothing panics while it is held").insert((key, at_most), found.clone());
        Ok(found)
    }

    async fn prune_snapshots(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        open(honest).await?;
        let key = self.key(stream, schema);
        let drawer = self.drawer(&key);
        let surplus = self.surplus(&drawer, keep);
        if surplus.is_empty() && self.has(Flaw::PruneNothingIsAnError) {
            return Err(ErrorKind::Internal("no row was changed".to_owned()).into());
        }
        let mut kept = drawer;
        kept.retain(|number, _| !surplus.contains(number));
        match self.flaw {
            Flaw::PruneLooksFirst => {
                yield_now().await;
                self.replace(&key, kept);
            }
            Flaw::PrunePutsBack => {
                self.replace(&key, Drawer::new());
                yield_now().await;
                self.rows().drawers.entry(key).or_default().extend(kept);
            }
            _ => {
                let mut rows = self.rows();
                if let Some(mark) = surplus.iter().max() {
                    rows.marks.insert(key.clone(), *mark);
                }
                let whole_stream = self.has(Flaw::PruneAllSchemas);
                for (other, drawer) in &mut rows.drawers {
                    if *other == key || (whole_stream && other.0 == key.0) {
                        drawer.retain(|number, _| !surplus.contains(number));
                    }
                }
            }
        }
        Ok(())
    }
}
