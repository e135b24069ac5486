//! One file as bytes: mapped into memory and read in place, or held in memory whole.
//!
//! The only `unsafe` of the library is the mapping here. The file is opened
//! read-only and never written. Input: a path; output: bytes by file offset.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::DumpError;

/// How files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Mapped into memory: fast, but a file that is cut short meanwhile, or a file system that
    /// fails, ends the process.
    #[default]
    Map,
    /// By read calls: what can't be read is missing, as if the file ended there.
    Read,
}

/// A file whose bytes are all at hand.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped(Mmap),
    Held(Vec<u8>),
}

impl WholeFile {
    /// Maps the regular file at `path`, or reads all of it.
    ///
    /// # Errors
    /// If it can't be opened, is empty, or is a directory, pipe or device.
    pub fn open(path: &Path, access: Access) -> Result<Self, DumpError> {
        let io_error = |error: io::Error| DumpError::Io {
            path: path.to_owned(),
            error,
        };
        let (mut file, len) = open_regular(path)?;
        let content = match access {
            Access::Map => Content::Mapped(map(&file).map_err(io_error)?),
            Access::Read => {
                let mut held = Vec::new();
                let room = usize::try_from(len).unwrap_or(usize::MAX);
                // A sparse file may be larger than memory: that is no reason to abort.
                held.try_reserve_exact(room)
                    .map_err(|_| io_error(io::ErrorKind::OutOfMemory.into()))?;
                file.read_to_end(&mut held).map_err(io_error)?;
                Content::Held(held)
            }
        };
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    /// Bytes that are at hand already; `path` is for messages.
    pub fn held(path: &Path, bytes: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            content: Content::Held(bytes),
        }
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Mapped(map) => map,
            Content::Held(bytes) => bytes,
        }
    }
}

/// Opens a file that is neither empty nor a directory, pipe or device, with its length.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), DumpError> {
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
    match file.metadata().map_err(io_error)?.len() {
        0 => Err(DumpError::Empty {
            path: path.to_owned(),
        }),
        len => Ok((file, len)),
    }
}

fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private to this process and read-only. If another process cuts
    // the file short while it is mapped, reads of the lost pages raise SIGBUS: the process
    // ends, nothing is read out of bounds. docs/limitations.md says so to users.
    #[allow(unsafe_code)]
    unsafe {
        Mmap::map(file)
    }
}
