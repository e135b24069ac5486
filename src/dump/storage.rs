//! The bytes of one dump file by logical offset, whether the file holds them
//! plainly or as records of the flattened format. Reads borrow where they can.

use std::borrow::Cow;
use std::path::Path;

use super::DumpError;
use super::file::MappedFile;
use super::flattened::{self, Flattened};

/// A dump file's bytes.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// The file as it is.
    File(MappedFile),
    /// Through the index of a flattened file.
    Flat(Flattened),
}

impl Bytes {
    /// Maps a file and, if it is flattened, indexes its records.
    pub(crate) fn open(path: &Path) -> Result<Self, DumpError> {
        let file = MappedFile::open(path)?;
        if file.bytes().starts_with(flattened::SIGNATURE) {
            Ok(Bytes::Flat(Flattened::open(file)?))
        } else {
            Ok(Bytes::File(file))
        }
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Bytes::File(file) => file.path(),
            Bytes::Flat(flat) => flat.file().path(),
        }
    }

    /// Length of the dump in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Bytes::File(file) => file.bytes().len() as u64,
            Bytes::Flat(flat) => flat.len(),
        }
    }

    /// Whether it is stored flattened.
    pub(crate) fn is_flattened(&self) -> bool {
        matches!(self, Bytes::Flat(_))
    }

    /// Whether the file is known to be cut short.
    pub(crate) fn is_cut_short(&self) -> bool {
        matches!(self, Bytes::Flat(flat) if !flat.is_whole())
    }

    /// The `len` bytes at `offset`, or `None` if any of them is missing.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Bytes::File(file) => file.get(offset, len).map(Cow::Borrowed),
            Bytes::Flat(flat) => flat.get(offset, len),
        }
    }

    /// Up to `len` bytes at `offset`, fewer where the dump ends.
    pub(crate) fn get_up_to(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let len = len.min(self.len().saturating_sub(offset));
        usize::try_from(len)
            .ok()
            .and_then(|len| self.get(offset, len))
            .unwrap_or_default()
    }
}
