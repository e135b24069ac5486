//! What can go wrong when opening a dump, and when reading one page of it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::addr::Pfn;

/// Why a dump can't be opened. Each names the file and, where there is one, the remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The operating system refused.
    #[error("{}: {error}{}", path.display(), io_remedy(error))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Of the running kernel's memory.
    #[error("{}: the running kernel's memory is root's alone (CAP_SYS_RAWIO), and nobody's where the kernel is locked down (/sys/kernel/security/lockdown): run as root, or take a dump", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
    },
    /// There is no such file where proc should have it.
    #[error("{}: the running kernel does not show its memory: it is built without CONFIG_PROC_KCORE, or this is a container; take a dump", path.display())]
    NotShown {
        /// The file.
        path: PathBuf,
    },
    /// A pipe, a device, a socket.
    #[error("{}: not a regular file; copy the dump to one, it is read in place", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Length zero.
    #[error("{}: the file is empty; the dump was never written (is /var/crash full?)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// None of the formats known.
    #[error("{}: not a crash dump: starts with {magic}; expected kdump-compressed (\"KDUMP   \"), flattened (\"makedumpfile\"), an ELF core, or an image of memory with a Linux kernel in it", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first bytes, printable.
        magic: String,
    },
    /// Wrapped in an outer compression, which allows no random access.
    #[error("{}: compressed as a whole with {with}; unpack it first: {command}", path.display())]
    Wrapped {
        /// The file.
        path: PathBuf,
        /// The compressor.
        with: &'static str,
        /// The command to run.
        command: String,
    },
    /// A header that contradicts itself or the file.
    #[error("{}: at offset {offset:#x}: {why}", path.display())]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// Where in the file (for a flattened file, in the dump that it describes).
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// Something real that is not supported.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        what: String,
    },
    /// Several files that are no split set.
    #[error("{}: {why}", path.display())]
    SplitSet {
        /// The offending file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A directory with no complete dump in it.
    #[error("{}: no complete dump (a file called vmcore… or dump…) in this directory or one level below{hint}", path.display())]
    NoDumpInDirectory {
        /// The directory.
        path: PathBuf,
        /// What was there instead.
        hint: String,
    },
}

impl DumpError {
    /// A file of no known format that is no memory either: no kernel is found in it.
    pub(crate) fn raw_without_kernel(path: &Path) -> Self {
        let mut magic = Vec::new();
        if let Ok(file) = std::fs::File::open(path) {
            // What is read before an error tells enough.
            let _ = file.take(16).read_to_end(&mut magic);
        }
        Self::UnknownFormat {
            path: path.to_owned(),
            magic: format!("\"{}\"", magic.escape_ascii()),
        }
    }
}

fn io_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; dumps are readable by root only: try with sudo",
        io::ErrorKind::NotFound => "; check the path",
        _ => "",
    }
}

/// Why one page can't be had. A page that the dump calls zero is not among these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PageFault {
    /// RAM of the machine, left out by the dump level.
    #[error("{0} was left out by the dump level")]
    Excluded(Pfn),
    /// No RAM that the dump knows of.
    #[error("{0} is not in the dump")]
    NotInDump(Pfn),
    /// It is in a part of a split set that was not given.
    #[error("{0} is missing: it is in a part of the split set that is not given")]
    PartAbsent(Pfn),
    /// It should be there, but the file ends before it, or it was never written.
    #[error("{pfn} is missing: the file is cut short before offset {offset:#x}")]
    Truncated {
        /// The page.
        pfn: Pfn,
        /// Where its data should end.
        offset: u64,
    },
    /// Its data does not decode.
    #[error("{pfn} at offset {offset:#x} is corrupt: {why}")]
    Corrupt {
        /// The page.
        pfn: Pfn,
        /// Where its data lies.
        offset: u64,
        /// What the decoder said.
        why: &'static str,
    },
}

impl PageFault {
    /// Which page it is about.
    pub fn pfn(&self) -> Pfn {
        match self {
            Self::Excluded(pfn) | Self::NotInDump(pfn) | Self::PartAbsent(pfn) => *pfn,
            Self::Truncated { pfn, .. } | Self::Corrupt { pfn, .. } => *pfn,
        }
    }
}
