//! One file of a dump, mapped into memory and read in place.
//!
//! The only `unsafe` of the library is the mapping here. The file is opened
//! read-only and never written. Input: a path; output: bytes by file offset.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::DumpError;

/// A file mapped read-only.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    /// Maps the regular file at `path`.
    ///
    /// # Errors
    /// If it can't be opened, is empty, or is a directory, pipe or device.
    pub fn open(path: &Path) -> Result<Self, DumpError> {
        let io_error = |error: io::Error| DumpError::Io {
            path: path.to_owned(),
            error,
        };
        // Looked at before it is opened: opening a FIFO would wait for a writer for ever.
        let kind = std::fs::metadata(path).map_err(io_error)?.file_type();
        if !kind.is_file() {
            return Err(DumpError::NotRegular {
                path: path.to_owned(),
            });
        }
        let file = File::open(path).map_err(io_error)?;
        if file.metadata().map_err(io_error)?.len() == 0 {
            return Err(DumpError::Empty {
                path: path.to_owned(),
            });
        }
        // SAFETY: the mapping is private to this process and read-only. If another process cuts
        // the file short while it is mapped, reads of the lost pages raise SIGBUS: the process
        // ends, nothing is read out of bounds. docs/limitations.md says so to users.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(io_error)?;
        Ok(Self {
            path: path.to_owned(),
            map,
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The `len` bytes at `offset`, if the file holds them all.
    pub fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        crate::bytes::slice(&self.map, usize::try_from(offset).ok()?, len)
    }
}
