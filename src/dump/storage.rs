//! The bytes of one dump file by logical offset, whether the file holds them
//! plainly or as records of the flattened format. Reads borrow where they can.

use std::borrow::Cow;
use std::path::Path;

use super::DumpError;
use super::file::{Access, WholeFile};
use super::flattened::{self, Flattened};
use super::kcore;
use super::source::DumpFile;

/// A dump file's bytes.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// The file as it is.
    File(DumpFile),
    /// Through the index of a flattened file.
    Flat(Flattened),
}

impl Bytes {
    /// Opens a file and, if it is flattened, indexes its records.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self, DumpError> {
        match kcore::is_kcore(path) {
            true => Ok(Self::File(kcore::open(path)?)),
            false => Self::of(DumpFile::open(path, access)?),
        }
    }

    /// Whether it is memory of the kernel that runs.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::File(DumpFile::Live(_)))
    }

    /// Bytes that are at hand already; `path` is for messages.
    pub(crate) fn held(path: &Path, bytes: Vec<u8>) -> Result<Self, DumpError> {
        Self::of(DumpFile::Whole(WholeFile::held(path, bytes)))
    }

    fn of(file: DumpFile) -> Result<Self, DumpError> {
        let start = file.get(0, flattened::SIGNATURE.len());
        let flattened = start.is_some_and(|start| start == flattened::SIGNATURE);
        if flattened {
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
            Bytes::File(file) => file.len(),
            Bytes::Flat(flat) => flat.len(),
        }
    }

    /// Length of the file, whatever it says of the dump in it.
    pub(crate) fn file_len(&self) -> u64 {
        match self {
            Bytes::File(file) => file.len(),
            Bytes::Flat(flat) => flat.file().len(),
        }
    }

    /// What to call the format of a file that is stored flattened, before its own name.
    pub(crate) fn flattened_prefix(&self) -> &'static str {
        match self {
            Bytes::File(_) => "",
            Bytes::Flat(_) => "flattened ",
        }
    }

    /// Whether the file is known to be cut short.
    pub(crate) fn is_cut_short(&self) -> bool {
        matches!(self, Bytes::Flat(flat) if !flat.is_whole())
    }

    /// The `len` bytes at `offset`, or `None` if any of them is missing.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Bytes::File(file) => file.get(offset, len),
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
