//! The file of a dump: all of its bytes at hand, or read piece by piece.
//!
//! Input: a path and an [`Access`]. Output: bytes by file offset, borrowed where they
//! can be. Invariants: nothing is allocated for bytes that the file does not have; what
//! can't be read is missing, as if the file ended before it.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::DumpError;
use super::file::{Access, WholeFile, open_regular};
use super::kcore::Kcore;
use crate::bytes;

/// One file of a dump.
#[derive(Debug)]
pub(crate) enum DumpFile {
    /// Mapped or held.
    Whole(WholeFile),
    /// Memory of the kernel that runs.
    Live(Kcore),
    /// Read when asked for: dumps do not fit into memory.
    Read {
        /// Where it lies.
        path: PathBuf,
        /// Open for reading.
        file: File,
        /// When it was opened.
        len: u64,
    },
}

impl DumpFile {
    /// Opens the regular file at `path`.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self, DumpError> {
        match access {
            Access::Map => WholeFile::open(path, access).map(Self::Whole),
            Access::Read => {
                let (file, len) = open_regular(path)?;
                let path = path.to_owned();
                Ok(Self::Read { path, file, len })
            }
        }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Whole(file) => file.path(),
            Self::Live(kcore) => kcore.path(),
            Self::Read { path, .. } => path,
        }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Whole(file) => file.bytes().len() as u64,
            Self::Live(kcore) => kcore.len(),
            Self::Read { len, .. } => *len,
        }
    }

    /// The `len` bytes at `offset`, if the file holds them all.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Whole(file) => {
                let offset = usize::try_from(offset).ok()?;
                bytes::slice(file.bytes(), offset, len).map(Cow::Borrowed)
            }
            Self::Live(kcore) => {
                let mut out = vec![0; len];
                kcore.read(&mut out, offset)?;
                Some(Cow::Owned(out))
            }
            Self::Read {
                file, len: whole, ..
            } => {
                offset.checked_add(len as u64).filter(|end| end <= whole)?;
                let mut out = vec![0; len];
                file.read_exact_at(&mut out, offset).ok()?;
                Some(Cow::Owned(out))
            }
        }
    }
}
