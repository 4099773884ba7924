//! The place of an event in its stream, and what a writer may demand of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of an event in its stream. The first event of a stream is 1; 0 means that there are no events.
///
/// ```
/// use annalist_core::Version;
///
/// assert_eq!(Version::NONE.next(), Version::FIRST);
/// assert_eq!(Version::new(7).get(), 7);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of a stream without events.
    pub const NONE: Self = Self(0);
    /// The version of a stream's first event.
    pub const FIRST: Self = Self(1);
    /// The highest version that can be named.
    pub const MAX: Self = Self(u64::MAX);

    /// The version with this number.
    #[must_use]
    pub const fn new(version: u64) -> Self {
        Self(version)
    }

    /// The number of this version.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after this one; [`Version::MAX`] stays what it is.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<u64> for Version {
    fn from(version: u64) -> Self {
        Self(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a writer demands of a stream's version in the state in which its append commits.
///
/// ```
/// use annalist_core::{ExpectedVersion, Version};
///
/// assert!(ExpectedVersion::NoStream.holds(Version::NONE));
/// assert!(!ExpectedVersion::Exact(Version::new(3)).holds(Version::new(4)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ExpectedVersion {
    /// Nothing: it always holds.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has at least one event.
    Exists,
    /// The stream's last event has this version. `Exact(0)` means the same as `NoStream`.
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream whose last event has the version `actual` meets this expectation.
    #[must_use]
    pub fn holds(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::NONE,
            Self::Exists => actual > Version::NONE,
            Self::Exact(expected) => actual == expected,
        }
    }

    /// Whether an expectation that does not hold at `actual` can never hold again, because versions only grow.
    ///
    /// A store that resends an append after a lost reply may report such a refusal; any other could become untrue
    /// while the first attempt is still on its way.
    #[must_use]
    pub fn refused_for_good(self, actual: Version) -> bool {
        match self {
            Self::Any | Self::Exists => false,
            Self::NoStream => actual > Version::NONE,
            Self::Exact(expected) => actual > expected,
        }
    }
}

impl From<Version> for ExpectedVersion {
    fn from(version: Version) -> Self {
        Self::Exact(version)
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("an existing stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}
