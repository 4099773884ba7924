use std::fmt;

/// Why a server could not do what was asked of it, in words for whoever runs the tests.
#[derive(Debug)]
pub struct Error {
    text: String,
}

/// What everything here returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Says what was tried when a thing failed.
pub(crate) trait Context<T> {
    fn context(self, tried: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, tried: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Error::new(format!("{tried}: {cause}")))
    }
}
